/// Applies again what stands in an ended epoch's log and was not taken over, with its ids: so nothing is applied twice.
///
/// What had committed or aborted is submitted again, in the old order; what was cancelled or had expired is cancelled, so
/// that no answer once given is contradicted. Ids that the new log holds already are left out.

package import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveStorage

package enum Salvage {
    package struct Applied: Sendable {
        package var count = 0
        package var differing: [EpochPlan.Submission] = []
    }

    /// Records that are appended at once.
    private static let batchRecordsMax = 4_096
    private static let batchBytesMax = 8 * 1024 * 1024

    /// - Throws: `PLAN_STALE` when one of them has come to no decision in the target, because the source no longer holds it.
    /// - Parameters:
    ///   - wanted: which of the source's submissions, with what they came to there.
    ///   - replay: stands before `beginningAt` in the target; reads all of it.
    static func apply(
        _ wanted: [EpochPlan.Submission], from source: any Log, of record: EpochRecord, database: DatabaseID,
        to target: any Log, beginningAt start: Offset, _ replay: inout Replay, _ progress: (Int) -> Void
    ) async throws(VarveError) -> Applied {
        let positions = wanted.map(\.position)
        guard let first = positions.min(), let last = positions.max() else { return Applied() }
        var next = try await readBack(target, from: start, &replay)
        var there = Set(replay.piece.submissions.map(\.id))
        let outcomes = Dictionary(wanted.map { ($0.position, $0.outcome) }, uniquingKeysWith: { a, _ in a })
        let tag = LogTag(database: database, genesis: record.log.genesis ?? .zero)
        var applied = Applied()
        var batch: [Record] = []
        var bytes = 0
        let tail = try await source.tail(from: first.offset)
        reading: while let read = try await tail.next() {
            for entry in read.entries {
                if entry.offset > last.offset { break reading }
                let position = Position(record.epoch, entry.offset)
                guard let known = outcomes[position], case .record(var old) = Record.decode(entry.bytes, tag: tag),
                    there.insert(old.header.id).inserted
                else { continue }
                // What nobody could judge, for what came before it is gone, had certainly expired by its own time.
                let isLate = known == nil && old.header.expiresAt != 0 && entry.time > old.header.expiresAt
                if known == .cancelled || known == .expired || isLate {
                    old.header.type = .cancel
                    old.payload = Bytes()
                }
                // The expiry was in the old log's time, and it has been kept: the answer stands.
                old.header.expiresAt = 0
                batch.append(old)
                bytes += old.payload.count
                if batch.count >= batchRecordsMax || bytes >= batchBytesMax {
                    next = try await append(batch, to: target, from: next, &replay)
                    applied.count += batch.count
                    progress(applied.count)
                    (batch, bytes) = ([], 0)
                }
            }
            if let end = read.entries.last, end.offset >= last.offset { break }
        }
        await tail.close()
        if !batch.isEmpty {
            _ = try await append(batch, to: target, from: next, &replay)
            applied.count += batch.count
            progress(applied.count)
        }
        try requireDecided(wanted, replay)
        let now = Dictionary(replay.piece.submissions.map { ($0.id, $0.outcome) }, uniquingKeysWith: { a, _ in a })
        applied.differing = wanted.filter { submission in
            guard let then = submission.outcome, let outcome = now[submission.id], let outcome else { return false }
            return outcome != then && !(then == .expired && outcome == .cancelled)
        }
        return applied
    }

    /// What is not there is lost, and the record that would be written next says that nothing is.
    private static func requireDecided(
        _ wanted: [EpochPlan.Submission], _ replay: Replay
    ) throws(VarveError) {
        let snapshot = Snapshot(replay.machine, replay.blocks)
        var missing: [EpochPlan.Submission] = []
        for submission in wanted
        where !replay.answered.contains(submission.id) && replay.machine.window[submission.id] == nil {
            if try snapshot.decision(submission.id) == nil { missing.append(submission) }
        }
        guard let first = missing.first else { return }
        throw VarveError(
            .planStale,
            "\(missing.count) of \(wanted.count) transactions were not salvaged, \(first.id) at \(first.position) is the first: "
                + "the old log no longer holds them. No epoch was begun; what is salvaged is found again and not written twice",
            next: "varve epoch plan --config node.yaml")
    }

    /// A record that ids were forgotten before is void; it is appended again, so often at most.
    private static let roundsMax = 16

    /// Appends records until each has come to a decision.
    private static func append(
        _ records: [Record], to target: any Log, from start: Offset, _ replay: inout Replay
    ) async throws(VarveError) -> Offset {
        var (left, next) = (records, start)
        for _ in 0..<roundsMax {
            // Some may have been decided, and forgotten since: what a record has observed is this look-up.
            let snapshot = Snapshot(replay.machine, replay.blocks)
            let isComplete = replay.machine.window.horizon == .zero
            var unknown: [Record] = []
            for record in left where !replay.answered.contains(record.header.id) {
                if !isComplete, try snapshot.decision(record.header.id) != nil { continue }
                unknown.append(record)
            }
            left = unknown
            if left.isEmpty { return next }
            // What was observed before more ids than are remembered is void.
            let count = min(left.count, Int(clamping: max(1, replay.machine.settings.idsRemembered)))
            for begin in stride(from: 0, to: left.count, by: count) {
                next = try await appendOnce(
                    left[begin..<min(left.count, begin + count)], to: target, from: next, &replay)
            }
        }
        throw VarveError(
            .overloaded,
            "\(left.count) records are forgotten before they are decided, because others write faster than ids are "
                + "remembered. What is there already is found again and not written twice",
            next: "the same command once more, with less load")
    }

    /// Appends records with the target's tag and the position that was read so far, and reads them back.
    private static func appendOnce(
        _ records: ArraySlice<Record>, to target: any Log, from next: Offset, _ replay: inout Replay
    ) async throws(VarveError) -> Offset {
        let machine = replay.machine
        let encoded = records.map { old -> Bytes in
            var record = old
            record.header.logTag = machine.tag
            record.header.observed = machine.applied ?? .zero
            record.header.inputChain = machine.inputChain.value.first.high.byteSwapped
            record.header.effectChain = machine.effectChain.value.high.byteSwapped
            record.header.writer = 0
            record.header.writerSequence = 0
            return record.encoded()
        }
        for result in await target.append(encoded) {
            switch result {
            case .stored: break
            case .refused(let error): throw error
            case .unknown(let error):
                throw VarveError(
                    .unknownOutcome,
                    "the new log did not answer while records were salvaged (\(error.message)). What is there already is "
                        + "found again and not written twice",
                    next: "the same command once more")
            }
        }
        return try await readBack(target, from: next, &replay)
    }

    private static func readBack(
        _ target: any Log, from start: Offset, _ replay: inout Replay
    ) async throws(VarveError) -> Offset {
        let end = try await target.range().upperBound
        var copy = replay
        try await target.forEachBatch(from: start, to: end) { (entries) throws(VarveError) in
            try copy.apply(entries)
        }
        try copy.requireWhole()
        replay = copy
        return end
    }
}
