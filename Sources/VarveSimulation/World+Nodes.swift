/// What nodes do: start, read and apply, carry submissions, end.

internal import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveStorage

extension World {
    // MARK: Starting and ending

    /// A process begins: from storage, through the same code as in production.
    func start(_ node: SimulatedNode) {
        guard !node.isUp else { return }
        node.life += 1
        forget(node)
        if log.isLocal { recoverLog() }
        node.store = NodeStore(directory, node.name, self)
        do throws(VarveError) {
            try load(node)
        } catch {
            note { "\(node.name) does not start: \(error.code) \(error.message)" }
            switch error.code {
            case .storageUnreachable, .storageDenied, .storageFull: break
            default: refused(node, error)
            }
            if failure != nil { return }
            queueEvents.push(.restart(node: node.index), at: now + Int64(random.within(200_000...3_000_000)))
            return
        }
        if isLogForeign { return fail("a log that is not storage's is refused", "\(node.name) starts with it") }
        node.phase = .running
        node.isReady = false
        node.fetchScheduled = false
        node.damagedReads = 0
        node.readyAt = log.readable.upperBound
        node.lastRecordAt = now - 3_600_000_000
        node.writer = random.next()
        node.sequence = 0
        node.liveness = Liveness(own: node.name)
        node.idleRule = IdleRule(retentionMs: plan.retentionMs, share: Double(random.below(1000)) / 1000)
        let standing = (try? node.store.get("nodes/\(node.name).cbor")).flatMap { try? Heartbeat.decode($0) }
        let wall = SimulatedLog.origin + now / 1000 + node.wallOffset
        node.heartbeat = Heartbeat(node: node.name, processStart: Heartbeat.start(at: wall, after: standing))
        note {
            "\(node.name) starts (life \(node.life)) behind block \(node.machine.adopted?.number.description ?? "-"), next \(node.next)"
        }
        if node.next >= node.readyAt { node.isReady = true }
        schedule(fetch: node)
        push(.tick(node: node.index, life: node.life), after: 100_000)
        push(.heartbeat(node: node.index, life: node.life), after: 1_000)
    }

    private func load(_ node: SimulatedNode) throws(VarveError) {
        let store = BlockStore(node.store)
        let epochs = try store.epochRecords()
        guard let format = try store.readFormat(), !epochs.isEmpty else {
            throw VarveError(.storageMissing, "storage is empty")
        }
        let loading = try DatabaseLoading(store, epochs, database: format.database)
        let adopted = loading.newest?.last.offset.value ?? 0
        let range = log.readable
        if adopted + 1 > range.upperBound { throw VarveError(.logBehind, "the log ends at \(range.upperBound)") }
        // What waits before it refuses is refused at once here; all else is the production proof.
        let (proofLog, newest) = (ProofLog(log, loading.current.log), loading.newest)
        let (current, database) = (loading.current, format.database)
        // The barrier that proves an empty range has an id by chance: it is left out.
        let mayAppend = !range.isEmpty
        let proof = runAtOnce { () -> Result<LogProof.Result, VarveError> in
            do throws(VarveError) {
                return .success(
                    try await LogProof(proofLog, current, database: database, newest: newest, recheck: .zero)
                        .prove(mayAppend: mayAppend))
            } catch {
                return .failure(error)
            }
        }
        guard let proof else { throw VarveError(.internal, "the proof of the log has waited") }
        let genesis = try proof.get().genesis
        (node.machine, node.blocks) = try loading.load(settings: plan.settings, genesis: genesis)
        node.next = loading.newest == nil ? 0 : adopted + 1
        // A block of a node that had parted from the others may have been first.
        node.isTainted = loading.newest.map { $0.inputChain != reference.after[Int(adopted)]?.inputChain } ?? false
        if let newest = loading.history.last { checkLoaded(node, newest) }
    }

    /// The process is gone, whatever it was doing; what it had sent may still arrive.
    func crash(_ node: SimulatedNode, restartAfter delay: Int64) {
        guard node.isUp else { return }
        note { "\(node.name) crashes" }
        node.phase = .down
        node.life += 1
        node.pausedUntil = 0
        let (running, passing) = (node.running, node.passing)
        forget(node)
        for running in running { if let client = running.client { lose(client, running.call) } }
        for passing in passing { if let client = passing.client { lose(client, passing.call) } }
        queueEvents.push(.restart(node: node.index), at: now + delay)
    }

