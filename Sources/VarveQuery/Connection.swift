/// One SQLite connection for one request: an empty database in memory whose tables are those of a source.
///
/// Order matters: limits, tables and the first use of `json_each` come before the authorizer, which from then on lets
/// nothing through but reading. A connection is used by one thread at a time and closed with the request.

import CVarveSQLite
import VarveModel

final class Connection: VirtualTableHost {
    private var database: OpaquePointer?
    private let source: any QuerySource
    private let control: QueryControl
    private let limits: QueryLimits
    private var tables: [String: VirtualTable] = [:]
    /// The first failure of our own code below SQLite; it says more than SQLite's "SQL logic error".
    private var failure: VarveError?
    /// Set by the authorizer when it refuses.
    private var refusal: VarveError?

    init(source: any QuerySource, control: QueryControl, limits: QueryLimits) {
        self.source = source
        self.control = control
        self.limits = limits
    }

    deinit { sqlite3_close(database) }

    // MARK: Opening

    /// Opens the database with the tables that `text` could name.
    func open(for text: StatementText) throws(VarveError) {
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY
        try check(sqlite3_open_v2(":memory:", &database, flags, nil))
        guard let database else { throw VarveError(.internal, "SQLite gave no connection") }
        sqlite3_extended_result_codes(database, 1)
        // "name" is a name and nothing else, and neither schema nor extensions can be tampered with.
        for (option, value) in [
            (SQLITE_DBCONFIG_DQS_DML, Int32(0)), (SQLITE_DBCONFIG_DQS_DDL, 0), (SQLITE_DBCONFIG_DEFENSIVE, 1),
            (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0), (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
        ] { _ = varve_sqlite_config_flag(database, option, value) }
        let kibibytes = max(2 << 10, limits.memoryBytesMax >> 13)
        try run("PRAGMA main.cache_size = -\(kibibytes)")
        try check(VirtualModule.register(on: database, host: self))
        try createTables(text)
        for function in ["json_each", "json_tree"] where text.names.contains(function) {
            // Declared on first use, which the authorizer would not let happen.
            try run("SELECT 1 FROM \(function)('[]')")
        }
        sqlite3_limit(database, SQLITE_LIMIT_LENGTH, Int32(clamping: limits.memoryBytesMax))
        sqlite3_limit(database, SQLITE_LIMIT_SQL_LENGTH, Self.statementBytesMax)
        sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0)
        sqlite3_limit(database, SQLITE_LIMIT_WORKER_THREADS, 0)
        let own = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_set_authorizer(
            database,
            { context, action, first, second, _, _ in
                guard let context else { return SQLITE_DENY }
                return Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue()
                    .authorize(action, first, second)
            }, own)
        sqlite3_progress_handler(
            database, Self.stepsBetweenChecks,
            { context in
                guard let context else { return 1 }
                return Unmanaged<Connection>.fromOpaque(context)._withUnsafeGuaranteedRef {
                    $0.control.hasToStop ? 1 : 0
                }
            }, own)
    }

    /// Longest statement in bytes.
    private static let statementBytesMax: Int32 = 1 << 20
    /// Instructions of SQLite's machine between two looks at the clock.
    private static let stepsBetweenChecks: Int32 = 1000

    private func createTables(_ text: StatementText) throws(VarveError) {
        // A name that stands nowhere in the text can't be a table of the statement: a large catalogue costs nothing.
        for table in source.tables where text.names.contains(table.name.text) {
            guard table.name != .transactions else { continue }
            tables["main." + table.name.text] = DocumentTable(
                table, source: source, control: control, limits: limits)
            try run("CREATE VIRTUAL TABLE main.\(quoted(table.name.text)) USING \(VirtualModule.name)")
        }
        guard text.names.contains(SystemTables.schema) else { return }
        try run("ATTACH ':memory:' AS \(SystemTables.schema)")
        for name in SystemTables.names where text.names.contains(name) {
            tables[SystemTables.schema + "." + name] = SystemTables.make(name, source: source, control: control)
            try run("CREATE VIRTUAL TABLE \(SystemTables.schema).\(quoted(name)) USING \(VirtualModule.name)")
        }
    }

    private func run(_ sql: String) throws(VarveError) { try check(sqlite3_exec(database, sql, nil, nil, nil)) }

    func table(schema: String, name: String) -> VirtualTable? { tables[schema + "." + name] }

    func note(_ failure: VarveError) { self.failure = self.failure ?? failure }

    // MARK: Authorizer

    private static let forbiddenFunctions: Set<String> = [
        "load_extension", "fts3_tokenizer", "readfile", "writefile", "edit",
    ]
    private static let schemaTables: Set<String> = [
        "sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema",
    ]

