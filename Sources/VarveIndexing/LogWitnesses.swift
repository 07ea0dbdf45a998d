/// What nodes said they had read of a log, held against that log: their heartbeats are durable, and reach further than the
/// newest block.
///
/// A log that lost its end has to end before the furthest of them, and one that was written anew from some place on holds
/// another record there, or before a record of the log as it was stands at that same place. Only what stands behind the
/// newest block is asked: up to there the block itself is compared (`LogProof`).

package import VarveCore
package import VarveLog
package import VarveModel
package import VarveStorage

package struct LogWitnesses: Sendable {
    package struct Witness: Sendable, Equatable {
        package var node: String
        package var position: Position
        /// Nil in heartbeats of processes that said only where they were.
        package var record: Heartbeat.Applied?
    }

    /// The furthest first.
    package let all: [Witness]

    /// - Parameter covered: what the newest block and the log were compared up to.
    package init(
        _ store: BlockStore, of record: EpochRecord, _ database: DatabaseID, behind covered: Position?
    ) throws(VarveError) {
        let epoch = record.epoch
        let tag = LogTag(database: database, genesis: record.log.genesis ?? .zero)
        var all: [Witness] = []
        for (node, bytes) in try store.heartbeats() {
            // A torn one says nothing.
            guard let heartbeat = try? Heartbeat.decode(bytes), let applied = heartbeat.applied, applied.epoch == epoch,
                applied > covered ?? .zero, heartbeat.record?.log ?? tag == tag
            else { continue }
            all.append(Witness(node: node, position: applied, record: heartbeat.record))
        }
        self.all = all.sorted { $0.position > $1.position }
    }

    /// Throws `LOG_BEHIND` where the log ends before what a node had applied, `LOG_DIVERGED` where it holds something else
    /// there. Either is for an operator to declare, not for a node to forget.
    func requireHeld(by log: any Log, recheck: Duration) async throws(VarveError) {
        guard let furthest = all.first else { return }
        var end = try await log.range().upperBound
        if furthest.position.offset >= end {
            _ = await Means.wait(recheck)
            end = try await log.range().upperBound
        }
        guard furthest.position.offset < end else {
            throw VarveError(
                .logBehind,
                "the log ends at epoch \(furthest.position.epoch) offset \(end), \(furthest.node) had applied epoch "
                    + "\(furthest.position.epoch) offset \(furthest.position.offset): the log has lost its end. Everything in "
                    + "storage is safe and fits this log; what was acknowledged behind its end is not in it. See "
                    + "docs/runbooks/log-truncated.md",
                next: "varve epoch plan --config node.yaml")
        }
        guard let denied = try await contradiction(in: log) else { return }
        throw VarveError(
            .logDiverged,
            "the record at \(denied.position) is not the one that \(denied.node) had applied there: the log lost its end, and "
                + "others were written in its place. Everything in storage is safe and fits this log; what was acknowledged "
                + "behind it may not be in it. See docs/runbooks/log-diverged.md",
            next: "varve epoch plan --config node.yaml")
    }

    /// The furthest witness that can be compared with the log, when the log holds something else there; nil when it is as
    /// that one said. A log changes from some place to its end, so what agrees further on vouches for everything before:
    /// a single node that read wrong bytes once keeps nobody from starting.
    package func contradiction(in log: any Log) async throws(VarveError) -> Witness? {
        var denied: Witness?
        for witness in all {
            if let denied, witness.position < denied.position { break }
            guard let record = witness.record else { continue }
            let found: LogEntry?
            do throws(VarveError) {
                found = try await log.read(at: witness.position.offset)
            } catch {
                // Damage is no other record: whoever reads on is told of it.
                guard error.code == .logCorrupt else { throw error }
                continue
            }
            if let found, case .damaged = Record.decode(found.bytes, tag: nil) { continue }
            if let found, found.offset == witness.position.offset {
                if found.time == record.time, Digest(of: found.bytes) == record.digest { return nil }
            } else if !(try await log.range().contains(witness.position.offset)) {
                // Expired; or behind the end, which is lost and replaced by nothing.
                continue
            }
            denied = denied ?? witness
        }
        return denied
    }
}
