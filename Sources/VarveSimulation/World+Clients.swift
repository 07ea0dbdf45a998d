/// What clients do, and what every answer to them must fulfil.

internal import VarveCore
internal import VarveIndexing
internal import VarveModel

extension World {
    /// A client's turn: goes on with its call, or thinks of a new one.
    func act(_ i: Int) {
        if clients[i].want == nil {
            guard !isHealing else { return }
            clients[i].tries = 0
            clients[i].wasUnknown = false
            clients[i].want = invent(i)
        }
        clients[i].node = clients[i].random.below(nodes.count)
        ask(i)
    }

    private func invent(_ i: Int) -> Client.Want {
        switch clients[i].random.below(100) {
        case 0..<62:
            if faults.occurs(.sameIDOtherContent), let known = clients[i].known.last {
                let (payload, digest) = clients[i].transaction(plan)
                if digest != known.digest {
                    return .transaction(known.id, payload: payload, digest: digest, isForged: true)
                }
            }
            if faults.occurs(.retryAfterHorizon), !clients[i].known.isEmpty {
                let old = clients[i].known[clients[i].random.below(clients[i].known.count)]
                return .transaction(old.id, payload: old.payload, digest: old.digest, isForged: false)
            }
            let id = clients[i].nextID()
            let (payload, digest) = clients[i].transaction(plan)
            clients[i].known.append((id, payload, digest, false))
            return .transaction(id, payload: payload, digest: digest, isForged: false)
        case 62..<67: return .burst
        case 67..<80: return .read
        case 80..<88:
            guard !clients[i].known.isEmpty else { return .read }
            return .status(clients[i].known[clients[i].random.below(clients[i].known.count)].id)
        case 88..<90: return .resolve(clients[i].nextID())
        case 90..<97: return .strictRead(floor: acknowledged)
        default:
            if faults.occurs(.settingsChange) { return .settings }
            return clients[i].random.chance(300_000) ? .flush : .read
        }
    }

    private func ask(_ i: Int) {
        clients[i].call += 1
        clients[i].tries += 1
        let (node, call) = (nodes[clients[i].node], clients[i].call)
        guard let want = clients[i].want else { return }
        if !node.isServing || node.pausedUntil > now {
            // Connection refused, or no answer.
            return push(.clientWaited(i, call: call), after: node.isServing ? 3_000_000 : 20_000)
        }
        push(.clientWaited(i, call: call), after: 30_000_000)
        switch want {
        case .transaction(let id, let payload, let digest, _):
            submit(
                node, id, .transaction(digest), payload, given: true, expiryMs: plan.expiryMs, client: i, call: call)
        case .burst:
            for _ in 0..<clients[i].random.within(1...plan.batchMax) {
                let (payload, digest) = clients[i].transaction(plan)
                submit(
                    node, clients[i].nextID(), .transaction(digest), payload, given: false, expiryMs: plan.expiryMs,
                    client: nil, call: 0)
            }
            finish(i)
        case .resolve(let id):
            submit(node, id, .cancel, nil, given: true, expiryMs: 0, client: i, call: call)
        case .status(let id): status(i, id, node)
        case .read: read(i, node)
        case .strictRead: pass(i, node, .barrier)
        case .flush: pass(i, node, .flushRequest)
        case .settings: pass(i, node, .settings)
        }
        if faults.occurs(.clientGone) {
            // Nobody listens any more; what was begun goes on.
            clients[i].call += 1
            push(.client(i), after: 5_000)
        }
    }

    private func pass(_ i: Int, _ node: SimulatedNode, _ type: RecordType) {
        if let error = refusal(node) { return answered(i, clients[i].call, .failed(error)) }
        let header = node.header(type, random.bytes16(), expiryMs: 0)
        var payload = Bytes()
        if type == .flushRequest { payload = FlushRequest(block: node.machine.open.number).encoded() }
        if type == .settings {
            var writer = CBORWriter()
            Plan.settings(&clients[i].random).encode(to: &writer)
            payload = Bytes(writer.bytes)
        }
        node.passing.append(SimulatedNode.Passing(id: header.id, client: i, call: clients[i].call))
        node.enqueue(header, payload)
        send(node)
    }

    /// The process that was asked is gone.
    func lose(_ i: Int, _ call: Int) {
        guard clients[i].call == call else { return }
        clients[i].wasUnknown = true
        clients[i].call += 1
        push(.client(i), after: Int64(clients[i].random.within(1_000...100_000)))
    }

