/// Records that end the process that applies them: on every node (`poisonRecord`), or on one that cannot what others can
/// (`poisonHere`); what nodes make of that, and the operator's `varve quarantine`.
///
/// A node's breadcrumb, its caution and what it does before a poison record are the production code's, or, where that is a
/// loop (`Indexer+Poison`), the same steps. In such a seed nobody ends epochs without their logs.

internal import VarveCore
internal import VarveIndexing
internal import VarveModel
internal import VarveRecovery
internal import VarveStorage

struct PoisonState {
    var isOn = false
    /// Submissions whose execution ends any process.
    var ids: Set<SubmissionID> = []
    /// Where one of them was to be executed.
    var places: Set<Position> = []
    /// Places that storage has taken out of what is executed.
    var quarantined: Set<Position> = []
    /// Since when commands are under way, and when an operator tries again.
    var commands: [Int64] = []
    var nextTry: Int64 = 0

    static let idsMax = 3
}

extension World {
    /// A record is on its way into the log.
    func spoil(_ header: RecordHeader, _ target: SimulatedLog) {
        // What was decided before by a record that harmed nobody is no poison when it is sent again.
        guard target === log, header.type == .transaction, poison.ids.count < PoisonState.idsMax,
            reference.verdicts[header.id] == nil, faults.occurs(.poisonRecord)
        else { return }
        note { "\(header.id) ends whoever executes it" }
        poison.ids.insert(header.id)
    }

    /// Whether applying the record there ends the node's process.
    private func traps(_ node: SimulatedNode, _ position: Position) -> Bool {
        if node.machine.quarantined == position { return false }
        if let curse = node.curse, curse.position == position, curse.traps > 0 {
            node.curse!.traps -= 1
            return true
        }
        if poison.places.contains(position) { return true }
        guard !poison.ids.isEmpty, let after = reference.after(position), case .decided(let verdict) = after.meaning,
            verdict.position == position, poison.ids.contains(verdict.id),
            verdict.outcome == .committed || verdict.outcome == .aborted
        else { return false }
        poison.places.insert(position)
        return true
    }

    // MARK: What a node does

    /// What the process before has left.
    func takeCaution(_ node: SimulatedNode) {
        node.caution = node.breadcrumb.caution(
            behind: node.machine.applied, adopted: node.machine.adopted?.number)
        node.breadcrumb = Breadcrumb(suspect: node.caution.suspect)
    }

    /// Those of the records that are applied now; nil when the node stands before the first, or has died.
    func cautious(_ node: SimulatedNode, _ records: [NodeMachine.LoggedRecord]) -> [NodeMachine.LoggedRecord]? {
        func position(_ record: NodeMachine.LoggedRecord) -> Position { Position(node.epoch, record.offset) }
        if let poison = node.caution.poison, position(records[0]) == poison {
            stand(node, before: poison)
            return nil
        }
        let chunk = records.prefix(node.caution.together(records.count) { position(records[$0]) })
        if nodes.count > 1, node.curse == nil, faults.occurs(.poisonHere) {
            let place = position(chunk[faults.below(.poisonHere, chunk.count)])
            node.curse = (place, 1 + faults.below(.poisonHere, 4))
            note { "\(node.name) cannot apply \(place)" }
        }
        node.breadcrumb.applying = position(chunk[0])...position(chunk[chunk.count - 1])
        if let place = chunk.map(position).first(where: { traps(node, $0) }) {
            note { "\(node.name) ends over the record at \(place)" }
            // Once with others, twice alone: then it is known.
            let before = node.trapped.flatMap { $0.life + 2 == node.life && $0.position == place ? $0.count : nil } ?? 0
            node.trapped = (place, before + 1, node.life)
            if before == 3 { fail("a record that ends a process is found out", "\(node.name) at \(place)") }
            crash(node, restartAfter: Int64(faults.within(.poisonRecord, 1_000...2_000_000)))
            return nil
        }
        return Array(chunk)
    }

    /// The records were applied, or the machine said why not: the process lives.
    func leaveNoTrail(_ node: SimulatedNode) {
        node.breadcrumb.applying = nil
        guard let applied = node.machine.applied, node.caution.isNeeded, node.caution.passed(applied) else {
            return
        }
        node.breadcrumb.suspect = nil
    }

