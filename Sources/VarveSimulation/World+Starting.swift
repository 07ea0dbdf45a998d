/// How processes of nodes begin and end.

internal import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveStorage

extension World {
    /// A process begins: the production code finds out from what to start.
    func start(_ node: SimulatedNode) {
        guard !node.isUp else { return }
        node.life += 1
        forget(node)
        node.seenAt = nil
        node.strays = []
        let life = node.life
        let process = Process(node.name, node: node.index)
        if faults.occurs(.crashWhileStarting) { process.callsLeft = faults.below(.crashWhileStarting, 25) }
        process.die = { [unowned self] in crash(node, restartAfter: restartDelay()) }
        node.process = process
        node.phase = .starting
        node.beganAt = now
        node.hasReadLost = false
        node.goesOnFrom = nil
        node.store = NodeStore(directory, node.name, self)
        if plan.nodes > 1, faults.occurs(.clusterUnknown) { node.knowsOtherCluster = false }
        node.places = places(of: process, knowsOther: node.knowsOtherCluster)
        node.assertedEpoch = node.configuredEpoch
        let opening = Opening(
            provider: node.places.primary, clusters: node.places.clusters,
            store: BlockStore(NodeStore(directory, node.name, self, process)),
            isDurableStore: true, configuredEpoch: node.configuredEpoch, settings: plan.settings, allowEphemeral: false,
            bootstrapFromLog: false, node: node.name)
        launch(process) { () async throws(VarveError) -> OpenedDatabase in
            try await opening.open()
        } done: { [unowned self] result in
            guard node.life == life else { return }
            switch result {
            case .success(let opened): begin(node, opened)
            case .failure(let error): isRefused(node, error)
            }
        }
    }

    /// Where a process's configuration has logs.
    func places(of process: Process, knowsOther: Bool = true) -> LogPlaces {
        let other = LogPlace(kind: .kafka, clusterID: "c1", base: "log")
        return LogPlaces(
            SimulatedProvider(world: self, place: plan.place, process: process),
            clusters: knowsOther ? ["east": SimulatedProvider(world: self, place: other, process: process)] : [:])
    }

    private func isRefused(_ node: SimulatedNode, _ error: VarveError) {
        note { "\(node.name) does not start: \(error.code) \(error.message)" }
        end(node.process)
        node.phase = .down
        switch error.code {
        case .storageUnreachable, .storageDenied, .storageFull, .logUnreachable: break
        case .logMissing where !node.knowsOtherCluster, .logReplaced where !node.knowsOtherCluster:
            node.knowsOtherCluster = true
        case .epochAhead, .epochStale, .logReplaced: correct(node, error)
        default: refused(node, error)
        }
        if failure != nil { return }
        queueEvents.push(.restart(node: node.index), at: now + Int64(random.within(200_000...3_000_000)))
    }

    private func begin(_ node: SimulatedNode, _ opened: OpenedDatabase) {
        node.machine = opened.machine
        node.blocks = opened.blocks
        node.epochs = opened.epochs
        node.log = (opened.log as? SimulatedHandle)?.log
        node.next = opened.next.value
        settleLoss()
        if reference.ending == nil, node.log === log, !hadProvedBefore(node), !checkHeld(by: node, opened.evidence) {
            return
        }
        if isWatching { watch(node, opened.log, opened.genesis) }
        checkHeld(node)
        guard failure == nil else { return }
        if poison.isOn { takeCaution(node) }
        node.isOpen = true
        node.phase = .running
        node.isReady = false
        node.fetchScheduled = false
        node.damagedReads = 0
        node.readyAt = node.log?.readable.upperBound ?? 0
        node.lastRecordAt = now - 3_600_000_000
        node.lastTick = now
        node.startedAt = now
        node.writer = random.next()
        node.sequence = 0
        node.isMigrating = false
        node.isAnswering = false
        node.liveness = Liveness(own: node.name)
        node.idleRule = IdleRule(retentionMs: plan.retentionMs, share: Double(random.below(1000)) / 1000)
        let standing = (try? node.store.get("nodes/\(node.name).cbor")).flatMap { try? Heartbeat.decode($0) }
        let wall = LogClock.origin + now / 1000 + node.wallOffset
        node.heartbeat = Heartbeat(node: node.name, processStart: Heartbeat.start(at: wall, after: standing))
        note {
            "\(node.name) starts (life \(node.life)) in epoch \(node.epoch) behind block "
                + "\(node.machine.adopted?.number.description ?? "-"), next \(node.next)"
        }
        // A block of a node that had parted from the others may have been first.
        let newest = node.machine.adopted
        node.isTainted =
            newest.map { reference.after($0.position)?.inputChain != node.machine.inputChain.value } ?? false
            && nodes.contains { $0.isTainted }
        checkLoaded(node)
        if failure == nil { checkWentOn(node) }
        guard failure == nil else { return }
        declareEnd(node)
        guard node.isRunning else { return }
        if node.next >= node.readyAt { markReady(node) }
        schedule(fetch: node)
        push(.tick(node: node.index, life: node.life), after: 100_000)
        push(.heartbeat(node: node.index, life: node.life), after: 1_000)
    }

