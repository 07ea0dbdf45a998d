/// A storage directory and the places of its logs, looked at with no node running.

package import VarveCore
package import VarveIndexing
package import VarveLog
package import VarveModel
package import VarveStorage

package struct ColdDatabase: Sendable {
    package let store: BlockStore
    package let places: LogPlaces
    package let database: DatabaseID
    package let epochs: [BlockStore.StoredEpoch]
    package let loading: DatabaseLoading

    /// Throws `STORAGE_MISSING` when the storage holds no database, `CHAIN_BROKEN`, `BLOCK_CORRUPT`.
    package init(_ store: BlockStore, _ places: LogPlaces) throws(VarveError) {
        self.store = store
        self.places = places
        epochs = try store.epochRecords()
        guard let format = try store.readFormat(), !epochs.isEmpty else {
            throw VarveError(
                .storageMissing, "the storage holds no database yet. Nothing was changed",
                next: "check storage.path in the configuration, and that it is mounted")
        }
        database = format.database
        loading = try DatabaseLoading(store, epochs, database: format.database)
    }

    package var current: EpochRecord { epochs[epochs.count - 1].record }

    /// What is missing of the files that blocks name, in words, with the next command; nil when all are there.
    package func missingFiles() throws(VarveError) -> String? {
        let missing = try store.missingFiles(of: loading.history)
        return missing.first.map { first in
            "\(missing.count) of the files that blocks name \(missing.count == 1 ? "is" : "are") missing or cut "
                + "(\(first.name)): varve blocks verify --config node.yaml says which"
        }
    }

    /// The log that a record names; nil when it is gone. Throws `LOG_UNREACHABLE` when no configured connection leads there.
    package func open(_ record: EpochRecord) async throws(VarveError) -> (any Log)? {
        guard let provider = try await places.provider(for: record.log, of: record.epoch) else {
            throw VarveError(
                .logUnreachable, "the configuration names no place where \(record.log.place) is",
                next: "name it in the section log, or under clusters there")
        }
        guard try await provider.probe(record.epoch) == .present else { return nil }
        return try await provider.open(record.epoch)
    }

    /// What can be read of a damaged log past the damage; nil for a kind that is read record by record anyway.
    package func remains(_ record: EpochRecord, _ damage: VarveError) async throws(VarveError) -> LocalRemains? {
        let provider = try await places.provider(for: record.log, of: record.epoch) as? LocalLogProvider
        return try provider?.remains(record.epoch, damage)
    }

    /// The log to salvage from: past its damage, where it is damaged.
    package func source(_ record: EpochRecord, _ known: VarveError? = nil) async throws(VarveError) -> (any Log)? {
        if let known, known.code == .logCorrupt, let remains = try await remains(record, known) { return remains }
        do throws(VarveError) { return try await open(record) } catch {
            guard error.code == .logCorrupt, let remains = try await remains(record, error) else { throw error }
            return remains
        }
    }

    /// The other nodes, watched until each is known to be alive or not, or until one is such that the others do not matter.
    package func watchPeers(
        until isEnough: (Liveness.Peer) -> Bool = { _ in false }
    ) async throws(VarveError) -> [Liveness.Peer] {
        guard let peers = try await Liveness.watch(from: "", until: isEnough, store.heartbeats) else {
            throw VarveError(.notReady, "interrupted while nodes were watched. Nothing was changed")
        }
        return peers
    }
}

/// A machine that reads a log as a node would, and what came of each submission.
struct Replay {
    var machine: NodeMachine
    var blocks: BlockSet
    var piece = EpochPlan.Piece()
    /// Ids that a record came to a decision on, its own or an earlier one's; the others' records were void.
    var answered: Set<SubmissionID> = []
    /// A record that cannot be read; nothing behind it was.
    var damage: VarveError?
    /// Throws before a record that nodes stand before.
    var poison = PoisonAhead()

    /// False when nothing behind the batch may be read: a seal, damage, a record of a later version.
    mutating func apply(_ entries: ArraySlice<LogEntry>) throws(VarveError) -> Bool {
        let before = machine.applied
        var behind = before
        for entry in entries {
            let position = Position(machine.epoch, entry.offset)
            try poison.check(position, behind: behind)
            behind = position
        }
        let records = entries.map { NodeMachine.LoggedRecord(offset: $0.offset, time: $0.time, bytes: $0.bytes) }
        for effect in try step(records) {
            switch effect {
            case .decided(let decision):
                // A record of an id that is decided already has that decision again, with its earlier position.
                guard answered.insert(decision.id).inserted, decision.position > before ?? .zero else { continue }
                piece.submissions.append(
                    EpochPlan.Submission(id: decision.id, position: decision.position, outcome: decision.outcome))
            case .damaged(let offset, let reason):
                damage = VarveError(
                    .logCorrupt, "the record at \(Position(machine.epoch, offset)) is damaged: \(reason)",
                    next: "see docs/runbooks/log-corrupt.md")
            case .stopped(let error): throw error
            default: break
            }
        }
        piece.records += entries.count { Position(machine.epoch, $0.offset) <= machine.applied ?? .zero }
        piece.last = machine.applied
        return machine.ending == nil && damage == nil
    }

    /// One by one: a record that ends this process is known.
    private mutating func step(_ records: [NodeMachine.LoggedRecord]) throws(VarveError) -> [NodeMachine.Effect] {
        var effects: [NodeMachine.Effect] = []
        for record in records {
            effects += try RecordInHand.during(Position(machine.epoch, record.offset)) { () throws(VarveError) in
                try machine.step(.records(machine.epoch, [record]), reading: blocks)
            }
            guard machine.applied.map({ $0 >= Position(machine.epoch, record.offset) }) ?? false else { break }
        }
        return effects
    }

    /// For whoever goes on from the log's end: it was reached.
    func requireWhole() throws(VarveError) { if let damage { throw damage } }
}
