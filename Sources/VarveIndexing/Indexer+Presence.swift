/// Being seen and seeing: the heartbeat, who else lives, and whether the epoch still is the newest one.

internal import Dispatch
internal import Synchronization
internal import VarveCore
internal import VarveModel
internal import VarveStorage
internal import VarveTelemetry

extension Indexer {
    /// A gap between two ticks that says that the process was stopped for a while.
    private static let pauseMs: Int64 = 5_000

    /// Runs until the task is cancelled, then says that the node stopped. Returns what ends this process at once.
    func stayPresent() async -> VarveError? {
        let beatMs = options.heartbeatMs
        var (beatAt, lookAt, epochAt, last) = (Int64(0), Int64(0), Int64(0), now)
        var trouble: ErrorCode?
        while !Task.isCancelled {
            let tick = now
            if tick - last > Self.pauseMs { epochAt = tick }
            last = tick
            do throws(VarveError) {
                if tick >= epochAt {
                    epochAt = tick + beatMs
                    try await checkEpoch()
                    try await checkQuarantine()
                }
                if tick >= lookAt {
                    lookAt = tick + beatMs / 2
                    try await onDisk(presenceQueue) { () throws(VarveError) in try self.presence.look(now: tick) }
                    // Whoever asked waits for the answer.
                    if await answerProposals() { beatAt = tick }
                }
                if tick >= beatAt {
                    // What could not be stored is tried again soon: nobody asks a node that nobody sees.
                    try await onDisk(presenceQueue) { () throws(VarveError) in try self.beat(isStopping: false) }
                    beatAt = tick + beatMs
                }
                trouble = nil
            } catch {
                if error.code == .nodeIDTaken {
                    stop(error)
                    return error
                }
                // Storage that is away is told by the flusher as soon as it matters.
                if trouble != error.code {
                    logger.warning(
                        "other nodes may not see this one: \(error)", metadata: ["code": error.code.rawValue])
                }
                trouble = error.code
            }
            try? await Task.sleep(for: .milliseconds(min(1_000, beatMs / 4)))
        }
        // A node that stops without a word is thought to be alive for 25 s.
        _ = try? await onDisk(presenceQueue) { () throws(VarveError) in try self.beat(isStopping: true) }
        return nil
    }

    /// Writes the heartbeat now.
    func announce() async throws(VarveError) {
        try await onDisk(presenceQueue) { () throws(VarveError) in try self.beat(isStopping: false) }
    }

    private func beat(isStopping: Bool) throws(VarveError) {
        let (standing, oldestHeld) = (standing, state.withLock { $0.blocks.oldestHeld })
        try presence.beat { heartbeat in
            heartbeat.epoch = epoch
            heartbeat.applied = standing.applied
            heartbeat.record = standing.record
            heartbeat.inputChain = standing.inputChain
            heartbeat.effectChain = standing.effectChain
            heartbeat.adopted = standing.adopted.map {
                Heartbeat.Adopted(number: $0.number, position: $0.position)
            }
            heartbeat.settings = Heartbeat.digest(of: standing.settings)
            heartbeat.oldestBlock = oldestHeld
            heartbeat.stopped = isStopping ? standing.applied : nil
            // What a node says when it is asked to end is no trouble.
            let trouble = standing.stopped ?? standing.trouble
            heartbeat.trouble = trouble?.code == .notReady ? nil : trouble?.code.rawValue
            // Only one that stands before a record says so to others: whoever quarantines goes by it.
            if standing.stopped == nil, trouble?.code == .poison { heartbeat.trouble = Heartbeat.blockPoison }
        }
    }

    /// Whether the epoch was ended by anything but a seal: then this node goes no further in it. One that a seal ended is
    /// read to the seal.
    func checkEpoch() async throws(VarveError) {
        guard stopped == nil else { return }
        let epoch = epoch
        let next = try await onDisk(presenceQueue) { () throws(VarveError) in
            try self.store.successor(of: epoch)
        }
        guard self.epoch == epoch else { return }
        if succession(next).endsNode { stop(supersededError) }
    }

    private func succession(_ next: EpochRecord?) -> Succession {
        Succession(next, isKnown: epochRecords.contains { $0.record.epoch == next?.epoch })
    }

    /// Whether a block stands behind the end of its epoch, or at it and is another, as the next one's record has it.
    func isLeftOut(_ block: FrozenBlock) throws(VarveError) -> Bool { try succession(of: block).leavesOut(block.draft) }

    /// What storage records behind the epoch of a block.
    func succession(of block: FrozenBlock) throws(VarveError) -> Succession {
        succession(try store.successor(of: block.epoch))
    }

    var supersededError: VarveError {
        VarveError(
            .epochStale,
            "storage records an epoch after \(epoch), which this node is still in (applied up to \(snapshot.position)). It "
                + "appends, acknowledges and publishes nothing more; reads go on. See docs/runbooks/epoch-mismatch.md",
            next: "start this node again, without an older epoch in the section log")
    }

    /// This process's monotonic clock, in ms.
    var now: Int64 { (ContinuousClock.now - startedAt).milliseconds }

    /// Runs blocking work on a thread that may wait for a disk.
    func onDisk<R: Sendable>(
        _ queue: DispatchQueue, _ body: @escaping @Sendable () throws(VarveError) -> R
    ) async throws(VarveError) -> R {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<R, VarveError>, Never>) in
            queue.async {
                do throws(VarveError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
