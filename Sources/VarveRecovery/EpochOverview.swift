/// The epochs of a storage: how each began and ended, who has crossed into which, which logs may be deleted.

internal import VarveCore
internal import VarveIndexing
package import VarveModel
internal import VarveStorage

package struct EpochOverview: Sendable {
    package struct Entry: Sendable {
        package var record: EpochRecord
        /// nil for the present epoch.
        package var end: Position?
        /// Whether a block covers the end: nothing of the log is needed any more.
        package var isCovered: Bool
        /// What is known to be lost with its end; nil when it cannot be counted.
        package var unindexedLost: Int?
        /// Whether its log may be deleted, and why or why not.
        package var mayBeDeleted: Bool
        package var reason: String
        /// Nodes whose last heartbeat was of this epoch.
        package var nodes: [String]
    }

    package let entries: [Entry]
    package let newest: Manifest?
    /// Nodes whose configuration asserted another epoch than the newest, when they last wrote their heartbeat.
    package let mismatches: [Mismatch]

    package struct Mismatch: Sendable, Equatable {
        package var node: String
        package var configured: Epoch

        package init(node: String, configured: Epoch) {
            self.node = node
            self.configured = configured
        }
    }

    package init(_ cold: ColdDatabase) throws(VarveError) {
        let records = cold.epochs.map(\.record)
        let newest = cold.loading.newest
        self.newest = newest
        let heartbeats = try cold.store.heartbeats().compactMap { try? Heartbeat.decode($0.bytes) }
        mismatches = heartbeats.compactMap { heartbeat in
            heartbeat.configuredEpoch.flatMap {
                $0 == records.last?.epoch ? nil : Mismatch(node: heartbeat.node, configured: $0)
            }
        }.sorted { $0.node < $1.node }
        let missing = try cold.missingFiles()
        entries = records.map { record in
            let next = records.successor(of: record.epoch)
            let nodes = heartbeats.filter { $0.epoch == record.epoch }.map(\.node).sorted()
            guard let next, let end = next.parentEnd else {
                return Entry(
                    record: record, end: nil, isCovered: false, unindexedLost: nil, mayBeDeleted: false,
                    reason: "it is in use", nodes: nodes)
            }
            // A later record that goes back gives up all that the log held behind that.
            let isCovered = end.block.map { block in newest.map { $0.number >= block } ?? false } ?? true
            let (mayBeDeleted, reason) = Self.judge(next, isCovered, end, missing)
            return Entry(
                record: record, end: end.position, isCovered: isCovered, unindexedLost: next.unindexedLost,
                mayBeDeleted: mayBeDeleted, reason: reason, nodes: nodes)
        }
    }

    private static func judge(
        _ next: EpochRecord, _ isCovered: Bool, _ end: ParentEnd, _ missing: String?
    ) -> (Bool, String) {
        guard isCovered else { return (false, "no block reaches its end \(end.position) yet") }
        // What it holds may be the only copy.
        if let missing { return (false, missing) }
        if next.began == .lost, next.reason == StartUp.byNature {
            return (true, "it ended with its process, and with it what it held behind \(end.position)")
        }
        guard next.began == .sealed || next.unindexedLost == 0 else {
            return (
                false,
                "what it holds behind \(end.position) is not taken over: varve epoch salvage, or accept that it is gone"
            )
        }
        return (true, "blocks hold everything up to its end \(end.position)")
    }
}
