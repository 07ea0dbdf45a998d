/// When a node asks for the open block to be cut because nobody else writes (docs/architecture.md, "Where a block ends").
///
/// Decided by each node for itself on its own monotonic clock, in ms: the cut is decided by the flush request's place in
/// the log. At most one request of a node's is outstanding. Since every record counts, the last record of an idle log is
/// always a cut.

package import VarveModel

package struct IdleRule: Sendable {
    /// How much longer than the rule says this node waits at most, so that not all ask at once.
    package static let jitterMs: Int64 = 30_000
    /// A request that is not read back by then may be asked again.
    package static let answerMs: Int64 = 30_000

    /// A block that holds any record at all is cut after this long: min(1 h, an eighth of the log's retention).
    private let anyRecordMs: Int64
    /// This node's share of the jitter, 0 to 1.
    private let share: Double
    private var block: BlockNumber?
    private var recordSince: Int64?
    private var transactionSince: Int64?
    private var asked: (block: BlockNumber, at: Int64)?

    /// - Parameters:
    ///   - retentionMs: how long the log keeps records; nil for ever.
    ///   - share: random for each process, 0 to 1.
    package init(retentionMs: Int64?, share: Double) {
        anyRecordMs = min(3_600_000, retentionMs.map { max(1, $0 / 8) } ?? .max)
        self.share = min(max(share, 0), 1)
    }

    /// The block to ask a cut of now; called again and again, at least every few seconds.
    /// - Parameters:
    ///   - records, transactions: what the open block holds.
    package mutating func look(
        open: BlockNumber, records: UInt64, transactions: UInt64, flushDurationMs: UInt64, now: Int64
    ) -> BlockNumber? {
        if block != open {
            block = open
            recordSince = nil
            transactionSince = nil
        }
        if records > 0, recordSince == nil { recordSince = now }
        if transactions > 0, transactionSince == nil { transactionSince = now }
        if let asked, asked.block == open, now - asked.at < Self.answerMs { return nil }
        let flushMs = Int64(clamping: flushDurationMs)
        let isDue =
            isOver(transactionSince, flushMs, Self.jitterMs, now)
            || isOver(recordSince, anyRecordMs, anyRecordMs / 6, now)
        guard isDue else { return nil }
        asked = (open, now)
        return open
    }

    /// The request was refused before it could get into the log: ask again when it is due.
    package mutating func refused() { asked = nil }

    private func isOver(_ since: Int64?, _ boundMs: Int64, _ jitterMs: Int64, _ now: Int64) -> Bool {
        guard let since else { return false }
        let jitter = Int64(Double(jitterMs) * share)
        return now - since > boundMs && now - since - boundMs >= jitter
    }
}
