/// Crossing: one epoch ends, the next begins, and whoever waits for an answer waits on.
///
/// In this order, on every node by itself: nothing more is appended to the old log; what is in its hands gets its report;
/// the epoch record is published once, the same from all; the next log is opened and its genesis proved; the machine
/// enters; this node's own records that came behind the end, void there, are appended again with their ids. Blocks of the
/// old epoch that are not in storage yet are published as any other.

internal import Dispatch
internal import Synchronization
internal import VarveCore
package import VarveLog
package import VarveModel
package import VarveStorage
internal import VarveTelemetry

extension Indexer {
    /// What belongs to one epoch; replaced as a whole when the next is entered.
    struct Present: Sendable {
        var log: any Log
        var epoch: Epoch
        /// The log's first record, where it was still held when it was opened.
        var genesis: LogEntry?
        /// Stamped into every record.
        var tag: LogTag
        /// One producer handle in one epoch.
        var writer: UInt64
        /// First offset to read.
        var start: Offset
        /// False from the epoch's end until the next is entered: nothing is appended.
        var isOpen = true
    }

    package var log: any Log { present.withLock { $0.log } }
    package var epoch: Epoch { present.withLock { $0.epoch } }
    var tag: LogTag { present.withLock { $0.tag } }

    /// Every epoch that this node knows to be recorded, oldest first.
    package var epochRecords: [BlockStore.StoredEpoch] { epochs.withLock { $0 } }

    /// The end of this epoch, where an earlier start or another node has recorded it already, and not by a seal.
    func declareEnd() throws(VarveError) {
        let next = epoch.next
        guard let record = epochRecords.first(where: { $0.record.epoch == next })?.record,
            record.began != .sealed, let end = record.parentEnd
        else { return }
        _ = handle(try stepAndPublish(.declaredEnd(end)))
    }

    /// Whether the newest recorded epoch is the present one.
    var isInNewestEpoch: Bool { epochRecords.last?.record.epoch == epoch }

    /// From the end that the machine has found into the next epoch. Storage and log are waited for; throws what ends the
    /// node.
    func cross(_ ending: EpochEnding) async throws(VarveError) {
        let began = ContinuousClock.now
        let old = present.withLock { $0 }
        let left = await ownRecords(behind: ending.end.position, in: old)
        let record = try await recordNext(ending, after: old)
        let opened = try await openNext(record)
        guard let opened else { return }
        for effect in try stepAndPublish(.enter(record.epoch, record.log.genesis ?? .zero, ending.end)) {
            if case .stopped(let error) = effect { throw error }
        }
        var generator = SystemRandomNumberGenerator()
        let writer: UInt64 = generator.next()
        let tag = state.withLock { $0.machine.tag }
        let start = record.log.genesisOffset ?? .zero
        published.withLock { published in
            published.logEnd = start
            published.next = start
            published.endSeen = nil
        }
        present.withLock {
            $0 = Present(
                log: opened.log, epoch: record.epoch, genesis: opened.genesis, tag: tag, writer: writer, start: start)
        }
        await old.log.close()
        if !left.isEmpty { _ = queue.enqueueUrgent(left) }
        try declareEnd()
        logger.info(
            "epoch \(record.epoch) entered",
            metadata: [
                "log": record.log.topic, "began": record.began.description, "behind": ending.end.position.description,
                "again": "\(left.count)", "ms": "\((ContinuousClock.now - began).milliseconds)",
            ])
    }

    // MARK: The old epoch

    /// How long what is in the old log's hands is waited for.
    private static let reportLimit = Duration.seconds(3)

