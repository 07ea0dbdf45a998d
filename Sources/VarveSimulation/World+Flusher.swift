/// The flusher: carries out what `Publication` asks for, one call to storage at a time.

internal import VarveCore
internal import VarveIndexing
internal import VarveModel
internal import VarveStorage

extension World {
    /// Begins with the oldest frozen block, if there is one and none is under way.
    func kick(flusher node: SimulatedNode) {
        guard node.isRunning, node.publication == nil, let block = node.machine.frozen.first,
            !Succession.isAwaited(by: block, known: node.epochs.map(\.record))
        else { return }
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
                let publication = node.publication!
                node.publication = nil
                node.trouble = nil
                adopt(node, manifest, digest, publication.block, isOurs: isOurs)
                if publication.holdsClaim {
                    try? BlockStore(node.store).removeClaims(manifest.last.epoch, manifest.number)
                }
                return
            case .superseded:
                node.publication = nil
                return stop(node, VarveError(.epochStale, "the epoch has ended"))
            case .stop(let error):
                node.publication = nil
                if [.storageUnreachable, .storageFull, .storageDenied].contains(error.code) {
                    fail("storage that is away stops nobody", "\(node.name) would stop with \(error.code)")
                }
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
        let epoch = block.draft.last.epoch
        node.store.defersSettling = true
        defer { node.store.defersSettling = false }
        switch effect {
        case .wait: return .woke
        case .look:
            guard let found = try store.manifest(epoch, block.number) else { return .noManifest }
            // Whoever put it may not have come to making its name durable.
            try node.store.persist(BlockStore.manifestName(epoch, block.number))
            return .manifest(found.manifest, found.digest)
        case .claim(let attempt):
            let name = BlockStore.claimName(epoch, block.number, attempt)
            switch try node.store.putIfAbsent(name, node.publication!.claim.encoded()) {
            case .created, .identical: return .claimed
            case .different: return try standing(node, block, attempt)
            }
        case .watch(let attempt): return try standing(node, block, attempt)
        case .write(let table):
            guard let encoded = try encode(block, table) else { return .file(nil) }
            if try !store.holds(encoded) {
                try store.publishFile(encoded)
                fileBytesPut += Int(encoded.file.size)
            }
            return .file(encoded.file)
        case .compare(let table): return .file(try encode(block, table)?.file)
        case .checkEpoch:
            let next = try epoch.next.flatMap { (next) throws(VarveError) in try store.epochRecord(next)?.record }
            return succession(node, next, of: epoch).leavesOut(block.draft) ? .epochEnded : .epochStands
        case .checkEnd:
            let next = try epoch.next.flatMap { (next) throws(VarveError) in try store.epochRecord(next)?.record }
            return succession(node, next, of: epoch).endsNode ? .epochEnded : .epochStands
        case .put(let manifest):
            published(manifest, by: node)
            if try store.publishManifest(manifest) == .created { return .created(Digest(of: manifest.encoded())) }
            guard let found = try store.manifest(epoch, block.number) else { return .noManifest }
            return .manifest(found.manifest, found.digest)
        case .adopt, .trouble, .superseded, .stop: return .woke
        }
    }

    private func encode(_ block: FrozenBlock, _ table: TableName) throws(VarveError) -> EncodedBlockFile? {
        let rows = block.rows(of: table)
        return rows.isEmpty ? nil : try BlockFileWriter.encode(table: table, block: block.number, rows: rows)
    }

    private func standing(
        _ node: SimulatedNode, _ block: FrozenBlock, _ attempt: Int
    ) throws(VarveError) -> Publication.Input {
        let epoch = block.draft.last.epoch
        guard let newest = try BlockStore(node.store).newestClaim(epoch, block.number) else {
            return .standing(attempt: attempt, nil, progress: 0)
        }
        guard let owner = try? Claim.decode(newest.bytes) else {
            return .standing(attempt: newest.attempt, nil, progress: 0)
        }
        return .standing(attempt: newest.attempt, owner, progress: try node.store.progress(of: owner.node))
    }

    private func adopt(
        _ node: SimulatedNode, _ manifest: Manifest, _ digest: Digest, _ block: FrozenBlock, isOurs: Bool
    ) {
        let store = BlockStore(node.store)
        let adopted = AdoptedBlock(manifest, digest, in: store)
        do throws(VarveError) {
            // Read and checked before the copy in memory goes, and the log may.
            if block.agrees(with: manifest, previous: manifest.previous) {
                try adopted.check()
            }
        } catch {
            // Tried again at the next tick.
            node.trouble = error
            return
        }
        do throws(VarveError) {
            let effects = try node.machine.step(.published(manifest, digest), reading: node.blocks)
            for effect in effects {
                switch effect {
                case .adopted:
                    if block.draft.inputChain != manifest.inputChain || block.draft.effectChain != manifest.effectChain
                    {
                        fail("no other block is adopted", "\(node.name) adopts \(manifest.number), its own is another")
                    }
                    node.blocks.append(adopted)
                    note { "\(node.name) adopts block \(manifest.number)\(isOurs ? ", its own" : "")" }
                    checkAdopted(node, manifest, digest)
                    // All but the last record of the newest block, which proves at the next start whose log this is.
                    if let log = node.log, log.isLocal, manifest.last.epoch == log.epoch {
                        log.trim(below: manifest.last.offset.value)
                    }
                case .stopped(let error): stop(node, error)
                default: break
                }
            }
        } catch {
            stop(node, error)
        }
    }
}