    func waited(_ i: Int, _ call: Int) {
        guard clients[i].call == call, clients[i].want != nil else { return }
        // Time is up at the node too.
        let node = nodes[clients[i].node]
        if let at = node.running.firstIndex(where: { $0.client == i && $0.call == call && $0.handedOver != -1 }) {
            conclude(node, at, node.running[at].submission.step(.ended(nil)))
            sweep(node)
            if clients[i].call != call { return }
        }
        clients[i].wasUnknown = true
        again(i)
    }

    private func again(_ i: Int) {
        clients[i].call += 1
        push(.client(i), after: Int64(clients[i].random.within(1_000...200_000)))
    }

    private func finish(_ i: Int) {
        clients[i].call += 1
        clients[i].want = nil
        push(.client(i), after: Int64(clients[i].random.spread(100...plan.think)))
    }

    // MARK: Answers

    func answered(_ i: Int, _ call: Int, _ answer: Client.Answer) {
        guard clients[i].call == call, let want = clients[i].want else { return }
        answers += 1
        note { "client \(i) is answered by n\(clients[i].node): \(answer)" }
        let node = nodes[clients[i].node]
        switch (want, answer) {
        case (.transaction(let id, _, let digest, let isForged), .decided(let decision)):
            check(answer: decision, of: id, at: node)
            if isForged, decision.requestDigest != nil, decision.requestDigest != digest {
                fail("an id used for other content is a conflict", "\(id) was answered with \(decision.outcome)")
            }
            if let at = clients[i].known.firstIndex(where: { $0.id == id }) { clients[i].known[at].isDecided = true }
            clients[i].session = newer(clients[i].session, decision.token)
            finish(i)
        case (.resolve(let id), .decided(let decision)):
            check(answer: decision, of: id, at: node)
            finish(i)
        case (.transaction(let id, _, let digest, _), .failed(let error)) where error.code == .idConflict:
            guard wasUsed(id, forOtherThan: digest, node) else {
                return fail("a conflict is one of content", "\(id) was refused as a conflict")
            }
            finish(i)
        case (.transaction(let id, _, _, let isForged), .failed(let error)):
            if error.code == .unknownOutcome { clients[i].wasUnknown = true }
            if error.code == .unknownOutcome, clients[i].tries > 2, clients[i].random.chance(500_000) {
                clients[i].want = .resolve(id)
            } else if error.code != .unknownOutcome, !clients[i].wasUnknown, !isForged, isFresh(i, id),
                clients[i].random.chance(300_000)
            {
                // Refused for sure, and given up: it must never show.
                clients[i].refused.append(id)
                clients[i].known.removeLast()
                return finish(i)
            }
            again(i)
        case (.strictRead(let floor), .passed(let position)):
            guard let applied = node.machine.applied, applied >= position, applied >= floor || isZombie(node) else {
                return fail(
                    "a strict read shows everything acknowledged before it",
                    "\(node.name) answered at \(node.machine.applied?.description ?? "-"), acknowledged was \(floor)")
            }
            read(i, node)
        case (_, .passed(let position)):
            clients[i].session = newer(clients[i].session, Token(position: position, chainPrefix: nil))
            finish(i)
        case (.resolve, .failed): again(i)
        case (_, .failed): finish(i)
        case (_, .decided): fail("an answer fits its question", "a decision came for another call")
        }
    }

    /// Whether an id stands for other content in what a node reads: in the line of logs, or behind an end that was
    /// declared and that the node does not know yet. Such a refusal is true whatever becomes of that end: the client has
    /// used the id before, and nothing is applied.
    private func wasUsed(_ id: SubmissionID, forOtherThan digest: Bytes16, _ node: SimulatedNode) -> Bool {
        if let verdict = reference.verdicts[id] { return verdict.requestDigest.map { $0 != digest } ?? false }
        guard isZombie(node), let log = node.log, let applied = node.machine.applied else { return false }
        return log.entries.prefix(Int(applied.offset.value) + 1).contains { entry in
            guard let entry, case .record(let record) = Record.decode(entry.bytes, tag: node.machine.tag) else {
                return false
            }
            return record.header.type == .transaction && record.header.id == id
                && (try? Transaction.decode(record.payload))?.requestDigest != digest
        }
    }

    private func isFresh(_ i: Int, _ id: SubmissionID) -> Bool {
        clients[i].tries == 1 && clients[i].known.last?.id == id && clients[i].known.last?.isDecided == false
    }

    private func newer(_ a: Token?, _ b: Token) -> Token { a.map { $0.position > b.position ? $0 : b } ?? b }