    /// This node's records that came behind the end: void there, they are wanted in the next epoch.
    private func ownRecords(behind end: Position, in old: Present) async -> [AppendQueue.Pending] {
        let deadline = ContinuousClock.now + Self.reportLimit
        while handing.withLock({ $0 != nil }), ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(1))
        }
        if handing.withLock({ $0 != nil }) {
            // Whatever becomes of them, they are behind the end: void.
            old.log.purge()
        }
        var found: [AppendQueue.Pending] = []
        guard end.epoch == old.epoch else { return [] }
        do throws(VarveError) {
            let range = try await old.log.range()
            try await old.log.forEachBatch(from: end.offset.next, to: range.upperBound) {
                (entries) throws(VarveError) in
                for entry in entries {
                    guard case .record(let record) = Record.decode(entry.bytes, tag: old.tag),
                        record.header.writer == old.writer, record.header.type != .genesis
                    else { continue }
                    if record.header.type == .seal {
                        // The second of two seals decides nothing.
                        waiters.resolve(record.header.id, .void)
                        continue
                    }
                    found.append(
                        AppendQueue.Pending(
                            tag: tags.wrappingAdd(1, ordering: .relaxed).newValue, header: record.header,
                            payload: record.payload))
                }
                return true
            }
        } catch {
            // Those who wait make theirs again.
            logger.warning("what came behind the end of epoch \(old.epoch) cannot be read: \(error)")
            waiters.resolveAll(.void)
        }
        return found
    }

    // MARK: The next one

    /// The next epoch's record, once it is durable: everyone's is the same. Storage that is away is waited for.
    private func recordNext(_ ending: EpochEnding, after old: Present) async throws(VarveError) -> EpochRecord {
        let known = epochRecords
        guard let own = known.last(where: { $0.record.epoch == old.epoch }), let next = old.epoch.next else {
            throw VarveError(.chainBroken, "the record of epoch \(old.epoch) is not there", next: "varve epoch status")
        }
        if let recorded = known.first(where: { $0.record.epoch == next }) {
            if let made = ending.seal?.epochRecord(endingAt: ending.end, parent: own.digest), made != recorded.record {
                throw Self.otherRecord(recorded.record, ending)
            }
            return recorded.record
        }
        while true {
            do throws(VarveError) {
                let stored = try await onDisk(presenceQueue) { () throws(VarveError) -> BlockStore.StoredEpoch in
                    guard let made = ending.seal?.epochRecord(endingAt: ending.end, parent: own.digest) else {
                        guard let found = try self.store.epochRecord(next) else { throw self.supersededError }
                        return found
                    }
                    if case .different = try self.store.publishEpochRecord(made) {
                        guard let found = try self.store.epochRecord(next) else { throw self.supersededError }
                        throw Self.otherRecord(found.record, ending)
                    }
                    return BlockStore.StoredEpoch(made)
                }
                epochs.withLock { $0.append(stored) }
                // The block that ends the old epoch may be published now.
                flushSignal.notify()
                published.withLock { $0.trouble = nil }
                return stored.record
            } catch {
                guard [.storageUnreachable, .storageFull, .storageDenied].contains(error.code) else { throw error }
                note(error, "epoch \(next) waits for its record")
                try? await Task.sleep(for: .milliseconds(500))
                if Task.isCancelled || stopped != nil { throw error }
            }
        }
    }

    /// Opens the next log and proves its genesis; nil when the node was stopped meanwhile. A cluster that does not answer is
    /// waited for; a log that is gone ends the node.
    private func openNext(_ record: EpochRecord) async throws(VarveError) -> (log: any Log, genesis: LogEntry?)? {
        while !Task.isCancelled && stopped == nil {
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
                    published.withLock { $0.trouble = nil }
                    return (log, genesis)
                } catch {
                    await log.close()
                    throw error
                }
            } catch {
                guard error.code == .logUnreachable else { throw error }
                note(error, "epoch \(record.epoch) waits for its log")
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
        return nil
    }

    private static func prove(_ log: any Log, _ record: EpochRecord) async throws(VarveError) -> LogEntry? {
        let offset = record.log.genesisOffset ?? .zero
        let entry = try await log.read(at: offset)
        if let entry, entry.offset == offset, case .record(let first) = Record.decode(entry.bytes, tag: nil),
            first.header.type == .genesis, first.header.id == record.log.genesis
        {
            return entry
        }
        throw VarveError(
            .logReplaced,
            "\(record.log.place) does not hold the genesis of epoch \(record.epoch) at offset \(offset): it is another log. "
                + "Everything up to \(record.parentEnd?.position ?? .zero) is applied. See docs/runbooks/log-replaced.md",
            next: "varve epoch plan --config node.yaml")
    }

    private func note(_ error: VarveError, _ what: String) {
        let isNew = published.withLock { published in
            defer { published.trouble = error }
            return published.trouble?.code != error.code
        }
        if isNew { logger.error("\(what): \(error)", metadata: ["code": error.code.rawValue]) }
    }

    private static func otherRecord(_ found: EpochRecord, _ ending: EpochEnding) -> VarveError {
        VarveError(
            .epochStale,
            "storage says that epoch \(found.epoch) began behind \(found.parentEnd?.position ?? .zero) (\(found.began)), this "
                + "node's log ended at \(ending.end.position). What storage says counts; this node appends, acknowledges and "
                + "publishes nothing more. See docs/runbooks/epoch-mismatch.md",
            next: "start this node again; then varve epoch salvage --config node.yaml")
    }

    // MARK: The appender's side

    /// A batch as the present epoch's log takes it: made for an earlier one, it gets this one's tag and a new expiry.
    func renewed(_ batch: [AppendQueue.Pending]) -> [AppendQueue.Pending] {
        let present = present.withLock { ($0.tag, $0.writer) }
        guard batch.contains(where: { $0.header.logTag != present.0 }) else { return batch }
        let time = published.withLock { $0.snapshot.effectiveTime }
        return batch.map { item in
            guard item.header.logTag != present.0 else { return item }
            var header = item.header
            header.logTag = present.0
            header.writer = present.1
            // `observed` stays: it says when the id was looked up.
            if header.expiresAt != 0 { header.expiresAt = max(header.expiresAt, time + 60_000) }
            return AppendQueue.Pending(tag: item.tag, header: header, payload: item.payload)
        }
    }
}
