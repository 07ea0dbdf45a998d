/// A node whose log fails it, while storage has gone on without it: the rest of its epoch stands in blocks, and the log that
/// comes next is there. It learns that from storage by itself, ends, and goes through the whole start procedure.
///
/// So one that was cut off or stood still while the log was moved needs nobody when the old log is deleted, as
/// `varve epoch status` said it may be.

internal import Synchronization
internal import VarveCore
internal import VarveLog
internal import VarveModel
internal import VarveStorage
internal import VarveTelemetry

extension Indexer {
    /// What a log may say when it, or what was needed of it, is no longer there.
    private static let codes: [ErrorCode] = [.logMissing, .logGap, .logBehind, .logReplaced]
    /// A log that gave no answer for so many looks may never give one.
    private static let silentLooksMax = 3

    /// Returns when the node shall begin again.
    func watchStorage() async -> VarveError? {
        var silent = 0
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(options.heartbeatMs))
            if Task.isCancelled { return nil }
            if stopped == nil {
                let log = log
                let answers = (try? await log.range()) != nil
                silent = answers || !present.withLock({ $0.isOpen }) ? 0 : silent + 1
                if silent >= Self.silentLooksMax { await beginAgainIfStorageWentOn() }
            } else {
                await beginAgainIfStorageWentOn()
            }
            if beginsAgain { return stopped ?? VarveError(.notReady, "this node starts anew") }
        }
        return nil
    }

    func beginAgainIfStorageWentOn() async {
        let code = stopped?.code
        guard code.map(Self.codes.contains) ?? true, !beginsAgain else { return }
        do throws(VarveError) {
            guard let record = try await recordBeyondReach() else { return }
            guard let provider = try await places.provider(for: record.log, of: record.epoch),
                try await provider.probe(record.epoch) == .present
            else { return }
            logger.warning(
                "storage has gone on to epoch \(record.epoch) (\(record.log.place)) without this node, whose log "
                    + "\(code == nil ? "does not answer" : "cannot be read further"): it goes through its start again",
                metadata: ["applied": snapshot.position.description])
            again.withLock { $0 = true }
        } catch {
            logger.debug("storage was asked whether it has gone on: \(error)")
        }
    }

    /// The epoch that a start would begin in, when it is a later one, all are linked by seals, and blocks hold everything up
    /// to its beginning; or the present one, when blocks reach to where its log begins.
    private func recordBeyondReach() async throws(VarveError) -> EpochRecord? {
        let (epoch, applied, isGap) = (epoch, snapshot.position, stopped?.code == .logGap)
        let database = state.withLock { $0.machine.database }
        let loading = try await onDisk(presenceQueue) { () throws(VarveError) in
            try DatabaseLoading(self.store, try self.store.epochRecords(), database: database)
        }
        let current = loading.current
        if current.epoch > epoch {
            let isLinked = loading.epochs.allSatisfy { $0.record.epoch <= epoch || $0.record.began == .sealed }
            return isLinked ? current : nil
        }
        guard isGap, let newest = loading.newest?.last, newest > applied, newest.epoch == epoch else { return nil }
        let range = try await log.range()
        return range.lowerBound <= newest.offset.next ? current : nil
    }
}
