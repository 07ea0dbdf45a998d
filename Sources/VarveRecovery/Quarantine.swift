/// Takes a record that ends every process out of the database's history: publishes the open block, ending with it.
///
/// The manifest's name is the arbiter: a node that could apply the record publishes an ordinary block under it, an operator
/// this one, and of the two only one can be there. Nothing of the record but its header is looked at. Nodes may run
/// meanwhile; only where they hold the log for themselves (a local log) must they be down.

internal import VarveCore
internal import VarveIndexing
internal import VarveLog
package import VarveModel
internal import VarveStorage

package struct Quarantine: Sendable {
    /// What was found, and what would be published.
    package struct Finding: Sendable {
        package var position: Position
        package var time: Int64
        package var type: RecordType
        package var id: Bytes16
        package var bytes: Int
        package var digest: Digest
        /// Nodes that stand before the record.
        package var witnesses: [String]
        /// Nodes, none of them alive, that had applied it: what they acknowledged of it is given up.
        package var beyond: [String]
        package var block: BlockNumber
        let frozen: FrozenBlock
        let previous: Digest
        /// What each node's file said when this was found; nil where it could not be read.
        let nodes: [String: Heartbeat?]

        /// What an operator repeats to say that this very record is meant.
        package var confirmation: String { String(digest.description.prefix(16)) }
    }

    private let cold: ColdDatabase
    private let epoch: Epoch

    package init(_ cold: ColdDatabase) {
        self.cold = cold
        epoch = cold.current.epoch
    }

    // MARK: Looking

    /// Throws why the record at `position` may not be quarantined; nothing is changed here.
    package func look(at position: Position) async throws(VarveError) -> Finding {
        try checkBlocks(position)
        guard let log = try await cold.open(cold.current) else { throw StartUp.missing(cold.current) }
        do throws(VarveError) {
            let finding = try await look(at: position, in: log)
            await log.close()
            return finding
        } catch {
            await log.close()
            throw error
        }
    }

    /// What storage says already.
    private func checkBlocks(_ position: Position) throws(VarveError) {
        if let stored = cold.loading.history.last(where: { $0.manifest.first <= position })?.manifest,
            position <= stored.last
        {
            throw refusal(
                stored.cut == .quarantine && stored.last == position
                    ? "the record at \(position) is quarantined already, by block \(stored.number)"
                    : "the record at \(position) is applied: block \(stored.number) holds it",
                next: "varve blocks show \(stored.number) --config node.yaml")
        }
        if let end = sealedEnd(position) {
            throw refusal(
                "the record at \(position) has been applied: epoch \(end.0) is recorded behind \(end.1), with all that its log "
                    + "did up to there, so nobody can take it out any more",
                next:
                    "try it again on a node that stands before it, on a larger machine or with another version "
                    + "(docs/runbooks/poison.md): stop the node, delete the file applying in its node.directory, start it again"
            )
        }
        guard position.epoch == epoch, cold.loading.current == cold.current else {
            throw refusal(
                "the record at \(position) is not ahead of the nodes: they are in epoch \(epoch)",
                next: "varve epoch status --config node.yaml")
        }
    }

    /// The epoch whose record says what the log did that the record stands in, and where that log ended: only who has applied
    /// the record could make it.
    private func sealedEnd(_ position: Position) -> (Epoch, Position)? {
        let next = cold.epochs.lazy.map(\.record).first { $0.epoch > position.epoch }
        guard let next, next.began == .sealed, let end = next.parentEnd?.position, position <= end else { return nil }
        return (next.epoch, end)
    }

    private func look(at position: Position, in log: any Log) async throws(VarveError) -> Finding {
        let proof = try await LogProof(
            log, cold.current, database: cold.database, newest: cold.loading.newest
        ).prove(mayAppend: false)
        guard try await log.range().contains(position.offset), let entry = try await log.read(at: position.offset),
            entry.offset == position.offset
        else {
            throw refusal(
                "the log holds no record at \(position)", next: "varve status: the node says the position itself")
        }
        let header = try header(of: entry, at: position)
        let (nodes, witnesses, beyond) = try await peers(before: position, in: log)
        let loaded = try cold.loading.load(settings: Settings(), genesis: proof.genesis)
        var replay = Replay(machine: loaded.machine, blocks: loaded.blocks)
        try await log.forEachBatch(from: proof.next, to: position.offset) { (entries) throws(VarveError) in
            try replay.apply(entries)
        }
        if let block = replay.machine.frozen.first {
            throw VarveError(
                .planStale,
                "block \(block.number) ends before the record at \(position), at \(block.draft.last), and is not in storage "
                    + "yet. Nothing was changed",
                next: "wait until a node has published it (varve blocks list), or start one; then ask again")
        }
        for witness in witnesses { try compare(witness, with: replay.machine, position) }
        let frozen = try frozen(&replay, entry, position)
        return Finding(
            position: position, time: entry.time, type: header.type, id: header.id, bytes: entry.bytes.count,
            digest: Digest(of: entry.bytes), witnesses: witnesses.map(\.node), beyond: beyond, block: frozen.number,
            frozen: frozen, previous: replay.machine.expectedPrevious, nodes: nodes)
    }

    private func header(of entry: LogEntry, at position: Position) throws(VarveError) -> RecordHeader {
        let tag = LogTag(database: cold.database, genesis: cold.current.log.genesis ?? .zero)
        switch Record.decode(entry.bytes, tag: tag) {
        case .record(let record) where record.header.type != .genesis: return record.header
        case .record: throw refusal("the record at \(position) is a genesis, without which there is no epoch")
        case .foreign: throw refusal("the record at \(position) is foreign: nobody executes it")
        case .damaged(let reason):
            throw VarveError(
                .logCorrupt,
                "the record at \(position) is damaged, so it is not what was submitted: \(reason). Nothing was changed. "
                    + "See docs/runbooks/log-corrupt.md",
                next: "varve log show --from \(position) --config node.yaml")
        case .unsupported(let reason, _):
            throw refusal(
                "the record at \(position) is of a later version (\(reason)): it can be applied",
                next: "install a newer version of varve")
        }
    }

    /// Who stands before the record, and who is behind it.
    private func peers(
        before position: Position, in log: any Log
    ) async throws(VarveError) -> (nodes: [String: Heartbeat?], witnesses: [Heartbeat], beyond: [String]) {
        var witnesses: [Heartbeat] = []
        var beyond: [String] = []
        var others: [String] = []
        // Of those beyond: who stands before a later record, and makes no block.
        var standing: [String: Position] = [:]
        let nodes = try await heartbeats()
        for (node, heartbeat) in nodes {
            guard let heartbeat else {
                // Of a later version, or damaged: what it had applied is not known.
                beyond.append(node)
                continue
            }
            guard heartbeat.epoch == epoch, let applied = heartbeat.applied else {
                if heartbeat.stopped == nil, !standsEarlier(heartbeat) { others.append(heartbeat.node) }
                continue
            }
            if applied >= position {
                beyond.append(heartbeat.node)
                if heartbeat.trouble == ErrorCode.poison.rawValue { standing[heartbeat.node] = applied }
            } else if heartbeat.trouble == ErrorCode.poison.rawValue, applied.epoch == epoch,
                try await log.read(at: applied.offset.next)?.offset == position.offset
            {
                witnesses.append(heartbeat)
            } else if heartbeat.stopped == nil, !standsEarlier(heartbeat) {
                others.append(heartbeat.node)
            }
        }
        guard !witnesses.isEmpty else {
            throw refusal(
                "no node says that the record at \(position) ends it (POISON): it is not known to be poison",
                next: "varve status; a node that crashes says the position once it has crashed twice on one record")
        }
        // One that lives, and does not stand before the record, is enough to know: by now it may have applied it.
        let alive = try await alive(of: beyond + others)
        if let node = alive.first, !beyond.contains(node) {
            throw refusal(
                "node \(node) is alive and does not say that it stands before the record at \(position): it may have applied "
                    + "it, and acknowledged it",
                next: "wait until varve status shows POISON for \(node), or stop it; then ask again")
        }
        if let node = alive.max(by: { standing[$0] ?? .zero < standing[$1] ?? .zero }), let applied = standing[node],
            alive.allSatisfy({ standing[$0] != nil })
        {
            // The foremost of them: whoever stands before an earlier one is taken on by its block.
            let later = try await log.read(at: applied.offset.next).map { Position(epoch, $0.offset) }
            throw refusal(
                "\(node) applied the record at \(position), or may have, and stands before a later one itself, whose block "
                    + "holds this one: the other nodes go on behind it",
                next: "varve quarantine --position \(later?.description ?? "POSITION") --config node.yaml")
        }
        guard alive.isEmpty else {
            throw refusal(
                "\(alive.joined(separator: ", ")) applied the record at \(position), or may have, and "
                    + "\(alive.count == 1 ? "is" : "are") alive: what is wrong is with the other nodes, which go on behind the "
                    + "block once it is published",
                next: "varve blocks flush, asked of a node that applied it by its --url")
        }
        return (Dictionary(nodes.map { ($0.node, $0.1) }) { $1 }, witnesses, beyond)
    }

    /// Stands before a record of the open block that comes earlier: only that block takes it on, and would take this
    /// quarantine's name.
    private func standsEarlier(_ heartbeat: Heartbeat) -> Bool {
        guard heartbeat.trouble == ErrorCode.poison.rawValue, heartbeat.epoch == epoch else { return false }
        guard let newest = cold.loading.newest else { return true }
        // Who has applied nothing stands before the genesis, which any block holds.
        return heartbeat.applied.map { $0 >= newest.last } ?? false
    }

    private func alive(of nodes: [String]) async throws(VarveError) -> [String] {
        guard !nodes.isEmpty else { return [] }
        let store = cold.store
        let peers = try await Liveness.watch(from: "", until: { $0.verdict == .live }) { () throws(VarveError) in
            try store.heartbeats().filter { nodes.contains($0.node) }
        }
        guard let peers else {
            throw VarveError(.notReady, "interrupted while nodes were watched. Nothing was changed")
        }
        return peers.filter { $0.verdict == .live }.map(\.node)
    }

    /// Every node's file; nil where it cannot be read. One that is being overwritten is read again.
    private func heartbeats() async throws(VarveError) -> [(node: String, Heartbeat?)] {
        var found: [(node: String, Heartbeat?)] = []
        for attempt in 1...5 {
            found = try cold.store.heartbeats().map { ($0.node, try? Heartbeat.decode($0.bytes)) }
            if attempt == 5 || found.allSatisfy({ $0.1 != nil }) { break }
            _ = await Means.wait(.milliseconds(20))
        }
        return found
    }

    /// What this process computed of everything before the record is what the node did.
    private func compare(
        _ witness: Heartbeat, with machine: NodeMachine, _ position: Position
    ) throws(VarveError) {
        guard witness.applied == machine.applied else {
            throw refusal("node \(witness.node) stands at \(witness.applied ?? .zero), not before \(position)")
        }
        guard witness.inputChain == machine.inputChain.value else {
            throw VarveError(
                .logDiverged,
                "node \(witness.node) read another log up to \(machine.applied ?? .zero) (H \(witness.inputChain.shortHex), "
                    + "here \(machine.inputChain.value.shortHex)). Nothing was changed. See docs/runbooks/log-diverged.md",
                next: "varve log verify --config node.yaml")
        }
        guard witness.effectChain == machine.effectChain.value else {
            throw VarveError(
                .divergence,
                "node \(witness.node) computed other effects up to \(machine.applied ?? .zero) (E \(witness.effectChain), "
                    + "here \(machine.effectChain.value)). Nothing was changed. See docs/runbooks/divergence.md",
                next: "varve status: which node differs?")
        }
    }

    private func frozen(
        _ replay: inout Replay, _ entry: LogEntry, _ position: Position
    ) throws(VarveError) -> FrozenBlock {
        _ = try replay.machine.step(
            .quarantine(replay.machine.open.number, position), reading: replay.blocks)
        _ = try replay.apply([entry])
        guard let block = replay.machine.frozen.first, block.draft.cut == .quarantine else {
            throw VarveError(.internal, "the record at \(position) ended no block. Nothing was changed")
        }
        return block
    }

    // MARK: Publishing

    /// Returns once the block is durable. Throws `PLAN_STALE` when a node was faster: then its block stands.
    package func publish(_ finding: Finding) async throws(VarveError) -> Manifest {
        if let next = epoch.next, try cold.store.epochRecord(next) != nil {
            throw stale("epoch \(epoch) has ended meanwhile", finding)
        }
        guard try cold.store.manifest(epoch, finding.block) == nil else {
            throw stale("block \(finding.block) was published meanwhile", finding)
        }
        var files: [TableName: [Manifest.File]] = [:]
        for table in finding.frozen.draft.tables {
            let rows = finding.frozen.rows(of: table.name)
            guard !rows.isEmpty else { continue }
            let encoded = try BlockFileWriter.encode(table: table.name, block: finding.block, rows: rows)
            await Means.breathe()
            try cold.store.publishFile(encoded)
            files[table.name] = [encoded.file]
        }
        let manifest = finding.frozen.manifest(previous: finding.previous, files: files)
        await Means.breathe()
        try requireNobodyNew(finding)
        if case .different = try cold.store.publishManifest(manifest) {
            throw stale("block \(finding.block) was published meanwhile", finding)
        }
        return manifest
    }

    /// Seconds or minutes have passed since nodes were asked, an operator's thinking among them. Whoever has begun or gone on
    /// since says so in its file before it applies anything (`Opening`), and may have applied the record.
    private func requireNobodyNew(_ finding: Finding) throws(VarveError) {
        for (node, bytes) in try cold.store.heartbeats() {
            let heartbeat = try? Heartbeat.decode(bytes)
            if let known = finding.nodes[node], known == heartbeat { continue }
            if let heartbeat, heartbeat.epoch == epoch, heartbeat.applied ?? .zero < finding.position,
                heartbeat.stopped != nil || heartbeat.trouble == ErrorCode.poison.rawValue
            {
                continue
            }
            throw VarveError(
                .planStale,
                "node \(node) has begun or gone on since it was looked at, and may have applied the record at "
                    + "\(finding.position), which is not quarantined. Nothing was changed",
                next: "varve status, then ask again")
        }
    }

    private func stale(_ what: String, _ finding: Finding) -> VarveError {
        VarveError(
            .planStale, "\(what); the record at \(finding.position) is not quarantined. Nothing was changed",
            next: "varve blocks show \(finding.block) --config node.yaml")
    }

    private func refusal(_ what: String, next: String? = nil) -> VarveError {
        VarveError(.badRequest, "\(what). Nothing was changed", next: next)
    }
}
