/// What must hold at every step.

internal import VarveCore
internal import VarveIndexing
internal import VarveModel
internal import VarveStorage

extension World {
    /// Each effect of a batch is the one that the oracle expects of its record, and so is the state behind it.
    func check(_ node: SimulatedNode, _ effects: [NodeMachine.Effect], from before: Position?) {
        guard !node.isTainted else { return }
        var rest = effects[...]
        var offset = (before?.offset.value ?? -1) + 1
        let last = node.machine.applied?.offset.value ?? -1
        while offset <= last {
            defer { offset += 1 }
            guard offset < reference.after.count, let after = reference.after[Int(offset)] else { continue }
            let isAsExpected: Bool
            switch (after.meaning, after.meaning == .skipped ? nil : rest.popFirst()) {
            case (.skipped, nil): isAsExpected = true
            case (.decided(let verdict), .decided(let decision)?): isAsExpected = same(decision, verdict)
            case (.void(let expected), .void(let id)?): isAsExpected = expected == id
            case (.foreign, .foreign(let position, _)?): isAsExpected = position.offset.value == offset
            case (.passed, .passed(_, let position, let cut)?):
                isAsExpected =
                    position.offset.value == offset
                    && cut == (after.block?.cut == .request ? after.block?.number : nil)
            default: isAsExpected = false
            }
            guard isAsExpected else {
                return fail(
                    "every record does what the log says",
                    "at \(offset) \(node.name) expected \(after.meaning) among \(effects.count) effects")
            }
            if let block = after.block {
                guard case .cut(let frozen)? = rest.popFirst(), frozen.draft == block else {
                    return fail(
                        "every node cuts the same block",
                        "\(node.name) at \(offset) did not cut \(block.number) as \(block.cut)")
                }
            }
        }
        for effect in rest {
            switch effect {
            case .damaged, .stopped: break
            default:
                return fail("every record does what the log says", "\(node.name) at \(last) has an effect too many")
            }
        }
        checkState(node)
    }

    /// Chains, times and horizon are those of the log at the applied position; blocks and positions are in order.
    private func checkState(_ node: SimulatedNode) {
        let machine = node.machine!
        guard let applied = machine.applied, !node.isTainted else { return }
        guard let after = reference.after[Int(applied.offset.value)] else {
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
        guard applied.offset.value < log.end else {
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

    func same(_ decision: Decision, _ verdict: Reference.Verdict) -> Bool {
        decision.id == verdict.id && decision.position == verdict.position && decision.outcome == verdict.outcome
            && decision.requestDigest == verdict.requestDigest && decision.failure?.code == verdict.code
            && decision.failure?.operation == verdict.operation
            && decision.systemTime.microseconds == verdict.systemTime
            && decision.effectiveTime == verdict.effectiveTime
            && decision.chainPrefix == reference.after[Int(verdict.position.offset.value)]?.inputChain.first.high
    }

    // MARK: Storage

    /// A manifest is about to be put: it says what the log says, and any other one of that block is the same.
    func published(_ manifest: Manifest, by node: SimulatedNode) {
        guard !node.isTainted else { return }
        let number = Int(manifest.number.value)
        guard number < reference.blocks.count, stripped(manifest) == reference.blocks[number] else {
            return fail("a manifest is a function of the log", "\(node.name) publishes another block \(number)")
        }
        let digest = Digest(of: manifest.encoded())
        if let other = publishedDigests.updateValue(digest, forKey: manifest.number.value), other != digest {
            fail("all nodes make the same bytes", "block \(number), by \(node.name)")
        }
    }

    private func stripped(_ manifest: Manifest) -> Manifest {
        var stripped = manifest
        stripped.previous = .zero
        for i in stripped.tables.indices { stripped.tables[i].files = [] }
        return stripped
    }

    /// Other bytes stood under a name that is published once.
    func differingPut(_ name: String, by node: String) {
        guard !nodes.contains(where: { $0.isTainted }), !excused.contains(ErrorCode.divergence.rawValue),
            !excused.contains(ErrorCode.blockCorrupt.rawValue)
        else { return }
        fail("one content for each name", "\(node) had other bytes for \(name)")
    }

    func checkAdopted(_ node: SimulatedNode, _ manifest: Manifest, _ digest: Digest) {
        if directory.changedManifest != nil { fail("a manifest never changes", directory.changedManifest!) }
        guard !node.isTainted else { return }
        let name = BlockStore.manifestName(.first, manifest.number)
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
    func checkLoaded(_ node: SimulatedNode, _ newest: BlockStore.StoredManifest) {
        guard !node.isTainted || !excused.contains(ErrorCode.divergence.rawValue) else { return }
        let number = Int(newest.manifest.number.value)
        guard number < reference.blocks.count, stripped(newest.manifest) == reference.blocks[number] else {
            return fail("storage holds what the log says", "block \(number) is another")
        }
        checkState(node)
    }

    /// Storage opens in whatever state a power loss now would leave it, and holds every block that any node has adopted.
    func checkReopening() {
        guard excused.isEmpty else { return }
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
                state.machine.inputChain.value != reference.blocks[Int(newest.number.value)].inputChain
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
        switch error.code {
        // It missed what the log no longer holds, or storage could not be read: a start mends that.
        case .storageUnreachable, .storageFull, .storageDenied: return
        case .logGap where log.start > 0: return
        case .ioFatal where faults.injected[Int(Fault.syncFails.rawValue)] > 0: return
        default: break
        }
        if excused.contains(error.code.rawValue) { return }
        fail("a node stops only for a reason", "\(node.name): \(error.code) \(error.message)")
    }
}