    private func authorize(
        _ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?
    ) -> Int32 {
        func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
        func refuse(_ code: ErrorCode, _ message: String, next: String? = nil) -> Int32 {
            refusal = refusal ?? VarveError(code, message, next: next, at: "/sql")
            return SQLITE_DENY
        }
        switch action {
        case SQLITE_SELECT, SQLITE_RECURSIVE: return SQLITE_OK
        case SQLITE_READ:
            guard let first, first.pointee == CChar(UInt8(ascii: "s")), Self.schemaTables.contains(text(first)) else {
                return SQLITE_OK
            }
            return refuse(.sqlError, "no such table: \(text(first))", next: "SELECT name, columns FROM varve.tables")
        case SQLITE_FUNCTION:
            let name = text(second).lowercased()
            return Self.forbiddenFunctions.contains(name)
                ? refuse(.sqlError, "the function \(name) is not allowed") : SQLITE_OK
        case SQLITE_ATTACH, SQLITE_DETACH: return refuse(.sqlError, "ATTACH and DETACH are not allowed")
        case SQLITE_PRAGMA: return refuse(.sqlError, "PRAGMA is not allowed")
        case SQLITE_TRANSACTION, SQLITE_SAVEPOINT:
            return refuse(.sqlError, "every query is a snapshot of its own: there is no BEGIN, COMMIT or SAVEPOINT")
        case SQLITE_UPDATE where Self.schemaTables.contains(text(first)):
            // Not a write of the user's: SQLite sets up one of its own table-valued functions.
            return refuse(
                .sqlError, "of SQLite's own tables and table functions only json_each and json_tree are there")
        default: return refuse(.readOnly, readOnlyMessage)
        }
    }

    // MARK: Compiling

    /// Compiles the one statement of `sql` and binds `parameters`.
    func prepare(_ sql: String, _ text: StatementText, _ parameters: QueryParameters) throws(VarveError) -> Statement {
        guard !sql.utf8.contains(0) else { throw sqlError("a statement holds no NUL") }
        guard !text.isEmpty else { throw sqlError("there is no statement") }
        guard !text.namesSystemTime else { throw sqlError("FOR SYSTEM_TIME is not supported by this version") }
        guard !text.isWrite else { throw VarveError(.readOnly, readOnlyMessage, at: "/sql") }
        guard let database else { throw VarveError(.internal, "the connection is not open") }
        var handle: OpaquePointer?
        var sql = sql
        var rest = 0
        let code = sql.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                var tail: UnsafePointer<CChar>?
                let code = sqlite3_prepare_v2(database, text.baseAddress, Int32(clamping: text.count), &handle, &tail)
                rest = tail.map { text.baseAddress! + text.count - $0 } ?? 0
                return code
            }
        }
        guard code == SQLITE_OK, let handle else {
            sqlite3_finalize(handle)
            throw compileError(code, text)
        }
        let statement = Statement(handle, connection: self)
        guard StatementText(String(decoding: Array(sql.utf8.suffix(rest)), as: UTF8.self)).isEmpty else {
            throw sqlError("one statement at a time")
        }
        guard sqlite3_stmt_readonly(handle) != 0 else { throw VarveError(.readOnly, readOnlyMessage, at: "/sql") }
        guard sqlite3_column_count(handle) > 0 else { throw sqlError("only SELECT answers with rows") }
        try statement.bind(parameters)
        return statement
    }

    func origin(_ handle: OpaquePointer, _ column: Int32) -> (table: VirtualTable, column: Int)? {
        guard let schema = sqlite3_column_database_name(handle, column),
            let name = sqlite3_column_table_name(handle, column),
            let origin = sqlite3_column_origin_name(handle, column),
            let table = table(schema: String(cString: schema), name: String(cString: name)),
            let index = table.column(named: String(cString: origin))
        else { return nil }
        return (table, index)
    }

    // MARK: Errors

    private var message: String { database.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory" }

    private func compileError(_ code: Int32, _ text: StatementText) -> VarveError {
        if let refusal { return refusal }
        if let failure { return failure }
        if code & 0xff == SQLITE_INTERRUPT { return control.reason }
        let message = message
        if message.hasSuffix("may not be modified") { return VarveError(.readOnly, readOnlyMessage, at: "/sql") }
        if message.hasPrefix("no such table: "), message.hasSuffix("_history") {
            let table = message.dropFirst("no such table: ".count).dropLast("_history".count).split(separator: ".").last
            if let table, source.tables.contains(where: { $0.name.text == table.lowercased() }) {
                return sqlError("\(table)_history is not supported by this version")
            }
        }
        return error(code)
    }

    /// The error behind a code of SQLite.
    func error(_ code: Int32) -> VarveError {
        if let failure { return failure }
        if let refusal { return refusal }
        let message = message
        switch code & 0xff {
        case SQLITE_INTERRUPT: return control.reason
        case SQLITE_TOOBIG:
            return VarveError(
                .resultTooLarge, "\(message): one value or statement is larger than query.maxMemory allows")
        case SQLITE_NOMEM: return VarveError(.overloaded, "the query ran out of memory")
        case SQLITE_FULL, SQLITE_IOERR, SQLITE_CANTOPEN:
            return VarveError(.overloaded, "the query's temporary files could not be written: \(message)")
        case SQLITE_CORRUPT, SQLITE_MISUSE, SQLITE_INTERNAL:
            return VarveError(.internal, "SQLite: \(message) (\(code))")
        default:
            let offset = database.map { sqlite3_error_offset($0) } ?? -1
            return sqlError(offset >= 0 ? "\(message) (at byte \(offset))" : message)
        }
    }

    private func check(_ code: Int32) throws(VarveError) {
        if code != SQLITE_OK { throw error(code) }
    }
}

private let readOnlyMessage = "a query only reads; writes are operations of POST /v1/transactions"

func sqlError(_ message: String) -> VarveError { VarveError(.sqlError, message, at: "/sql") }
