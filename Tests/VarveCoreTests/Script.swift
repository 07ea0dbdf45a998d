/// Drives a `NodeMachine` as a log would: each line appends one record and steps the machine with it.

import Testing
import VarveCore
import VarveModel

/// Adopted blocks as a test keeps them: every version of every frozen block it "published".
struct KeptBlocks: BlockLookup {
    var blocks: [FrozenBlock] = []

    func newest(_ table: TableName, _ key: Key) throws(VarveError) -> StoredVersion? {
        for block in blocks.reversed() {
            guard let entry = block.live.entry(table, key) else { continue }
            guard let version = entry.newest else { return nil }
            return StoredVersion(position: version.position, document: version.document)
        }
        return nil
    }
}

struct Script {
    var machine: NodeMachine
    var blocks = KeptBlocks()
    var offset: Int64 = 0
    var clock: Int64 = 1_000
    var effects: [NodeMachine.Effect] = []
    /// Everything that was in the log, to play again.
    var entries: [NodeMachine.LoggedRecord] = []
    var genesis = GenesisID(high: 7, low: 7)
    var epoch = Epoch.first
    let database = DatabaseID(high: 1, low: 2)
    private var ids: UInt64 = 0

    init(_ settings: Settings = Settings()) throws {
        machine = NodeMachine(database: database, genesis: genesis, settings: settings, epochRecord: .zero)
        let payload = Genesis(
            database: database, epoch: .first, log: LogReference(kind: .memory, topic: "e0000"), began: .initial,
            settings: settings
        ).encoded()
        try append(.genesis, id: genesis, payload: payload)
    }

    var tag: LogTag { LogTag(database: database, genesis: genesis) }

    mutating func nextID() -> SubmissionID {
        ids += 1
        return SubmissionID(high: 99, low: ids)
    }

    @discardableResult
    mutating func append(
        _ type: RecordType, id: Bytes16, payload: Bytes = Bytes(), expiresAt: Int64 = 0, observed: Position? = nil,
        tag: LogTag? = nil
    ) throws -> [NodeMachine.Effect] {
        let header = RecordHeader(
            type: type, logTag: type == .genesis ? .none : tag ?? self.tag, id: id, expiresAt: expiresAt,
            observed: observed ?? machine.applied ?? .zero)
        return try append(Record(header: header, payload: payload).encoded())
    }

    @discardableResult
    mutating func append(_ bytes: Bytes) throws -> [NodeMachine.Effect] {
        clock += 10
        let record = NodeMachine.LoggedRecord(offset: Offset(offset), time: clock, bytes: bytes)
        offset += 1
        entries.append(record)
        let new = try machine.step(.records(epoch, [record]), reading: blocks)
        effects += new
        return new
    }

    /// Submits and returns what was decided.
    @discardableResult
    mutating func submit(
        _ operations: [Operation], id: SubmissionID? = nil, expiresAt: Int64 = 0, observed: Position? = nil
    ) throws -> Decision? {
        let id = id ?? nextID()
        let payload = Transaction(operations).encoded().payload
        for effect in try append(
            .transaction, id: id, payload: payload, expiresAt: expiresAt, observed: observed)
        {
            if case .decided(let decision) = effect { return decision }
        }
        return nil
    }

    /// Publishes and adopts the oldest frozen block.
    mutating func adopt() throws {
        let block = machine.frozen[0]
        let manifest = block.manifest(previous: machine.expectedPrevious, files: [:])
        effects += try machine.step(.published(manifest, Digest(of: manifest.encoded())), reading: blocks)
        blocks.blocks.append(block)
    }

    /// A seal that names a log with this genesis as the next epoch's.
    @discardableResult
    mutating func seal(_ next: GenesisID, to number: Int = 1) throws -> [NodeMachine.Effect] {
        let log = LogReference(
            kind: .memory, topic: "e000\(number)", genesis: next, genesisOffset: .zero)
        return try append(.seal, id: nextID(), payload: Seal(next: try #require(Epoch(number)), log: log).encoded())
    }

    /// Goes on in the next epoch: its log begins with its genesis.
    mutating func cross(_ end: EpochEnding) throws {
        let next = try #require(epoch.next)
        let id = try #require(end.seal?.log.genesis)
        effects += try machine.step(.enter(next, id, end.end), reading: blocks)
        let payload = Genesis(
            database: database, epoch: next, log: LogReference(kind: .memory, topic: "next"), began: .sealed,
            settings: machine.settings, parent: Genesis.Parent(genesis: genesis)
        ).encoded()
        (epoch, genesis, offset) = (next, id, 0)
        try append(.genesis, id: id, payload: payload)
    }

    func document(_ table: String, _ key: String) throws -> Value? {
        let name = try TableName(table)
        let lives = [machine.open.live] + machine.frozen.reversed().map(\.live)
        for live in lives {
            guard let entry = live.entry(name, Key(key)!) else { continue }
            return try entry.newest?.document.map { try Document($0).value() }
        }
        return try blocks.newest(name, Key(key)!)?.document.map { try Document($0).value() }
    }
}

func put(_ table: String, _ key: String, _ fields: [Value.Field]) throws -> Operation {
    .put(try TableName(table), [row(key, fields)])
}

func patch(_ table: String, _ key: String, _ fields: [Value.Field]) throws -> Operation {
    .patch(try TableName(table), [row(key, fields)])
}

func row(_ key: String, _ fields: [Value.Field]) -> Operation.Row {
    var writer = CBORWriter()
    let sorted = fields.sorted { ($0.name.utf8.count, $0.name) < ($1.name.utf8.count, $1.name) }
    writer.map(sorted.count)
    for field in sorted {
        writer.text(field.name)
        switch field.value {
        case .integer(let value): writer.integer(value)
        case .text(let value): writer.text(value)
        case .absent: writer.undefined()
        default: writer.null()
        }
    }
    return Operation.Row(Key(key)!, Bytes(writer.bytes))
}
