/// The oracle: what a log means, read off docs/architecture.md and nothing else.
///
/// Dictionaries and arrays, one record after the other: no blocks in files, no trees, no copies, no restart. It shares the
/// codecs of `VarveModel` with the machine, not one line of `VarveCore`. Documents are maps of short names to integers.

internal import VarveModel

struct Reference {
    typealias Fields = [String: Int64]

    struct Verdict: Equatable {
        var id: SubmissionID
        var position: Position
        var outcome: Outcome
        var requestDigest: Bytes16?
        var code: ErrorCode?
        var operation: Int?
        var systemTime: Int64
        var effectiveTime: Int64
    }

    /// What a record does, as its reader learns it.
    enum Meaning: Equatable {
        case decided(Verdict)
        case void(SubmissionID)
        case passed
        case foreign
        /// Of a later version, and not needed to go on.
        case skipped
    }

    struct After {
        var meaning: Meaning
        var inputChain: Digest
        var effectChain: Bytes16
        var effectiveTime: Int64
        var systemTime: Int64
        var horizon: Position
        /// The block that the record completes.
        var block: Manifest?
    }

    enum Event {
        case version(Position, Fields?)
        case erase(Position)
    }

    private struct Place: Hashable {
        var table: String
        var key: Key
    }

    let database: DatabaseID
    let genesis: GenesisID
    let tag: LogTag
    private(set) var settings: Settings
    /// By offset; nil where the log has a hole.
    private(set) var after: [After?] = []
    /// Everything that was ever decided; each id at most once.
    private(set) var verdicts: [SubmissionID: Verdict] = [:]
    private(set) var blocks: [Manifest] = []
    /// A submission that was decided a second time: must stay nil.
    private(set) var decidedTwice: SubmissionID?

    private var documents: [Place: [Event]] = [:]
    private var remembered: [SubmissionID: Verdict] = [:]
    private var order: [Verdict] = []
    private var horizon = Position.zero
    private var inputChain = Digest.zero
    private var effectChain = Bytes16.zero
    private var effectiveTime: Int64 = 0
    private var systemTime: Int64 = 0
    private var fieldsSeen: [String: [String]] = [:]
    private var anchors: [(position: Position, digest: Digest)?] = Array(repeating: nil, count: 48)
    private var previousOffset: Int64?
    /// Of the open block.
    private var first: (position: Position, effectiveTime: Int64)?
    private var counts = Manifest.Counts()
    private var touched: [String: (newFields: [String], erased: [Key: Position])] = [:]

    init(database: DatabaseID, genesis: GenesisID, settings: Settings) {
        self.database = database
        self.genesis = genesis
        self.settings = settings
        tag = LogTag(database: database, genesis: genesis)
    }

    mutating func read(_ offset: Int64, _ time: Int64, _ bytes: Bytes) {
        let position = Position(.first, Offset(offset))
        let digest = Digest(of: bytes)
        var hash = SHA256()
        hash.update(inputChain)
        hash.update(position.packed)
        hash.update(time)
        hash.update(digest)
        inputChain = hash.digest()
        effectiveTime = max(effectiveTime, time)
        for power in 0..<48 where previousOffset.map({ $0 >> power != offset >> power }) ?? true {
            anchors[power] = (position, digest)
        }
        previousOffset = offset
        if first == nil { first = (position, effectiveTime) }
        counts.records += 1

        var meaning = Meaning.foreign
        var cut: CutReason?
        switch Record.decode(bytes, tag: tag) {
        case .record(let record) where record.header.type != .genesis || offset == 0:
            counts.bytes += UInt64(record.payload.count)
            meaning = interpret(record, position, &cut)
        case .unsupported: meaning = .skipped
        default: break
        }
        if cut == nil {
            if counts.transactions >= settings.transactionsPerBlock {
                cut = .transactions
            } else if counts.rows >= settings.rowsPerBlock {
                cut = .rows
            } else if counts.bytes >= settings.bytesPerBlock {
                cut = .bytes
            } else if let first, effectiveTime - first.effectiveTime >= settings.flushDurationMs {
                cut = .time
            }
        }
        let block = cut.map { finish($0, position, time, digest) }
        while after.count <= offset { after.append(nil) }
        after[Int(offset)] = After(
            meaning: meaning, inputChain: inputChain, effectChain: effectChain, effectiveTime: effectiveTime,
            systemTime: systemTime, horizon: horizon, block: block)
    }

