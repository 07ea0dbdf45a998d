/// What the shell counts; layers above turn it into metrics.

internal import Synchronization
package import VarveCore
package import VarveModel

final class IndexerCounters: Sendable {
    let appended = Atomic<UInt64>(0)
    let identityChecks = Atomic<UInt64>(0)
    let published = Atomic<UInt64>(0)
    let adopted = Atomic<UInt64>(0)
    let bytesWritten = Atomic<UInt64>(0)
}

extension Indexer {
    /// Where this node stands, at one moment.
    package struct Standing: Sendable {
        package var isReady: Bool
        package var stopped: VarveError?
        package var trouble: VarveError?
        /// nil before the genesis.
        package var applied: Position?
        package var token: Token
        package var inputChain: Digest
        package var effectChain: Bytes16
        package var systemTime: Instant
        package var effectiveTime: Int64
        package var logEnd: Offset
        package var sinceLastRecord: Duration
        package var adopted: NodeMachine.Adopted?
        package var openNumber: BlockNumber
        package var openCounts: Manifest.Counts
        package var openSince: Duration?
        /// Since this node adopted a block; nil before the first since its start.
        package var sinceAdoption: Duration?
        package var frozen: Int
        package var frozenCounts: Manifest.Counts
        package var settings: Settings
        package var counters: NodeMachine.Counters
        package var appended: UInt64
        package var published: UInt64
        package var adoptedBlocks: UInt64
        package var bytesWritten: UInt64
        package var identityChecks: UInt64

        /// Records of the log that are not yet applied; holes count.
        package var lagRecords: Int64 { max(0, logEnd.value - (applied.map { $0.offset.value + 1 } ?? 0)) }
    }

    package var standing: Standing {
        let machine = state.withLock { $0.machine }
        let now = ContinuousClock.now
        let seen = published.withLock { $0 }
        var frozen = Manifest.Counts()
        for block in machine.frozen {
            frozen.records += block.draft.counts.records
            frozen.transactions += block.draft.counts.transactions
            frozen.rows += block.draft.counts.rows
            frozen.bytes += block.draft.counts.bytes
        }
        return Standing(
            isReady: seen.isReady, stopped: seen.stopped, trouble: seen.trouble, applied: machine.applied,
            token: machine.token,
            inputChain: machine.inputChain.value, effectChain: machine.effectChain.value,
            systemTime: machine.systemTime, effectiveTime: machine.effectiveTime, logEnd: seen.logEnd,
            sinceLastRecord: now - seen.lastRecordAt, adopted: machine.adopted, openNumber: machine.open.number,
            openCounts: machine.open.counts, openSince: seen.openSince.map { now - $0 },
            sinceAdoption: seen.adoptedAt.map { now - $0 }, frozen: machine.frozen.count,
            frozenCounts: frozen, settings: machine.settings, counters: machine.counters,
            appended: counters.appended.load(ordering: .relaxed),
            published: counters.published.load(ordering: .relaxed),
            adoptedBlocks: counters.adopted.load(ordering: .relaxed),
            bytesWritten: counters.bytesWritten.load(ordering: .relaxed),
            identityChecks: counters.identityChecks.load(ordering: .relaxed))
    }
}
