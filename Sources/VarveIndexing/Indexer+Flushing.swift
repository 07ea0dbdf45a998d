/// The flusher: carries out what `Publication` decides for the oldest frozen block; and the idle rule.

internal import CVarveHeap
internal import Dispatch
internal import Synchronization
package import VarveCore
internal import VarveLog
package import VarveModel
package import VarveStorage
internal import VarveTelemetry

extension Indexer {
    /// Waits for cuts and brings the oldest frozen block into storage, one after the other.
    func flushLoop() async {
        await withTaskCancellationHandler {
            while !Task.isCancelled && !isOver {
                let oldest = state.withLock { state in
                    state.machine.frozen.first.map { ($0, state.machine.expectedPrevious) }
                }
                if let (block, previous) = oldest, !Succession.isAwaited(by: block, known: epochRecords.map(\.record)) {
                    await publish(block, after: previous)
                } else {
                    await flushSignal.wait()
                }
            }
        } onCancel: {
            flushSignal.close()
        }
    }

    private static let lastFlushLimit = Duration.seconds(30)

    /// Waits until every frozen block is in storage, for a while.
    func flushWhatIsFrozen() async {
        let deadline = ContinuousClock.now + Self.lastFlushLimit
        while state.withLock({ !$0.machine.frozen.isEmpty }), !isOver, ContinuousClock.now < deadline {
            guard (try? await Task.sleep(for: .milliseconds(5))) != nil else { return }
        }
    }

    /// Steps a publication until the block is adopted or the node goes no further.
    private func publish(_ block: FrozenBlock, after previous: Digest) async {
        readBack.withLock { $0 = [:] }
        var publication = Publication(block, previous: previous, as: presence.claim)
        var effects = publication.step(.begin(others: presence.candidates), now: now)
        while !effects.isEmpty {
            var input: Publication.Input?
            for effect in effects {
                if Task.isCancelled || isOver { return }
                switch effect {
                case .trouble(let error): noteTrouble(error, block)
                case .wait(let until):
                    try? await Task.sleep(for: .milliseconds(max(0, until - now)))
                    input = .woke
                case .adopt(let manifest, let digest, let isOurs):
                    if isOurs { counters.published.add(1, ordering: .relaxed) }
                    await adopt(manifest, digest, block)
                case .superseded: stop(supersededError)
                case .stop(let error): stop(error, over: block, published: nil)
                default: input = await onDisk(effect, block)
                }
            }
            counters.note(publication.counters)
            guard let input else { break }
            effects = publication.step(input, now: now)
        }
        counters.end(publication.counters)
        if publication.holdsClaim {
            // Nobody needs them once the manifest is there; left behind, they cost an entry of a directory.
            _ = try? await onDisk(flushQueue) { () throws(VarveError) in
                try self.store.removeClaims(block.epoch, block.number)
            }
        }
        // Letting go of a whole block takes a while: on a thread that nobody waits for, after everyone else let go of it.
        flushQueue.asyncAfter(deadline: .now() + .milliseconds(100)) { withExtendedLifetime(block) {} }
    }

    /// Carries out what has to wait for storage.
    private func onDisk(_ effect: Publication.Effect, _ block: FrozenBlock) async -> Publication.Input {
        do throws(VarveError) {
            return try await onDisk(flushQueue) { () throws(VarveError) in try self.perform(effect, block) }
        } catch {
            return .failed(error)
        }
    }

    private func perform(_ effect: Publication.Effect, _ block: FrozenBlock) throws(VarveError) -> Publication.Input {
        switch effect {
        case .look:
            guard let found = try store.manifest(block.epoch, block.number) else { return .noManifest }
            // Whoever put it may not have come to making its name durable, and this node's log may be cut on its word.
            try store.objects.persist(BlockStore.manifestName(block.epoch, block.number))
            return .manifest(found.manifest, found.digest)
        case .claim(let attempt):
            let name = BlockStore.claimName(block.epoch, block.number, attempt)
            switch try store.objects.putIfAbsent(name, presence.claim.encoded()) {
            case .created, .identical: return .claimed
            case .different: return try standing(block, attempt)
            }
        case .watch(let attempt): return try standing(block, attempt)
        case .write(let table):
            guard let encoded = try encode(table, of: block) else { return .file(nil) }
            let isThere = try store.holds(encoded)
            if !isThere { try store.publishFile(encoded) }
            // Read back either way, and the same.
            let checksum = encoded.bytes.withUnsafeBytes { crc32c($0) }
            readBack.withLock { $0[encoded.file.name] = checksum }
            if !isThere {
                counters.bytesWritten.add(encoded.file.size, ordering: .relaxed)
                logger.debug(
                    "block file written", metadata: ["block": "\(block.number)", "bytes": "\(encoded.file.size)"])
            }
            return .file(encoded.file)
        case .compare(let table): return .file(try encode(table, of: block)?.file)
        case .checkEpoch: return try isLeftOut(block) ? .epochEnded : .epochStands
        case .checkEnd: return try succession(of: block).endsNode ? .epochEnded : .epochStands
        case .put(let manifest):
            if try store.publishManifest(manifest) == .created { return .created(Digest(of: manifest.encoded())) }
            guard let found = try store.manifest(block.epoch, block.number) else { return .noManifest }
            return .manifest(found.manifest, found.digest)
        case .wait, .adopt, .trouble, .superseded, .stop:
            throw VarveError(.internal, "\(effect) does not wait for storage")
        }
    }

    private func standing(_ block: FrozenBlock, _ attempt: Int) throws(VarveError) -> Publication.Input {
        guard let newest = try store.newestClaim(block.epoch, block.number) else {
            return .standing(attempt: attempt, nil, progress: 0)
        }
        guard let owner = try? Claim.decode(newest.bytes) else {
            return .standing(attempt: newest.attempt, nil, progress: 0)
        }
        return .standing(attempt: newest.attempt, owner, progress: try store.objects.progress(of: owner.node))
    }

