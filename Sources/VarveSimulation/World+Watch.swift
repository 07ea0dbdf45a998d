/// A node's watch over its log: what was read is proved after it was read, the log's identity by a timer and whenever something
/// does not fit, and a node whose log fails it asks storage whether it can go on there.
///
/// What decides is production's (`ReadAnchor`, `PinnedRecords`, `IdentityCheck`, `WriterWatch`, `Onward`); the shell asks and
/// waits, as the loops of `VarveKafka` and `VarveIndexing` do. It is done in runs whose logs are lost while nodes run.

import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
internal import VarveStorage

/// Of one process in one epoch; whatever still runs of an earlier one has its own.
// One simulation runs on one thread; procedures ask for Sendable.
final class LogWatch: @unchecked Sendable {
    /// The log's first record, where it was still held.
    let genesis: LogEntry?
    var pins: PinnedRecords
    var anchor = ReadAnchor()
    var writers = WriterWatch()
    /// Why the identity is to be proved before anything more is applied.
    var suspicion: String?
    /// Records are on their way through proofs.
    var isReading = false
    var isChecking = false
    var checkedAt: Int64 = 0
    var onward = Onward()
    var isAsking = false
    /// When the node stopped for something that its log lacks.
    var stoppedAt: Int64?

    init(genesis: LogEntry?, pins: PinnedRecords) {
        self.genesis = genesis
        self.pins = pins
    }

    fileprivate func note(_ records: [NodeMachine.LoggedRecord]) {
        guard let first = records.first, let last = records.last else { return }
        pins.note(first: first.offset.value, last: last.offset.value) { offset in
            PinnedRecords.Pin(offset == last.offset.value ? last : first)
        }
        for record in records { anchor.note(record.offset.value, time: record.time) }
    }

    fileprivate func takeSuspicion() -> String? {
        defer { suspicion = nil }
        return suspicion
    }
}

extension PinnedRecords.Pin {
    fileprivate init(_ record: NodeMachine.LoggedRecord) {
        self.init(offset: record.offset.value, time: record.time, value: record.bytes.array)
    }
    init(_ entry: LogEntry) {
        self.init(offset: entry.offset.value, time: entry.time, value: entry.bytes.array)
    }
}

extension World {
    /// A node reads the log of an epoch that it has begun in, or entered.
    func watch(_ node: SimulatedNode, _ log: any Log, _ genesis: LogEntry?) {
        node.watch = LogWatch(genesis: genesis, pins: (log as? SimulatedHandle)?.pins?.pins ?? PinnedRecords())
    }

    // MARK: Reading

    /// Hands records on to be applied once they are proved to be of the log that was read before.
    /// - Parameter held: what the log holds there; `records` may have been damaged on the way.
    func prove(
        _ node: SimulatedNode, _ records: [NodeMachine.LoggedRecord], held: [NodeMachine.LoggedRecord],
        upTo offset: Int64
    ) {
        guard let watch = node.watch, let log = node.log else { return }
        watch.isReading = true
        let (process, epoch, tag) = (node.process, node.epoch, node.machine.tag)
        let handle = SimulatedHandle(world: self, log: log, process: process)
        launch(process) { [unowned self] () async throws(VarveError) -> VarveError? in
            if let error = await disproof(watch, handle) { return error }
            watch.note(held)
            if watch.takeSuspicion() != nil, let error = await identityError(node, watch, isSuspected: true) {
                return error
            }
            guard watch.writers.scan(records, epoch: epoch, tag: tag) != nil else { return nil }
            return await identityError(node, watch, isSuspected: true)
        } done: { [unowned self] result in
            watch.isReading = false
            guard node.watch === watch, node.isRunning, node.isOpen else { return }
            switch result {
            case .success(nil):
                guard !records.isEmpty else { return schedule(fetch: node) }
                checkOurs(node, held)
                if failure == nil { apply(node, records, upTo: offset) }
            case .success(let error?), .failure(let error): stop(node, error)
            }
        }
    }

