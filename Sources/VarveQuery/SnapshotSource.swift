/// A snapshot of the database as a source for SQL, at one position.
///
/// Rows in memory are read field by field from their CBOR, rows in block files column by column; no document is built
/// unless `_doc` is asked for. Everything that a cell points to is held by the snapshot, which the source holds.

internal import VarveCore
package import VarveIndexing
package import VarveModel
internal import VarveStorage

package final class SnapshotSource: QuerySource {
    private let snapshot: Snapshot
    private let position: Position
    private let readNodes: @Sendable () -> [QueryNode]
    package let tables: [QueryTable]

    /// - Parameters:
    ///   - asOf: what is read is what was there at this position; nil reads the newest.
    ///   - nodes: rows of `varve.nodes`, asked for when they are read.
    package init(
        _ snapshot: Snapshot, asOf: Position? = nil, nodes: @escaping @Sendable () -> [QueryNode] = { [] }
    ) {
        self.snapshot = snapshot
        readNodes = nodes
        position = asOf ?? snapshot.position
        tables = snapshot.tables.map { name, fields in
            var rows = 0
            for block in snapshot.memory { rows += block.live[name]?.entries.count ?? 0 }
            for block in snapshot.blocks.blocks {
                for table in block.manifest.tables where table.name == name {
                    rows += table.files.reduce(0) { $0 + Int(clamping: $1.rows) }
                }
            }
            return QueryTable(name: name, fields: fields, estimatedRows: rows)
        }
    }

    package func rows(
        of table: TableName, in range: KeyRange, fields: [Bytes]
    ) throws(VarveError) -> any QueryRows {
        if let key = range.single {
            guard let row = try snapshot.get(table, key, asOf: position), let document = row.document else {
                return NoRows()
            }
            return SingleRow(key, row, document, fields)
        }
        return SnapshotRows(
            try snapshot.scan(table, asOf: position, from: range.from, until: range.upTo), fields)
    }

    package func transactions(after last: Position?, limit: Int) throws(VarveError) -> [QueryTransaction] {
        try snapshot.decisions(after: last ?? .zero, limit: limit).filter { $0.position <= position }
            .map { decision in
                QueryTransaction(
                    id: decision.id.description, position: decision.position, systemTime: decision.systemTime,
                    outcome: decision.outcome.description, errorCode: decision.failure?.code.rawValue,
                    errorOperation: decision.failure.map { Int64($0.operation) },
                    errorDetail: decision.failure?.detail, token: decision.token.description)
            }
    }

    package func nodes() -> [QueryNode] { readNodes() }

    package func blocks() throws(VarveError) -> [QueryBlock] {
        snapshot.blocks.blocks.map(\.manifest).filter { $0.last <= position }.map { block in
            QueryBlock(
                number: Int64(clamping: block.number.value), first: block.first, last: block.last,
                rows: Int64(clamping: block.counts.rows), transactions: Int64(clamping: block.counts.transactions),
                bytes: Int64(clamping: block.counts.bytes), cut: block.cut.description, systemTime: block.systemTime,
                files: Int64(block.tables.reduce(0) { $0 + $1.files.count }))
        }
    }
}

/// Where no row is.
private final class NoRows: QueryRows {
    func next() throws(VarveError) -> Bool { false }
    let key = Key(0)
    let version = Position.zero
    let systemFrom = Instant(microseconds: 0)
    let bytesStay = false
    func cell(_ field: Int) throws(VarveError) -> Cell { .null }
    func appendDocument(to json: inout JSONWriter) throws(VarveError) {}
}

/// A document in memory and the fields that are read of it.
private struct OpenDocument {
    private var fields: DocumentFields
    private var document = Bytes()
    private var isRead = false

    init(_ fields: [Bytes]) { self.fields = DocumentFields(fields) }

    mutating func open(_ document: Bytes) {
        self.document = document
        isRead = false
    }

    /// The cell points into the document's storage, which stays in its place for as long as anyone holds it.
    mutating func cell(_ field: Int) throws(VarveError) -> Cell {
        let raw = document.withUnsafeBytes { $0 }
        if !isRead {
            try fields.read(raw)
            isRead = true
        }
        return try fields.cell(field, in: raw)
    }

    func append(_ key: Key, to json: inout JSONWriter) throws(VarveError) {
        do {
            try json.document(key, Document(document))
        } catch {
            throw VarveError(.blockCorrupt, "the document \(key) cannot be read: \(error)")
        }
    }
}

/// The one row of a look-up.
private final class SingleRow: QueryRows {
    let key: Key
    let version: Position
    let systemFrom: Instant
    private var document: OpenDocument
    private var isBefore = true

    init(_ key: Key, _ row: Snapshot.Row, _ document: Bytes, _ fields: [Bytes]) {
        self.key = key
        version = row.position
        systemFrom = row.systemFrom
        self.document = OpenDocument(fields)
        self.document.open(document)
    }

