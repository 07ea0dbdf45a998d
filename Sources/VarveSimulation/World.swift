/// A whole cluster in virtual time: nodes, clients, one log, one storage directory, and everything that goes wrong.
///
/// One thread, one queue of events, one seed. Two runs with the same options are the same to the last event, on every
/// machine: nothing here reads a clock, a pointer or the order of a hash table. `fingerprint` folds every event and every
/// chain value together, so that a difference shows.

internal import VarveCore
internal import VarveModel

package struct Options: Sendable {
    package var seed: UInt64
    package var events: Int
    package var without: Set<Fault> = []
    package var omitting: Set<Omission> = []
    package var isTraced = false

    package init(seed: UInt64, events: Int) {
        self.seed = seed
        self.events = events
    }
}

package struct Failure: Sendable, Equatable {
    package var invariant: String
    package var detail: String
    package var time: Int64
    package var event: Int
}

package struct RunReport: Sendable {
    package var options: Options
    package var failure: Failure?
    package var fingerprint: UInt64
    package var events: Int
    package var microseconds: Int64
    package var records: Int
    package var blocks: Int
    package var answers: Int
    package var injected: [Int]
    package var schedule: [Omission]
    package var trace: [String]
    /// Bytes of block files that were put, over those that a single writer would put.
    package var bytesPut: Int
    /// Epochs that ended by a seal, and by an operator's declaration.
    package var epochsSealed: Int
    package var epochsDeclared: Int
}

// One simulation runs on one thread; production code that it runs asks for Sendable.
final class World: @unchecked Sendable {
    let options: Options
    let plan: Plan
    var faults: FaultSource
    /// Of the shell and the network.
    var random: Random
    var now: Int64 = 0
    var queueEvents = EventQueue()
    var eventCount = 0
    var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325
    var failure: Failure?
    var trace: [String] = []

    /// Procedures in virtual time.
    let executor = HereExecutor()
    var parked: [Int: Parked] = [:]
    var nextTicket = 0
    var procedures = 0
    /// Every process that ran a procedure, to the end of the run.
    var launched: [Process] = []

    /// Every log that ever was, and of those the one that the oracle reads now.
    var logs: [SimulatedLog] = []
    var log: SimulatedLog
    let clocks = ["c0": LogClock(), "c1": LogClock(), "": LogClock()]
    var reference: Reference
    /// What the oracle has read, by epoch: a log may be lost, what was true once stays known. Empty until the first genesis
    /// begins a database.
    var line: [Stretch] = []
    var firstSettings: Settings

    struct Stretch {
        let log: SimulatedLog
        let genesis: GenesisID
        var records: [(offset: Int64, time: Int64, bytes: Bytes)] = []
    }

    let directory = SimulatedStore()
    var weather = StorageWeather()
    var nodes: [SimulatedNode] = []
    var clients: [Client] = []

    struct Request {
        let node: Int
        let life: Int
        let log: SimulatedLog
        let items: [SimulatedNode.Sent]
        /// What becomes of it, drawn when it was sent.
        var lands: Int
        var isReported: Bool
        var refused = false
        var hasArrived = false
    }

    var requests: [Int: Request] = [:]
    var nextRequest = 0
    var brokerAwayUntil: Int64 = 0
    /// Newest decision that any client was told of.
    var acknowledged = Position.zero
    /// Every submission whose outcome was told.
    var answered: [SubmissionID: Position] = [:]
    /// The end of the log when an operator had stopped the nodes: only who stood still and goes on writes behind it.
    var quietEnd = Position.zero
    var answers = 0
    /// Codes with which a node may stop, because what they say was done to it.
    var excused: Set<String> = []
    /// By number of a block: the manifest's digest; nothing else may ever be seen there.
    var publishedDigests: [UInt64: Digest] = [:]
    var isHealing = false
    /// A sync of the local log failed: what stands behind the last good one may be torn.
    var hasSyncFailed = false
    /// The log is no longer the one that storage was made from, where both hold the same places: nobody may start with it.
    var isLogForeign = false
    /// There is nothing more to learn from this run.
    var isOver = false
    /// Blocks that some node has adopted after their publication: they are durable.
    var adoptedBlocks: UInt64 = 0
    /// Bytes of block files that nodes wrote.
    var fileBytesPut = 0
    /// What was left lying, and what collectors did with it.
    var yard = Yard()
    var poison = PoisonState()
    /// What operators do now, and did.
    var operation: OperatorTask?
    var migrations = 0
    /// The log has lost what it had taken, until an operator has stated that.
    var isLogLossy = false
    /// That ever happened to a log: it is no copy of its blocks any more.
    var hasLostLogs = false
    var isEndLost = false
    /// Nodes watch their log, which may be lost under them.
    let isWatching: Bool
    var loss: LiveLoss?
    /// Sealed epochs whose logs are gone, as they may be.
    var oldLogsLost: Set<Epoch> = []
    /// Of the newest declared end.
    var declaredAt: Int64 = 0
    /// Epochs that an operator has ended.
    var endsDeclared: Set<Epoch> = []
    /// When who migrates to a log, by its genesis, last looked which nodes live, by name.
    var looks: [GenesisID: [String: Int64]] = [:]
    /// Answers of nodes that did not know yet that their epoch was given up.
    var zombieAnswers: [SubmissionID: Epoch] = [:]
    var epochsSealed = 0
    var epochsDeclared = 0

