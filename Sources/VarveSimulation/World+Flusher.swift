/// The flusher: carries out what `Publication` asks for, one call to storage at a time.

internal import VarveCore
internal import VarveIndexing
internal import VarveModel
internal import VarveStorage

extension World {
    /// Begins with the oldest frozen block, if there is one and none is under way.
    func kick(flusher node: SimulatedNode) {
        guard node.isRunning, node.publication == nil, let block = node.machine.frozen.first else { return }
        var publication = Publication(
            block, previous: node.machine.expectedPrevious,
            as: Claim(node: node.name, processStart: node.heartbeat?.processStart ?? 0))
        let effects = publication.step(.begin(others: node.liveness.candidates), now: node.clock(now))
        node.publication = publication
        take(node, effects)
    }

    private func take(_ node: SimulatedNode, _ effects: [Publication.Effect]) {
        for effect in effects {
            switch effect {
            case .trouble(let error): node.trouble = error
            case .adopt(let manifest, let digest, let isOurs):
                node.publication = nil
                node.trouble = nil
                adopt(node, manifest, digest, isOurs: isOurs)
                return
            case .superseded:
                node.publication = nil
                return stop(node, VarveError(.epochStale, "the epoch has ended"))
            case .stop(let error):
                node.publication = nil
                return stop(node, error)
            case .wait(let until):
                node.todo = effect
                let pause = max(1, until - node.clock(now)) * 1000
                push(.flush(node: node.index, life: node.life), after: pause)
            default:
                node.todo = effect
                let isSlow = weather.slowUntil > now
                push(
                    .flush(node: node.index, life: node.life),
                    after: Int64(random.spread(100...(isSlow ? 2_000_000 : 3_000))))
            }
        }
    }

    /// Either an effect's time has come, or its outcome is here.
    func flush(_ node: SimulatedNode) {
        guard node.isRunning, node.publication != nil else { return }
        if faults.occurs(.crashWhilePublishing) { return crash(node, restartAfter: restartDelay()) }
        if let outcome = node.outcome {
            node.outcome = nil
            node.store.settle()
            take(node, node.publication!.step(outcome, now: node.clock(now)))
            if node.isRunning { kick(flusher: node) }
            return
        }
        guard let effect = node.todo else { return }
        node.todo = nil
        let outcome: Publication.Input
        do throws(VarveError) {
            outcome = try carryOut(node, effect)
        } catch {
            outcome = .failed(error)
        }
        node.outcome = outcome
        if case .woke = outcome { return flush(node) }
        push(.flush(node: node.index, life: node.life), after: Int64(random.spread(50...2_000)))
    }

    private func carryOut(
        _ node: SimulatedNode, _ effect: Publication.Effect
    ) throws(VarveError) -> Publication.Input {
        let store = BlockStore(node.store)
        let block = node.publication!.block
        switch effect {
        case .wait: return .woke
        case .look:
            guard let found = try store.manifest(.first, block.number) else { return .noManifest }
            return .manifest(found.manifest, found.digest)
        case .claim(let attempt):
            switch try node.store.putIfAbsent(claimName(block, attempt), node.publication!.claim.encoded()) {
            case .created: return .claimed
            case .identical: return try standing(node, block, from: attempt)
            case .different: return try standing(node, block, from: attempt)
            }
        case .watch(let attempt): return try standing(node, block, from: attempt)
        case .write(let table):
            guard let encoded = try encode(block, table) else { return .file(nil) }
            // One that stands there already is made durable by this, and is not written again.
            try store.publishFile(encoded)
            return .file(encoded.file)
        case .compare(let table): return .file(try encode(block, table)?.file)
        case .checkEpoch: return try store.epochRecord(Epoch(1)!) == nil ? .epochStands : .epochEnded
        case .put(let manifest):
            published(manifest, by: node)
            switch try store.publishManifest(manifest) {
            case .created, .identical: return .created(Digest(of: manifest.encoded()))
            case .different:
                guard let found = try store.manifest(.first, block.number) else { return .noManifest }
                return .manifest(found.manifest, found.digest)
            }
        case .adopt, .trouble, .superseded, .stop: return .woke
        }
    }

    private func encode(_ block: FrozenBlock, _ table: TableName) throws(VarveError) -> EncodedBlockFile? {
        let rows = block.rows(of: table)
        return rows.isEmpty ? nil : try BlockFileWriter.encode(table: table, block: block.number, rows: rows)
    }

    private func claimName(_ block: FrozenBlock, _ attempt: Int) -> String {
        "claims/e0000/\(block.number.value)/\(attempt)"
    }

    private func standing(
        _ node: SimulatedNode, _ block: FrozenBlock, from attempt: Int
    ) throws(VarveError) -> Publication.Input {
        var newest = attempt
        while try node.store.get(claimName(block, newest + 1)) != nil { newest += 1 }
        let claim = try node.store.get(claimName(block, newest)).flatMap { try? Claim.decode($0) }
        var progress: UInt64 = 0
        if let claim { progress = try node.store.progress(of: claim.node) }
        return .standing(attempt: newest, claim, progress: progress)
    }

    private func adopt(_ node: SimulatedNode, _ manifest: Manifest, _ digest: Digest, isOurs: Bool) {
        let store = BlockStore(node.store)
        do throws(VarveError) {
            // Durable by our own doing, before anything is forgotten that it stands for.
            if !isOurs { _ = try store.publishManifest(manifest) }
            node.store.settle()
            let effects = try node.machine.step(.published(manifest, digest), reading: node.blocks)
            for effect in effects {
                switch effect {
                case .adopted:
                    node.blocks.append(AdoptedBlock(manifest, digest, in: store))
                    note { "\(node.name) adopts block \(manifest.number)\(isOurs ? ", its own" : "")" }
                    checkAdopted(node, manifest, digest)
                    if log.isLocal { log.trim(below: manifest.last.offset.value + 1) }
                case .stopped(let error): stop(node, error)
                default: break
                }
            }
        } catch {
            switch error.code {
            case .storageUnreachable, .storageFull, .storageDenied:
                // Tried again at the next tick.
                node.trouble = error
            default: stop(node, error)
            }
        }
    }
}
