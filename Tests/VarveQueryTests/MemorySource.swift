import Synchronization
import VarveModel

@testable import VarveQuery

/// A source over documents in memory, which counts what is asked of it.
final class MemorySource: QuerySource {
    struct Row: Sendable {
        let key: Key
        let document: Bytes
        let version: Position
        let systemFrom: Instant
    }

    let tables: [QueryTable]
    private let rows: [TableName: [Row]]
    let transactions: [QueryTransaction]
    let walks = Mutex<[KeyRange]>([])
    /// Called for each row that is walked over.
    let onRow: @Sendable () -> Void

    init(
        _ contents: [String: [Value]], transactions: [QueryTransaction] = [], onRow: @escaping @Sendable () -> Void = {}
    ) throws {
        var tables: [QueryTable] = []
        var rows: [TableName: [Row]] = [:]
        for (name, documents) in contents {
            let table = try TableName(name)
            var fields: [Bytes] = []
            var seen: Set<Bytes> = []
            var own: [Row] = []
            for (i, value) in documents.enumerated() {
                let row = try encodeDocument(value)
                own.append(
                    Row(
                        key: row.key, document: row.document, version: Position(.first, Offset(Int64(i + 1))),
                        systemFrom: Instant(microseconds: 1_767_225_600_000_000 + Int64(i))))
                guard case .object(let members) = value else { continue }
                for member in members where member.name != "_id" {
                    let field = Bytes(member.name)
                    if seen.insert(field).inserted { fields.append(field) }
                }
            }
            tables.append(QueryTable(name: table, fields: fields, estimatedRows: documents.count))
            rows[table] = own.sorted { $0.key < $1.key }
        }
        self.tables = tables.sorted { $0.name < $1.name }
        self.rows = rows
        self.transactions = transactions
        self.onRow = onRow
    }

    func rows(of table: TableName, in range: KeyRange, fields: [Bytes]) throws(VarveError) -> any QueryRows {
        walks.withLock { $0.append(range) }
        return MemoryRows((rows[table] ?? []).filter { range.contains($0.key) }, fields, onRow)
    }

    func transactions(after position: Position?, limit: Int) throws(VarveError) -> [QueryTransaction] {
        Array(transactions.filter { position == nil || $0.position > position! }.prefix(limit))
    }

    func blocks() throws(VarveError) -> [QueryBlock] { [] }
}

private final class MemoryRows: QueryRows {
    private let rows: [MemorySource.Row]
    private var at = -1
    private var fields: DocumentFields
    private let onRow: () -> Void
    private var isRead = false

    init(_ rows: [MemorySource.Row], _ fields: [Bytes], _ onRow: @escaping () -> Void) {
        self.rows = rows
        self.fields = DocumentFields(fields)
        self.onRow = onRow
    }

    func next() throws(VarveError) -> Bool {
        at += 1
        guard at < rows.count else { return false }
        isRead = false
        onRow()
        return true
    }

    var key: Key { rows[at].key }
    var version: Position { rows[at].version }
    var systemFrom: Instant { rows[at].systemFrom }
    var bytesStay: Bool { true }

    func cell(_ field: Int) throws(VarveError) -> Cell {
        try rows[at].document.withUnsafeBytes { raw throws(VarveError) in
            if !isRead { try fields.read(raw) }
            isRead = true
            return try fields.cell(field, in: raw)
        }
    }

    func appendDocument(to json: inout JSONWriter) throws(VarveError) {
        do {
            try json.document(rows[at].key, Document(rows[at].document))
        } catch {
            throw VarveError(.blockCorrupt, "\(error)")
        }
    }
}

/// Asks `source` and collects everything.
struct Answer {
    var columns: [QueryColumn]
    var text: String
    var rows: [[Value]]
    var batches: Int
}

let engine = QueryEngine(threadsMax: 4)

func ask(
    _ source: any QuerySource, _ sql: String, _ parameters: QueryParameters = .none, format: QueryFormat = .json,
    timeout: Duration = .seconds(60), limits: QueryLimits = QueryLimits()
) async throws(VarveError) -> Answer {
    let request = QueryRequest(
        sql: sql, parameters: parameters, format: format, deadline: .now + timeout, limits: limits)
    let run = try await engine.start(request, on: source)
    var answer = Answer(columns: run.columns, text: "", rows: [], batches: 0)
    while let batch = try await run.nextBatch() {
        answer.batches += 1
        answer.text += String(decoding: batch.bytes, as: UTF8.self)
        answer.rows += batch.rows
    }
    return answer
}

/// The error with which a query ends.
func failure(
    _ source: any QuerySource, _ sql: String, _ parameters: QueryParameters = .none, timeout: Duration = .seconds(60),
    limits: QueryLimits = QueryLimits()
) async -> VarveError? {
    do throws(VarveError) {
        _ = try await ask(source, sql, parameters, timeout: timeout, limits: limits)
        return nil
    } catch {
        return error
    }
}

extension Document {
    // Only so that a literal reads well in tests.
    static func bytes(_ value: Value) throws -> Bytes { try encodeDocument(value).document }
}
