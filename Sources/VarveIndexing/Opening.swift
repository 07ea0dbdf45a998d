/// Start-up: which log belongs to which storage, proved before anything is served.
///
/// The rules are those of docs/architecture.md, "Identity". Any number of nodes may do this at once on a fresh pair; a
/// log that is not the recorded one, or does not reach what storage holds, is refused with both positions named.

package import VarveCore
package import VarveLog
package import VarveModel
package import VarveStorage

/// What a node starts from.
package struct OpenedDatabase: Sendable {
    package let machine: NodeMachine
    package let blocks: BlockSet
    package let log: any Log
    package let store: BlockStore
    package let epoch: Epoch
    package let epochs: [BlockStore.StoredEpoch]
    package let genesis: LogEntry?
    /// How identity was proved, for the log line and for `status`.
    package let evidence: String
    /// Where the tail begins.
    package let next: Offset
    package let settings: Settings
}

package struct Opening: Sendable {
    package let provider: any LogProvider
    package let store: BlockStore
    /// Directory storage: durable and shared, and able to prove things. In-memory storage takes all from the log.
    package let isDurableStore: Bool
    /// The configured epoch, an assertion; nil follows storage.
    package let configuredEpoch: Epoch?
    /// For a new database, and what the configuration would like.
    package let settings: Settings
    package let allowEphemeral: Bool
    package let bootstrapFromLog: Bool
    /// How long to wait before a missing half is looked for again.
    package let recheck: Duration

    package init(
        provider: any LogProvider, store: BlockStore, isDurableStore: Bool, configuredEpoch: Epoch?,
        settings: Settings, allowEphemeral: Bool, bootstrapFromLog: Bool, recheck: Duration = .seconds(5)
    ) {
        self.provider = provider
        self.store = store
        self.isDurableStore = isDurableStore
        self.configuredEpoch = configuredEpoch
        self.settings = settings
        self.allowEphemeral = allowEphemeral
        self.bootstrapFromLog = bootstrapFromLog
        self.recheck = recheck
    }

    package func open() async throws(VarveError) -> OpenedDatabase {
        if isDurableStore && provider.isEphemeral && !allowEphemeral {
            throw VarveError(
                .configInvalid,
                "the log ends with its process, the storage directory does not: the next start would find storage "
                    + "without its log",
                next: "give the log a durable kind, or say `allowEphemeral: true` in the section log")
        }
        var epochs = try store.epochRecords()
        if epochs.isEmpty {
            try await firstStart()
            epochs = try store.epochRecords()
        }
        guard let newest = epochs.last else { throw storageMissing(nil) }
        try checkEpoch(newest.record.epoch)
        return try await openRecorded(epochs)
    }

    // MARK: Epoch

    private func checkEpoch(_ recorded: Epoch) throws(VarveError) {
        guard let configured = configuredEpoch, configured != recorded else { return }
        if configured < recorded {
            throw VarveError(
                .epochStale,
                "the configuration says epoch \(configured), storage is in epoch \(recorded). Nothing was changed",
                next: "set epoch: \(recorded) in the section log, or leave the line out")
        }
        throw VarveError(
            .epochAhead,
            "the configuration says epoch \(configured), storage is in epoch \(recorded), and this version cannot start a "
                + "new epoch. Nothing was changed",
            next: "set epoch: \(recorded) in the section log, or leave the line out")
    }

    // MARK: First start

    /// Storage has no epoch yet: makes FORMAT, the log with its genesis, and the first epoch record; or takes those that
    /// another node is just making.
    private func firstStart() async throws(VarveError) {
        let epoch = configuredEpoch ?? .first
        if epoch != .first {
            throw VarveError(
                .epochAhead,
                "the configuration says epoch \(epoch), storage is empty. Nothing was changed",
                next: "check the path of the section storage; a new database begins with epoch 0")
        }
        var format = try store.readFormat()
        if format == nil {
            if let found = try await genesisWithoutFormat(epoch) {
                guard !isDurableStore || bootstrapFromLog else {
                    if try store.readFormat() == nil { throw storageMissing(found) }
                    return try await firstStart()
                }
                return try await adoptLog(epoch)
            }
            format = try store.publishFormat(StorageFormat(database: randomID()))
        }
        guard let database = format?.database else { throw storageMissing(nil) }
        try await provider.create(epoch)
        return try await withLog(epoch) { (log) async throws(VarveError) in
            try await self.begin(log, epoch, database)
        }
    }

    /// Appends the genesis if the log is new, and makes the epoch record of whichever genesis came first.
    private func begin(_ log: any Log, _ epoch: Epoch, _ database: DatabaseID) async throws(VarveError) {
        let range = try await log.range()
        if range.isEmpty && range.upperBound == .zero {
            let genesis = Genesis(
                database: database, epoch: epoch, log: log.reference, began: .initial, settings: settings)
            let record = Record(
                header: RecordHeader(type: .genesis, logTag: .none, id: randomID()), payload: genesis.encoded())
            for result in await log.append([record.encoded()]) {
                // Unknown is no reason to stop: the record below decides.
                if case .refused(let error) = result { throw error }
            }
        }
        guard let (entry, genesis, record) = try await firstGenesis(log) else {
            throw storageMissing(nil)
        }
        guard genesis.database == database else {
            throw VarveError(
                .storageForeign,
                "the log \(log.reference.topic) belongs to database \(genesis.database.uuidText), this storage to "
                    + "\(database.uuidText). Nothing was written to the log",
                next: "check that all nodes name the same storage directory and the same log")
        }
        try publish(epochRecord(log, entry, record, genesis))
    }

    /// The first genesis of a log that already holds something while storage is empty; nil when the log is new.
    private func genesisWithoutFormat(_ epoch: Epoch) async throws(VarveError) -> (Genesis, Position)? {
        guard try await provider.probe(epoch) == .present else { return nil }
        return try await withLog(epoch) { (log) async throws(VarveError) -> (Genesis, Position)? in
            var range = try await log.range()
            guard range.upperBound > .zero else { return nil }
            if self.isDurableStore && !self.bootstrapFromLog {
                // Another node may be in the middle of its first start: both sides are read again.
                await self.pause()
                if try self.store.readFormat() != nil { return nil }
                range = try await log.range()
            }
            guard let (entry, genesis, _) = try await self.firstGenesis(log) else {
                throw self.isDurableStore
                    ? self.storageMissing(nil, end: Position(epoch, range.upperBound))
                    : self.beginningGone(epoch, range)
            }
            return (genesis, Position(epoch, entry.offset))
        }
    }

    private func beginningGone(_ epoch: Epoch, _ range: Range<Offset>) -> VarveError {
        VarveError(
            .logGap,
            "storage is in memory, so the whole log is needed, but it begins at \(Position(epoch, range.lowerBound)) without "
                + "its genesis: earlier records have expired",
            next: "give the section storage a directory, or point the section log at a new topic or path")
    }

    /// In-memory storage, or an operator's word: FORMAT and epoch record are taken from a log that is whole.
    private func adoptLog(_ epoch: Epoch) async throws(VarveError) {
        try await withLog(epoch) { (log) async throws(VarveError) in
            guard let (entry, genesis, record) = try await self.firstGenesis(log) else {
                throw self.storageMissing(nil)
            }
            _ = try self.store.publishFormat(StorageFormat(database: genesis.database))
            try self.publish(self.epochRecord(log, entry, record, genesis))
        }
    }

    private func epochRecord(_ log: any Log, _ entry: LogEntry, _ record: Record, _ genesis: Genesis) -> EpochRecord {
        // The reference is the genesis's own, so that all nodes write the same record.
        var reference = genesis.log
        reference.genesis = record.header.id
        reference.genesisOffset = entry.offset
        return EpochRecord(
            epoch: genesis.epoch, parent: .zero, began: genesis.began, log: reference, parentEnd: genesis.parent?.end,
            reason: "")
    }

    /// Any node makes the same bytes of the same genesis; other bytes there are another database's.
    private func publish(_ record: EpochRecord) throws(VarveError) {
        if case .different = try store.publishEpochRecord(record) {
            throw VarveError(
                .storageForeign,
                "storage records another log for epoch \(record.epoch) than the one that was found. Nothing was written to "
                    + "the log",
                next: "check that all nodes name the same storage directory and the same log")
        }
    }

    private func storageMissing(_ found: (genesis: Genesis, at: Position)?, end: Position? = nil) -> VarveError {
        let what =
            found.map { "begins with the genesis of database \($0.genesis.database.uuidText) at \($0.at)" }
            ?? "holds records\(end.map { " up to \($0)" } ?? "") but no genesis at its start"
        return VarveError(
            .storageMissing,
            "storage is empty, but the log \(what). Either this is the wrong directory, or storage was lost; nothing was "
                + "written",
            next: "check the path of the section storage and that it is mounted; to rebuild from a complete log: "
                + "varve node --bootstrap-from-log")
    }

    /// The log's first genesis, with everything before it foreign.
    private func firstGenesis(_ log: any Log) async throws(VarveError) -> (LogEntry, Genesis, Record)? {
        var offset = try await log.range().lowerBound
        for _ in 0..<1000 {
            guard let entry = try await log.read(at: offset) else { return nil }
            if case .record(let record) = Record.decode(entry.bytes, tag: nil) {
                if record.header.type == .genesis, let genesis = try? Genesis.decode(record.payload) {
                    return (entry, genesis, record)
                }
                return nil
            }
            offset = entry.offset.next
        }
        return nil
    }

    // MARK: The recorded log

    private func openRecorded(_ epochs: [BlockStore.StoredEpoch]) async throws(VarveError) -> OpenedDatabase {
        let current = epochs[epochs.count - 1].record
        let epoch = current.epoch
        guard let genesis = current.log.genesis, let genesisOffset = current.log.genesisOffset else {
            throw VarveError(.chainBroken, "the record of epoch \(epoch) names no genesis")
        }
        if try await provider.probe(epoch) == .missing {
            await pause()
            if try await provider.probe(epoch) == .missing { throw logMissing(current) }
        }
        let log = try await provider.open(epoch)
        do throws(VarveError) {
            guard log.reference.isSamePlace(as: current.log) else { throw replacedPlace(log.reference, current.log) }
            guard let format = try store.readFormat() else { throw storageMissing(nil) }
            let history = try store.manifests(of: epochs, database: format.database)
            let proof = try await prove(log, current, format.database, history.last?.manifest, genesis, genesisOffset)
            let loaded = try load(epochs[0].digest, format.database, history, genesis, proof.genesis)
            return OpenedDatabase(
                machine: loaded.machine, blocks: loaded.blocks, log: log, store: store, epoch: epoch, epochs: epochs,
                genesis: proof.genesis, evidence: proof.evidence, next: proof.next, settings: loaded.machine.settings)
        } catch {
            await log.close()
            throw error
        }
    }

    private struct Proof {
        var genesis: LogEntry?
        var evidence: String
        var next: Offset
    }

    /// Compares log and storage at every place that both still hold.
    private func prove(
        _ log: any Log, _ current: EpochRecord, _ database: DatabaseID, _ newest: Manifest?, _ genesis: GenesisID,
        _ genesisOffset: Offset
    ) async throws(VarveError) -> Proof {
        let epoch = current.epoch
        // Until a block of the epoch exists, its adopted position is the genesis.
        let block = newest.flatMap { $0.last.epoch == epoch ? $0 : nil }
        let adopted = block?.last.offset ?? genesisOffset
        var range = try await log.range()
        if adopted.next > range.upperBound {
            await pause()
            range = try await log.range()
            if adopted.next > range.upperBound {
                throw VarveError(
                    .logBehind,
                    "the log ends at epoch \(epoch) offset \(range.upperBound), storage has applied epoch \(epoch) offset "
                        + "\(adopted). Everything up to \(Position(epoch, adopted)) is safe in storage; records after it, "
                        + "if any, are not in this log. See docs/runbooks/log-behind-storage.md",
                    next: "varve epoch plan --config node.yaml")
            }
        }
        if adopted.next < range.lowerBound {
            throw VarveError(
                .logGap,
                "the log begins at epoch \(epoch) offset \(range.lowerBound), storage has applied up to offset \(adopted): "
                    + "the records between them are gone. Everything up to \(Position(epoch, adopted)) is safe in storage. "
                    + "See docs/runbooks/log-gap.md",
                next: "varve epoch plan --config node.yaml")
        }
        var proved: [String] = []
        var genesisEntry: LogEntry?
        if range.contains(genesisOffset) {
            let entry = try await log.read(at: genesisOffset)
            guard let entry, entry.offset == genesisOffset,
                case .record(let record) = Record.decode(entry.bytes, tag: nil), record.header.type == .genesis,
                record.header.id == genesis
            else { throw replaced(epoch, genesisOffset, "the genesis that storage recorded is not there") }
            genesisEntry = entry
            proved.append("genesis at \(Position(epoch, genesisOffset))")
        } else if block == nil {
            throw replaced(epoch, genesisOffset, "the genesis that storage recorded is no longer held")
        }
        if let block {
            var points = [(block.last.offset, block.recordDigest, Optional(block.logTime))]
            points += block.anchors.filter { $0.position.epoch == epoch }.map { ($0.position.offset, $0.digest, nil) }
            for (offset, digest, time) in points where range.contains(offset) {
                try await compare(log, block, genesis, offset, digest, time)
            }
            let held = points.filter { range.contains($0.0) }.count
            if held > 0 { proved.append("\(held) records up to \(block.last)") }
        }
        if proved.isEmpty {
            // Every record both sides know has expired: the next one of ours proves the range.
            proved.append(try await barrierProof(log, current, database, adopted))
        }
        return Proof(
            genesis: genesisEntry, evidence: proved.joined(separator: ", "),
            next: block.map { $0.last.offset.next } ?? genesisOffset)
    }

    private func compare(
        _ log: any Log, _ block: Manifest, _ genesis: GenesisID, _ offset: Offset, _ digest: Digest, _ time: Int64?
    ) async throws(VarveError) {
        let at = Position(block.last.epoch, offset)
        guard let entry = try await log.read(at: offset), entry.offset == offset else {
            throw replaced(at.epoch, offset, "storage has applied a record there, the log holds none")
        }
        if Digest(of: entry.bytes) == digest && (time == nil || time == entry.time) { return }
        if case .record = Record.decode(entry.bytes, tag: LogTag(database: block.database, genesis: genesis)) {
            throw VarveError(
                .logDiverged,
                "the record at \(at) is not the one that storage has applied there (up to \(block.last)). Storage is whole "
                    + "and untouched; this log went another way. See docs/runbooks/log-diverged.md",
                next: "varve epoch plan --config node.yaml")
        }
        throw replaced(at.epoch, offset, "the record there is of another log")
    }

    private func barrierProof(
        _ log: any Log, _ current: EpochRecord, _ database: DatabaseID, _ adopted: Offset
    ) async throws(VarveError) -> String {
        guard let genesis = current.log.genesis else { throw logMissing(current) }
        let id = randomID()
        let barrier = Record(
            header: RecordHeader(
                type: .barrier, logTag: LogTag(database: database, genesis: genesis), id: id,
                observed: Position(current.epoch, adopted)),
            payload: Bytes())
        if case .refused(let error)? = await log.append([barrier.encoded()]).first { throw error }
        guard let entry = try await log.read(at: adopted.next), entry.bytes == barrier.encoded() else {
            throw replaced(
                current.epoch, adopted.next, "a record just appended was not the first behind storage's last")
        }
        return "a barrier read back at \(Position(current.epoch, entry.offset))"
    }

    private func replaced(_ epoch: Epoch, _ offset: Offset, _ why: String) -> VarveError {
        VarveError(
            .logReplaced,
            "the log is not the one this storage belongs to: at \(Position(epoch, offset)), \(why). Storage is whole and "
                + "untouched, nothing was served or written. See docs/runbooks/log-replaced.md",
            next: "varve epoch plan --config node.yaml")
    }

    private func replacedPlace(_ found: LogReference, _ recorded: LogReference) -> VarveError {
        func text(_ log: LogReference) -> String {
            "\(log.kind) \(log.topic)" + (log.clusterID.isEmpty ? "" : " on cluster \(log.clusterID)")
        }
        return VarveError(
            .logReplaced,
            "the configuration names \(text(found)), storage belongs to \(text(recorded)). Nothing was written. "
                + "See docs/runbooks/log-replaced.md",
            next: "correct the section log; to move to another log: varve epoch plan --config node.yaml")
    }

    private func logMissing(_ record: EpochRecord) -> VarveError {
        VarveError(
            .logMissing,
            "the log of epoch \(record.epoch) (\(record.log.kind) \(record.log.topic)) is gone; it is never created anew. "
                + "Storage is whole and untouched. See docs/runbooks/log-lost.md",
            next: "varve epoch plan --config node.yaml")
    }

    // MARK: State

    private func load(
        _ firstEpoch: Digest, _ database: DatabaseID, _ history: [BlockStore.StoredManifest], _ genesis: GenesisID,
        _ genesisEntry: LogEntry?
    ) throws(VarveError) -> (machine: NodeMachine, blocks: BlockSet) {
        guard let newest = history.last else {
            // The settings in force are the genesis's; the configuration only made them if this node made the genesis.
            var inForce = settings
            if let genesisEntry, case .record(let record) = Record.decode(genesisEntry.bytes, tag: nil),
                let content = try? Genesis.decode(record.payload)
            {
                inForce = content.settings
            }
            let machine = NodeMachine(
                database: database, genesis: genesis, settings: inForce, epochRecord: firstEpoch)
            return (machine, BlockSet())
        }
        var blocks = BlockSet()
        var catalog: [TableName: FieldCatalog] = [:]
        for stored in history {
            blocks.append(AdoptedBlock(stored.manifest, stored.digest, in: store))
            for table in stored.manifest.tables {
                for field in table.newFields { catalog[table.name, default: FieldCatalog()].see(field) }
            }
        }
        var decisions: [Decision] = []
        for block in blocks.blocks where block.manifest.last > newest.manifest.horizon {
            decisions += try block.decisions().filter { $0.position > newest.manifest.horizon }
        }
        decisions.sort { $0.position < $1.position }
        let machine = NodeMachine(
            after: newest.manifest, digest: newest.digest, genesis: genesis, decisions: decisions, catalog: catalog)
        return (machine, blocks)
    }

    // MARK: Means

    private func randomID() -> Bytes16 {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }

    private func pause() async { try? await Task.sleep(for: recheck) }

    /// A local log has one owner at a time: it is closed before the function returns.
    private func withLog<R: Sendable>(
        _ epoch: Epoch, _ body: (any Log) async throws(VarveError) -> R
    ) async throws(VarveError) -> R {
        let log = try await provider.open(epoch)
        do throws(VarveError) {
            let result = try await body(log)
            await log.close()
            return result
        } catch {
            await log.close()
            throw error
        }
    }
}
