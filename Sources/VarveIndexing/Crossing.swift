/// Crossing: one epoch ends, the next begins, and whoever waits for an answer waits on.
///
/// In this order, on every node by itself: nothing more is appended to the old log, and what is in its hands gets its
/// report (the node's part, before this begins); the epoch record is published once, the same from all; the next log is
/// opened and its genesis proved; then the node's machine enters, and this node's own records that came behind the end,
/// void there, are appended again with their ids. Blocks of the old epoch that are not in storage yet are published as any
/// other.

package import VarveCore
package import VarveLog
package import VarveModel
package import VarveStorage

/// What crossing asks of the node that it is done for.
package protocol CrossingNode: Sendable {
    /// Runs what waits for a disk.
    func onDisk<R: Sendable>(_ body: @escaping @Sendable () throws(VarveError) -> R) async throws(VarveError) -> R
    /// The next epoch's record is durable: the block that ends the old one may be published.
    func recorded(_ epoch: BlockStore.StoredEpoch)
    /// Why it takes longer; nil when it goes on.
    func isHeldUp(by error: VarveError?, _ what: String)
    /// The node goes no further.
    var isEnding: Bool { get }
}

package struct Crossing: Sendable {
    let ending: EpochEnding
    /// The epoch that ended, and its log.
    let epoch: Epoch
    let log: any Log
    let tag: LogTag
    /// This node's, in that log.
    let writer: UInt64
    let store: BlockStore
    let places: LogPlaces

    package init(
        _ ending: EpochEnding, of epoch: Epoch, in log: any Log, tag: LogTag, writer: UInt64, _ store: BlockStore,
        _ places: LogPlaces
    ) {
        self.ending = ending
        self.epoch = epoch
        self.log = log
        self.tag = tag
        self.writer = writer
        self.store = store
        self.places = places
    }

    /// The next epoch's log, opened and proved; how to enter it.
    package struct Opened: Sendable {
        package let record: EpochRecord
        package let log: any Log
        package let genesis: LogEntry
    }

    // MARK: The old log

    /// This node's records that came behind the end: void there, they are wanted in the next epoch.
    package func ownRecords() async throws(VarveError) -> [Record] {
        guard ending.end.position.epoch == epoch else { return [] }
        let (tag, writer) = (tag, writer)
        var found: [Record] = []
        let range = try await log.range()
        try await log.forEachBatch(from: ending.end.position.offset.next, to: range.upperBound) {
            (entries) throws(VarveError) in
            for entry in entries {
                guard case .record(let record) = Record.decode(entry.bytes, tag: tag),
                    record.header.writer == writer, record.header.type != .genesis
                else { continue }
                found.append(record)
            }
            return true
        }
        return found
    }

    /// A record's header as another epoch's log takes it.
    package static func renewed(
        _ header: RecordHeader, tag: LogTag, writer: UInt64, effectiveTime: Int64
    ) -> RecordHeader {
        guard header.logTag != tag else { return header }
        var header = header
        header.logTag = tag
        header.writer = writer
        // `observed` stays: it says when the id was looked up.
        if header.expiresAt != 0 { header.expiresAt = max(header.expiresAt, effectiveTime + 60_000) }
        return header
    }

    // MARK: The next one

    /// From the end into the next epoch's log; nil when the node was stopped meanwhile. Storage and log are waited for;
    /// throws what ends the node.
    /// - Parameter known: the epochs that this node knows to be recorded.
    package func openNext(
        _ known: [BlockStore.StoredEpoch], for node: some CrossingNode
    ) async throws(VarveError) -> Opened? {
        try await open(try await record(known, node), node)
    }

    /// The next epoch's record, once it is durable: everyone's is the same.
    private func record(
        _ known: [BlockStore.StoredEpoch], _ node: some CrossingNode
    ) async throws(VarveError) -> EpochRecord {
        guard let own = known.last(where: { $0.record.epoch == epoch }), let next = epoch.next else {
            throw VarveError(
                .chainBroken, "the record of epoch \(epoch) is not there", next: "varve epoch status --config node.yaml"
            )
        }
        let made = ending.seal?.epochRecord(endingAt: ending.end, parent: own.digest)
        if let recorded = known.first(where: { $0.record.epoch == next }) {
            if let made, made != recorded.record { throw otherRecord(recorded.record) }
            return recorded.record
        }
        let store = store
        while true {
            do throws(VarveError) {
                let stored = try await node.onDisk { () throws(VarveError) -> BlockStore.StoredEpoch in
                    if let made {
                        guard case .different = try store.publishEpochRecord(made) else {
                            return BlockStore.StoredEpoch(made)
                        }
                    }
                    guard let found = try store.epochRecord(next) else { throw vanished(next) }
                    if made != nil { throw otherRecord(found.record) }
                    try store.objects.persist(BlockStore.epochName(next))
                    return found
                }
                node.recorded(stored)
                node.isHeldUp(by: nil, "")
                return stored.record
            } catch {
                guard [.storageUnreachable, .storageFull, .storageDenied].contains(error.code) else { throw error }
                node.isHeldUp(by: error, "epoch \(next) waits for its record")
                let goesOn = await Means.wait(.milliseconds(500))
                if !goesOn || node.isEnding { throw error }
            }
        }
    }

    /// A cluster that does not answer is waited for; a log that is gone ends the node.
    private func open(_ record: EpochRecord, _ node: some CrossingNode) async throws(VarveError) -> Opened? {
        while !node.isEnding {
            do throws(VarveError) {
                guard let provider = try await places.provider(for: record.log, of: record.epoch) else {
                    throw VarveError(
                        .logMissing,
                        "epoch \(record.epoch) goes on in \(record.log.place), to which this node's configuration names no "
                            + "connection. Everything up to \(record.parentEnd?.position ?? .zero) is applied. "
                            + "See docs/runbooks/log-lost.md",
                        next: "name that cluster in the section log, then start this node again")
                }
                guard try await provider.probe(record.epoch) == .present else { throw StartUp.missing(record) }
                let log = try await provider.open(record.epoch)
                do throws(VarveError) {
                    let genesis = try await Self.prove(log, record)
                    node.isHeldUp(by: nil, "")
                    return Opened(record: record, log: log, genesis: genesis)
                } catch {
                    await log.close()
                    throw error
                }
            } catch {
                guard error.code == .logUnreachable else { throw error }
                node.isHeldUp(by: error, "epoch \(record.epoch) waits for its log")
                _ = await Means.wait(.milliseconds(500))
            }
        }
        return nil
    }

    private static func prove(_ log: any Log, _ record: EpochRecord) async throws(VarveError) -> LogEntry {
        let offset = record.log.genesisOffset ?? .zero
        let entry = try await log.read(at: offset)
        if let entry, entry.offset == offset, case .record(let first) = Record.decode(entry.bytes, tag: nil),
            first.header.type == .genesis, first.header.id == record.log.genesis
        {
            return entry
        }
        let start = try await log.range().lowerBound
        if start > offset {
            throw VarveError(
                .logGap,
                "\(record.log.place) begins at offset \(start): the beginning of epoch \(record.epoch) has expired before this "
                    + "node read it. Everything up to \(record.parentEnd?.position ?? .zero) is applied. "
                    + "See docs/runbooks/log-gap.md",
                next: "varve epoch plan --config node.yaml")
        }
        throw VarveError(
            .logReplaced,
            "\(record.log.place) does not hold the genesis of epoch \(record.epoch) at offset \(offset): it is another log. "
                + "Everything up to \(record.parentEnd?.position ?? .zero) is applied. See docs/runbooks/log-replaced.md",
            next: "varve epoch plan --config node.yaml")
    }

    private func otherRecord(_ found: EpochRecord) -> VarveError {
        VarveError(
            .epochStale,
            "storage says that epoch \(found.epoch) began behind \(found.parentEnd?.position ?? .zero) (\(found.began)), this "
                + "node's log ended at \(ending.end.position) (\(ending.seal.map { "sealed to \($0.log.place)" } ?? "declared")). What storage says counts; this node appends, acknowledges and "
                + "publishes nothing more. See docs/runbooks/epoch-mismatch.md",
            next: "start this node again; then varve epoch salvage --config node.yaml")
    }

    private func vanished(_ next: Epoch) -> VarveError {
        VarveError(
            .chainBroken, "\(BlockStore.epochName(next)) was there and is gone; blocks and log are not affected",
            next: "restore it from a backup or another copy of the storage")
    }
}