    init(_ options: Options) {
        self.options = options
        plan = Plan(options.seed)
        faults = FaultSource(options.seed, without: options.without, omitting: options.omitting)
        random = Random(options.seed, 3)
        log = SimulatedLog(plan.place.reference(of: .first), .first, clocks[plan.place.clusterID]!)
        reference = Reference(database: .zero, genesis: .zero, settings: plan.settings)
        firstSettings = plan.settings
        isWatching = !plan.isLocalLog && Fault.live.contains { [rates = faults.rates] in rates[Int($0.rawValue)] > 0 }
        poison.isOn =
            !plan.isLocalLog && [Fault.poisonRecord, .poisonHere].contains { faults.rates[Int($0.rawValue)] > 0 }
        if !plan.isFirstStart { begin() }
        for i in 0..<plan.nodes {
            nodes.append(SimulatedNode(i))
            queueEvents.push(.restart(node: i), at: Int64(random.below(5_000)))
        }
        for i in 0..<plan.clients {
            clients.append(Client(i, options.seed))
            queueEvents.push(.client(i), at: Int64(10_000 + random.below(10_000)))
        }
        queueEvents.push(.nemesis, at: 50_000)
    }

    /// A new database as a first start leaves it: FORMAT, genesis, epoch record.
    private func begin() {
        let database = DatabaseID(high: 1, low: options.seed)
        let content = Genesis(
            database: database, epoch: .first, log: log.place, began: .initial, settings: plan.settings)
        let id = GenesisID(high: 2, low: options.seed)
        let record = Record(header: RecordHeader(type: .genesis, logTag: .none, id: id), payload: content.encoded())
        logs.append(log)
        append(record.encoded(), to: log)
        log.sync()
        var found = log.place
        found.genesis = id
        found.genesisOffset = .zero
        let epoch = EpochRecord(
            epoch: .first, parent: .zero, began: .initial, log: found, parentEnd: nil, reason: "")
        for (name, bytes) in [
            ("FORMAT", StorageFormat(database: database).encoded()), ("epochs/e0000.cbor", epoch.encoded()),
        ] {
            _ = directory.put(name, bytes, by: "init")
            directory.settle(name)
        }
    }

    func push(_ happening: Happening, after delay: Int64) { queueEvents.push(happening, at: now + delay) }

    // MARK: Running

    func run() -> RunReport {
        while eventCount < options.events, failure == nil, !isOver { step() }
        if failure == nil, !isOver { heal() }
        let report = RunReport(
            options: options, failure: failure, fingerprint: fingerprint, events: eventCount, microseconds: now,
            records: line.reduce(0) { $0 + $1.records.count }, blocks: reference.blocks.count, answers: answers,
            injected: faults.injected,
            schedule: faults.schedule, trace: trace, bytesPut: fileBytesPut, epochsSealed: epochsSealed,
            epochsDeclared: epochsDeclared)
        abandon()
        return report
    }

    func step() {
        guard let event = queueEvents.pop() else { return fail("something happens", "no event is left") }
        eventCount += 1
        now = max(now, event.time)
        fold(event.happening.code)
        fold(UInt64(bitPattern: now))
        if let i = event.happening.node, nodes[i].pausedUntil > now {
            // Nothing happens in a stopped process; all of it does when it goes on.
            return queueEvents.push(event.happening, at: nodes[i].pausedUntil)
        }
        switch event.happening {
        case .fetch(let i, let life): if nodes[i].life == life { fetch(nodes[i]) }
        case .request(let i): arrive(i)
        case .report(let i): reported(i)
        case .flush(let i, let life): if nodes[i].life == life { flush(nodes[i]) }
        case .tick(let i, let life): if nodes[i].life == life { tick(nodes[i]) }
        case .heartbeat(let i, let life): if nodes[i].life == life { beat(nodes[i]) }
        case .look(let i, let life): if nodes[i].life == life, nodes[i].isServing { lookAndAnswer(nodes[i]) }
        case .client(let i): act(i)
        case .clientWaited(let i, let call): waited(i, call)
        case .restart(let i):
            if operation?.holdsNodes == true { break }
            if nodes[i].stopped != nil {
                if isWatching { checkNeeded(nodes[i]) }
                end(nodes[i].process)
                nodes[i].phase = .down
            }
            start(nodes[i])
        case .stray(let i): stray(i)
        case .nemesis: strike()
        case .resume(let ticket): resume(ticket)
        case .operate: operate()
        }
    }

    func fold(_ value: UInt64) { fingerprint = (fingerprint ^ value) &* 0x0000_0100_0000_01b3 }

    func fail(_ invariant: String, _ detail: @autoclosure () -> String) {
        guard failure == nil else { return }
        failure = Failure(invariant: invariant, detail: detail(), time: now, event: eventCount)
        note { "FAILED: \(invariant): \(failure!.detail)" }
    }

    func note(_ line: () -> String) {
        guard options.isTraced else { return }
        let ms = now / 1000
        let rest = String(1000 + now % 1000).dropFirst()
        trace.append("\(ms).\(rest) #\(eventCount) \(line())")
    }

    func restartDelay() -> Int64 { Int64(random.spread(1_000...30_000_000)) }
}

package enum Simulation {
    /// One run, from the seed to its report.
    package static func run(_ options: Options) -> RunReport { World(options).run() }
}
