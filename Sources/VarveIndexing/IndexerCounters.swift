/// What the shell counts; layers above turn it into metrics.

internal import Synchronization
package import VarveCore
package import VarveLog
package import VarveModel

final class IndexerCounters: Sendable {
    let appended = Atomic<UInt64>(0)
    let identityProved = Atomic<UInt64>(0)
    let identityRefuted = Atomic<UInt64>(0)
    let identityOpen = Atomic<UInt64>(0)
    let otherEffects = Atomic<UInt64>(0)
    let published = Atomic<UInt64>(0)
    let adopted = Atomic<UInt64>(0)
    let bytesWritten = Atomic<UInt64>(0)
    /// The longest, in nanoseconds, that one chunk of records took from being at hand to being visible.
    private let longestApply = Atomic<UInt64>(0)
    private let claims = Mutex((ended: Publication.Counters(), current: Publication.Counters()))

    func applied(in duration: Duration) {
        let parts = duration.components
        let nanoseconds = UInt64(clamping: parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
        longestApply.max(nanoseconds, ordering: .relaxed)
    }

    var longestApplySeconds: Double { Double(longestApply.load(ordering: .relaxed)) * 1e-9 }

    /// What the publication under way has counted so far.
    func note(_ current: Publication.Counters) { claims.withLock { $0.current = current } }

    func end(_ last: Publication.Counters) {
        claims.withLock { claims in
            claims.ended = Self.sum(claims.ended, last)
            claims.current = Publication.Counters()
        }
    }

    var publication: Publication.Counters { claims.withLock { Self.sum($0.ended, $0.current) } }

    private static func sum(_ a: Publication.Counters, _ b: Publication.Counters) -> Publication.Counters {
        var sum = a
        sum.claimed += b.claimed
        sum.overtaken += b.overtaken
        sum.lost += b.lost
        sum.without += b.without
        sum.compared += b.compared
        return sum
    }
}

extension Indexer {
    /// Where this node stands, at one moment.
    package struct Standing: Sendable {
        package var isReady: Bool
        package var stopped: VarveError?
        package var trouble: VarveError?
        /// nil before the genesis.
        package var applied: Position?
        package var record: Heartbeat.Applied?
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
        package var identityChecks: IdentityChecks
        /// Records whose senders had other effects after the same records.
        package var otherEffects: UInt64
        /// The longest that one chunk of records (1,000, or 512 KiB) took from being at hand to being visible: what writing
        /// blocks, and whatever else shares the machine, costs those who wait for their transactions.
        package var longestApplySeconds: Double
        package var logHealth: LogHealth
        /// Log time, in ms, of the oldest record that no adopted block holds; a little too old while blocks are frozen. nil
        /// when there is none.
        package var unadoptedSince: Int64?
        package var claims: Publication.Counters
        /// Records that adopted blocks quarantine.
        package var quarantined: Int

        /// Records of the log that are not yet applied; holes count.
        package var lagRecords: Int64 { max(0, logEnd.value - (applied.map { $0.offset.value + 1 } ?? 0)) }
    }

    /// How often the log's identity was looked at while running, by what came of it.
    package struct IdentityChecks: Sendable, Equatable {
        package var proved: UInt64
        package var refuted: UInt64
        /// The log did not answer, or no longer holds anything that could be compared.
        package var notCheckable: UInt64
    }

    // Under the lock and without a copy of the machine: a copy that lives while a record is applied makes that record
    // copy whole tables.
    package var standing: Standing {
        let (now, seen, health) = (ContinuousClock.now, published.withLock { $0 }, log.health)
        return state.withLock { state in
            let machine = state.machine
            var frozen = Manifest.Counts()
            for block in machine.frozen {
                frozen.records += block.draft.counts.records
                frozen.transactions += block.draft.counts.transactions
                frozen.rows += block.draft.counts.rows
                frozen.bytes += block.draft.counts.bytes
            }
            return Standing(
                isReady: seen.isReady, stopped: seen.stopped,
                trouble: seen.readTrouble ?? seen.trouble ?? seen.logTrouble,
                applied: machine.applied, record: machine.appliedRecord,
                token: machine.token, inputChain: machine.inputChain.value, effectChain: machine.effectChain.value,
                systemTime: machine.systemTime, effectiveTime: machine.effectiveTime, logEnd: seen.logEnd,
                sinceLastRecord: now - seen.lastRecordAt, adopted: machine.adopted, openNumber: machine.open.number,
                openCounts: machine.open.counts, openSince: seen.openSince.map { now - $0 },
                sinceAdoption: seen.adoptedAt.map { now - $0 }, frozen: machine.frozen.count, frozenCounts: frozen,
                settings: machine.settings, counters: machine.counters,
                appended: counters.appended.load(ordering: .relaxed),
                published: counters.published.load(ordering: .relaxed),
                adoptedBlocks: counters.adopted.load(ordering: .relaxed),
                bytesWritten: counters.bytesWritten.load(ordering: .relaxed),
                identityChecks: IdentityChecks(
                    proved: counters.identityProved.load(ordering: .relaxed),
                    refuted: counters.identityRefuted.load(ordering: .relaxed),
                    notCheckable: counters.identityOpen.load(ordering: .relaxed)),
                otherEffects: counters.otherEffects.load(ordering: .relaxed),
                longestApplySeconds: counters.longestApplySeconds, logHealth: health,
                // A block's first record is at most a flush duration older than its last.
                unadoptedSince: machine.frozen.first.map {
                    $0.draft.effectiveTime - Int64(clamping: machine.settings.flushDurationMs)
                } ?? machine.open.first?.effectiveTime, claims: counters.publication,
                quarantined: state.blocks.quarantined)
        }
    }
}