    private func encode(_ table: TableName, of block: FrozenBlock) throws(VarveError) -> EncodedBlockFile? {
        try leavingTrail(encoding: block.number) { () throws(VarveError) in
            let rows = block.rows(of: table)
            return rows.isEmpty ? nil : try BlockFileWriter.encode(table: table, block: block.number, rows: rows)
        }
    }

    /// Hands the published manifest to the machine, which compares; equal → the files take the frozen block's place.
    private func adopt(_ manifest: Manifest, _ digest: Digest, _ block: FrozenBlock) async {
        let adopted = AdoptedBlock(manifest, digest, in: store)
        do throws(VarveError) {
            // Read and checked before the copy in memory goes, and the log may: what storage holds must be whole.
            if block.agrees(with: manifest, previous: manifest.previous) {
                let known = readBack.withLock { $0 }
                try await onDisk(flushQueue) { () throws(VarveError) in try adopted.check(but: known) }
            }
        } catch {
            noteTrouble(error, block)
            try? await Task.sleep(for: .seconds(2))
            return
        }
        do throws(VarveError) {
            for effect in try stepAndPublish(.published(manifest, digest), adopting: adopted) {
                switch effect {
                case .adopted: await adoptedBlock(manifest)
                case .stopped(let error): stop(error, over: block, published: manifest)
                default: break
                }
            }
            published.withLock { $0.trouble = nil }
        } catch {
            stop(error)
        }
    }

    private func adoptedBlock(_ manifest: Manifest) async {
        if caution.withLock({ $0.encoded(manifest.number) }) { options.breadcrumb?.suspectBlock(nil) }
        counters.adopted.add(1, ordering: .relaxed)
        published.withLock { $0.adoptedAt = .now }
        logger.info(
            "block adopted",
            metadata: [
                "block": "\(manifest.number)", "position": "\(manifest.last)", "rows": "\(manifest.counts.rows)",
                "cut": "\(manifest.cut)",
            ])
        adoptions.resolve(where: { $0 <= manifest.number }, ())
        // The block's copy in memory has just gone. Without this, what it leaves free in many places stays resident, and
        // more so from block to block.
        flushQueue.async { varve_heap_give_back() }
        // A local log may forget what blocks hold, but the last record of the newest one: by it the next start proves that
        // this is the storage's log. With storage in memory the log is all there is.
        let (log, epoch) = present.withLock { ($0.log, $0.epoch) }
        if isDurableStore, manifest.last.epoch == epoch { await log.trim(below: manifest.last.offset) }
    }

    private func noteTrouble(_ error: VarveError, _ block: FrozenBlock) {
        let isNew = published.withLock { published in
            defer { published.trouble = error }
            return published.trouble?.code != error.code
        }
        guard isNew else { return }
        logger.error("block \(block.number) is not in storage yet: \(error)", metadata: ["code": error.code.rawValue])
    }

    /// Stops; over a divergence only after what proves it is kept.
    private func stop(_ error: VarveError, over block: FrozenBlock, published: Manifest?) {
        guard error.code == .divergence else { return stop(error) }
        let standing = published ?? (try? store.manifest(block.epoch, block.number))?.manifest
        var error = error
        let place = options.keepEvidence(
            DivergenceEvidence(
                node: presence.node, error: error, own: block.draft, published: standing, token: snapshot.token))
        if let place { error.message += ". Evidence is kept in \(place). See docs/runbooks/divergence.md" }
        stop(error)
    }

    // MARK: Keeping house

    /// Lets waits expire.
    func keepHouse() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(50))
            let instant = ContinuousClock.now
            waiters.expire(at: instant)
            positions.expire(at: instant)
            adoptions.expire(at: instant)
        }
    }

    /// Asks for a flush when the log is idle: so the last record of an idle log is a cut.
    func askWhenIdle() async {
        var generator = SystemRandomNumberGenerator()
        var rule = IdleRule(
            retentionMs: options.logRetentionMs, share: Double.random(in: 0...1, using: &generator))
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            guard isReady else { continue }
            let (open, counts, flushMs) = state.withLock {
                ($0.machine.open.number, $0.machine.open.counts, $0.machine.settings.flushDurationMs)
            }
            let asked = rule.look(
                open: open, records: counts.records, transactions: counts.transactions, flushDurationMs: flushMs,
                now: now)
            guard asked != nil else { continue }
            do throws(VarveError) {
                _ = try await flush(until: .now + .milliseconds(IdleRule.answerMs), awaitAdoption: false)
            } catch {
                rule.refused()
                logger.warning("an idle block was not flushed: \(error)", metadata: ["code": error.code.rawValue])
            }
        }
    }
}

extension FrozenBlock {
    /// The epoch of its last record.
    var epoch: Epoch { draft.last.epoch }

    /// A table's versions as block rows: by key, newest first.
    package func rows(of table: TableName) -> [BlockRow] {
        var rows: [BlockRow] = []
        if table == .transactions {
            decisions.forEach { position, decision in
                rows.append(
                    BlockRow(
                        key: decision.key, position: position, systemFrom: decision.systemTime, systemTo: nil,
                        document: decision.document))
            }
            rows.sort { $0.key < $1.key }
            return rows
        }
        live[table]?.entries.forEach { key, entry in
            var next: Instant?
            var version = entry.newest
            while let row = version {
                rows.append(
                    BlockRow(
                        key: key, position: row.position, systemFrom: row.systemFrom, systemTo: next,
                        document: row.document))
                next = row.systemFrom
                version = row.older
            }
        }
        return rows
    }
}
