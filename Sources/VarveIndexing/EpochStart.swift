/// Makes the log of a new epoch: its place, and its genesis as the first record.
///
/// Any number of nodes and operators may do so at once, and again after a crash: the first genesis counts, and it is
/// taken over by all who would have written the same one but for its id.

package import VarveLog
package import VarveModel

package struct EpochStart: Sendable {
    package let database: DatabaseID
    package let epoch: Epoch
    package let began: EpochBeginning
    package let settings: Settings
    package let parent: Genesis.Parent

    package init(
        database: DatabaseID, epoch: Epoch, began: EpochBeginning, settings: Settings, parent: Genesis.Parent
    ) {
        self.database = database
        self.epoch = epoch
        self.began = began
        self.settings = settings
        self.parent = parent
    }

    /// Creates the log where there is none and appends a genesis where nothing was. Throws `TARGET_UNFIT` when something
    /// else stands there; nothing was changed then.
    /// - Returns: the log as a seal or an epoch record names it, with genesis id and offset.
    package func begin(at provider: any LogProvider) async throws(VarveError) -> LogReference {
        try await provider.create(epoch)
        let log = try await provider.open(epoch)
        do throws(VarveError) {
            let reference = try await begin(log)
            await log.close()
            return reference
        } catch {
            await log.close()
            throw error
        }
    }

    package func begin(_ log: any Log) async throws(VarveError) -> LogReference {
        if try await log.range().upperBound == .zero {
            let genesis = Genesis(
                database: database, epoch: epoch, log: log.reference, began: began, settings: settings, parent: parent)
            let record = Record(
                header: RecordHeader(type: .genesis, logTag: .none, id: Means.makeID()),
                payload: genesis.encoded())
            // Unknown is no reason to stop: what is read below decides.
            if case .refused(let error)? = await log.append([record.encoded()]).first { throw error }
        }
        var found = try await log.firstGenesis()
        if found == nil {
            if try await log.range().upperBound == .zero {
                throw VarveError(
                    .logUnreachable,
                    "\(log.reference.topic) did not report on its first record, and does not show it yet",
                    next: "the same once more")
            }
            // Another's may have come between the two looks; now the first record is there, whosever it is.
            found = try await log.firstGenesis()
        }
        guard let first = found else {
            throw VarveError(
                .targetUnfit,
                "\(log.reference.topic) is not empty and begins with no genesis: it is another program's, or its start has "
                    + "expired. Nothing was changed",
                next: "name another log, or empty that one")
        }
        guard first.genesis.database == database, first.genesis.epoch == epoch, first.genesis.parent == parent,
            first.genesis.began == began
        else {
            throw VarveError(
                .targetUnfit,
                "\(log.reference.topic) begins with the genesis of \(Self.text(first.genesis)), needed is one of "
                    + "\(Self.text(Genesis(database: database, epoch: epoch, log: log.reference, began: began, settings: settings, parent: parent))). "
                    + "Nothing was changed",
                next: "name another log, or delete that one if nothing in it is needed")
        }
        var reference = first.genesis.log
        reference.genesis = first.id
        reference.genesisOffset = first.offset
        return reference
    }

    private static func text(_ genesis: Genesis) -> String {
        "database \(genesis.database.uuidText), epoch \(genesis.epoch) (\(genesis.began)"
            + (genesis.parent?.end.map { ", behind \($0.position)" } ?? "") + ")"
    }
}

package struct FirstGenesis: Sendable {
    package let entry: LogEntry
    package let genesis: Genesis
    package let record: Record
    package var id: GenesisID { record.header.id }
    package var offset: Offset { entry.offset }
}

extension Log {
    /// The log's first genesis, with everything before it foreign; nil when the first record of ours is another.
    package func firstGenesis() async throws(VarveError) -> FirstGenesis? {
        var offset = try await range().lowerBound
        for _ in 0..<1000 {
            guard let entry = try await read(at: offset) else { return nil }
            if case .record(let record) = Record.decode(entry.bytes, tag: nil) {
                if record.header.type == .genesis, let genesis = try? Genesis.decode(record.payload) {
                    return FirstGenesis(entry: entry, genesis: genesis, record: record)
                }
                return nil
            }
            offset = entry.offset.next
        }
        return nil
    }

    /// Entries of a range that the log holds, in order, in batches.
    package func forEachBatch(
        from start: Offset, to end: Offset, _ body: (ArraySlice<LogEntry>) throws(VarveError) -> Bool
    ) async throws(VarveError) {
        // Behind the last record the tail would wait.
        let end = try await deliveredEnd(from: start, to: end)
        guard start < end else { return }
        let tail = try await tail(from: start)
        do throws(VarveError) {
            while let batch = try await tail.next() {
                let wanted = batch.entries.prefix { $0.offset < end }
                guard try body(wanted) else { break }
                if let last = batch.entries.last, last.offset.next >= end { break }
            }
        } catch {
            await tail.close()
            throw error
        }
        await tail.close()
    }
}
