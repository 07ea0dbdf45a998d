/// Moving to another log with all nodes running: the target is prepared and proved by every live node, then a seal ends the
/// epoch. Until the seal nothing has changed; from it on every node crosses by itself, whoever wrote it.

internal import Synchronization
internal import VarveCore
package import VarveLog
package import VarveModel
internal import VarveStorage
internal import VarveTelemetry

extension Indexer {
    package struct Migration: Sendable {
        package var epoch: Epoch
        package var log: LogReference
        /// nil for a rehearsal.
        package var seal: Position?

        package init(epoch: Epoch, log: LogReference, seal: Position?) {
            self.epoch = epoch
            self.log = log
            self.seal = seal
        }
    }

    /// A live node that says nothing for so long is named.
    private static let confirmationLimit = Duration.seconds(45)
    /// What a kind of log takes for its own framing: limits that differ by less are the same.
    private static let framingBytes = 64 * 1024
    /// The clocks of both logs may differ by this much.
    private static let clockMs: Int64 = 10_000

    /// - Parameters:
    ///   - topic: the target's name without the epoch; nil keeps the present one.
    ///   - cluster: a name in the section `clusters`; nil stays on the present cluster.
    /// - Throws: `TARGET_UNFIT` with every reason, nothing changed; `UNKNOWN_OUTCOME` when the seal was appended and not read
    ///   back.
    package func migrate(
        topic: String?, cluster: String?, isRehearsal: Bool, until deadline: ContinuousClock.Instant
    ) async throws(VarveError) -> Migration {
        try checkAccepting()
        guard let current = epochRecords.last?.record, current.epoch == epoch, let next = epoch.next,
            let parent = current.log.genesis
        else { throw unfit(["this node is still crossing into the newest epoch"]) }
        let isFirst = migrating.withLock { migrating in
            defer { migrating = true }
            return !migrating
        }
        guard isFirst else { throw unfit(["a migration is under way on this node"]) }
        defer {
            migrating.withLock { $0 = false }
            presence.propose(nil)
        }
        let (provider, name) = try await target(topic, cluster, current)
        if isRehearsal { return try await rehearse(provider, name, next, current) }

        let before = try await barrierTime(until: deadline)
        var reference: LogReference
        do throws(VarveError) {
            let start = EpochStart(
                database: state.withLock { $0.machine.database }, epoch: next, began: .sealed,
                settings: state.withLock { $0.machine.settings }, parent: Genesis.Parent(genesis: parent))
            reference = try await start.begin(at: provider)
            reference.cluster = name
            try await judge(provider, reference, next, newerThan: before)
        } catch {
            throw error.code == .targetUnfit ? error : unfit(["\(error.code): \(error.message)"])
        }
        try await confirm(reference, next)
        return try await seal(reference, next, until: deadline)
    }

    // MARK: The target

    private func target(
        _ topic: String?, _ cluster: String?, _ current: EpochRecord
    ) async throws(VarveError) -> (any LogProvider, String?) {
        if let topic, topic.utf8.isEmpty || topic.utf8.count > 240 {
            throw unfit(["\"\(topic)\" is no name of a topic"])
        }
        let base = topic ?? current.log.base(of: current.epoch)
        if let cluster {
            guard let provider = places.clusters[cluster] else {
                let known = places.clusters.keys.sorted().joined(separator: ", ")
                throw unfit([
                    "this node's configuration has no cluster \(cluster) in log.clusters"
                        + (known.isEmpty ? "" : "; it has \(known)")
                ])
            }
            return (base.map { provider.named($0) } ?? provider, cluster)
        }
        guard let provider = try await places.provider(for: current.log, of: current.epoch) else {
            throw unfit(["the present cluster is not in this node's configuration"])
        }
        return (base.map { provider.named($0) } ?? provider, current.log.cluster)
    }

    private func rehearse(
        _ provider: any LogProvider, _ cluster: String?, _ next: Epoch, _ current: EpochRecord
    ) async throws(VarveError) -> Migration {
        var reference: LogReference
        do throws(VarveError) {
            reference = try await provider.reference(next)
            reference.cluster = cluster
            if try await provider.probe(next) == .present {
                let found = try await provider.open(next)
                let (range, first, limit) = (
                    try await found.range(), try await found.firstGenesis(), found.recordBytesMax
                )
                await found.close()
                var reasons: [String] = []
                if range.upperBound > .zero, first?.genesis.parent?.genesis != current.log.genesis {
                    reasons.append("\(reference.topic) is not empty (its end is \(range.upperBound))")
                }
                if limit + Self.framingBytes < log.recordBytesMax { reasons.append(limitReason(reference, limit)) }
                guard reasons.isEmpty else { throw unfit(reasons) }
            }
        } catch {
            throw error.code == .targetUnfit ? error : unfit(["\(error.code): \(error.message)"])
        }
        return Migration(epoch: next, log: reference, seal: nil)
    }

    /// What this node itself finds of the target, once its genesis is there.
    private func judge(
        _ provider: any LogProvider, _ reference: LogReference, _ next: Epoch, newerThan before: Int64
    ) async throws(VarveError) {
        let log = try await provider.open(next)
        let limit = log.recordBytesMax
        let genesis = try? await log.read(at: reference.genesisOffset ?? .zero)
        await log.close()
        var reasons: [String] = []
        if limit + Self.framingBytes < self.log.recordBytesMax { reasons.append(limitReason(reference, limit)) }
        if let genesis, genesis.time < before - Self.clockMs || genesis.time > before + Self.clockMs + 60_000 {
            reasons.append(
                "the clock of \(reference.place) is not within 10 s of the present log's (\(genesis.time - before) ms), or its "
                    + "genesis is of an earlier attempt: delete that log")
        }
        guard reasons.isEmpty else { throw unfit(reasons) }
    }

