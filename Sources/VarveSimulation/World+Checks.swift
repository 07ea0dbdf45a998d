/// What must hold at every step.

internal import VarveCore
internal import VarveIndexing
internal import VarveModel
internal import VarveStorage

extension World {
    /// Each effect of a batch is the one that the oracle expects of its record, and so is the state behind it.
    func check(_ node: SimulatedNode, _ effects: [NodeMachine.Effect], of records: [NodeMachine.LoggedRecord]) {
        guard !node.isTainted, !isZombie(node) else { return checkZombie(node) }
        var rest = effects[...]
        let applied = node.machine.applied
        for record in records {
            let position = Position(node.epoch, record.offset)
            guard let applied, position <= applied, let after = reference.after(position) else { continue }
            let isAsExpected: Bool
            switch (after.meaning, after.meaning == .skipped ? nil : rest.popFirst()) {
            case (.skipped, nil): isAsExpected = true
            case (.decided(let verdict), .decided(let decision)?): isAsExpected = same(decision, verdict)
            case (.void(let expected), .void(let id)?): isAsExpected = expected == id
            case (.foreign, .foreign(let found, _)?): isAsExpected = found == position
            case (.passed, .passed(_, let found, let cut)?):
                let closed = after.block.flatMap { $0.cut == .request || after.seal != nil ? $0.number : nil }
                isAsExpected = found == position && cut == closed
            default: isAsExpected = false
            }
            if !isAsExpected, node.strays.contains(position) {
                note { "\(node.name) executes what was quarantined while nobody could see it" }
                isOver = true
                return
            }
            guard isAsExpected else {
                return fail(
                    "every record does what the log says",
                    "at \(position) \(node.name) expected \(after.meaning) among \(effects.count) effects")
            }
            if let block = after.block {
                // A declared end that was not known yet cuts later.
                if block.cut == .seal, after.seal == nil, node.machine.ending == nil { continue }
                guard case .cut(let frozen)? = rest.popFirst(), frozen.draft == block else {
                    return fail(
                        "every node cuts the same block",
                        "\(node.name) at \(position) did not cut \(block.number) as \(block.cut)")
                }
            }
            if case .ended(let ending)? = rest.first {
                rest.removeFirst()
                guard checkEnding(ending, at: position, after) else {
                    return fail("all nodes end an epoch alike", "\(node.name) at \(position)")
                }
            }
        }
        for effect in rest {
            switch effect {
            case .damaged, .stopped: break
            default:
                return fail(
                    "every record does what the log says", "\(node.name) at \(applied ?? .zero) has an effect too many")
            }
        }
        checkState(node)
    }

    private func checkEnding(_ ending: EpochEnding, at position: Position, _ after: Reference.After) -> Bool {
        let number = Int(position.epoch.number) + 1
        let end = number < reference.beginnings.count ? reference.beginnings[number] : reference.ending?.end
        return ending.seal == after.seal && ending.end == end
    }

    /// It reads what was given up: not for long.
    private func checkZombie(_ node: SimulatedNode) {
        if node.hasReadLost { return fail("nothing is applied of a log that is not storage's", node.name) }
        guard !node.isTainted, weather.lastBad + 15_000_000 < now else { return }
        if now - max(declaredAt, node.resumesAt) > 12_000_000 {
            fail("a node of an epoch that was given up stops", "\(node.name) still applies in epoch \(node.epoch)")
        }
    }

