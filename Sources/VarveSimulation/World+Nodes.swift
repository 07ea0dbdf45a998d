/// What nodes do: read and apply, carry submissions.

internal import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveStorage

extension World {
    // MARK: Reading

    func schedule(fetch node: SimulatedNode, after delay: Int64? = nil) {
        guard node.isRunning, node.isOpen, !node.fetchScheduled else { return }
        node.fetchScheduled = true
        let usual = Int64(random.within(30...(node.slowUntil > now ? 200_000 : 1_500)))
        push(.fetch(node: node.index, life: node.life), after: delay ?? usual)
    }

    func fetch(_ node: SimulatedNode) {
        node.fetchScheduled = false
        guard node.isRunning, node.isOpen, node.standing == nil, node.watch?.isReading != true, let log = node.log
        else { return }
        if brokerAwayUntil > now || node.fetchStoppedUntil > now {
            return schedule(fetch: node, after: max(brokerAwayUntil, node.fetchStoppedUntil) - now + 1000)
        }
        // Consuming waits while more is frozen than memory allows.
        if node.frozenBytes > plan.frozenBytesMax { return schedule(fetch: node, after: 50_000) }
        if log.isSilent { return schedule(fetch: node, after: 1_000_000) }
        if log.isDeleted { return stop(node, VarveError(.logMissing, "\(log.place.topic) is gone")) }
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
            // Nothing comes behind a hole at the end until somebody writes.
            if node.next >= node.readyAt { markReady(node) }
            return schedule(fetch: node)
        }
        let held = records
        if faults.occurs(.damagedFetch) { records = damage(records) }
        if faults.occurs(.differingRead) { records = differ(records, node) }
        if poison.isOn {
            guard let kept = cautious(node, records) else { return }
            if kept.count < records.count { offset = kept[kept.count - 1].offset.value + 1 }
            records = kept
        }
        if node.watch != nil { return prove(node, records, held: held, upTo: offset) }
        apply(node, records, upTo: offset)
    }

    func apply(_ node: SimulatedNode, _ records: [NodeMachine.LoggedRecord], upTo offset: Int64) {
        let (before, epoch) = (node.machine.applied, node.epoch)
        let effects: [NodeMachine.Effect]
        do throws(VarveError) {
            effects = try node.machine.step(.records(epoch, records), reading: node.blocks)
        } catch {
            if poison.isOn { leaveNoTrail(node) }
            return readFailed(node, error, before)
        }
        if poison.isOn { leaveNoTrail(node) }
        node.lastRecordAt = now
        if node.machine.applied != before, let applied = node.machine.applied { node.next = applied.offset.value + 1 }
        check(node, effects, of: records)
        guard failure == nil else { return }
        let last = records.last.map { Position(epoch, $0.offset) }
        if node.watch == nil { return finish(node, effects, last: last, upTo: offset) }
        judge(node) { [unowned self] in finish(node, effects, last: last, upTo: offset) }
    }

    /// What was applied is told to whoever waits for it.
    private func finish(
        _ node: SimulatedNode, _ effects: [NodeMachine.Effect], last: Position?, upTo offset: Int64
    ) {
        guard failure == nil else { return }
        if handle(node, effects) {
            // What does not decode is read again, three times.
            node.damagedReads += 1
            if node.damagedReads > 3 {
                return stop(node, VarveError(.logCorrupt, "the record at \(node.next) is damaged"))
            }
        } else if node.isRunning {
            node.damagedReads = 0
            if let last, node.machine.ending == nil, node.machine.applied ?? .zero < last {
                // The next record needs a block that cannot be read: it throws when it is the first.
                return schedule(fetch: node)
            }
            node.next = max(node.next, offset)
        }
        guard node.isRunning else { return }
        if node.next >= node.readyAt { markReady(node) }
        if let log = node.log, node.next < log.readable.upperBound { schedule(fetch: node) }
    }

    /// A throw leaves the machine before the record that needed the block.
    private func readFailed(_ node: SimulatedNode, _ error: VarveError, _ before: Position?) {
        if let applied = node.machine.applied, applied != before { node.next = applied.offset.value + 1 }
        guard error.code == .storageUnreachable else {
            // Of a damaged block production waits for the file to be restored, which nobody does here.
            return stop(node, error)
        }
        schedule(fetch: node, after: 1_000_000)
    }

    /// Carries effects out in order; returns whether a record was damaged.
    @discardableResult
    func handle(_ node: SimulatedNode, _ effects: [NodeMachine.Effect]) -> Bool {
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
            case .cut, .adopted, .foreign: break
            case .ended(let ending): cross(node, ending)
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
                client: client, call: call, deadline: now + 30_000_000,
                seen: node.header(.barrier, id, expiryMs: 0)))
        let i = node.running.count - 1
        conclude(node, i, node.running[i].submission.step(.begin))
        sweep(node)
        send(node)
    }

    /// Why a node takes nothing now.
    func refusal(_ node: SimulatedNode) -> VarveError? {
        if let error = node.stopped { return error }
        if let position = node.standing { return VarveError(.poison, "the record at \(position) ends the process") }
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
                node.running[i].seen = node.header(.barrier, id, expiryMs: 0)
                do throws(VarveError) {
                    effect = node.running[i].submission.step(.lookedUp(try lookUp(node, id)))
                } catch {
                    effect = .fail(error)
                }
            case .append:
                let running = node.running[i]
                let header = node.header(
                    .transaction, running.submission.id, expiryMs: running.expiryMs, seen: running.seen)
                queued(node, i, header, node.enqueue(header, running.payload ?? Bytes()))
                effect = node.running[i].submission.step(
                    .queued(expiresAt: Instant(microseconds: header.expiresAt * 1000)))
            case .appendCancel:
                let header = node.header(
                    .cancel, node.running[i].submission.id, expiryMs: 0, seen: node.running[i].seen)
                queued(node, i, header, node.enqueue(header))
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

    private func queued(_ node: SimulatedNode, _ i: Int, _ header: RecordHeader, _ tag: UInt64) {
        note { "\(node.name) queues \(header.type) \(header.id) as \(tag), observed \(header.observed)" }
        node.running[i].tag = tag
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

    func passed(_ node: SimulatedNode, _ id: Bytes16, _ position: Position, _ cut: BlockNumber?) {
        for passing in node.passing where passing.id == id {
            if let client = passing.client { answered(client, passing.call, .passed(position)) }
            passing.isOver?()
        }
        node.passing.removeAll { $0.id == id }
    }

    /// The queue without a report, and what is in flight, are given up together.
    private func purge(_ node: SimulatedNode) {
        note { "\(node.name) purges" }
        let waiting = node.queue
        node.queue = []
        for item in waiting {
            // What nobody waits for goes again as it is.
            if isAwaited(item, node) { report(node, item, .withdrawn) } else { node.queue.append(item) }
        }
        purgeInFlight(node)
        send(node)
    }

    func purgeInFlight(_ node: SimulatedNode) {
        guard let request = node.inFlight else { return }
        node.inFlight = nil
        let items = requests[request]!.items
        if requests[request]!.hasArrived { requests[request] = nil }
        for item in items { report(node, item.pending, .missing) }
    }

    private func isAwaited(_ item: SimulatedNode.Pending, _ node: SimulatedNode) -> Bool {
        node.running.contains { $0.tag == item.tag } || node.passing.contains { $0.id == item.header.id }
    }

    /// What the log says of one record.
    func report(_ node: SimulatedNode, _ item: SimulatedNode.Pending, _ report: Submission.Report) {
        let (id, type) = (item.header.id, item.header.type)
        if report != .stored { note { "\(node.name) hears of \(type) \(id) as \(item.tag): \(report)" } }
        var isCarried = false
        for i in node.running.indices
        where node.running[i].submission.id == id && node.running[i].tag == item.tag
            && node.running[i].handedOver != -1
        {
            isCarried = true
            conclude(node, i, node.running[i].submission.step(.reported(report)))
            // From here on only a record decides.
            if report == .missing, type == .transaction, node.running[i].handedOver != -1,
                !node.queue.contains(where: { $0.header.type == .cancel && $0.header.id == id })
            {
                fail("a record that may come is cancelled", "\(node.name) waits for \(id)")
            }
        }
        guard report != .stored else { return }
        if let i = node.passing.firstIndex(where: { $0.id == id }) {
            let passing = node.passing.remove(at: i)
            let error = VarveError(.logUnreachable, "a record has no report")
            if let client = passing.client { answered(client, passing.call, .failed(error)) }
            passing.isOver?()
        } else if !isCarried, type == .transaction || type == .cancel {
            // A submission that nobody waits for is carried on by the node.
            var submission = Submission(unawaited: id, isCancel: type == .cancel)
            if case .appendCancel = submission.step(.reported(report)) {
                node.enqueue(Submission.cancel(of: item.header))
            }
        }
    }

    /// One request in flight at a time, in order.
    func send(_ node: SimulatedNode) {
        guard node.isRunning, node.isOpen, node.standing == nil, node.inFlight == nil, !node.queue.isEmpty else {
            return
        }
        let count = min(node.queue.count, random.spread(1...plan.batchMax))
        let items = Array(node.queue[..<count])
        node.queue.removeFirst(count)
        for i in node.running.indices where items.contains(where: { $0.tag == node.running[i].tag }) {
            if node.running[i].handedOver == nil { node.running[i].handedOver = now }
        }
        transmit(node, items)
    }

    // MARK: Housekeeping

    func tick(_ node: SimulatedNode) {
        guard node.isRunning else { return }
        let lags = node.next < node.log?.readable.upperBound ?? 0 || brokerAwayUntil > now
        let step = node.running.isEmpty ? 2_000 : 500
        // After a pause nothing is known of the epoch.
        if now - node.lastTick > 5_000_000 { checkEpoch(node) }
        node.lastTick = now
        guard node.isRunning else { return }
        for i in node.running.indices where node.running[i].deadline <= now {
            conclude(node, i, node.running[i].submission.step(.ended(nil)))
        }
        for i in node.running.indices where (node.running[i].handedOver ?? -1) >= 0 {
            conclude(
                node, i, node.running[i].submission.step(.elapsed(milliseconds: Int64(step), tailLags: lags)))
        }
        sweep(node)
        if node.isOpen, node.inFlight != nil, node.patience.isOver(after: Int64(step), tailLags: lags) { purge(node) }
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
        if isWatching { watchLog(node) }
        if node.standing != nil { lookBeyond(node) }
        guard node.isRunning else { return }
        schedule(fetch: node)
        push(.tick(node: node.index, life: node.life), after: Int64(step) * 1000)
    }

    func beat(_ node: SimulatedNode) {
        guard node.isServing, node.heartbeat != nil else { return }
        push(.heartbeat(node: node.index, life: node.life), after: plan.lookEvery)
        node.beats += 1
        if node.beats & 1 == 1 {
            checkEpoch(node)
            if isWatching { lookOnward(node) }
            guard node.isServing else { return }
            if poison.isOn { checkQuarantine(node) }
            write(heartbeat: node)
        }
        lookAndAnswer(node)
    }

    func lookAndAnswer(_ node: SimulatedNode) {
        // Storage that cannot be read says nothing: what was seen last stands.
        try? look(node)
        answerProposals(node)
    }

    func write(heartbeat node: SimulatedNode) {
        guard var heartbeat = node.heartbeat else { return }
        heartbeat.counter += 1
        heartbeat.epoch = node.epoch
        heartbeat.applied = node.machine.applied
        heartbeat.record = node.machine.appliedRecord
        heartbeat.inputChain = node.machine.inputChain.value
        heartbeat.effectChain = node.machine.effectChain.value
        heartbeat.trouble = node.standing == nil ? nil : ErrorCode.poison.rawValue
        heartbeat.adopted = node.machine.adopted.map { .init(number: $0.number, position: $0.position) }
        node.heartbeat = heartbeat
        try? node.store.overwrite("nodes/\(node.name).cbor", heartbeat.encoded())
    }

    /// A node's file was written: from then on others know of its process.
    func seen(_ name: String) {
        guard name.hasPrefix("nodes/"), let node = nodes.first(where: { name == "nodes/\($0.name).cbor" }) else {
            return
        }
        node.seenAt = node.seenAt ?? now
    }

    func look(_ node: SimulatedNode) throws(VarveError) {
        var files: [(node: String, bytes: Bytes)] = []
        for other in nodes where other !== node {
            if let bytes = try node.store.get("nodes/\(other.name).cbor") { files.append((other.name, bytes)) }
        }
        node.liveness.observe(files, now: node.clock(now))
    }
}
