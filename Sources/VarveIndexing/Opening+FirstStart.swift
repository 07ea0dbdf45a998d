/// The first start: storage has no epoch yet.

internal import VarveCore
internal import VarveLog
internal import VarveModel
internal import VarveStorage

extension Opening {
    /// Storage has no epoch yet: makes FORMAT, the log with its genesis, and the first epoch record; or takes those that
    /// another node is just making.
    func firstStart() async throws(VarveError) {
        let epoch = Epoch.first
        var format = try store.readFormat()
        if format == nil {
            if let found = try await genesisWithoutFormat(epoch) {
                guard !isDurableStore || bootstrapFromLog else {
                    if try store.readFormat() == nil { throw storageMissing(found) }
                    return try await firstStart()
                }
                return try await adoptLog(epoch)
            }
            format = try store.publishFormat(StorageFormat(database: Means.makeID()))
        }
        guard let database = format?.database else { throw storageMissing(nil) }
        try await provider.create(epoch)
        return try await withLog(epoch) { (log) async throws(VarveError) in
            try await self.begin(log, epoch, database)
        }
    }

    /// Appends the genesis if the log is new, and makes the epoch record of whichever genesis came first.
    func begin(_ log: any Log, _ epoch: Epoch, _ database: DatabaseID) async throws(VarveError) {
        let range = try await log.range()
        if range.isEmpty && range.upperBound == .zero {
            let genesis = Genesis(
                database: database, epoch: epoch, log: log.reference, began: .initial, settings: settings)
            let record = Record(
                header: RecordHeader(type: .genesis, logTag: .none, id: Means.makeID()), payload: genesis.encoded())
            for result in await log.append([record.encoded()]) {
                // Unknown is no reason to stop: the record below decides.
                if case .refused(let error) = result { throw error }
            }
        }
        var found = try await firstGenesis(log)
        if found == nil {
            if try await log.range().upperBound == .zero { throw genesisMissing(log) }
            // Another node's may have come between the two looks; now the first record is there, whosever it is.
            found = try await firstGenesis(log)
        }
        guard let (entry, genesis, record) = found else { throw storageMissing(nil) }
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
    func publish(_ record: EpochRecord) throws(VarveError) {
        if case .different = try store.publishEpochRecord(record) {
            throw VarveError(
                .storageForeign,
                "storage records another log for epoch \(record.epoch) than the one that was found. Nothing was written to "
                    + "the log",
                next: "check that all nodes name the same storage directory and the same log")
        }
    }

    /// The log took the genesis, perhaps, and does not show it: it is asked again.
    private func genesisMissing(_ log: any Log) -> VarveError {
        VarveError(
            .logUnreachable, "\(log.reference.topic) did not report on its first record, and does not show it yet",
            next: "none: this node tries again")
    }

    func storageMissing(_ found: (genesis: Genesis, at: Position)?, end: Position? = nil) -> VarveError {
        let what =
            found.map { "begins with the genesis of database \($0.genesis.database.uuidText) at \($0.at)" }
            ?? "holds records\(end.map { " up to \($0)" } ?? "") but no genesis at its start"
        return VarveError(
            .storageMissing,
            "storage is empty, but the log \(what). Either this is the wrong directory, or storage was lost; nothing was "
                + "written",
            next: "check the path of the section storage and that it is mounted; to rebuild from a complete log: "
                + "varve node --bootstrap-from-log --config node.yaml")
    }

    /// The log's first genesis, with everything before it foreign.
    func firstGenesis(_ log: any Log) async throws(VarveError) -> (LogEntry, Genesis, Record)? {
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
}