    /// Chains, times and horizon are those of the log at the applied position; blocks and positions are in order.
    private func checkState(_ node: SimulatedNode) {
        let machine = node.machine!
        guard let applied = machine.applied, !node.isTainted, !isZombie(node) else { return }
        guard let after = reference.after(applied) else {
            // Before the first record of an epoch whose parent kept nothing, there is none.
            if reference.beginnings[Int(node.epoch.number)]?.inputChain == machine.inputChain.value { return }
            return fail("a node applies what is in the log", "\(node.name) applied \(applied), a hole")
        }
        guard machine.inputChain.value == after.inputChain else {
            return fail("the chains of inputs agree", "\(node.name) at \(applied)")
        }
        guard machine.effectChain.value == after.effectChain else {
            return fail("the chains of effects agree", "\(node.name) at \(applied)")
        }
        guard machine.effectiveTime == after.effectiveTime, machine.systemTime.microseconds == after.systemTime else {
            return fail("times follow from the log", "\(node.name) at \(applied)")
        }
        guard machine.window.horizon == after.horizon else {
            return fail(
                "every node forgets the same ids",
                "\(node.name) at \(applied): \(machine.window.horizon), not \(after.horizon)")
        }
        if let adopted = machine.adopted, adopted.position > applied {
            fail("adopted ≤ applied", "\(node.name): \(adopted.position) > \(applied)")
        }
        if let log = node.log, !log.isExchanged, applied.epoch == log.epoch, applied.offset.value >= log.end {
            return fail("applied < end", "\(node.name): \(applied), the log ends at \(log.end)")
        }
        var number = machine.adopted.map { $0.number.value + 1 } ?? 0
        for block in machine.frozen {
            guard block.number.value == number else {
                return fail("frozen blocks are consecutive", "\(node.name): \(block.number) where \(number) belongs")
            }
            number += 1
        }
        if machine.open.number.value != number {
            fail("the open block follows the frozen ones", "\(node.name): \(machine.open.number), not \(number)")
        }
        // What was open, and one batch, may come on top of the bound.
        let largest = machine.frozen.map(\.draft.counts.bytes).max() ?? 0
        if node.frozenBytes > plan.frozenBytesMax + largest + UInt64(plan.fetchMax) * 2_000 {
            fail("frozen blocks are bounded", "\(node.name) holds \(node.frozenBytes) bytes")
        }
    }

    /// A node has entered an epoch: the one that storage records, in the log that it names, behind its parent's end.
    func checkEntered(_ node: SimulatedNode, _ record: EpochRecord) {
        guard !node.isTainted, !isZombie(node) else { return }
        guard record.parentEnd?.inputChain == node.machine.inputChain.value,
            node.log?.place.isSamePlace(as: record.log) == true
        else { return fail("an epoch begins where the one before it ended", "\(node.name) in epoch \(record.epoch)") }
        let stored = directory.objects[BlockStore.epochName(record.epoch)]
        if stored?.bytes != record.encoded() || directory.unsettled.contains(BlockStore.epochName(record.epoch)) {
            fail("no epoch is entered before its record is durable", "\(node.name) is in epoch \(record.epoch)")
        }
        checkState(node)
    }

    func same(_ decision: Decision, _ verdict: Reference.Verdict) -> Bool {
        decision.id == verdict.id && decision.position == verdict.position && decision.outcome == verdict.outcome
            && decision.requestDigest == verdict.requestDigest && decision.failure?.code == verdict.code
            && decision.failure?.operation == verdict.operation
            && decision.systemTime.microseconds == verdict.systemTime
            && decision.effectiveTime == verdict.effectiveTime
            && decision.chainPrefix == reference.after(verdict.position)?.inputChain.first.high
    }

    // MARK: Storage

    /// A manifest is about to be put: it says what the log says, and any other one of that block is the same.
    func published(_ manifest: Manifest, by node: SimulatedNode) {
        guard !node.isTainted, !node.hasReadLost else { return }
        let number = Int(manifest.number.value)
        // Behind a declared end everything is off the chain.
        if isZombie(node), let end = reference.beginnings[Int(node.epoch.number) + 1],
            end.block.map({ manifest.number > $0 }) ?? true
        {
            return
        }
        guard number < reference.blocks.count, stripped(manifest) == reference.blocks[number] else {
            return fail("a manifest is a function of the log", "\(node.name) publishes another block \(number)")
        }
        let digest = Digest(of: manifest.encoded())
        if let other = publishedDigests.updateValue(digest, forKey: manifest.number.value), other != digest {
            fail("all nodes make the same bytes", "block \(number), by \(node.name)")
        }
    }