    private func limitReason(_ reference: LogReference, _ limit: Int) -> String {
        "\(reference.topic) takes records of \(limit) bytes, the present log \(log.recordBytesMax)"
    }

    /// The present log's time, by a record that was read back.
    private func barrierTime(until deadline: ContinuousClock.Instant) async throws(VarveError) -> Int64 {
        try await barrier(until: deadline)
        return state.withLock { $0.machine.logTime }
    }

    // MARK: Other nodes

    /// Waits until every live node says that it can go there.
    private func confirm(_ reference: LogReference, _ next: Epoch) async throws(VarveError) {
        var generator = SystemRandomNumberGenerator()
        let proposal = Heartbeat.Proposal(id: .random(using: &generator), epoch: next, log: reference)
        presence.propose(proposal)
        let deadline = ContinuousClock.now + Self.confirmationLimit
        try await announce()
        logger.info("asks every node whether it can go on in \(reference.place)", metadata: ["epoch": "\(next)"])
        while true {
            let tick = now
            try await onDisk(presenceQueue) { () throws(VarveError) in try self.presence.look(now: tick) }
            let peers = presence.peers.filter { $0.verdict == .live || $0.verdict == .watching }
            let answers = peers.map { ($0.node, $0.heartbeat?.confirmation) }
            let problems = answers.compactMap { node, answer in
                answer.flatMap { $0.id == proposal.id ? $0.problem.map { "\(node): \($0)" } : nil }
            }
            guard problems.isEmpty else { throw unfit(problems) }
            let silent = answers.filter { $0.1?.id != proposal.id }.map(\.0)
            // Who has answered is alive; who has not may be dead, and is known to be after 25 s.
            if silent.isEmpty { return }
            guard ContinuousClock.now < deadline, stopped == nil else {
                throw unfit(["\(silent.joined(separator: ", ")) did not confirm that the target can be reached"])
            }
            do {
                try await Task.sleep(for: .milliseconds(200))
            } catch {
                throw unfit(["interrupted"])
            }
        }
    }

    /// Answers another node's proposal, if there is a new one; true when something was answered.
    func answerProposals() async -> Bool {
        for peer in presence.peers where peer.verdict == .live || peer.verdict == .watching {
            guard let proposal = peer.heartbeat?.proposal, presence.confirmation?.id != proposal.id,
                proposal.epoch == epoch.next
            else { continue }
            let problem = await problem(of: proposal)
            presence.confirm(Heartbeat.Confirmation(id: proposal.id, problem: problem))
            logger.info(
                "\(peer.node) wants to move to \(proposal.log.place): \(problem ?? "this node can follow")")
            return true
        }
        return false
    }

    private func problem(of proposal: Heartbeat.Proposal) async -> String? {
        do throws(VarveError) {
            guard let provider = try await places.provider(for: proposal.log, of: proposal.epoch) else {
                return "its configuration names no connection to \(proposal.log.place)"
            }
            let log = try await provider.open(proposal.epoch)
            let (limit, first) = (log.recordBytesMax, try? await log.firstGenesis())
            await log.close()
            if let first, first.id != proposal.log.genesis { return "it finds another genesis there" }
            if limit + Self.framingBytes < self.log.recordBytesMax { return limitReason(proposal.log, limit) }
            return nil
        } catch {
            return "\(error.code): \(error.message)"
        }
    }

    // MARK: The seal

    private func seal(
        _ reference: LogReference, _ next: Epoch, until deadline: ContinuousClock.Instant
    ) async throws(VarveError) -> Migration {
        let limit = max(deadline, .now + .seconds(10))
        try? await sendSeal(Seal(next: next, log: reference), until: limit)
        while epoch < next || !isReady {
            if let stopped { throw stopped }
            guard ContinuousClock.now < limit else {
                throw VarveError(
                    .unknownOutcome,
                    "the seal was appended and this node has not crossed yet. Once it is read, all nodes cross by themselves",
                    next: "varve epoch status --config node.yaml")
            }
            try? await Task.sleep(for: .milliseconds(2))
        }
        guard let record = epochRecords.first(where: { $0.record.epoch == next })?.record,
            let end = record.parentEnd?.position
        else { throw VarveError(.internal, "epoch \(next) was entered without its record") }
        guard record.log.genesis == reference.genesis else {
            throw unfit([
                "another migration was faster: epoch \(next) goes on in \(record.log.place). \(reference.place) holds a genesis "
                    + "that nobody uses and may be deleted"
            ])
        }
        logger.info("migrated to \(record.log.place)", metadata: ["epoch": "\(next)", "seal": "\(end)"])
        return Migration(epoch: next, log: record.log, seal: end)
    }

    private func unfit(_ reasons: [String]) -> VarveError {
        VarveError(
            .targetUnfit, reasons.joined(separator: "; ") + ". Nothing was changed",
            next: "see docs/operations/epochs.md, then varve epoch migrate --dry-run")
    }
}