    /// Any answer for an id is the one decision that the log made, and it was made.
    private func check(answer decision: Decision, of id: SubmissionID, at node: SimulatedNode) {
        guard !node.isTainted else { return }
        if isZombie(node), reference.verdicts[id].map({ !same(decision, $0) }) ?? true {
            // Answered in good faith, behind an end that was declared: it can be salvaged.
            if !node.hasReadLost { zombieAnswers[id] = node.epoch }
            return
        }
        guard let verdict = reference.verdicts[id] else {
            return fail(
                "what is acknowledged was decided", "\(id) was answered \(decision.outcome), nothing decided it")
        }
        guard same(decision, verdict) else {
            return fail(
                "all answers for one id agree",
                "\(id) was answered \(decision.outcome) at \(decision.position), decided is \(verdict.outcome) at \(verdict.position)"
            )
        }
        if let applied = node.machine.applied, applied < decision.position {
            fail("an answer comes after its record was applied", "\(id) at \(decision.position), applied is \(applied)")
        }
        acknowledged = max(acknowledged, decision.position)
        answered[id] = decision.position
    }

    // MARK: Reading

    /// What a node says of an id without asking the log.
    private func status(_ i: Int, _ id: SubmissionID, _ node: SimulatedNode) {
        defer { if failure == nil { finish(i) } }
        guard let applied = node.machine?.applied, !node.isTainted, !isZombie(node) else { return }
        let found: Decision?
        do throws(VarveError) { found = try lookUp(node, id) } catch { return readRefused(node, error) }
        let verdict = reference.verdicts[id].flatMap { $0.position <= applied ? $0 : nil }
        if let found, let verdict, same(found, verdict) { return }
        if found == nil, verdict == nil { return }
        fail(
            "a node knows every decision up to its position",
            "\(node.name) at \(applied) says \(found.map { "\($0.outcome) at \($0.position)" } ?? "nothing") of \(id), decided is "
                + (verdict.map { "\($0.outcome) at \($0.position)" } ?? "nothing"))
    }

    /// Reads own writes: behind the session's token, now and in the past.
    private func read(_ i: Int, _ node: SimulatedNode) {
        defer { if failure == nil { finish(i) } }
        guard let applied = node.machine?.applied, !node.isTainted, !isZombie(node) else { return }
        if let session = clients[i].session, session.position > applied {
            // It waits; another node may be ahead.
            return
        }
        let table = TableName(unchecked: ["a", "b", "c"][clients[i].random.below(plan.tables)])
        let key = clients[i].key(plan)
        let isPast = clients[i].random.chance(300_000)
        let position =
            isPast
            ? Position(applied.epoch, Offset(Int64(clients[i].random.below(Int(applied.offset.value) + 1)))) : applied
        guard compare(node, table, key, asOf: position, applied: applied) else { return }
        if clients[i].random.chance(50_000) { scan(node, table, from: key, asOf: position, applied: applied) }
        if answers & 3 == 0 { compareInstant(node) }
        clients[i].session = newer(clients[i].session, node.machine.token)
    }

    /// What a node shows of a table from a key on, in order.
    private func scan(
        _ node: SimulatedNode, _ table: TableName, from key: Key, asOf position: Position, applied: Position
    ) {
        var found: [Key] = []
        do throws(VarveError) {
            var cursor = try node.snapshot.scan(table, asOf: position, from: key)
            while try cursor.next(), let row = cursor.current { found.append(row.key) }
        } catch {
            return readRefused(node, error)
        }
        let expected = reference.documents.keys(table).filter {
            $0 >= key && reference.documents.document(table, $0, asOf: position, applied: applied) != nil
        }
        if found != expected.sorted() {
            fail("a table's keys come in order, each once", "\(node.name) at \(applied) as of \(position): \(table)")
        }
    }

    /// What a node shows of a document is what the log made of it.
    @discardableResult
    func compare(
        _ node: SimulatedNode, _ table: TableName, _ key: Key, asOf position: Position, applied: Position
    ) -> Bool {
        let found: (position: Position, document: Bytes?)?
        do throws(VarveError) {
            found = try node.snapshot.get(table, key, asOf: position).map { ($0.position, $0.document) }
        } catch {
            readRefused(node, error)
            return false
        }
        let expected = reference.documents.document(table, key, asOf: position, applied: applied)
        let isEqual =
            found?.position == expected?.position
            && found?.document == expected.map { SimpleDocument.encode($0.fields) }
        if !isEqual {
            fail(
                "a node shows what the log says",
                "\(node.name) at \(applied) as of \(position): \(table)/\(key.id) is "
                    + "\(found.map { "of \($0.position)" } ?? "absent"), the log says "
                    + (expected.map { "of \($0.position) \($0.fields.sorted { $0.key < $1.key })" } ?? "absent"))
        }
        return isEqual
    }

    /// A read may fail for what was done to storage, and for nothing else.
    func readRefused(_ node: SimulatedNode, _ error: VarveError) {
        switch error.code {
        case .storageUnreachable, .storageDenied, .storageFull: return
        default: refused(node, error)
        }
    }
}