    /// A local log is opened: what a kill left in its file is whole; behind a failed sync, from some record on, it is torn.
    private func recoverLog() {
        guard log.end > log.synced else { return }
        if hasSyncFailed { loseTail() }
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
    }

    /// The node goes no further, and must have a reason. Somebody starts it again later.
    func stop(_ node: SimulatedNode, _ error: VarveError) {
        guard node.isRunning else { return }
        note { "\(node.name) stops: \(error.code) \(error.message)" }
        refused(node, error)
        node.phase = .stopped(error)
        for i in node.running.indices { conclude(node, i, node.running[i].submission.step(.ended(error))) }
        sweep(node)
        for passing in node.passing {
            if let client = passing.client { answered(client, passing.call, .failed(error)) }
        }
        node.passing = []
        node.publication = nil
        queueEvents.push(.restart(node: node.index), at: now + Int64(random.within(500_000...20_000_000)))
    }

    // MARK: Reading

    func schedule(fetch node: SimulatedNode, after delay: Int64? = nil) {
        guard node.isRunning, !node.fetchScheduled else { return }
        node.fetchScheduled = true
        let usual = Int64(random.within(30...(node.slowUntil > now ? 200_000 : 1_500)))
        push(.fetch(node: node.index, life: node.life), after: delay ?? usual)
    }

    func fetch(_ node: SimulatedNode) {
        node.fetchScheduled = false
        guard node.isRunning else { return }
        if brokerAwayUntil > now || node.fetchStoppedUntil > now {
            return schedule(fetch: node, after: max(brokerAwayUntil, node.fetchStoppedUntil) - now + 1000)
        }
        // Consuming waits while more is frozen than memory allows.
        if node.frozenBytes > plan.frozenBytesMax { return schedule(fetch: node, after: 50_000) }
        let range = log.readable
        if node.next < range.lowerBound {
            return stop(node, VarveError(.logGap, "the log begins at \(range.lowerBound), next is \(node.next)"))
        }
        guard node.next < range.upperBound else { return }
        let most = Int64(random.spread(1...plan.fetchMax))
        var records: [NodeMachine.LoggedRecord] = []
        var offset = node.next
        while offset < range.upperBound, Int64(records.count) < most {
            if let entry = log.entries[Int(offset)] {
                records.append(
                    NodeMachine.LoggedRecord(offset: Offset(offset), time: entry.time, bytes: entry.bytes))
            }
            offset += 1
        }
        guard !records.isEmpty else {
            node.next = offset
            return schedule(fetch: node)
        }
        if faults.occurs(.damagedFetch) { records = damage(records) }
        if faults.occurs(.differingRead) { records = differ(records, node) }
        apply(node, records, upTo: offset)
    }

    private func apply(_ node: SimulatedNode, _ records: [NodeMachine.LoggedRecord], upTo offset: Int64) {
        let before = node.machine.applied
        let effects: [NodeMachine.Effect]
        do throws(VarveError) {
            effects = try node.machine.step(.records(.first, records), reading: node.blocks)
        } catch {
            return readFailed(node, error, before)
        }
        node.lastRecordAt = now
        if node.machine.applied != before, let applied = node.machine.applied { node.next = applied.offset.value + 1 }
        check(node, effects, from: before)
        guard failure == nil else { return }
        if handle(node, effects) {
            // What does not decode is read again, three times.
            node.damagedReads += 1
            if node.damagedReads > 3 {
                return stop(node, VarveError(.logCorrupt, "the record at \(node.next) is damaged"))
            }
        } else if node.isRunning {
            node.damagedReads = 0
            node.next = max(node.next, offset)
        }
        guard node.isRunning else { return }
        if node.next >= node.readyAt { node.isReady = true }
        if node.next < log.readable.upperBound { schedule(fetch: node) }
    }

    /// A throw leaves the machine before the record that needed the block.
    private func readFailed(_ node: SimulatedNode, _ error: VarveError, _ before: Position?) {
        if let applied = node.machine.applied, applied != before { node.next = applied.offset.value + 1 }
        switch error.code {
        case .storageUnreachable:
            // As production has it: the node stops, and is started again.
            stop(node, error)
        default: stop(node, error)
        }
    }

