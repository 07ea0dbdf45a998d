/// The shell that runs a `NodeMachine` against a log and a store.
///
/// Loops, children of `run()`: *consume* reads the log and steps the machine; *append* hands what this node submits to the
/// log; *flush* brings frozen blocks into storage and adopts published ones; *watch* proves that the log is still the same
/// one; *presence* writes the heartbeat and looks at others'; *keep house* lets waits expire and asks for a flush when the
/// log is idle. All waiting is here, all deciding in the core.
///
/// Order of publication: a batch is applied, the snapshot is replaced, only then whoever waits is told. So whoever has an
/// answer reads its own write.

internal import Dispatch
internal import Synchronization
internal import VarveCore
package import VarveLog
package import VarveModel
package import VarveStorage
package import VarveTelemetry

package final class Indexer: Sendable {
    package struct Options: Sendable {
        /// Frozen data beyond this many bytes stops consuming until a block is adopted.
        package var frozenBytesMax: UInt64
        /// Most bytes of this log that may stand before an adopted position: nil unless the log itself forgets (embedded
        /// broker).
        package var unadoptedBytesMax: UInt64?
        /// How long a readable log may owe a report before its records are given up and resolved.
        package var reportPatienceMs = ReportPatience.defaultMilliseconds
        /// How long the log keeps records; nil for ever.
        package var logRetentionMs: Int64?
        /// How often the heartbeat is written, and the next epoch looked for; others' are looked at twice as often.
        package var heartbeatMs: Int64 = 10_000
        /// Where this process says what it is applying; nil when nobody would find it again.
        package var breadcrumb: (any BreadcrumbKeeper)?
        /// Planted by tests: told of each record before it is executed.
        package var beforeApplying: (@Sendable (LogEntry) -> Void)?
        /// Keeps what proves a divergence; returns where.
        package var keepEvidence: @Sendable (DivergenceEvidence) -> String?
        /// Told how long the log took to report on each batch of appends.
        package var onAppend: @Sendable (Duration) -> Void

        package init(
            frozenBytesMax: UInt64, unadoptedBytesMax: UInt64? = nil, logRetentionMs: Int64? = nil,
            onAppend: @escaping @Sendable (Duration) -> Void = { _ in },
            keepEvidence: @escaping @Sendable (DivergenceEvidence) -> String? = { _ in nil }
        ) {
            self.onAppend = onAppend
            self.frozenBytesMax = frozenBytesMax
            self.unadoptedBytesMax = unadoptedBytesMax
            self.logRetentionMs = logRetentionMs
            self.keepEvidence = keepEvidence
        }
    }

    /// What happened to a record of this node's that somebody waits for.
    enum Passage: Sendable {
        case decided(Decision)
        case void
        case passed(Position, cut: BlockNumber?)
        /// Of the log, on the record of the one who waits.
        case reported(Submission.Report)
    }

    /// The machine with the blocks it may read; one lock for both, held for a batch at a time.
    struct State: Sendable {
        var machine: NodeMachine
        var blocks: BlockSet
    }

    /// What readers and submitters look at; replaced once per applied batch.
    struct Published: Sendable {
        var snapshot: Snapshot
        var isReady = false
        var stopped: VarveError?
        /// The newest trouble of the flusher, nil while all is well.
        var trouble: VarveError?
        /// Why the next record cannot be applied: storage does not give a block that it needs. nil while it does.
        var readTrouble: VarveError?
        /// Why the log does not say where its end is: its broker is away. nil while it does.
        var logTrouble: VarveError?
        var foreignSeen = false
        var suspicionToldAt: ContinuousClock.Instant?
        var lastRecordAt: ContinuousClock.Instant
        var openSince: ContinuousClock.Instant?
        var adoptedAt: ContinuousClock.Instant?
        var logEnd: Offset
        /// First offset that is not applied.
        var next: Offset
        /// The newest answer of the log on where its end is.
        var endSeen: (end: Offset, at: ContinuousClock.Instant)?
        var unadoptedBytes: UInt64 = 0
        var frozenBytes: UInt64 = 0
    }

    package let store: BlockStore
    package let places: LogPlaces
    package let options: Options
    let present: Mutex<Present>
    let epochs: Mutex<[BlockStore.StoredEpoch]>
    let isDurableStore: Bool
    let logger: Logger
    let state: Mutex<State>
    let published: Mutex<Published>
    let waiters = Waiters<Bytes16, Passage>()
    let positions = Waiters<Position, Void>()
    let adoptions = Waiters<BlockNumber, Void>()
    let queue = AppendQueue()
    let handing = Mutex<Handing?>(nil)
    /// Whether this node prepares a migration.
    let migrating = Mutex(false)
    let flushSignal = Signal()
    let sequence = Atomic<UInt64>(0)
    /// Of waits for this node's own records.
    let tags = Atomic<UInt64>(0)
    let counters = IndexerCounters()
    package let presence: Presence
    let startedAt = ContinuousClock.now
    /// Blocking work of the flusher, and of the heartbeat, which must not wait for a block to be written.
    let flushQueue = DispatchQueue(label: "varve.flusher")
    let presenceQueue = DispatchQueue(label: "varve.presence")
    private let fatal = Mutex<VarveError?>(nil)
    let again = Mutex(false)
    /// CRC32C of the files of the block that is being published that were written here and read back, by name.
    let readBack = Mutex<[String: UInt32]>([:])
    /// What earlier processes' ends say of the records ahead.
    let caution = Mutex(Caution())

    /// - Parameter presence: nil for a node that shares its store with nobody.
    package init(
        _ opened: OpenedDatabase, presence: Presence? = nil, isDurableStore: Bool, options: Options, logger: Logger
    ) {
        self.presence =
            presence ?? Presence(store: opened.store, node: "node", version: "", address: nil, wallClockMs: 0)
        store = opened.store
        places = opened.places
        epochs = Mutex(opened.epochs)
        self.isDurableStore = isDurableStore
        self.options = options
        self.logger = logger
        var generator = SystemRandomNumberGenerator()
        present = Mutex(
            Present(
                log: opened.log, epoch: opened.epoch, genesis: opened.genesis, tag: opened.machine.tag,
                writer: generator.next(), start: opened.next))
        state = Mutex(State(machine: opened.machine, blocks: opened.blocks))
        published = Mutex(
            Published(
                snapshot: Snapshot(opened.machine, opened.blocks), lastRecordAt: .now - .seconds(3600),
                logEnd: opened.next, next: opened.next))
    }

    /// What ended `run()` by itself: another process has taken this node's id.
    package var endedBy: VarveError? { beginsAgain ? nil : fatal.withLock { $0 } }
    /// Whether `run()` ended because the node has to go through its whole start again: storage has gone on beyond what its
    /// log can give, or beyond a record that this node cannot apply.
    package var beginsAgain: Bool { again.withLock { $0 } }
    /// Whether this node goes no further; one that stands before a poison record may.
    var isOver: Bool { published.withLock { $0.stopped.map { $0.code != .poison } ?? false } }

    /// Runs until the task is cancelled. A node that must stop stays here, `stopped`, and answers reads; only one whose id
    /// was taken by another process ends (`endedBy`), and one that can go on by starting anew (`beginsAgain`).
    package func run() async {
        await withTaskGroup(of: VarveError?.self) { group in
            group.addTask {
                await self.consume()
                return self.beginsAgain ? VarveError(.notReady, "this node starts anew") : nil
            }
            for loop in [appendLoop, flushLoop, watchIdentity, watchEnd, watchReports, keepHouse, askWhenIdle] {
                group.addTask {
                    await loop()
                    return nil
                }
            }
            group.addTask { await self.stayPresent() }
            group.addTask { await self.watchStorage() }
            group.addTask {
                // An append waits as long as a broker is away: closing the log is what ends it.
                while (try? await Task.sleep(for: .seconds(3600))) != nil {}
                self.end()
                // Whatever a loop waits for: nobody lets waits expire any more.
                self.closeWaiters()
                await self.log.close()
                return nil
            }
            for await error in group {
                guard let error else { continue }
                fatal.withLock { $0 = error }
                group.cancelAll()
            }
        }
        queue.close()
        closeWaiters()
        await log.close()
    }

    private func closeWaiters() {
        waiters.close()
        positions.close()
        adoptions.close()
    }

    package var snapshot: Snapshot { published.withLock { $0.snapshot } }
    package var isReady: Bool { published.withLock { $0.isReady && $0.stopped == nil } }
    package var stopped: VarveError? { published.withLock { $0.stopped } }
    package var trouble: VarveError? { published.withLock { $0.trouble } }

    /// The node was asked to end: what comes now is refused, reads of what is applied go on.
    private func end() {
        published.withLock { published in
            guard published.stopped == nil else { return }
            published.stopped = VarveError(
                .notReady, "this node was stopped. Nothing was written", next: "use another node, or start it again")
        }
    }

    /// The node goes no further: whoever waits is told, reads go on at the last applied position.
    func stop(_ error: VarveError) {
        let isFirst = published.withLock { published in
            guard published.stopped == nil || published.stopped?.code == .poison else { return false }
            published.stopped = error
            return true
        }
        guard isFirst else { return }
        logger.error("stopped: \(error)", metadata: ["code": error.code.rawValue])
        closeWaiters()
        flushSignal.notify()
    }

    // MARK: Consuming

    private func consume() async {
        do throws(VarveError) {
            takeCaution()
            // An earlier start may have left the end of this epoch, and nothing more of it to read.
            try declareEnd()
            while !Task.isCancelled && stopped == nil && !beginsAgain {
                if let ending = state.withLock({ $0.machine.ending }) { try await cross(ending) }
                try await consumePresent()
            }
        } catch {
            guard !Task.isCancelled else { return }
            // Nothing more is read: what was cut at the end of the old epoch still belongs into storage, where whoever
            // has to go on without the next log finds it.
            if !present.withLock({ $0.isOpen }) { await flushWhatIsFrozen() }
            stop(error)
            await beginAgainIfStorageWentOn()
        }
    }

    /// Reads the present epoch's log until it ends, or the node does.
    private func consumePresent() async throws(VarveError) {
        let (log, epoch, start) = present.withLock { ($0.log, $0.epoch, $0.start) }
        var next = start
        var watch = WriterWatch()
        let target = await firstEnd(log, from: start) ?? start
        if next >= target { markReady() }
        while !Task.isCancelled && stopped == nil && !beginsAgain {
            do throws(VarveError) {
                let tail = try await log.tail(from: next)
                while let batch = try await tail.next() {
                    if let reason = batch.suspicion, let error = await identityError(reason) { throw error }
                    var from = 0
                    while from < batch.entries.count {
                        await waitForRoom()
                        if Task.isCancelled || stopped != nil { return await tail.close() }
                        if isPoison(batch.entries[from], epoch) {
                            guard try await stand(before: batch.entries[from], epoch) else {
                                return await tail.close()
                            }
                        }
                        let end = chunkEnd(batch.entries, from, epoch)
                        let began = ContinuousClock.now
                        next = try await apply(batch.entries[from..<end], epoch, log, &watch) ?? next
                        counters.applied(in: .now - began)
                        if state.withLock({ $0.machine.ending != nil }) { return await tail.close() }
                        from = end
                    }
                    if next >= target { markReady() }
                }
                await tail.close()
            } catch {
                guard error.code == .logUnreachable else { throw placed(error) }
                logger.warning("\(error)", metadata: ["code": error.code.rawValue])
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    /// One behind the log's last record when this node began to read it: it is ready once it has applied everything up to
    /// there.
    private func firstEnd(_ log: any Log, from start: Offset) async -> Offset? {
        while !Task.isCancelled {
            if let range = try? await log.range() {
                do throws(VarveError) {
                    return try await log.deliveredEnd(from: start, to: range.upperBound)
                } catch {
                    // The tail meets it as well, and says so.
                    guard error.code == .logUnreachable else { return range.upperBound }
                }
            }
            try? await Task.sleep(for: .milliseconds(500))
        }
        return nil
    }

    private func markReady() {
        // Whoever has later epochs to read is not there yet.
        guard isInNewestEpoch, state.withLock({ $0.machine.ending == nil }) else { return }
        let wasReady = published.withLock { published in
            defer { published.isReady = true }
            return published.isReady
        }
        if !wasReady { logger.info("ready", metadata: ["position": snapshot.position.description]) }
    }

    /// Records that are applied under one lock and published together: readers of the machine wait for no more than this.
    private static let chunkRecordsMax = 1_000
    private static let chunkBytesMax = 512 * 1024

    static func chunkEnd(_ entries: [LogEntry], _ from: Int) -> Int {
        var end = from
        var bytes = 0
        while end < entries.count, end - from < chunkRecordsMax, bytes < chunkBytesMax {
            bytes += entries[end].bytes.count
            end += 1
        }
        return end
    }

    /// Applies entries in order and tells whoever waits. Returns the next offset to read.
    private func apply(
        _ entries: ArraySlice<LogEntry>, _ epoch: Epoch, _ log: any Log, _ watch: inout WriterWatch
    ) async throws(VarveError) -> Offset? {
        var rest = entries
        var attempts = 0
        var isScanned = false
        var hasWaited = false
        while !rest.isEmpty {
            let records = rest.map {
                NodeMachine.LoggedRecord(offset: $0.offset, time: $0.time, bytes: $0.bytes)
            }
            // Before anything of it is applied.
            if !isScanned, let reason = watch.scan(records, epoch: epoch, tag: present.withLock({ $0.tag })),
                let error = await identityError(reason)
            {
                throw error
            }
            isScanned = true
            let effects: [NodeMachine.Effect]
            do throws(VarveError) {
                effects = try leavingTrail(rest, epoch) { () throws(VarveError) in
                    try stepAndPublish(.records(epoch, records))
                }
            } catch {
                guard try await waitForStorage(error) else { return nil }
                hasWaited = true
                continue
            }
            if hasWaited { published.withLock { $0.readTrouble = nil } }
            // Before anything of it is acknowledged.
            try await judge(state.withLock { watch.compare(with: $0.machine.trail) })
            guard let damaged = handle(effects) else {
                let left = unapplied(rest, epoch)
                if left.count == rest.count { break }
                rest = left
                // What its senders say they had read was not compared.
                isScanned = false
                continue
            }
            // Fetched again three times: the fault may have been on the way.
            attempts += 1
            rest = rest.drop { $0.offset < damaged.offset }
            guard attempts <= 3, let again = try await log.read(at: damaged.offset), again.offset == damaged.offset
            else {
                throw VarveError(
                    .logCorrupt,
                    "the record at \(Position(epoch, damaged.offset)) is damaged: \(damaged.reason). Everything before it "
                        + "is applied. See docs/runbooks/log-corrupt.md",
                    next: "varve log show --from \(Position(epoch, damaged.offset))")
            }
            rest = [again] + rest.dropFirst()
        }
        return entries.last?.offset.next
    }

    /// What of `entries` the machine has not applied, unless it goes no further in this epoch.
    private func unapplied(_ entries: ArraySlice<LogEntry>, _ epoch: Epoch) -> ArraySlice<LogEntry> {
        let (applied, ending) = state.withLock { ($0.machine.applied, $0.machine.ending) }
        guard ending == nil, stopped == nil, let applied else { return [] }
        return entries.drop { Position(epoch, $0.offset) <= applied }
    }

    /// Storage does not give a block that the next record needs: every node needs it, so nobody stops for it. Says so and
    /// waits a while; false when this node ends meanwhile. Other errors are thrown.
    private func waitForStorage(_ error: VarveError) async throws(VarveError) -> Bool {
        switch error.code {
        case .storageUnreachable, .storageDenied, .storageFull, .blockCorrupt: break
        default: throw error
        }
        let isNew = published.withLock { published in
            defer { published.readTrouble = error }
            return published.readTrouble?.code != error.code
        }
        if isNew {
            logger.error(
                "the record behind \(snapshot.position) needs a block that cannot be read: \(error)",
                metadata: ["code": error.code.rawValue])
        }
        try? await Task.sleep(for: .seconds(1))
        return !Task.isCancelled && stopped == nil
    }

    /// Steps the machine and makes the new snapshot visible.
    func stepAndPublish(
        _ input: NodeMachine.Input, adopting block: AdoptedBlock? = nil
    ) throws(VarveError) -> [NodeMachine.Effect] {
        let result = state.withLock { state -> Result<[NodeMachine.Effect], VarveError> in
            do throws(VarveError) {
                let effects = try state.machine.step(input, reading: state.blocks)
                if let block, effects.contains(where: { if case .adopted = $0 { true } else { false } }) {
                    state.blocks.append(block)
                }
                publish(state)
                return .success(effects)
            } catch {
                publish(state)
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func publish(_ state: State) {
        let snapshot = Snapshot(state.machine, state.blocks)
        let frozenBytes = state.machine.frozen.reduce(0) { $0 + $1.draft.counts.bytes }
        let openBytes = state.machine.open.counts.bytes
        let isEmpty = state.machine.open.first == nil
        let now = ContinuousClock.now
        published.withLock { published in
            // What is replayed at start says nothing about the log's time now.
            if published.isReady, published.snapshot.position != snapshot.position { published.lastRecordAt = now }
            published.snapshot = snapshot
            published.frozenBytes = frozenBytes
            published.unadoptedBytes = frozenBytes + openBytes
            published.openSince = isEmpty ? nil : published.openSince ?? now
            if let applied = state.machine.applied, applied.epoch == state.machine.epoch {
                let offset = applied.offset
                published.next = offset.next
                if published.logEnd <= offset { published.logEnd = offset.next }
            }
        }
    }

    /// Carries effects out; returns the damage that ended the batch, if any did.
    func handle(_ effects: [NodeMachine.Effect]) -> (offset: Offset, reason: String)? {
        var passages: [(Bytes16, Passage)] = []
        passages.reserveCapacity(effects.count)
        var damage: (Offset, String)?
        for effect in effects {
            switch effect {
            case .decided(let decision): passages.append((decision.id, .decided(decision)))
            case .void(let id): passages.append((id, .void))
            case .passed(let id, let position, let cut): passages.append((id, .passed(position, cut: cut)))
            case .cut(let block):
                published.withLock { $0.openSince = nil }
                logger.debug("block cut", metadata: ["block": "\(block.number)", "at": "\(block.draft.last)"])
                flushSignal.notify()
            case .adopted: break
            case .ended: present.withLock { $0.isOpen = false }
            case .foreign(let position, let reason): noteForeign(position, reason)
            case .damaged(let offset, let reason): damage = (offset, reason)
            case .stopped(let error): stop(error)
            }
        }
        waiters.resolve(passages)
        let position = snapshot.position
        positions.resolve(where: { $0 <= position }, ())
        return damage
    }

    private func noteForeign(_ position: Position, _ reason: String) {
        if reason == NodeMachine.lateGenesis {
            logger.debug("another node's genesis came second", metadata: ["position": position.description])
            return
        }
        let isFirst = published.withLock { published in
            defer { published.foreignSeen = true }
            return !published.foreignSeen
        }
        guard isFirst else { return }
        logger.warning(
            "a foreign record at \(position) is skipped: \(reason). Further ones are only counted "
                + "(varve_foreign_records_total); nobody else should be able to write to this log")
    }

    /// Waits while more is frozen than memory allows.
    private func waitForRoom() async {
        while !Task.isCancelled && stopped == nil {
            let (bytes, newest) = published.withLock { ($0.frozenBytes, $0.snapshot.memory.last?.number) }
            guard bytes > options.frozenBytesMax, let newest else { return }
            _ = await adoptions.wait(for: newest, until: .now + .seconds(1))
        }
    }
}
