/// Proving, while a node runs, that the log is still the one it has read.
///
/// A check that an event opened (an error of the log, records that do not fit) comes before whatever was read with it is
/// applied, so nothing is acknowledged, no barrier passes and no block is cut while it runs. Without events it comes on a
/// timer: a topic that was deleted and made anew tells nobody.

internal import Synchronization
internal import VarveCore
internal import VarveLog
internal import VarveModel
internal import VarveTelemetry

extension Indexer {
    private static let checkInterval = Duration.seconds(2)
    /// Reasons of the same kind may come with every batch; a line for each would hide everything else.
    private static let reasonInterval = Duration.seconds(10)

    func watchIdentity() async {
        while !Task.isCancelled && !isOver {
            try? await Task.sleep(for: Self.checkInterval)
            if Task.isCancelled { return }
            if let error = await identityError(nil) { stop(placed(error)) }
        }
    }

    func watchEnd() async {
        while !Task.isCancelled {
            let (log, epoch) = present.withLock { ($0.log, $0.epoch) }
            if !isOver {
                do throws(VarveError) {
                    let range = try await log.range()
                    if self.epoch == epoch { seeEnd(range.upperBound) }
                } catch {
                    if error.code == .logUnreachable, self.epoch == epoch { missEnd(error) }
                }
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private func seeEnd(_ end: Offset) {
        let now = ContinuousClock.now
        let wasAway = published.withLock { published in
            published.logEnd = max(published.logEnd, end)
            published.endSeen = (end, now)
            defer { published.logTrouble = nil }
            return published.logTrouble != nil
        }
        if wasAway { logger.info("the log answers again", metadata: ["end": "\(end)"]) }
    }

    /// Reads of what is applied go on; what is submitted waits.
    private func missEnd(_ error: VarveError) {
        let isNews = published.withLock { published in
            defer { published.logTrouble = error }
            return published.logTrouble == nil
        }
        if isNews { logger.warning("the log does not answer: \(error)", metadata: ["code": error.code.rawValue]) }
    }

    /// Reads genesis and last applied record again and compares; nil when the log is still the same one.
    /// - Parameter suspicion: why now; nil for the timer. With one, an unreachable log is waited for.
    func identityError(_ suspicion: String?) async -> VarveError? {
        if let suspicion { tell(suspicion) }
        let present = present.withLock { $0 }
        while !Task.isCancelled && !isOver {
            do throws(VarveError) {
                switch try await comparison(present) {
                case .same: counters.identityProved.add(1, ordering: .relaxed)
                case .nothingHeld: counters.identityOpen.add(1, ordering: .relaxed)
                case .other(let error):
                    counters.identityRefuted.add(1, ordering: .relaxed)
                    return error
                }
                return nil
            } catch {
                // The next epoch was entered meanwhile: the old log is closed.
                if epoch != present.epoch { return nil }
                if suspicion == nil || error.code != .logUnreachable {
                    counters.identityOpen.add(1, ordering: .relaxed)
                    return error.code == .logUnreachable ? nil : error
                }
                // An unreachable log answers nothing; with a suspicion, nothing is acknowledged before it does.
                try? await Task.sleep(for: .milliseconds(250))
            }
        }
        return nil
    }

    private enum Comparison {
        case same
        /// Neither genesis nor the last applied record is still held.
        case nothingHeld
        case other(VarveError)
    }

    private func comparison(_ present: Present) async throws(VarveError) -> Comparison {
        let (log, epoch) = (present.log, present.epoch)
        var isProved = false
        if let genesis = present.genesis {
            let found = try await log.read(at: genesis.offset)
            if let found, found.offset == genesis.offset {
                if found != genesis {
                    return .other(changed(present, genesis.offset, found, isGenesis: found.bytes != genesis.bytes))
                }
                isProved = true
            } else if try await log.range().contains(genesis.offset) {
                return .other(changed(present, genesis.offset, nil, isGenesis: true))
            }
        }
        let (applied, digest, time) = state.withLock {
            ($0.machine.applied, $0.machine.recordDigest, $0.machine.logTime)
        }
        guard let applied, applied.epoch == epoch else { return isProved ? .same : .nothingHeld }
        let found = try await log.read(at: applied.offset)
        if let found, found.offset == applied.offset {
            let isSame = found.time == time && Digest(of: found.bytes) == digest
            return isSame ? .same : .other(changed(present, applied.offset, found, isGenesis: false))
        }
        let range = try await log.range()
        if range.upperBound <= applied.offset {
            return .other(
                VarveError(
                    .logBehind,
                    "the log ends at \(Position(epoch, range.upperBound)), this node has read it up to \(applied). Nothing "
                        + "of it was applied since. See docs/runbooks/log-behind-storage.md",
                    next: "varve epoch plan --config node.yaml"))
        }
        if range.contains(applied.offset) { return .other(changed(present, applied.offset, nil, isGenesis: false)) }
        // Expired: the next read-back proves it.
        return isProved ? .same : .nothingHeld
    }

    /// Another log in its place, or the same one gone another way.
    private func changed(
        _ present: Present, _ offset: Offset, _ found: LogEntry?, isGenesis: Bool
    ) -> VarveError {
        var code = ErrorCode.logReplaced
        var page = "log-replaced"
        if !isGenesis, let found, case .record = Record.decode(found.bytes, tag: nil), isOurs(found.bytes, present) {
            code = .logDiverged
            page = "log-diverged"
        }
        return VarveError(
            code,
            "the log changed under this node: at \(Position(present.epoch, offset)) it no longer holds the record that was applied. "
                + "Nothing of the other log was applied. See docs/runbooks/\(page).md",
            next: "varve epoch plan --config node.yaml")
    }

    /// The genesis itself, or a record with its tag.
    private func isOurs(_ bytes: Bytes, _ present: Present) -> Bool {
        if bytes == present.genesis?.bytes { return true }
        guard case .record(let record) = Record.decode(bytes, tag: present.tag) else { return false }
        return record.header.type != .genesis
    }

    private func tell(_ suspicion: String) {
        let now = ContinuousClock.now
        let isNews = published.withLock { published in
            if let told = published.suspicionToldAt, now - told < Self.reasonInterval { return false }
            published.suspicionToldAt = now
            return true
        }
        if isNews {
            logger.info("proving the log's identity again", metadata: ["why": suspicion])
        } else {
            logger.debug("proving the log's identity again", metadata: ["why": suspicion])
        }
    }

    /// Errors that put the log in question say where this node and storage stand.
    func placed(_ error: VarveError) -> VarveError {
        let inQuestion: [ErrorCode] = [.logReplaced, .logDiverged, .logBehind, .logGap, .logMissing]
        guard inQuestion.contains(error.code) else { return error }
        let adopted = state.withLock { $0.machine.adopted?.position }
        var placed = error
        placed.message +=
            " (applied here up to \(snapshot.position), in storage up to \(adopted.map { "\($0)" } ?? "no block yet"))"
        return placed
    }

    // MARK: What records tell of their writers

    func judge(_ findings: [WriterWatch.Finding]) async throws(VarveError) {
        for finding in findings {
            switch finding {
            case .otherInput(let reason): if let error = await identityError(reason) { throw error }
            case .otherEffect(let writer, let position, let isFirst):
                counters.otherEffects.add(1, ordering: .relaxed)
                guard isFirst else { continue }
                logger.error(
                    "the writer \(WriterWatch.name(writer)) read the same records up to \(position) and had other effects: "
                        + "its node is not to be trusted. Further such records are only counted "
                        + "(varve_suspect_records_total)",
                    metadata: ["writer": WriterWatch.name(writer)])
            case .divergence(let error): throw error
            }
        }
    }
}