    /// Carries effects out in order; returns whether a record was damaged.
    private func handle(_ node: SimulatedNode, _ effects: [NodeMachine.Effect]) -> Bool {
        var isDamaged = false
        for effect in effects {
            if faults.occurs(.crashInEffects) {
                crash(node, restartAfter: restartDelay())
                return false
            }
            switch effect {
            case .decided(let decision): decided(node, decision)
            case .void(let id): void(node, id)
            case .passed(let id, let position, let cut): passed(node, id, position, cut)
            case .cut, .adopted, .foreign, .ended: break
            case .damaged: isDamaged = true
            case .stopped(let error):
                stop(node, error)
                return false
            }
        }
        sweep(node)
        kick(flusher: node)
        return isDamaged
    }

    // MARK: Submissions

    /// A client hands a transaction, or a cancel, to a node.
    func submit(
        _ node: SimulatedNode, _ id: SubmissionID, _ kind: Submission.Kind, _ payload: Bytes?, given: Bool,
        expiryMs: Int64, client: Int?, call: Int
    ) {
        if let error = refusal(node) {
            if let client { answered(client, call, .failed(error)) }
            return
        }
        node.running.append(
            SimulatedNode.Running(
                submission: Submission(id, kind, looksUpFirst: given), payload: payload, expiryMs: expiryMs,
                client: client, call: call, deadline: now + 30_000_000))
        let i = node.running.count - 1
        conclude(node, i, node.running[i].submission.step(.begin))
        sweep(node)
        send(node)
    }

    /// Why a node takes nothing now.
    func refusal(_ node: SimulatedNode) -> VarveError? {
        if let error = node.stopped { return error }
        guard node.isRunning, node.isReady else { return VarveError(.notReady, "not ready") }
        if node.frozenBytes > plan.frozenBytesMax { return VarveError(.overloaded, "too much is frozen") }
        return nil
    }

    /// Does what a submission asks for until it waits or is answered.
    func conclude(_ node: SimulatedNode, _ i: Int, _ first: Submission.Effect) {
        var effect = first
        while true {
            switch effect {
            case .lookUp:
                let id = node.running[i].submission.id
                do throws(VarveError) {
                    effect = node.running[i].submission.step(.lookedUp(try lookUp(node, id)))
                } catch {
                    effect = .fail(error)
                }
            case .append:
                let running = node.running[i]
                let header = node.header(.transaction, running.submission.id, expiryMs: running.expiryMs)
                node.enqueue(header, running.payload ?? Bytes())
                queued(node, i, header)
                effect = node.running[i].submission.step(
                    .queued(expiresAt: Instant(microseconds: header.expiresAt * 1000)))
            case .appendCancel:
                let header = node.header(.cancel, node.running[i].submission.id, expiryMs: 0)
                node.enqueue(header)
                queued(node, i, header)
                effect = node.running[i].submission.step(.queued(expiresAt: nil))
            case .purge:
                purge(node)
                return
            case .wait: return
            case .answer(let decision):
                node.running[i].handedOver = -1
                if let client = node.running[i].client { answered(client, node.running[i].call, .decided(decision)) }
                return
            case .fail(let error):
                node.running[i].handedOver = -1
                if let client = node.running[i].client { answered(client, node.running[i].call, .failed(error)) }
                return
            }
        }
    }

    private func queued(_ node: SimulatedNode, _ i: Int, _ header: RecordHeader) {
        note {
            "\(node.name) queues \(header.type) \(header.id) as \(header.writerSequence), observed \(header.observed)"
        }
        node.running[i].sequence = header.writerSequence
        node.running[i].handedOver = nil
    }

    /// Answered submissions go.
    func sweep(_ node: SimulatedNode) { node.running.removeAll { $0.handedOver == -1 } }

    /// What the own state and the blocks hold of an id.
    func lookUp(_ node: SimulatedNode, _ id: SubmissionID) throws(VarveError) -> Decision? {
        if let decision = node.machine.window[id] { return decision }
        return node.machine.window.horizon == .zero ? nil : try node.snapshot.decision(id)
    }

    private func decided(_ node: SimulatedNode, _ decision: Decision) {
        for i in node.running.indices where node.running[i].submission.id == decision.id {
            conclude(node, i, node.running[i].submission.step(.decided(decision)))
        }
    }

    private func void(_ node: SimulatedNode, _ id: SubmissionID) {
        for i in node.running.indices where node.running[i].submission.id == id && node.running[i].handedOver != -1 {
            conclude(node, i, node.running[i].submission.step(.void))
        }
        send(node)
    }

