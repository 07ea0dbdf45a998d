/// Records that end the process: found by what earlier processes left, stood before, and passed once storage says how.
///
/// A node that stands before a poison record (`POISON`) reads, and brings into storage what was cut before; it appends
/// nothing. It goes on by itself when the open block appears in storage: a quarantine is followed here, an ordinary block,
/// made by a node that could apply the record, by opening the database again.

internal import Synchronization
package import VarveCore
internal import VarveLog
package import VarveModel
internal import VarveStorage
internal import VarveTelemetry

/// Keeps a `Breadcrumb` where the next process finds it. One writer of each: the loop that applies, and the flusher.
package protocol BreadcrumbKeeper: Sendable {
    /// What the process before left.
    var found: Breadcrumb { get }
    func begin(_ first: Position, _ last: Position)
    func end()
    func suspect(_ suspect: Breadcrumb.Suspect?)
    func beginEncoding(_ block: BlockNumber)
    func endEncoding()
    func suspectBlock(_ suspect: Breadcrumb.SuspectBlock?)
}

extension Indexer {
    /// What earlier processes of this node say of the records ahead. Called once, before anything is applied.
    func takeCaution() {
        guard let keeper = options.breadcrumb else { return }
        let (applied, adopted) = state.withLock { ($0.machine.applied, $0.machine.adopted?.number) }
        let found = keeper.found.caution(behind: applied, adopted: adopted)
        keeper.suspect(found.suspect)
        keeper.suspectBlock(found.suspectBlock)
        caution.withLock { $0 = found }
        guard let through = found.through else { return }
        logger.warning(
            "the process before ended while it applied records up to \(through): they are applied one at a time",
            metadata: found.suspect.map { ["suspect": "\($0.position)", "times": "\($0.crashes)"] } ?? [:])
    }

    /// How many of the entries from `from` on are applied together.
    func chunkEnd(_ entries: [LogEntry], _ from: Int, _ epoch: Epoch) -> Int {
        let end = Self.chunkEnd(entries, from)
        let caution = caution.withLock { $0 }
        guard caution.isNeeded else { return end }
        return from + caution.together(end - from) { Position(epoch, entries[from + $0].offset) }
    }

    /// Around the application of records: what it is told here, the next process finds.
    func leavingTrail<R>(
        _ entries: ArraySlice<LogEntry>, _ epoch: Epoch, _ apply: () throws(VarveError) -> R
    ) throws(VarveError) -> R {
        guard let keeper = options.breadcrumb, let first = entries.first, let last = entries.last else {
            return try apply()
        }
        keeper.begin(Position(epoch, first.offset), Position(epoch, last.offset))
        defer { keeper.end() }
        if let seam = options.beforeApplying {
            let skipped = state.withLock { $0.machine.quarantined }
            for entry in entries where Position(epoch, entry.offset) != skipped { seam(entry) }
        }
        let result = try apply()
        let cleared = caution.withLock { caution in
            caution.isNeeded && caution.passed(Position(epoch, last.offset))
        }
        if cleared { keeper.suspect(nil) }
        return result
    }

    /// Around the encoding of one of a block's tables. Throws `POISON` for a block that ended too many processes.
    func leavingTrail<R>(
        encoding block: BlockNumber, _ encode: () throws(VarveError) -> R
    ) throws(VarveError) -> R {
        guard let keeper = options.breadcrumb else { return try encode() }
        guard caution.withLock({ $0.unencodable }) != block else {
            throw VarveError(
                .poison,
                "block \(block) ended this node's process \(Breadcrumb.blockCrashesMax) times while it was encoded: it is left "
                    + "to other nodes. Everything up to its end is applied and stays readable. See docs/runbooks/poison.md",
                next: "install a newer version of varve on this node, or another node")
        }
        keeper.beginEncoding(block)
        defer { keeper.endEncoding() }
        return try encode()
    }