    func stripped(_ manifest: Manifest) -> Manifest {
        var stripped = manifest
        stripped.previous = .zero
        for i in stripped.tables.indices { stripped.tables[i].files = [] }
        return stripped
    }

    /// Other bytes stood under a name that is published once.
    func differingPut(_ name: String, by node: String) {
        guard !nodes.contains(where: { $0.isTainted }), !excused.contains(ErrorCode.divergence.rawValue),
            !excused.contains(ErrorCode.blockCorrupt.rawValue), name != BlockStore.formatName,
            !name.hasPrefix("epochs/")
        else { return }
        fail("one content for each name", "\(node) had other bytes for \(name)")
    }

    func checkAdopted(_ node: SimulatedNode, _ manifest: Manifest, _ digest: Digest) {
        // Once a disk that lies about syncs has lost one that a node with false reads made, its like is made anew.
        if let changed = directory.changedManifest,
            !excused.isSuperset(of: [ErrorCode.divergence.rawValue, ErrorCode.chainBroken.rawValue])
        {
            fail("a manifest never changes", changed)
        }
        guard !node.isTainted, !isZombie(node) else { return }
        let name = BlockStore.manifestName(manifest.last.epoch, manifest.number)
        guard directory.objects[name] != nil else {
            return fail("what is adopted is in storage", "\(name) is not there")
        }
        if directory.unsettled.contains(name) {
            return fail(
                "what is adopted is durable", "\(name) may be lost at a power loss, \(node.name) has adopted it")
        }
        for table in manifest.tables {
            for file in table.files {
                guard directory.objects[file.name]?.count == Int(file.size) || !excused.isEmpty else {
                    return fail("a manifest names files that are there", "\(file.name) is not")
                }
                if directory.unsettled.contains(file.name) {
                    return fail("what is adopted is durable", "\(file.name) may be lost at a power loss")
                }
            }
        }
        adoptedBlocks = max(adoptedBlocks, manifest.number.value + 1)
        checkState(node)
    }

    /// A node has loaded its state from storage: it is the log's, at that position.
    func checkLoaded(_ node: SimulatedNode) {
        guard !node.isTainted || !excused.contains(ErrorCode.divergence.rawValue) else { return }
        if let newest = node.blocks.blocks.last?.manifest {
            let number = Int(newest.number.value)
            guard number < reference.blocks.count, stripped(newest) == reference.blocks[number] else {
                return fail("storage holds what the log says", "block \(number) is another")
            }
        }
        checkState(node)
    }

    /// The log that a node starts with holds what any node said it had applied of it: one that does not has lost what was
    /// acknowledged, though it fits every block, and only an operator may state that.
    func checkHeld(_ node: SimulatedNode) {
        guard node.isInNewestEpoch, let log = node.log, !isZombie(node) else { return }
        // A client of a network file system may be shown an older state of a directory: no name led it to the others.
        for other in nodes where node.process.shownNodes.contains("nodes/\(other.name).cbor") {
            guard let bytes = directory.objects["nodes/\(other.name).cbor"]?.bytes,
                let applied = (try? Heartbeat.decode(bytes))?.applied, applied.epoch == node.epoch,
                applied.offset.value >= log.end
            else { continue }
            return fail(
                "a log that has lost its end is refused",
                "\(node.name) starts with one that ends at \(log.end), \(other.name) had applied \(applied)")
        }
    }

    /// Storage opens in whatever state a power loss now would leave it, and holds every block that any node has adopted.
    func checkReopening() {
        guard excused.isEmpty, !line.isEmpty, directory.objects["epochs/e0000.cbor"] != nil,
            !directory.unsettled.contains(where: { $0.hasPrefix("epochs/") || $0 == BlockStore.formatName })
        else { return }
        let copy = directory.copyAfterPowerLoss { random.chance(500_000) }
        let store = BlockStore(NodeStore(copy, "check", nil))
        do throws(VarveError) {
            let epochs = try store.epochRecords()
            let loading = try DatabaseLoading(store, epochs, database: reference.database)
            guard UInt64(loading.history.count) >= adoptedBlocks else {
                return fail("no adopted block is lost", "\(loading.history.count) blocks are left of \(adoptedBlocks)")
            }
            let state = try loading.load(settings: plan.settings, genesis: nil)
            if let newest = loading.newest,
                newest.inputChain != reference.blocks[Int(newest.number.value)].inputChain
                    || state.machine.applied == newest.last && state.machine.inputChain.value != newest.inputChain
            {
                fail("storage holds what the log says", "after a power loss")
            }
        } catch {
            fail("storage can always be opened", "after a power loss: \(error.code) \(error.message)")
        }
    }