    func next() throws(VarveError) -> Bool {
        defer { isBefore = false }
        return isBefore
    }

    // The document may have been put together for this row alone.
    let bytesStay = false

    func cell(_ field: Int) throws(VarveError) -> Cell { try document.cell(field) }
    func appendDocument(to json: inout JSONWriter) throws(VarveError) { try document.append(key, to: &json) }
}

/// The rows of a scan, some in memory and some in files.
private final class SnapshotRows: QueryRows {
    private var cursor: RowCursor
    private let fields: [Bytes]
    private var document: OpenDocument
    private var row: RowCursor.Row?

    /// For a file the columns of the wanted fields, -1 where there is none.
    private struct Columns {
        let file: BlockFile
        let places: [Int]
    }
    private var columns: Columns?
    private var otherColumns: [ObjectIdentifier: Columns] = [:]
    /// The fields of a stored row that have no column of their own.
    private var rest: OpenDocument
    private var restIsOpen = false
    /// What a JSON cell was turned into; its bytes are good until the next cell.
    private var scratch = Bytes()

    init(_ cursor: RowCursor, _ fields: [Bytes]) {
        self.cursor = cursor
        self.fields = fields
        document = OpenDocument(fields)
        rest = OpenDocument(fields)
    }

    func next() throws(VarveError) -> Bool {
        guard try cursor.next(), let row = cursor.current else {
            self.row = nil
            return false
        }
        self.row = row
        restIsOpen = false
        switch row.body {
        case .document(let bytes): document.open(bytes)
        case .stored(let file, _): if columns?.file !== file { open(file) }
        }
        return true
    }

    private func open(_ file: BlockFile) {
        let identity = ObjectIdentifier(file)
        if let known = otherColumns[identity] {
            columns = known
            return
        }
        let places = fields.map { file.column(named: $0) ?? -1 }
        let opened = Columns(file: file, places: places)
        otherColumns[identity] = opened
        columns = opened
    }

    var key: Key { row?.key ?? Key(0) }
    var version: Position { row?.position ?? .zero }
    var systemFrom: Instant { row?.systemFrom ?? Instant(microseconds: 0) }
    private(set) var bytesStay = false

    func cell(_ field: Int) throws(VarveError) -> Cell {
        guard let row else { return .null }
        bytesStay = true
        switch row.body {
        case .document: return try document.cell(field)
        case .stored(let file, let number):
            guard let columns else { return .null }
            let column = columns.places[field]
            guard column >= 0 else { return file.hasRest ? try restCell(field, file, number) : .null }
            switch file.cell(at: number, column: column) {
            case .null: return .null
            case .bool(let value): return .bool(value)
            case .int64(let value): return .integer(value)
            case .float64(let value): return .double(value)
            case .text(let bytes): return .text(bytes)
            case .binary(let bytes): return .binary(bytes)
            case .timestamp(let microseconds): return .timestamp(Instant(microseconds: microseconds))
            case .json(let text): return try jsonCell(text, file)
            }
        }
    }

    /// An array or an object is its text; anything else (the column holds values of several types) is itself.
    private func jsonCell(_ text: UnsafeRawBufferPointer, _ file: BlockFile) throws(VarveError) -> Cell {
        let isNested = text.first == UInt8(ascii: "[") || text.first == UInt8(ascii: "{") && !isTyped(text)
        guard !isNested else { return .json(text) }
        bytesStay = false
        scratch = try item(text, file)
        var walk = CBORWalk(scratch.withUnsafeBytes { $0 })
        return try walk.cell()
    }

    private func restCell(_ field: Int, _ file: BlockFile, _ number: Int) throws(VarveError) -> Cell {
        bytesStay = false
        if !restIsOpen {
            rest.open(
                try file.rest(at: number).map { text throws(VarveError) in try item(text, file) } ?? Bytes([0xa0]))
            restIsOpen = true
        }
        return try rest.cell(field)
    }

    private func item(_ text: UnsafeRawBufferPointer, _ file: BlockFile) throws(VarveError) -> Bytes {
        do {
            return try cborItem(fromJSON: text)
        } catch {
            throw VarveError(
                .blockCorrupt, "block file \(file.file.name): a JSON cell is no JSON; other rows are not affected",
                next: "restore this file from a backup or another copy of the storage")
        }
    }

    private func isTyped(_ text: UnsafeRawBufferPointer) -> Bool {
        // Canonical text: no white space, and no field of a document is called "@type".
        text.starts(with: #"{"@type":"#.utf8)
    }

    func appendDocument(to json: inout JSONWriter) throws(VarveError) {
        guard let row else { return }
        switch row.body {
        case .document: try document.append(row.key, to: &json)
        case .stored(let file, let number):
            guard let bytes = try file.document(at: number) else { return }
            var whole = OpenDocument([])
            whole.open(bytes)
            try whole.append(row.key, to: &json)
        }
    }
}