    private mutating func interpret(_ record: Record, _ position: Position, _ cut: inout CutReason?) -> Meaning {
        let header = record.header
        switch header.type {
        case .flushRequest:
            if (try? FlushRequest.decode(record.payload))?.block.value == UInt64(blocks.count), counts.records > 1 {
                cut = .request
            }
        case .settings:
            var reader = CBORReader(record.payload)
            if let changed = try? Settings.decode(&reader), reader.isAtEnd {
                settings = changed
                cut = .settings
            }
        case .transaction, .cancel:
            if let earlier = remembered[header.id] { return .decided(earlier) }
            if header.observed < horizon { return .void(header.id) }
            if header.type == .cancel { return decide(header.id, position, .cancelled, nil, nil) }
            let decoded = try? Transaction.decode(record.payload)
            let digest = decoded?.requestDigest ?? Digest(of: record.payload).first
            if header.expiresAt != 0, effectiveTime > header.expiresAt {
                return decide(header.id, position, .expired, digest, nil)
            }
            guard let decoded else { return decide(header.id, position, .aborted, digest, (.badRequest, 0)) }
            return execute(decoded.transaction, header.id, position, digest)
        default: break
        }
        return .passed
    }

    // MARK: Deciding

    private mutating func decide(
        _ id: SubmissionID, _ position: Position, _ outcome: Outcome, _ digest: Bytes16?,
        _ failure: (code: ErrorCode, operation: Int)?,
        _ effects: [(place: (table: String, key: Key), kind: EffectKind, document: Bytes?)] = []
    ) -> Meaning {
        systemTime = max(systemTime + 1, effectiveTime * 1000)
        var hash = SHA256()
        hash.update(effectChain)
        hash.update(position.packed)
        hash.update(outcome.rawValue)
        for (place, kind, document) in effects {
            hash.update(UInt16(place.table.utf8.count))
            hash.update(Array(place.table.utf8))
            hash.update(UInt16(place.key.bytes.count))
            hash.update(place.key.bytes)
            hash.update(kind.rawValue)
            hash.update(document.map { Digest(of: $0) } ?? .zero)
        }
        effectChain = hash.digest().first
        let verdict = Verdict(
            id: id, position: position, outcome: outcome, requestDigest: digest, code: failure?.code,
            operation: failure?.operation, systemTime: systemTime, effectiveTime: effectiveTime)
        if verdicts.updateValue(verdict, forKey: id) != nil { decidedTwice = id }
        counts.transactions += 1
        remembered[id] = verdict
        order.append(verdict)
        while let oldest = order.first,
            order.count > settings.idsRemembered || effectiveTime - oldest.effectiveTime > settings.idsRememberedMs
        {
            order.removeFirst()
            remembered[oldest.id] = nil
            horizon = oldest.position
        }
        return .decided(verdict)
    }

    private mutating func execute(
        _ transaction: Transaction, _ id: SubmissionID, _ position: Position, _ digest: Bytes16
    ) -> Meaning {
        // Tried on a copy of what it touches: a failure leaves no trace.
        var tried: [Place: [Event]] = [:]
        var effects: [(place: (table: String, key: Key), kind: EffectKind, document: Bytes?)] = []
        var rows = 0
        var names: [(table: String, fields: [String], erased: Key?)] = []
        func events(_ place: Place) -> [Event] { tried[place] ?? documents[place] ?? [] }
        for (i, operation) in transaction.operations.enumerated() {
            let table = operation.table.text
            func add(_ key: Key, _ kind: EffectKind, _ fields: Fields?) {
                let place = Place(table: table, key: key)
                var list = events(place)
                if kind == .erase {
                    list.append(.erase(position))
                    rows += 1
                } else {
                    if case .version(position, _)? = list.last { list.removeLast() } else { rows += 1 }
                    list.append(.version(position, fields))
                }
                tried[place] = list
                effects.append(((table, key), kind, fields.map(Self.encode)))
                names.append((table, fields.map { $0.keys.sorted() } ?? [], kind == .erase ? key : nil))
            }
            var failure: ErrorCode?
            switch operation {
            case .put(_, let list):
                for row in list {
                    guard let fields = Self.decode(row.document, isPatch: false) else { failure = .badRequest; break }
                    add(row.key, .write, fields.mapValues { $0! })
                }
            case .patch(_, let list):
                for row in list {
                    guard let patch = Self.decode(row.document, isPatch: true) else { failure = .badRequest; break }
                    var fields = Self.newest(events(Place(table: table, key: row.key)))?.fields ?? [:]
                    for (name, value) in patch { fields[name] = value }
                    add(row.key, .write, fields)
                }
            case .delete(_, let keys): for key in keys { add(key, .delete, nil) }
            case .erase(_, let keys): for key in keys { add(key, .erase, nil) }
            case .assert(_, let key, let condition):
                let found = Self.newest(events(Place(table: table, key: key)))
                let holds =
                    switch condition {
                    case .exists(let wanted): (found != nil) == wanted
                    case .version(let wanted): found?.position == wanted
                    case .equals(let document):
                        found != nil
                            && (Self.decode(document, isPatch: false) ?? [:]).allSatisfy {
                                found?.fields[$0.key] == $0.value
                            }
                    }
                if !holds { failure = .assertFailed }
            }
            if let failure { return decide(id, position, .aborted, digest, (failure, i)) }
        }
        documents.merge(tried) { $1 }
        counts.rows += UInt64(rows)
        for (table, fields, erased) in names {
            for name in fields where !fieldsSeen[table, default: []].contains(name) {
                fieldsSeen[table, default: []].append(name)
                touched[table, default: ([], [:])].newFields.append(name)
            }
            if let erased { touched[table, default: ([], [:])].erased[erased] = position }
            if touched[table] == nil { touched[table] = ([], [:]) }
        }
        return decide(id, position, .committed, digest, nil, effects)
    }

