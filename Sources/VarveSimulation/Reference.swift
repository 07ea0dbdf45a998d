/// The oracle: what a line of logs means, read off docs/architecture.md and nothing else.
///
/// Dictionaries and arrays, one record after the other, one epoch after the other: no blocks in files, no trees, no copies,
/// no restart. It shares the codecs of `VarveModel` with the machine, not one line of `VarveCore`.

internal import VarveModel

struct Reference {
    typealias Fields = SimpleDocument.Fields
    typealias Documents = ReferenceDocuments

    let database: DatabaseID
    private(set) var epoch = Epoch.first
    private(set) var genesis: GenesisID
    private(set) var tag: LogTag
    private(set) var settings: Settings
    /// How the epoch ended that was read last; nil while it goes on.
    private(set) var ending: (end: ParentEnd, seal: Seal?)?
    private(set) var beginnings: [ParentEnd?] = [nil]
    /// By epoch and offset; nil where the log has a hole.
    private var passed: [[After?]] = [[]]
    /// Everything that was ever decided; each id at most once.
    private(set) var verdicts: [SubmissionID: Verdict] = [:]
    private(set) var blocks: [Manifest] = []
    /// A submission that was decided a second time: must stay nil.
    private(set) var decidedTwice: SubmissionID?
    /// Of each decision, in order.
    private(set) var times: [(systemTime: Int64, position: Position)] = []
    /// Records that storage says nobody executes.
    var quarantined: Set<Position> = []

    private(set) var documents = ReferenceDocuments()
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
    private var hasGenesis = false
    private var last = Position.zero
    private var lastTime: Int64 = 0
    private var lastDigest = Digest.zero
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

    /// What a record has left behind; nil when there is none, or it is behind its epoch's end.
    func after(_ position: Position) -> After? {
        let (epoch, offset) = (Int(position.epoch.number), Int(position.offset.value))
        return epoch < passed.count && offset < passed[epoch].count ? passed[epoch][offset] : nil
    }

    /// The present state, as what the next epoch would start from.
    var endHere: ParentEnd {
        ParentEnd(
            position: last, inputChain: inputChain, effectChain: effectChain,
            block: first != nil ? BlockNumber(UInt64(blocks.count)) : blocks.last?.number, effectiveTime: effectiveTime,
            systemTime: Instant(microseconds: systemTime))
    }

    /// The epoch ends here without a seal, as an operator has declared.
    mutating func declareEnd(at declared: ParentEnd?) {
        if first != nil { passed[Int(last.epoch.number)][Int(last.offset.value)]!.block = finish(.seal) }
        if let declared, inputChain == .zero { last = declared.position }
        ending = (endHere, nil)
    }

    mutating func enter(_ genesis: GenesisID) {
        beginnings.append(ending?.end)
        ending = nil
        epoch = epoch.next!
        self.genesis = genesis
        tag = LogTag(database: database, genesis: genesis)
        passed.append([])
        hasGenesis = false
        previousOffset = nil
    }

    mutating func read(_ offset: Int64, _ time: Int64, _ bytes: Bytes) {
        let position = Position(epoch, Offset(offset))
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
        (last, lastTime, lastDigest) = (position, time, digest)
        if first == nil { first = (position, effectiveTime) }
        counts.records += 1

        var meaning = Meaning.foreign
        var cut: CutReason?
        var seal: Seal?
        switch Record.decode(bytes, tag: tag) {
        case .record(let record) where record.header.type != .genesis || !hasGenesis && record.header.id == genesis:
            counts.bytes += UInt64(record.payload.count)
            meaning = quarantined.contains(position) ? pass(over: record, position) : interpret(record, position, &cut)
            if cut == .seal { seal = try? Seal.decode(record.payload) }
        case .unsupported: meaning = .skipped
        default: break
        }
        let rules: [(CutReason, Bool)] = [
            (.transactions, counts.transactions >= settings.transactionsPerBlock),
            (.rows, counts.rows >= settings.rowsPerBlock), (.bytes, counts.bytes >= settings.bytesPerBlock),
            (.time, effectiveTime - first!.effectiveTime >= settings.flushDurationMs),
        ]
        if quarantined.contains(position) { cut = .quarantine }
        let block = (cut ?? rules.first { $0.1 }?.0).map { finish($0) }
        let e = Int(epoch.number)
        while passed[e].count <= offset { passed[e].append(nil) }
        passed[e][Int(offset)] = After(
            meaning: meaning, inputChain: inputChain, effectChain: effectChain, effectiveTime: effectiveTime,
            systemTime: systemTime, horizon: horizon, block: block, seal: seal)
        if let seal { ending = (endHere, seal) }
    }

