/// How a running node crosses into the next epoch: `Crossing` does it, this is the node's part before and behind.

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
        let crossing = Crossing(
            ending, of: old.epoch, in: old.log, tag: old.tag, writer: old.writer, store, places)
        await settle(old.log)
        let left = await ownRecords(crossing, old.epoch)
        guard let opened = try await crossing.openNext(epochRecords, for: self) else { return }
        let record = opened.record
        do throws(VarveError) {
            for effect in try stepAndPublish(.enter(record.epoch, record.log.genesis ?? .zero, ending.end)) {
                if case .stopped(let error) = effect { throw error }
            }
        } catch {
            // Nobody else has it; the old one is closed with the node.
            await opened.log.close()
            throw error
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

    /// How long what is in the old log's hands is waited for.
    private static let reportLimit = Duration.seconds(3)

    /// What was handed to the old log gets its report, or is given up: behind the end, it is void.
    private func settle(_ log: any Log) async {
        let deadline = ContinuousClock.now + Self.reportLimit
        while handing.withLock({ $0 != nil }), ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(1))
        }
        if handing.withLock({ $0 != nil }) { log.purge() }
    }

    private func ownRecords(_ crossing: Crossing, _ epoch: Epoch) async -> [AppendQueue.Pending] {
        do throws(VarveError) {
            var again: [AppendQueue.Pending] = []
            for record in try await crossing.ownRecords() {
                if record.header.type == .seal {
                    // The second of two seals decides nothing.
                    waiters.resolve(record.header.id, .void)
                    continue
                }
                again.append(
                    AppendQueue.Pending(
                        tag: tags.wrappingAdd(1, ordering: .relaxed).newValue, header: record.header,
                        payload: record.payload))
            }
            return again
        } catch {
            // Those who wait make theirs again.
            logger.warning("what came behind the end of epoch \(epoch) cannot be read: \(error)")
            waiters.resolveAll(.void)
            return []
        }
    }

    // MARK: The appender's side

    /// A batch as the present epoch's log takes it: made for an earlier one, it gets this one's tag and a new expiry.
    func renewed(_ batch: [AppendQueue.Pending]) -> [AppendQueue.Pending] {
        let present = present.withLock { ($0.tag, $0.writer) }
        guard batch.contains(where: { $0.header.logTag != present.0 }) else { return batch }
        let time = published.withLock { $0.snapshot.effectiveTime }
        return batch.map { item in
            AppendQueue.Pending(
                tag: item.tag,
                header: Crossing.renewed(item.header, tag: present.0, writer: present.1, effectiveTime: time),
                payload: item.payload)
        }
    }
}

extension Indexer: CrossingNode {
    package func onDisk<R: Sendable>(
        _ body: @escaping @Sendable () throws(VarveError) -> R
    ) async throws(VarveError) -> R {
        try await onDisk(presenceQueue, body)
    }

    package func recorded(_ epoch: BlockStore.StoredEpoch) {
        epochs.withLock { $0.append(epoch) }
        flushSignal.notify()
    }

    package func isHeldUp(by error: VarveError?, _ what: String) {
        let isNew = published.withLock { published in
            defer { published.trouble = error }
            return error != nil && published.trouble?.code != error?.code
        }
        if isNew, let error { logger.error("\(what): \(error)", metadata: ["code": error.code.rawValue]) }
    }

    package var isEnding: Bool { Task.isCancelled || stopped != nil }
}
