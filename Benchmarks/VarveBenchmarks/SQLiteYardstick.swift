/// SQLite inserting the same JSON texts into one table, in transactions of 1,000 with `synchronous=FULL`.
///
/// Once with its rollback journal (the default), once with its write-ahead log: the faster of the two counts.

internal import CVarveSQLite
internal import VarveModel

enum SQLiteYardstick {
    /// Seconds until everything is durable.
    static func run(_ lines: [Bytes], batch: Int, directory: String) throws -> Double {
        min(
            try run(lines, batch: batch, journal: "DELETE", directory: directory),
            try run(lines, batch: batch, journal: "WAL", directory: directory))
    }

    private static func run(_ lines: [Bytes], batch: Int, journal: String, directory: String) throws -> Double {
        var handle: OpaquePointer?
        guard sqlite3_open(directory + "/\(journal).db", &handle) == SQLITE_OK, let database = handle else {
            throw Fault("SQLite cannot open a database in \(directory)")
        }
        defer { sqlite3_close(database) }
        func execute(_ sql: String) throws {
            guard sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK else {
                throw Fault("SQLite: \(String(cString: sqlite3_errmsg(database)))")
            }
        }
        try execute(
            "PRAGMA journal_mode=\(journal); PRAGMA synchronous=FULL; CREATE TABLE documents(json TEXT NOT NULL)")
        var prepared: OpaquePointer?
        sqlite3_prepare_v2(database, "INSERT INTO documents VALUES (?1)", -1, &prepared, nil)
        guard let insert = prepared else { throw Fault("SQLite cannot prepare") }
        defer { sqlite3_finalize(insert) }
        let began = ContinuousClock.now
        var from = 0
        while from < lines.count {
            let end = min(from + batch, lines.count)
            try execute("BEGIN")
            for line in lines[from..<end] {
                let status = line.withUnsafeBytes { text in
                    // Static: the text outlives the step.
                    sqlite3_bind_text(
                        insert, 1, text.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(text.count), nil)
                    return sqlite3_step(insert)
                }
                guard status == SQLITE_DONE else { throw Fault("SQLite: insert failed with \(status)") }
                sqlite3_reset(insert)
            }
            try execute("COMMIT")
            from = end
        }
        return (ContinuousClock.now - began).inSeconds
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
