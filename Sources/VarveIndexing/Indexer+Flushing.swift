/// The flusher: writes frozen blocks, publishes them once, adopts what stands in storage; and the idle rule.

internal import Dispatch
internal import Synchronization
internal import VarveCore
internal import VarveLog
internal import VarveModel
internal import VarveTelemetry
internal import VarveStorage

extension Indexer {
    /// Waits for cuts and brings the oldest frozen block into storage, one after the other.
    func flushLoop() async {
        await withTaskCancellationHandler {
            while !Task.isCancelled && stopped == nil {
                guard
                    let (block, previous) = state.withLock({ state in
                        state.machine.frozen.first.map { ($0, state.machine.expectedPrevious) }
                    })
                else {
                    await flushSignal.wait()
                    continue
                }
                do throws(VarveError) {
                    let stored = try await onDisk { () throws(VarveError) in
                        try self.publish(block, after: previous)
                    }
                    let (manifest, digest) = (stored.manifest, stored.digest)
                    let adopted = AdoptedBlock(manifest, digest, in: store)
                    for effect in try stepAndPublish(.published(manifest, digest), adopting: adopted) {
                        switch effect {
                        case .adopted: await adoptedBlock(manifest)
                        case .stopped(let error): stop(error)
                        default: break
                        }
                    }
                    published.withLock { $0.trouble = nil }
                } catch {
                    await flushFailed(error, block)
                }
            }
        } onCancel: {
            flushSignal.close()
        }
    }

    /// Puts one block into storage, or finds it there. Runs on a thread that may block.
    private func publish(
        _ block: FrozenBlock, after previous: Digest
    ) throws(VarveError) -> BlockStore.StoredManifest {
        if let found = try store.manifest(epoch, block.number) { return found }
        var files: [TableName: [Manifest.File]] = [:]
        for table in block.draft.tables {
            let rows = block.rows(of: table.name)
            guard !rows.isEmpty else { continue }
            let encoded = try BlockFileWriter.encode(table: table.name, block: block.number, rows: rows)
            // A node that was faster has written the same bytes: the name says so.
            if try store.objects.size(of: encoded.file.name) != encoded.file.size {
                try store.publishFile(encoded)
                counters.bytesWritten.add(encoded.file.size, ordering: .relaxed)
            }
            files[table.name] = [encoded.file]
        }
        let manifest = block.manifest(previous: previous, files: files)
        switch try store.publishManifest(manifest) {
        case .created:
            counters.published.add(1, ordering: .relaxed)
            return BlockStore.StoredManifest(manifest)
        case .identical: return BlockStore.StoredManifest(manifest)
        case .different:
            guard let found = try store.manifest(epoch, block.number) else {
                throw VarveError(
                    .blockCorrupt, "the manifest of block \(block.number) cannot be read", next: "varve blocks list")
            }
            return found
        }
    }

    private func adoptedBlock(_ manifest: Manifest) async {
        counters.adopted.add(1, ordering: .relaxed)
        published.withLock { $0.adoptedAt = .now }
        logger.info(
            "block adopted",
            metadata: [
                "block": "\(manifest.number)", "position": "\(manifest.last)", "rows": "\(manifest.counts.rows)",
                "cut": "\(manifest.cut)",
            ])
        adoptions.resolve(where: { $0 <= manifest.number }, ())
        // A local log may forget what blocks hold; with storage in memory the log is all there is.
        if isDurableStore { await log.trim(below: manifest.last.offset.next) }
    }

    private func flushFailed(_ error: VarveError, _ block: FrozenBlock) async {
        switch error.code {
        case .storageFull, .storageUnreachable, .storageDenied:
            let isNew = published.withLock { published in
                defer { published.trouble = error }
                return published.trouble?.code != error.code
            }
            if isNew {
                logger.error(
                    "block \(block.number) is not written yet: \(error)", metadata: ["code": error.code.rawValue])
            }
            try? await Task.sleep(for: .seconds(1))
        default: stop(error)
        }
    }

    /// Runs blocking work on a thread of its own.
    private func onDisk<R: Sendable>(
        _ body: @escaping @Sendable () throws(VarveError) -> R
    ) async throws(VarveError) -> R {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<R, VarveError>, Never>) in
            diskQueue.async {
                do throws(VarveError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    // MARK: Keeping house

    /// Lets waits expire, and asks for a flush when the log is idle: so the last record of an idle log is a cut.
    func keepHouse() async {
        var generator = SystemRandomNumberGenerator()
        let jitter = Double.random(in: 0...1, using: &generator)
        var askedFor: BlockNumber?
        var ticks = 0
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(50))
            let now = ContinuousClock.now
            waiters.expire(at: now)
            positions.expire(at: now)
            adoptions.expire(at: now)
            ticks += 1
            guard ticks.isMultiple(of: 20), isReady, let since = published.withLock({ $0.openSince }) else { continue }
            let (open, transactions) = state.withLock {
                ($0.machine.open.number, $0.machine.open.counts.transactions)
            }
            let age = now - since
            let isDue =
                transactions > 0 && age > options.flushDuration + .seconds(30 * jitter)
                || age > options.idleFlush + options.idleFlush / 6 * jitter
            guard isDue, askedFor != open else { continue }
            askedFor = open
            do throws(VarveError) {
                _ = try await flush(until: now + .seconds(30), awaitAdoption: false)
            } catch {
                askedFor = nil
                logger.warning("an idle block was not flushed: \(error)", metadata: ["code": error.code.rawValue])
            }
        }
    }
}

private let diskQueue = DispatchQueue(label: "varve.flusher")

extension FrozenBlock {
    /// A table's versions as block rows: by key, newest first.
    func rows(of table: TableName) -> [BlockRow] {
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