    /// What says that the log is not the one that was read before; nil when it is, or when that cannot be said: then the
    /// suspicion stays.
    private func disproof(_ watch: LogWatch, _ handle: SimulatedHandle) async -> VarveError? {
        guard let newest = watch.pins.newest else { return nil }
        let pins = watch.pins
        var refuted: VarveError?
        let outcome = await ReadAnchor.prove(
            watch.anchor.mark, newest: ReadAnchor.Mark(offset: newest.offset, time: newest.time),
            first: { time in try? await handle.first(notBefore: time) },
            check: {
                do throws(VarveError) {
                    switch try await handle.check(pins) {
                    case .same: return true
                    case .notCheckable: return false
                    case .other(let error): refuted = error
                    }
                } catch {
                    watch.suspicion = watch.suspicion ?? error.message
                }
                return false
            })
        if case .checked(let mark, _) = outcome { watch.anchor.replace(mark) }
        return refuted
    }

    /// - Parameter isSuspected: an unreachable log is waited for.
    private func identityError(_ node: SimulatedNode, _ watch: LogWatch, isSuspected: Bool) async -> VarveError? {
        while node.watch === watch, node.isRunning, let log = node.log, !node.process.isGone {
            let check = IdentityCheck(
                SimulatedHandle(world: self, log: log, process: node.process), node.epoch, genesis: watch.genesis,
                tag: node.machine.tag, node.machine)
            do throws(VarveError) {
                if case .other(let error) = try await check.compare() { return error }
                return nil
            } catch {
                guard node.watch === watch else { return nil }
                if !isSuspected || error.code != .logUnreachable {
                    return error.code == .logUnreachable ? nil : error
                }
                _ = await Means.wait(.milliseconds(250))
            }
        }
        return nil
    }

    /// Behind a batch: whether its writers had read something else. Nobody is told of the batch before that is known.
    func judge(_ node: SimulatedNode, then goOn: @escaping () -> Void) {
        guard let watch = node.watch else { return goOn() }
        var isSuspected = false
        for finding in watch.writers.compare(with: node.machine.trail) {
            switch finding {
            case .otherInput: isSuspected = true
            case .otherEffect(_, let position, _):
                return fail("all writers had the same effects", "\(node.name) met another at \(position)")
            case .divergence(let error): return stop(node, error)
            }
        }
        guard isSuspected else { return goOn() }
        watch.isReading = true
        let rest = Continuation(goOn)
        launch(node.process) { [unowned self] () async throws(VarveError) -> VarveError? in
            await identityError(node, watch, isSuspected: true)
        } done: { [unowned self] result in
            watch.isReading = false
            guard node.watch === watch, node.isRunning else { return }
            if case .success(let error?) = result { return stop(node, error) }
            rest.goOn()
        }
    }

    /// A connection to the log was lost: the reader learns it with the next batch, or at once.
    func suspect(_ node: SimulatedNode, _ reason: String) {
        guard node.isRunning, node.isOpen, let watch = node.watch else { return }
        watch.suspicion = watch.suspicion ?? reason
        if !watch.isReading { prove(node, [], held: [], upTo: node.next) }
    }

    // MARK: The timer

    func watchLog(_ node: SimulatedNode) {
        guard let watch = node.watch, !watch.isChecking, now - watch.checkedAt >= 2_000_000 else { return }
        watch.checkedAt = now
        watch.isChecking = true
        launch(node.process) { [unowned self] () async throws(VarveError) -> VarveError? in
            await identityError(node, watch, isSuspected: false)
        } done: { [unowned self] result in
            watch.isChecking = false
            guard node.watch === watch, node.isRunning, case .success(let error?) = result else { return }
            stop(node, error)
        }
    }

    // MARK: Beginning again

