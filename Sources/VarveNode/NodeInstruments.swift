/// The node's metrics, by the names of docs/observability.md.

internal import Synchronization
internal import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveStorage
package import VarveTelemetry

package struct NodeInstruments: Sendable {
    package let registry: MetricsRegistry
    package let submitSeconds: Histogram
    package let querySeconds: Histogram
    let appendSeconds: Histogram

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        submitSeconds = registry.histogram(
            "varve_submit_seconds", help: "Time from a submission's arrival to its outcome, in seconds")
        ProcessMetrics.register(in: registry)
        appendSeconds = registry.histogram(
            "varve_append_seconds", help: "Time from handing a batch of records to the log to its report, in seconds")
        querySeconds = registry.histogram("varve_query_seconds", help: "Time to answer a query, in seconds")
    }

    /// Registers what is read from the node at each scrape.
    func follow(_ node: Node) {
        func gauge(_ name: String, _ help: String, _ read: @escaping @Sendable (Indexer.Standing) -> Double?) {
            registry.gauge(name, help: help) { [weak node] in node?.status().standing.flatMap(read) }
        }
        func counter(_ name: String, _ help: String, _ read: @escaping @Sendable (Indexer.Standing) -> Double?) {
            registry.counter(name, help: help) { [weak node] in node?.status().standing.flatMap(read) }
        }
        gauge("varve_log_end_offset", "Next offset the log will give") { Double($0.logEnd.value) }
        gauge("varve_applied_offset", "Offset of the last applied record") { Double($0.token.position.offset.value) }
        gauge("varve_adopted_offset", "Offset of the newest adopted cut") {
            $0.adopted.map { Double($0.position.offset.value) }
        }
        gauge("varve_epoch", "Epoch of the log in use") { Double($0.token.position.epoch.number) }
        gauge("varve_lag_records", "Records of the log not yet applied") { Double($0.lagRecords) }
        gauge("varve_lag_seconds", "Age of the last applied record while behind the log's end, else 0") {
            $0.lagRecords == 0 ? 0 : $0.sinceLastRecord.seconds
        }
        counter("varve_rows_total", "Document versions applied") { Double($0.counters.rows) }
        gauge("varve_open_block_rows", "Document versions in the open block") { Double($0.openCounts.rows) }
        gauge("varve_open_block_bytes", "Uncompressed payload in the open block, in bytes") {
            Double($0.openCounts.bytes)
        }
        gauge("varve_frozen_blocks", "Blocks cut but not yet adopted") { Double($0.frozen) }
        gauge("varve_block_number", "Number of the newest adopted block") { $0.adopted.map { Double($0.number.value) } }
        gauge("varve_rpo_transactions", "Transactions that only the log holds: what losing it now would cost") {
            Double($0.openCounts.transactions + $0.frozenCounts.transactions)
        }
        gauge(
            "varve_rpo_seconds",
            "Age of the oldest record of the open block while transactions are only in the log, else 0"
        ) {
            let isAtRisk = $0.openCounts.transactions + $0.frozenCounts.transactions > 0
            return isAtRisk ? $0.openSince?.seconds ?? 0 : 0
        }
        gauge("varve_seconds_since_block", "Time since this node adopted a block, in seconds") {
            $0.sinceAdoption?.seconds
        }
        counter("varve_storage_bytes_written_total", "Bytes of block files this node wrote") { Double($0.bytesWritten) }
        counter("varve_blocks_published_total", "Blocks whose manifest this node put in place") { Double($0.published) }
        counter("varve_blocks_adopted_total", "Blocks this node adopted") { Double($0.adoptedBlocks) }
        gauge("varve_quarantined_records", "Records that are skipped by every node, by a quarantine in storage") {
            Double($0.quarantined)
        }
        counter("varve_foreign_records_total", "Records in the log that are not of this database") {
            Double($0.counters.foreign)
        }
        gauge(
            "varve_retention_headroom_seconds",
            "Time until the log may forget a record that no block has; negative when it is too late"
        ) { standing in
            standing.logHealth.retention.map { retention in
                let now = SystemInstantSource().now().microseconds / 1000
                return retention.seconds - Double(now - (standing.unadoptedSince ?? now)) / 1000
            }
        }
        counter("varve_log_reconnects_total", "Connections to the log's brokers that were lost") {
            Double($0.logHealth.reconnects)
        }
        counter("varve_log_throttle_seconds_total", "Time the log's brokers asked this node to hold back, in seconds") {
            $0.logHealth.throttled.seconds
        }
        registry.counters(
            "varve_identity_checks_total", help: "Times the log's identity was looked at while running, by result"
        ) { [weak node] in
            guard let checks = node?.status().standing?.identityChecks else { return [] }
            return [("proved", checks.proved), ("refuted", checks.refuted), ("not_checkable", checks.notCheckable)].map
            {
                MetricSample(Double($0.1), labels: ["result": $0.0])
            }
        }
        gauge("varve_apply_longest_seconds", "Longest that a chunk of at most 1,000 records took to become visible") {
            $0.longestApplySeconds
        }
        counter("varve_suspect_records_total", "Records whose sender had other effects after the same records") {
            Double($0.otherEffects)
        }
        registry.counters("varve_transactions_total", help: "Decided submissions by outcome") { [weak node] in
            guard let outcomes = node?.status().standing?.counters.outcomes else { return [] }
            return [Outcome.committed, .aborted, .cancelled, .expired].map {
                MetricSample(Double(outcomes[Int($0.rawValue)]), labels: ["outcome": $0.description])
            }
        }
        registry.counters(
            "varve_claims_total", help: "Claims on blocks by outcome; of the claimed ones some overtook another node's"
        ) { [weak node] in
            guard let claims = node?.status().standing?.claims else { return [] }
            return [
                ("claimed", claims.claimed), ("overtook", claims.overtaken), ("lost", claims.lost),
                ("without", claims.without),
            ].map { MetricSample(Double($0.1), labels: ["outcome": $0.0]) }
        }
        counter("varve_blocks_compared_total", "Files of others' blocks that this node encoded again to compare") {
            Double($0.claims.compared)
        }
        func garbage(_ name: String, _ help: String, _ read: @escaping @Sendable (GarbageStanding) -> Double?) {
            registry.gauge(name, help: help) { [weak node] in node?.garbage.withLock { $0 }.flatMap(read) }
        }
        garbage("varve_garbage_files", "Files written down as garbage that wait to be removed") { Double($0.files) }
        garbage("varve_garbage_bytes", "Bytes of the files that wait to be removed") { Double($0.bytes) }
        garbage("varve_seconds_since_collection", "Time since garbage was last collected, in seconds") {
            $0.sinceCollection?.seconds
        }
        registry.gauges("varve_peers", help: "Other nodes by what this one sees of them") { [weak node] in
            guard let peers = node?.peers() else { return [] }
            return NodePeer.State.allCases.map { state in
                MetricSample(Double(peers.count { $0.state == state }), labels: ["state": state.rawValue])
            }
        }
        registry.gauges("varve_warnings", help: "1 for each warning or error that holds now, by code") { [weak node] in
            guard let status = node?.status() else { return [] }
            // What a provider warns of is that the log keeps less than it could.
            let codes = [status.error?.code.rawValue, status.warnings.isEmpty ? nil : ErrorCode.logWeak.rawValue]
            return codes.compactMap { $0.map { MetricSample(1, labels: ["code": $0]) } }
        }
    }
}
