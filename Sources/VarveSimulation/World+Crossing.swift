/// From one epoch into the next, and the way there: a node's part of crossings and migrations.

internal import VarveCore
internal import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage

extension World {
    /// The end of this epoch, where it is recorded already, and not by a seal.
    func declareEnd(_ node: SimulatedNode) {
        guard let record = node.epochs.first(where: { $0.record.epoch == node.epoch.next })?.record,
            record.began != .sealed, let end = record.parentEnd
        else { return }
        do throws(VarveError) {
            handle(node, try node.machine.step(.declaredEnd(end), reading: node.blocks))
        } catch {
            stop(node, error)
        }
    }

    /// Whether storage has a next epoch that this node did not know of.
    func checkEpoch(_ node: SimulatedNode) {
        guard node.isRunning else { return }
        guard let next = node.epoch.next, let record = try? BlockStore(node.store).epochRecord(next)?.record else {
            return
        }
        if succession(node, record, of: node.epoch).endsNode {
            stop(node, VarveError(.epochStale, "storage records epoch \(next)"))
        }
    }

    /// - Parameter found: the next epoch's record; a later one may go back behind it.
    func succession(_ node: SimulatedNode, _ found: EpochRecord?, of epoch: Epoch) -> Succession {
        // Read without weather: it would change what every seed draws.
        let next =
            found == nil ? nil : (try? BlockStore(NodeStore(directory, "check", nil)).successor(of: epoch)) ?? found
        return Succession(next, isKnown: node.epochs.contains { $0.record.epoch == next?.epoch })
    }

    /// The node has applied the last record of its epoch.
    func cross(_ node: SimulatedNode, _ ending: EpochEnding) {
        note { "\(node.name) has reached the end at \(ending.end.position)" }
        node.isOpen = false
        let (shell, process, store) = (
            NodeShell(world: self, node: node), node.process,
            BlockStore(NodeStore(directory, node.name, self, node.process))
        )
        if faults.occurs(.crashWhileCrossing) { process.callsLeft = faults.below(.crashWhileCrossing, 12) }
        guard let log = node.log else { return }
        let crossing = Crossing(
            ending, of: node.epoch, in: SimulatedHandle(world: self, log: log, process: process), tag: node.machine.tag,
            writer: node.writer, store, node.places)
        launch(process) { () async throws(VarveError) -> ([Record], Crossing.Opened?) in
            await shell.settle()
            var left: [Record] = []
            do throws(VarveError) {
                left = try await crossing.ownRecords()
            } catch {
                shell.makeAgain()
            }
            return (left, try await crossing.openNext(node.epochs, for: shell))
        } done: { [unowned self] result in
            guard node.isRunning else { return }
            switch result {
            case .success((let left, let opened?)): enter(node, opened, left, ending.end)
            case .success((_, nil)): break
            case .failure(let error): stopBehindEnd(node, error)
            }
        }
    }

    /// What was cut at the end still belongs into storage.
    private func stopBehindEnd(_ node: SimulatedNode, _ error: VarveError) {
        let shell = NodeShell(world: self, node: node)
        launch(node.process) { () async throws(VarveError) -> Void in
            for _ in 0..<300 where !shell.node.machine.frozen.isEmpty { _ = await Means.wait(.milliseconds(100)) }
        } done: { [unowned self] _ in
            stop(node, error)
        }
    }

    private func enter(_ node: SimulatedNode, _ opened: Crossing.Opened, _ left: [Record], _ end: ParentEnd) {
        let record = opened.record
        let oldTag = node.machine.tag
        do throws(VarveError) {
            let effects = try node.machine.step(
                .enter(record.epoch, record.log.genesis ?? .zero, end), reading: node.blocks)
            for case .stopped(let error) in effects { return stop(node, error) }
        } catch {
            return stop(node, error)
        }
        note { "\(node.name) enters epoch \(record.epoch) in \(record.log.topic), \(left.count) again" }
        if let handle = node.log, handle.holder === node.process { handle.holder = nil }
        node.log = (opened.log as? SimulatedHandle)?.log
        node.next = record.log.genesisOffset?.value ?? 0
        if isWatching { watch(node, opened.log, opened.genesis) }
        node.readyAt = node.log?.readable.upperBound ?? 0
        node.writer = random.next()
        node.isOpen = true
        node.fetchScheduled = false
        var again: [SimulatedNode.Pending] = []
        for record in left {
            if record.header.type == .seal {
                // The second of two seals decides nothing.
                passed(node, record.header.id, end.position, nil)
                continue
            }
            precondition(record.header.logTag == oldTag)
            node.tags += 1
            again.append(SimulatedNode.Pending(tag: node.tags, header: record.header, payload: record.payload))
        }
        node.queue.insert(contentsOf: again, at: 0)
        checkEntered(node, record)
        declareEnd(node)
        guard node.isRunning else { return }
        if node.next >= node.readyAt { markReady(node) }
        schedule(fetch: node)
        send(node)
    }