    /// With each heartbeat: whether storage may have gone on without this node.
    func lookOnward(_ node: SimulatedNode) {
        guard let watch = node.watch, let log = node.log else { return }
        let answers = node.stopped != nil || !log.isDeleted && !log.isSilent && brokerAwayUntil <= now
        if watch.onward.look(stopped: node.stopped?.code, answers: answers, isOpen: node.isOpen) { askStorage(node) }
    }

    func askStorage(_ node: SimulatedNode) {
        guard let watch = node.watch, !watch.isAsking, let log = node.log else { return }
        let (code, shell) = (node.stopped?.code, NodeShell(world: self, node: node))
        guard code.map(Onward.mayFollow) ?? true else { return }
        watch.isAsking = true
        let question = Onward.Question(
            BlockStore(NodeStore(directory, node.name, self, node.process)), node.places,
            database: node.machine.database, node.epoch, applied: node.machine.token.position,
            SimulatedHandle(world: self, log: log, process: node.process), stopped: code)
        launch(node.process) { () async throws(VarveError) -> EpochRecord? in
            try await question.answer { (body) async throws(VarveError) in try await shell.onDisk(body) }
        } done: { [unowned self] result in
            watch.isAsking = false
            guard node.watch === watch, node.isServing, node.stopped?.code == code, case .success(let record?) = result
            else { return }
            note { "\(node.name) begins again: storage has gone on to epoch \(record.epoch)" }
            beginAgain(node)
        }
    }

    /// The node ends and goes through its whole start, in the same process.
    private func beginAgain(_ node: SimulatedNode) {
        let isGone = node.log.map { $0.isDeleted || $0.isSilent } ?? true
        guard node.stopped != nil || isGone || brokerAwayUntil + 60_000_000 > now else {
            return fail("a node begins again only for a reason", "\(node.name), whose log is there")
        }
        if node.isRunning { release(node, VarveError(.notReady, "this node starts anew")) }
        if var heartbeat = node.heartbeat {
            heartbeat.stopped = node.machine.applied
            node.heartbeat = heartbeat
            write(heartbeat: node)
        }
        let from = node.machine.token.position
        node.phase = .down
        end(node.process)
        start(node)
        node.goesOnFrom = from
    }

    func lostOldLog(_ node: SimulatedNode) -> Bool { node.machine != nil && oldLogsLost.contains(node.epoch) }

    /// It has begun again: further on, or there was no reason.
    func checkWentOn(_ node: SimulatedNode) {
        guard let from = node.goesOnFrom else { return }
        node.goesOnFrom = nil
        let position = node.machine.token.position
        if node.epoch <= from.epoch, position <= from {
            fail("a node that begins again goes on", "\(node.name) was at \(from), it begins at \(position)")
        }
    }

    /// Somebody starts a node that stopped long ago. If storage had gone on with a log that is there, it needed nobody.
    func checkNeeded(_ node: SimulatedNode) {
        guard let since = node.watch?.stoppedAt, let machine = node.machine, let error = node.stopped,
            Onward.mayFollow(error.code), weather.lastBad + 15_000_000 < now, brokerAwayUntil + 15_000_000 < now,
            since + 15_000_000 < now, node.resumesAt + 15_000_000 < now, node.knowsOtherCluster, loss == nil,
            directory.unsettled.isEmpty, reference.epoch > machine.epoch
        else { return }
        let store = BlockStore(NodeStore(directory, "check", nil))
        guard let epochs = try? store.epochRecords(),
            let loading = try? DatabaseLoading(store, epochs, database: machine.database),
            loading.current.epoch > machine.epoch, log(at: loading.current.log) != nil,
            epochs.allSatisfy({ $0.record.epoch <= machine.epoch || $0.record.began == .sealed })
        else { return }
        fail("a node that can go on needs nobody", "\(node.name) stands with \(error.code) since \(since / 1000) ms")
    }
}

/// What comes behind a wait.
// One simulation runs on one thread; procedures ask for Sendable.
private final class Continuation: @unchecked Sendable {
    let goOn: () -> Void
    init(_ goOn: @escaping () -> Void) { self.goOn = goOn }
}