    private mutating func finish(
        _ reason: CutReason, _ position: Position, _ time: Int64, _ digest: Digest
    ) -> Manifest {
        var listed: [Manifest.Anchor] = []
        for (power, anchor) in anchors.enumerated() where listed.last?.position != anchor!.position {
            listed.append(
                Manifest.Anchor(fromPower: UInt8(power), position: anchor!.position, digest: anchor!.digest))
        }
        if counts.transactions > 0 { touched[TableName.transactions.text] = ([], [:]) }
        let tables = touched.sorted { TableName(unchecked: $0.key) < TableName(unchecked: $1.key) }.map { name, table in
            Manifest.Table(
                name: TableName(unchecked: name), newFields: table.newFields.map { Bytes($0) },
                erasures: table.erased.sorted { $0.key < $1.key }.map {
                    Manifest.Erasure(key: $0.key, position: $0.value)
                }, files: [])
        }
        let block = Manifest(
            database: database, number: BlockNumber(UInt64(blocks.count)), previous: .zero, first: first!.position,
            last: position, logTime: time, effectiveTime: effectiveTime,
            systemTime: Instant(microseconds: systemTime), inputChain: inputChain, effectChain: effectChain,
            recordDigest: digest, horizon: horizon, anchors: listed, cut: reason, counts: counts, settings: settings,
            tables: tables)
        blocks.append(block)
        first = nil
        counts = Manifest.Counts()
        touched = [:]
        return block
    }

    // MARK: Asking

    /// The document as of `position`, to a reader that has applied up to `applied`: an erase hides what is older at every
    /// position, also at those before it.
    func document(
        _ table: TableName, _ key: Key, asOf position: Position, applied: Position
    ) -> (position: Position, fields: Fields)? {
        var visible: [Event] = []
        for event in documents[Place(table: table.text, key: key)] ?? [] {
            switch event {
            case .erase(let at): if at <= applied { visible = [] }
            case .version(let at, _): if at <= position { visible.append(event) }
            }
        }
        return Self.newest(visible)
    }

    private static func newest(_ events: [Event]) -> (position: Position, fields: Fields)? {
        guard case .version(let position, let fields?)? = events.last else { return nil }
        return (position, fields)
    }

    // MARK: Documents

    /// nil when the bytes are no document of ours; a nil value removes the field.
    static func decode(_ bytes: Bytes, isPatch: Bool) -> [String: Int64?]? {
        var fields: [String: Int64?] = [:]
        var reader = CBORReader(bytes)
        do throws(CBORFault) {
            for _ in 0..<(try reader.map()) {
                let name = try reader.text()
                if try reader.peek() == .simple {
                    guard isPatch, try reader.simple() == .undefined else { return nil }
                    fields[name] = .some(nil)
                } else {
                    fields[name] = try reader.integer()
                }
            }
            return reader.isAtEnd ? fields : nil
        } catch { return nil }
    }

    static func encode(_ fields: Fields) -> Bytes {
        var writer = CBORWriter()
        writer.map(fields.count)
        for (name, value) in fields.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            writer.text(name)
            writer.integer(value)
        }
        return Bytes(writer.bytes)
    }
}