    private mutating func interpret(_ record: Record, _ position: Position, _ cut: inout CutReason?) -> Meaning {
        let header = record.header
        switch header.type {
        case .genesis: hasGenesis = true
        case .seal:
            if let seal = try? Seal.decode(record.payload), seal.next == epoch.next, seal.log.genesis != genesis {
                cut = .seal
            }
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

    /// What the header of a quarantined record says of its submission.
    private mutating func pass(over record: Record, _ position: Position) -> Meaning {
        guard record.header.type == .transaction || record.header.type == .cancel else { return .passed }
        if let earlier = remembered[record.header.id] { return .decided(earlier) }
        if record.header.observed < horizon { return .void(record.header.id) }
        return decide(record.header.id, position, .aborted, nil, (.poison, 0))
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
        times.append((systemTime, position))
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
        var tried: [Documents.Place: [Documents.Event]] = [:]
        var effects: [(place: (table: String, key: Key), kind: EffectKind, document: Bytes?)] = []
        var rows = 0
        var grown = 0
        var names: [(table: String, fields: [String], erased: Key?)] = []
        func events(_ place: Documents.Place) -> [Documents.Event] { tried[place] ?? documents.events[place] ?? [] }
        for (i, operation) in transaction.operations.enumerated() {
            let table = operation.table.text
            func add(_ key: Key, _ kind: EffectKind, _ fields: Fields?) {
                let place = Documents.Place(table: table, key: key)
                var list = events(place)
                if kind == .erase {
                    list.append(.erase(position))
                    rows += 1
                } else {
                    if case .version(position, _)? = list.last { list.removeLast() } else { rows += 1 }
                    list.append(.version(position, fields))
                }
                tried[place] = list
                effects.append(((table, key), kind, fields.map(SimpleDocument.encode)))
                names.append((table, fields.map { $0.keys.sorted() } ?? [], kind == .erase ? key : nil))
            }
            var failure: ErrorCode?
            switch operation {
            case .put(_, let list):
                for row in list {
                    guard let fields = SimpleDocument.decode(row.document, isPatch: false) else {
                        failure = .badRequest; break
                    }
                    add(row.key, .write, fields.mapValues { $0! })
                }
            case .patch(_, let list):
                for row in list {
                    guard let patch = SimpleDocument.decode(row.document, isPatch: true) else {
                        failure = .badRequest; break
                    }
                    var fields = Documents.newest(events(.init(table: table, key: row.key)))?.fields ?? [:]
                    for (name, value) in patch { fields[name] = value }
                    grown += max(0, SimpleDocument.encode(fields).count - row.document.count)
                    add(row.key, .write, fields)
                }
            case .delete(_, let keys): for key in keys { add(key, .delete, nil) }
            case .erase(_, let keys): for key in keys { add(key, .erase, nil) }
            case .assert(_, let key, let condition):
                let found = Documents.newest(events(.init(table: table, key: key)))
                let holds =
                    switch condition {
                    case .exists(let wanted): (found != nil) == wanted
                    case .version(let wanted): found?.position == wanted
                    case .equals(let document):
                        found != nil
                            && (SimpleDocument.decode(document, isPatch: false) ?? [:]).allSatisfy {
                                found?.fields[$0.key] == $0.value
                            }
                    }
                if !holds { failure = .assertFailed }
            }
            if let failure { return decide(id, position, .aborted, digest, (failure, i)) }
        }
        documents.events.merge(tried) { $1 }
        counts.rows += UInt64(rows)
        counts.bytes += UInt64(grown)
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

    private mutating func finish(_ reason: CutReason) -> Manifest {
        var listed: [Manifest.Anchor] = []
        for (power, anchor) in anchors.enumerated() where listed.last?.position != anchor!.position {
            listed.append(.init(fromPower: UInt8(power), position: anchor!.position, digest: anchor!.digest))
        }
        if counts.transactions > 0 { touched[TableName.transactions.text] = ([], [:]) }
        let tables = touched.sorted { TableName(unchecked: $0.key) < TableName(unchecked: $1.key) }.map { name, table in
            Manifest.Table(
                name: TableName(unchecked: name), newFields: table.newFields.map { Bytes($0) },
                erasures: table.erased.sorted { $0.key < $1.key }.map { .init(key: $0.key, position: $0.value) },
                files: [])
        }
        let block = Manifest(
            database: database, number: BlockNumber(UInt64(blocks.count)), previous: .zero, first: first!.position,
            last: last, logTime: lastTime, effectiveTime: effectiveTime,
            systemTime: Instant(microseconds: systemTime), inputChain: inputChain, effectChain: effectChain,
            recordDigest: lastDigest, horizon: horizon, anchors: listed, cut: reason, counts: counts,
            settings: settings,
            tables: tables)
        blocks.append(block)
        first = nil
        counts = Manifest.Counts()
        touched = [:]
        return block
    }
}