    /// Reads go on; nothing is appended, what is frozen is still published.
    private func stand(_ node: SimulatedNode, before position: Position) {
        guard node.standing == nil else { return }
        note { "\(node.name) stands before \(position)" }
        node.standing = position
        node.isReady = false
        let error = VarveError(.poison, "the record at \(position) ends the process")
        for i in node.running.indices { conclude(node, i, node.running[i].submission.step(.ended(error))) }
        sweep(node)
        for passing in node.passing {
            if let client = passing.client { answered(client, passing.call, .failed(error)) }
            passing.isOver?()
        }
        node.passing = []
        write(heartbeat: node)
    }

    /// Whether storage says what becomes of the record; if not, somebody is called.
    func lookBeyond(_ node: SimulatedNode) {
        guard let position = node.standing, node.isRunning else { return }
        // An operator need not know that blocks are on their way.
        guard node.machine.frozen.isEmpty else { return callOperator(node, position) }
        let open = node.machine.open.number
        guard let manifest = standing(node, open)?.manifest else { return callOperator(node, position) }
        guard manifest.cut == .quarantine, manifest.last == position else {
            note { "\(node.name) goes on behind block \(open)" }
            return crash(node, restartAfter: 1_000)
        }
        follow(node, manifest)
        guard node.isRunning else { return }
        _ = node.caution.passed(position)
        node.breadcrumb.suspect = nil
        node.standing = nil
        if node.next >= node.readyAt { markReady(node) }
        schedule(fetch: node)
    }

    /// A node that is behind the others finds the quarantine before it comes to the record.
    func checkQuarantine(_ node: SimulatedNode) {
        guard node.isRunning, node.standing == nil, node.machine.ending == nil,
            let manifest = standing(node, node.machine.open.number)?.manifest, manifest.cut == .quarantine
        else { return }
        follow(node, manifest)
    }

    private func standing(_ node: SimulatedNode, _ open: BlockNumber) -> BlockStore.StoredManifest? {
        guard let found = try? BlockStore(node.store).manifest(node.epoch, open),
            (try? node.store.persist(BlockStore.manifestName(node.epoch, open))) != nil
        else { return nil }
        return found
    }

    private func follow(_ node: SimulatedNode, _ manifest: Manifest) {
        note { "\(node.name) learns that \(manifest.last) is quarantined" }
        do throws(VarveError) {
            handle(
                node,
                try node.machine.step(.quarantine(manifest.number, manifest.last), reading: node.blocks))
        } catch {
            stop(node, error)
        }
    }

    // MARK: What an operator does

    private func callOperator(_ node: SimulatedNode, _ position: Position) {
        guard poison.commands.count < 2, poison.nextTry <= now else { return }
        let patience = Int64(faults.within(.poisonRecord, 1_000_000...40_000_000))
        // The last operator of all is at hand.
        poison.nextTry = now + (isHealing ? min(patience, 2_000_000) : patience)
        let sound = nodes.first {
            $0.isRunning && $0.isReady && $0.isOpen && $0.pausedUntil <= now && $0.machine.applied ?? .zero >= position
        }
        if let sound, sound.epoch == position.epoch {
            note { "\(sound.name) is asked for a block: it has applied \(position)" }
            sound.enqueue(
                sound.header(.flushRequest, random.bytes16(), expiryMs: 0),
                FlushRequest(block: sound.machine.open.number).encoded())
            send(sound)
            // Not every operator stops there.
            if faults.below(.poisonRecord, 2) == 0 { return }
        }
        // Told that a node beyond stands itself, an operator goes for the record that it names.
        let last = nodes.filter { $0.isRunning }.compactMap(\.standing).max() ?? position
        quarantine(faults.below(.poisonRecord, 2) == 0 ? position : last)
    }