    /// Answers another node's proposal, if there is a new one.
    func answerProposals(_ node: SimulatedNode) {
        guard node.isRunning, node.isOpen, !node.isAnswering, let log = node.log,
            let (asking, proposal) = MigrationRules.unanswered(
                among: node.liveness.peers, in: node.epoch, last: node.heartbeat?.confirmation)
        else { return }
        node.isAnswering = true
        let (life, places) = (node.life, node.places!)
        let present = SimulatedHandle(world: self, log: log, process: node.process)
        launch(node.process) { () async throws(VarveError) -> String? in
            await MigrationRules.problem(of: proposal, places, present: present)
        } done: { [unowned self] result in
            guard node.life == life, case .success(let problem) = result else { return }
            note { "\(node.name) answers \(asking): \(problem ?? "it can follow")" }
            node.isAnswering = false
            node.heartbeat?.confirmation = Heartbeat.Confirmation(id: proposal.id, problem: problem)
            write(heartbeat: node)
        }
    }
}

/// What procedures of production ask of a node.
// One simulation runs on one thread; production code asks for Sendable.
struct NodeShell: CrossingNode, MigratingNode, @unchecked Sendable {
    unowned let world: World
    let node: SimulatedNode
    private let process: Process

    init(world: World, node: SimulatedNode) {
        self.world = world
        self.node = node
        process = node.process
    }

    var isEnding: Bool { process.isGone || !node.isRunning }

    func onDisk<R: Sendable>(
        _ body: @escaping @Sendable () throws(VarveError) -> R
    ) async throws(VarveError) -> R {
        try await world.call(process)
        return try body()
    }

    func recorded(_ epoch: BlockStore.StoredEpoch) {
        node.epochs.append(epoch)
        world.kick(flusher: node)
    }

    func isHeldUp(by error: VarveError?, _ what: String) { node.trouble = error }

    /// What was handed to the old log gets its report, or is given up.
    func settle() async {
        var waited = 0
        while node.inFlight != nil, waited < 3_000, !isEnding {
            waited += 20
            _ = await Means.wait(.milliseconds(20))
        }
        if !isEnding { world.purgeInFlight(node) }
    }

    /// What came behind the end cannot be read: those who wait make theirs again.
    func makeAgain() {
        for i in node.running.indices where node.running[i].handedOver != -1 {
            world.conclude(node, i, node.running[i].submission.step(.void))
        }
        for passing in node.passing {
            let error = VarveError(.logUnreachable, "a record has no report")
            if let client = passing.client { world.answered(client, passing.call, .failed(error)) }
            passing.isOver?()
        }
        node.passing = []
        world.sweep(node)
    }

    // MARK: Migrating

    var log: any Log { SimulatedHandle(world: world, log: node.log ?? world.log, process: process) }
    var places: LogPlaces { node.places }
    var database: DatabaseID { node.machine.database }
    var settings: Settings { node.machine.settings }

    func logTime() async throws(VarveError) -> Int64 {
        await pass(.barrier, Bytes(), within: .seconds(30))
        try checkRunning()
        return node.machine.logTime
    }

    func send(_ seal: Seal, within limit: Duration) async {
        if world.faults.occurs(.sealLost) { return world.note { "the seal is never sent" } }
        await pass(.seal, seal.encoded(), within: limit)
    }

    private func pass(_ type: RecordType, _ payload: Bytes, within limit: Duration) async {
        guard node.isRunning else { return }
        let over = Flag()
        let header = node.header(type, world.random.bytes16(), expiryMs: 0)
        node.passing.append(
            SimulatedNode.Passing(id: header.id, client: nil, call: 0) { over.isSet = true })
        node.enqueue(header, payload)
        world.send(node)
        let deadline = Means.elapsed + limit
        while !over.isSet, !isEnding, Means.elapsed < deadline { _ = await Means.wait(.milliseconds(20)) }
    }

    func announce(_ proposal: Heartbeat.Proposal?) async throws(VarveError) {
        try await world.call(process)
        node.heartbeat?.proposal = proposal
        world.write(heartbeat: node)
        for other in world.nodes where other !== node {
            world.push(
                .look(node: other.index, life: other.life), after: Int64(world.random.spread(1_000...1_000_000)))
        }
    }

    func lookAtPeers() async throws(VarveError) -> [Liveness.Peer] {
        try await world.call(process)
        try world.look(node)
        if let genesis = node.heartbeat?.proposal?.log.genesis {
            world.looks[genesis, default: [:]][node.name] = world.now
        }
        return node.liveness.peers
    }

    func entered(_ epoch: Epoch) throws(VarveError) -> EpochRecord? {
        try checkRunning()
        guard node.epoch >= epoch, node.isOpen, node.isReady else { return nil }
        return node.epochs.first { $0.record.epoch == epoch }?.record
    }

    private func checkRunning() throws(VarveError) {
        if process.isGone { throw Process.gone }
        if let error = node.stopped { throw error }
    }
}

// One simulation runs on one thread.
private final class Flag: @unchecked Sendable {
    var isSet = false
}