    private func passed(_ node: SimulatedNode, _ id: Bytes16, _ position: Position, _ cut: BlockNumber?) {
        for passing in node.passing where passing.id == id {
            if let client = passing.client { answered(client, passing.call, .passed(position)) }
        }
        node.passing.removeAll { $0.id == id }
    }

    /// The queue without a report, and what is in flight, are given up together.
    private func purge(_ node: SimulatedNode) {
        note { "\(node.name) purges" }
        let waiting = node.queue
        node.queue = []
        for item in waiting { report(node, item, .withdrawn) }
        if let request = node.inFlight {
            node.inFlight = nil
            let items = requests[request]!.items
            if requests[request]!.hasArrived { requests[request] = nil }
            for item in items { report(node, item, .missing) }
        }
        send(node)
    }

    /// What the log says of one record.
    func report(_ node: SimulatedNode, _ item: SimulatedNode.Pending, _ report: Submission.Report) {
        if report != .stored { note { "\(node.name) hears of \(item.type) \(item.id) as \(item.sequence): \(report)" } }
        for i in node.running.indices
        where node.running[i].submission.id == item.id && node.running[i].sequence == item.sequence
            && node.running[i].handedOver != -1
        {
            conclude(node, i, node.running[i].submission.step(.reported(report)))
        }
        if report != .stored, let i = node.passing.firstIndex(where: { $0.id == item.id }) {
            let passing = node.passing.remove(at: i)
            let error = VarveError(.logUnreachable, "a record has no report")
            if let client = passing.client { answered(client, passing.call, .failed(error)) }
        }
    }

    /// One request in flight at a time, in order.
    func send(_ node: SimulatedNode) {
        guard node.isRunning, node.inFlight == nil, !node.queue.isEmpty else { return }
        let count = min(node.queue.count, random.spread(1...plan.batchMax))
        let items = Array(node.queue[..<count])
        node.queue.removeFirst(count)
        for i in node.running.indices where items.contains(where: { $0.sequence == node.running[i].sequence }) {
            if node.running[i].handedOver == nil { node.running[i].handedOver = now }
        }
        transmit(node, items)
    }

    // MARK: Housekeeping

    func tick(_ node: SimulatedNode) {
        guard node.isRunning else { return }
        let lags = node.next < log.readable.upperBound || brokerAwayUntil > now
        let step = node.running.isEmpty ? 2_000 : 500
        for i in node.running.indices where node.running[i].deadline <= now {
            conclude(node, i, node.running[i].submission.step(.ended(nil)))
        }
        for i in node.running.indices where (node.running[i].handedOver ?? -1) >= 0 {
            conclude(
                node, i, node.running[i].submission.step(.elapsed(milliseconds: Int64(step), tailLags: lags)))
        }
        sweep(node)
        if node.inFlight != nil, node.patience.isOver(after: Int64(step), tailLags: lags) { purge(node) }
        if node.isReady,
            let block = node.idleRule.look(
                open: node.machine.open.number, records: node.machine.open.counts.records,
                transactions: node.machine.open.counts.transactions,
                flushDurationMs: node.machine.settings.flushDurationMs, now: node.clock(now))
        {
            let header = node.header(.flushRequest, random.bytes16(), expiryMs: 0)
            node.enqueue(header, FlushRequest(block: block).encoded())
        }
        send(node)
        kick(flusher: node)
        schedule(fetch: node)
        push(.tick(node: node.index, life: node.life), after: Int64(step) * 1000)
    }

    func beat(_ node: SimulatedNode) {
        guard node.isUp, var heartbeat = node.heartbeat else { return }
        push(.heartbeat(node: node.index, life: node.life), after: 10_000_000)
        let name = "nodes/\(node.name).cbor"
        heartbeat.counter += 1
        heartbeat.applied = node.machine.applied
        heartbeat.inputChain = node.machine.inputChain.value
        heartbeat.effectChain = node.machine.effectChain.value
        heartbeat.adopted = node.machine.adopted.map { .init(number: $0.number, position: $0.position) }
        node.heartbeat = heartbeat
        try? node.store.overwrite(name, heartbeat.encoded())
        var files: [(node: String, bytes: Bytes)] = []
        for other in nodes where other !== node {
            if let bytes = try? node.store.get("nodes/\(other.name).cbor") { files.append((other.name, bytes)) }
        }
        node.liveness.observe(files, now: node.clock(now))
    }
}