    /// Whether the entry is the one that must not be applied again.
    func isPoison(_ entry: LogEntry, _ epoch: Epoch) -> Bool {
        caution.withLock { $0.poison } == Position(epoch, entry.offset)
    }

    /// Stands before the poison record until storage says what becomes of it. False when it is not to be read here any more.
    func stand(before entry: LogEntry, _ epoch: Epoch) async throws(VarveError) -> Bool {
        let position = Position(epoch, entry.offset)
        standStill(Self.poison(entry, position, tag))
        // Whoever is to quarantine the record asks for a node that says so.
        _ = try? await announce()
        while !Task.isCancelled, stopped?.code == .poison {
            try? await Task.sleep(for: .milliseconds(500))
            let (open, isFrozen) = state.withLock { ($0.machine.open.number, !$0.machine.frozen.isEmpty) }
            guard !isFrozen, !Task.isCancelled else { continue }
            let standing = try? await onDisk(flushQueue) { () throws(VarveError) in
                guard let found = try self.store.manifest(epoch, open) else { return BlockStore.StoredManifest?.none }
                try self.store.objects.persist(BlockStore.manifestName(epoch, open))
                return found
            }
            guard let manifest = standing?.manifest else { continue }
            guard manifest.cut == .quarantine, manifest.last == position else {
                logger.warning(
                    "block \(open) in storage holds the record at \(position): other nodes could apply it, so what is wrong "
                        + "is with this one. It goes on behind that block")
                again.withLock { $0 = true }
                return false
            }
            _ = handle(try stepAndPublish(.quarantine(open, position)))
            caution.withLock { _ = $0.passed(position) }
            options.breadcrumb?.suspect(nil)
            published.withLock { if $0.stopped?.code == .poison { $0.stopped = nil } }
            logger.warning("the record at \(position) is quarantined by block \(open): it is skipped, as on every node")
            return stopped == nil
        }
        return false
    }

    /// Like a stop, but for what goes on by itself: frozen blocks are published, the log is watched.
    private func standStill(_ error: VarveError) {
        let isFirst = published.withLock { published in
            guard published.stopped == nil else { return false }
            published.stopped = error
            return true
        }
        guard isFirst else { return }
        logger.error("stopped: \(error)", metadata: ["code": error.code.rawValue])
        for giveUp in [waiters.giveUp, positions.giveUp, adoptions.giveUp] { giveUp() }
    }

    /// Whether the open block stands in storage as a quarantine: then its last record is not executed here either, or was,
    /// and this node stops. For nodes that are behind the others.
    func checkQuarantine() async throws(VarveError) {
        guard stopped == nil else { return }
        let (epoch, open) = state.withLock { ($0.machine.epoch, $0.machine.open.number) }
        let standing = try await onDisk(presenceQueue) { () throws(VarveError) in
            let found = try self.store.manifest(epoch, open)?.manifest
            // What is followed is durable.
            if found?.cut == .quarantine { try self.store.objects.persist(BlockStore.manifestName(epoch, open)) }
            return found
        }
        guard let standing, standing.cut == .quarantine else { return }
        _ = handle(try stepAndPublish(.quarantine(open, standing.last)))
    }

    /// Only the header is looked at.
    private static func poison(_ entry: LogEntry, _ position: Position, _ tag: LogTag) -> VarveError {
        var what = "\(entry.bytes.count) bytes"
        var id: SubmissionID?
        if case .record(let record) = Record.decode(entry.bytes, tag: tag) {
            what = "a \(record.header.type) \(record.header.id), \(what)"
            id = record.header.id
        }
        var error = VarveError(
            .poison,
            "the record at \(position) (\(what), SHA-256 \(Digest(of: entry.bytes).shortHex)) ended this node's process "
                + "\(Breadcrumb.crashesMax) times while it was applied. Everything before it is applied and stays readable; "
                + "nothing is written. See docs/runbooks/poison.md",
            next: "varve quarantine --position \(position) --config node.yaml")
        error.id = id
        return error
    }
}
