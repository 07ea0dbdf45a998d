/// What an embedding program reads from: the database at one position, which never changes.
///
/// Taking one costs a few references and stops nobody. All questions to one snapshot see the same state.

internal import VarveCore
internal import VarveIndexing
public import VarveModel
public import VarveQuery

public struct DatabaseSnapshot: Sendable {
    let view: ReadView
    let engine: QueryEngine
    let limits: QueryLimits
    let nodes: @Sendable () -> [QueryNode]

    /// The position this node had applied when the snapshot was taken.
    public var position: Position { view.position }
    /// The same with the history there: give it to `after:` of a later read, on any node.
    public var token: Token { view.token }
    /// The position that is read, when the past was asked for.
    public var asOf: Position? { view.asOf }

    /// One version of a document.
    public struct Version: Sendable {
        /// The transaction that wrote it.
        public let position: Position
        public let systemFrom: Instant
        /// When the next version came; nil for the newest.
        public let systemTo: Instant?
        /// With `_id`; nil is a deletion.
        public let document: Value?
    }

    /// The document with `_id`, or nil when there is none at this position. A table that was never written is empty.
    public func get(_ table: String, id: Value) throws(VarveError) -> Value? {
        let (table, key) = (try TableName(table), try Key(id: id))
        guard let document = try view.get(table, key)?.document else { return nil }
        return try Self.value(document, table, key)
    }

    /// Versions of a document, newest first; after an erase none.
    public func history(_ table: String, id: Value, limit: Int = 100) throws(VarveError) -> [Version] {
        let (table, key) = (try TableName(table), try Key(id: id))
        var versions: [Version] = []
        for row in try view.history(table, key, limit: limit) {
            var document: Value?
            if let bytes = row.document { document = try Self.value(bytes, table, key) }
            versions.append(
                Version(
                    position: row.position, systemFrom: row.systemFrom, systemTo: row.systemTo, document: document))
        }
        return versions
    }

    /// Names of the tables that were ever written.
    public var tables: [String] { view.snapshot.tables.map(\.name.text) }

    /// One SELECT (docs/sql.md). The whole answer is in memory, at most `http.maxResultBytes`.
    public func query(
        _ sql: String, parameters: QueryParameters = .none, timeout: Duration = .seconds(30)
    ) async throws(VarveError) -> QueryResult {
        let run = try await engine.start(
            QueryRequest(sql: sql, parameters: parameters, format: .values, deadline: .now + timeout, limits: limits),
            on: SnapshotSource(view.snapshot, asOf: view.asOf, nodes: nodes))
        var rows: [[Value]] = []
        while let batch = try await run.nextBatch() { rows += batch.rows }
        return QueryResult(columns: run.columns, rows: rows, token: token)
    }

    private static func value(_ document: Bytes, _ table: TableName, _ key: Key) throws(VarveError) -> Value {
        do throws(CBORFault) {
            return try Document(document).value(key: key)
        } catch {
            throw VarveError(.internal, "the stored document \(table)/\(key) cannot be read: \(error)")
        }
    }
}

/// The rows of an answer, in order: a collection.
public struct QueryResult: Sendable, RandomAccessCollection {
    public let columns: [QueryColumn]
    private let rows: [[Value]]
    /// Where the node stood when it answered.
    public let token: Token

    init(columns: [QueryColumn], rows: [[Value]], token: Token) {
        self.columns = columns
        self.rows = rows
        self.token = token
    }

    public var startIndex: Int { rows.startIndex }
    public var endIndex: Int { rows.endIndex }
    public subscript(index: Int) -> Row { Row(columns: columns, values: rows[index]) }

    public struct Row: Sendable {
        public let columns: [QueryColumn]
        public let values: [Value]

        public subscript(index: Int) -> Value { values[index] }
        /// The first column of that name; nil when there is none.
        public subscript(name: String) -> Value? {
            columns.firstIndex { $0.name == name }.map { values[$0] }
        }
    }
}