    func markReady(_ node: SimulatedNode) {
        // Whoever has later epochs to read is not there yet.
        if node.isInNewestEpoch, node.machine.ending == nil { node.isReady = true }
    }

    /// The process is gone, whatever it was doing; what it had sent may still arrive.
    func crash(_ node: SimulatedNode, restartAfter delay: Int64) {
        guard node.isUp else { return }
        note { "\(node.name) crashes" }
        node.phase = .down
        node.life += 1
        node.pausedUntil = 0
        end(node.process)
        let (running, passing) = (node.running, node.passing)
        forget(node)
        for running in running { if let client = running.client { lose(client, running.call) } }
        for passing in passing { if let client = passing.client { lose(client, passing.call) } }
        queueEvents.push(.restart(node: node.index), at: now + delay)
    }

    /// Ends in order: says where it stopped.
    func stopInOrder(_ node: SimulatedNode, restartAfter delay: Int64) {
        guard node.isServing, node.pausedUntil <= now else { return crash(node, restartAfter: delay) }
        if node.isRunning, var heartbeat = node.heartbeat {
            heartbeat.stopped = node.machine.applied
            node.heartbeat = heartbeat
            write(heartbeat: node)
        }
        crash(node, restartAfter: delay)
    }

    /// A local log is opened: what a kill left in its file is whole; behind a failed sync, from some record on, it is torn.
    func recover(_ log: SimulatedLog) {
        guard log.end > log.synced else { return }
        if hasSyncFailed, log === self.log { loseTail() }
        hasSyncFailed = false
        log.sync()
    }

    /// What a process has in memory goes with it.
    private func forget(_ node: SimulatedNode) {
        node.running = []
        node.passing = []
        node.queue = []
        if let request = node.inFlight, requests[request]?.hasArrived == true { requests[request] = nil }
        node.inFlight = nil
        node.publication = nil
        node.todo = nil
        node.outcome = nil
        node.trouble = nil
        node.standing = nil
    }

    /// The node goes no further, and must have a reason. Somebody starts it again later.
    func stop(_ node: SimulatedNode, _ error: VarveError) {
        guard node.isRunning else { return }
        note { "\(node.name) stops: \(error.code) \(error.message)" }
        refused(node, error)
        node.phase = .stopped(error)
        release(node, error)
        if isWatching {
            node.watch?.stoppedAt = now
            askStorage(node)
        }
        let delay = Int64(random.within(500_000...20_000_000))
        queueEvents.push(.restart(node: node.index), at: now + delay)
    }

    /// Whoever waits is told that the node goes no further.
    func release(_ node: SimulatedNode, _ error: VarveError) {
        for i in node.running.indices { conclude(node, i, node.running[i].submission.step(.ended(error))) }
        sweep(node)
        for passing in node.passing {
            if let client = passing.client { answered(client, passing.call, .failed(error)) }
            passing.isOver?()
        }
        node.passing = []
        node.publication = nil
    }
}
