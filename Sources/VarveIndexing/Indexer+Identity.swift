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
                switch try await check(present).compare() {
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

    private func check(_ present: Present) -> IdentityCheck {
        state.withLock {
            IdentityCheck(present.log, present.epoch, genesis: present.genesis, tag: present.tag, $0.machine)
        }
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