    // MARK: Refusals

    /// A wrong refusal is as bad as a wrong answer: a node stops, or does not start, only for what was done to it.
    func refused(_ node: SimulatedNode, _ error: VarveError) {
        let isDoublyLost = directory.hasLostBlocks && hasLostLogs
        switch error.code {
        // It missed what the log no longer holds, or storage could not be read: a start mends that.
        case .storageUnreachable, .storageFull, .storageDenied: return
        case .logGap where logs.contains { $0.start > 0 }: return
        // It could not be asked before its epoch moved to a cluster that it does not know.
        case .logMissing where !node.knowsOtherCluster && wasNotThereToBeAsked(node):
            node.knowsOtherCluster = true
            return
        // It was away when the epoch behind its own was given up, the log of which is gone.
        case .logMissing where node.machine != nil && endsDeclared.contains(where: { $0 == node.epoch.next }): return
        // Another log stands in the place of the newest one, which is lost.
        case .logReplaced where isNewestMadeAnew: return
        // Its epoch's log went once blocks held all of it.
        case .logMissing where lostOldLog(node), .logReplaced where lostOldLog(node), .logBehind where lostOldLog(node):
            return
        // It was away when its epoch was given up.
        case .epochStale where isZombie(node) || node.isTainted: return
        // The same, of an epoch whose log was lost: what excused that ended with the epoch.
        case .logDiverged where isZombie(node), .logReplaced where isZombie(node), .logBehind where isZombie(node):
            return
        // A disk that lied has lost a block that was durable, and the log of its ended epoch is lost as well.
        case .logMissing where isDoublyLost, .logReplaced where isDoublyLost, .logDiverged where isDoublyLost,
            .logBehind where isDoublyLost:
            return
        case .ioFatal where faults.injected[Int(Fault.syncFails.rawValue)] > 0: return
        default: break
        }
        if excused.contains(error.code.rawValue) { return }
        fail("a node stops only for a reason", "\(node.name): \(error.code) \(error.message)")
    }

    /// A migration asks those whose heartbeats it sees: when one to the log that goes on looked for the last time who lives, no
    /// heartbeat of this process had been stored yet.
    private func wasNotThereToBeAsked(_ node: SimulatedNode) -> Bool {
        guard let next = node.epoch.next,
            let record = try? BlockStore(NodeStore(directory, "check", nil)).epochRecord(next)?.record,
            let genesis = record.log.genesis, let looks = looks[genesis]
        else { return false }
        return looks.values.contains { $0 < node.seenAt ?? .max }
    }

    /// The newest log that storage records was deleted, and whoever was about to begin that very epoch, and had not heard that
    /// it was recorded, made the place anew: a genesis stands there that nobody recorded.
    private var isNewestMadeAnew: Bool {
        guard let recorded = (try? BlockStore(NodeStore(directory, "check", nil)).epochRecords())?.last?.record.log,
            let standing = log(at: recorded)
        else { return false }
        let lost = logs.contains { $0.isDeleted && $0.place.isSamePlace(as: recorded) && begins($0, as: recorded) }
        return lost && !begins(standing, as: recorded)
    }

    private func begins(_ log: SimulatedLog, as recorded: LogReference) -> Bool {
        let offset = Int(recorded.genesisOffset?.value ?? 0)
        guard offset < log.entries.count, let entry = log.entries[offset],
            case .record(let record) = Record.decode(entry.bytes, tag: nil)
        else { return false }
        return record.header.id == recorded.genesis
    }
}