    /// `varve quarantine`, confirmed.
    private func quarantine(_ position: Position) {
        let began = now
        poison.commands.append(began)
        let process = Process("quarantine")
        if faults.occurs(.quarantineDies) { process.callsLeft = faults.below(.quarantineDies, 60) }
        process.die = { [unowned self] in
            note { "the quarantine's command dies" }
            endCommand(began)
            end(process)
        }
        note { "an operator quarantines \(position)" }
        let store = BlockStore(NodeStore(directory, "operator", self, process))
        let places = places(of: process)
        // What a node has applied that is gone is given up, or not.
        let acceptsLoss = !isHealing && faults.below(.poisonRecord, 2) == 0
        launch(process) { () async throws(VarveError) -> Manifest? in
            let quarantine = Quarantine(try ColdDatabase(store, places))
            let finding = try await quarantine.look(at: position)
            return finding.beyond.isEmpty || acceptsLoss ? try await quarantine.publish(finding) : nil
        } done: { [unowned self] result in
            endCommand(began)
            switch result {
            case .success(let manifest):
                note {
                    manifest.map { "block \($0.number) ends with \($0.last)" } ?? "a node that is gone had applied it"
                }
            case .failure(let error):
                note { "nothing is quarantined: \(error.code) \(error.message)" }
                if error.code == .badRequest, isRecorded(position) { tryAgain(position) }
                switch error.code {
                case .badRequest, .planStale, .storageUnreachable, .storageFull, .storageDenied, .ioFatal,
                    .logUnreachable, .unknownOutcome:
                    break
                // A block was published meanwhile, and what it covers has expired.
                case .logGap where logs.contains { $0.start > 0 }: break
                default:
                    guard !excused.contains(error.code.rawValue) else { break }
                    fail("a quarantine is refused only for a reason", "\(error.code) \(error.message)")
                }
            }
        }
    }

    /// Whether storage says where the record's epoch was sealed.
    private func isRecorded(_ position: Position) -> Bool {
        let store = BlockStore(NodeStore(directory, "check", nil))
        guard let next = position.epoch.next, let found = try? store.epochRecord(next) else { return false }
        return found.record.began == .sealed
    }

    /// What cannot be quarantined any more, since somebody has applied it and passed on, is tried again, as the runbook says.
    private func tryAgain(_ position: Position) {
        for node in nodes where node.standing == position {
            note { "an operator lets \(node.name) try \(position) again" }
            crash(node, restartAfter: 1_000)
            node.breadcrumb = Breadcrumb(encoding: node.breadcrumb.encoding, suspectBlock: node.breadcrumb.suspectBlock)
        }
    }

    private func endCommand(_ began: Int64) {
        if let i = poison.commands.firstIndex(of: began) { poison.commands.remove(at: i) }
    }

    // MARK: What must hold

    /// A manifest has come to be.
    func checkQuarantined(_ name: String, _ bytes: Bytes) {
        guard name.hasPrefix("blocks/"), let manifest = try? Manifest.decode(bytes), manifest.cut == .quarantine else {
            return
        }
        let position = manifest.last
        if !poison.quarantined.contains(position) {
            guard isGivenUp(position) else { return }
            poison.quarantined.insert(position)
            replay()
        }
        let number = Int(manifest.number.value)
        guard number < reference.blocks.count, stripped(manifest) == reference.blocks[number] else {
            return fail("a quarantine is a function of the log", "block \(number) is another")
        }
        let digest = Digest(of: bytes)
        if let other = publishedDigests.updateValue(digest, forKey: manifest.number.value), other != digest {
            fail("all nodes make the same bytes", "block \(number), a quarantine")
        }
    }

    /// Nobody who lives, and could say so, has applied what is quarantined, and nobody was told that it was.
    private func isGivenUp(_ position: Position) -> Bool {
        for node in nodes where node.isUp {
            // A heartbeat that is younger than the time for which a silent node is watched was seen to change, or is newer than
            // the finding: the command has to heed it. A process of which nothing was heard for so long stands still, or
            // storage takes nothing from it, and no command can know of it; it finds the quarantine out when it looks.
            let heard = directory.writtenAt["nodes/\(node.name).cbor"] ?? .min / 2
            guard now - heard < Liveness.watchMs * 1000 else {
                node.strays.insert(position)
                if node.isRunning, node.machine.applied ?? .zero >= position { isOver = true }
                continue
            }
            guard node.isRunning, node.machine.applied ?? .zero >= position else { continue }
            fail("what a living node has applied is not quarantined", "\(position), \(node.name) is beyond")
            return false
        }
        if acknowledged >= position {
            // One that is gone, and had not come to say so.
            if poison.places.contains(position) {
                fail("what ends every process was acknowledged by none", "\(position), acknowledged is \(acknowledged)")
            }
            isOver = true
        }
        return !isOver
    }
}
