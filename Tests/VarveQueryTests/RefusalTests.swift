import Testing
import VarveModel

@testable import VarveQuery

@Suite struct RefusalTests {
    private func source() throws -> MemorySource { try SelectTests.users() }

    @Test(arguments: [
        "INSERT INTO users (_id) VALUES ('x')", "UPDATE users SET age = 1", "DELETE FROM users", "DROP TABLE users",
        "CREATE TABLE x (a)", "CREATE TEMP TABLE x (a)", "ALTER TABLE users ADD COLUMN x", "VACUUM", "REINDEX",
        "  -- note\n /* and */ insert into nobody values (1)", "WITH x AS (SELECT 1) DELETE FROM users",
        "WITH x AS (SELECT 1) INSERT INTO users SELECT * FROM x", "WITH x AS (SELECT 1) UPDATE users SET age = 2",
        "REPLACE INTO users (_id) VALUES (1)", "EXPLAIN DELETE FROM users", "ANALYZE", "VACUUM INTO '/tmp/x'",
        "CREATE VIRTUAL TABLE x USING fts5(a)", "CREATE VIEW v AS SELECT 1",
    ])
    func `writing is READ_ONLY`(sql: String) async throws {
        #expect(await failure(try source(), sql)?.code == .readOnly, "\(sql)")
    }

    @Test(arguments: [
        "ATTACH '/etc/passwd' AS p", "DETACH main", "PRAGMA table_info(users)", "PRAGMA temp_store_directory = '/tmp'",
        "SELECT * FROM pragma_table_info('users')", "SELECT load_extension('x')", "SELECT fts3_tokenizer('simple')",
        "SELECT fts3_tokenizer('simple', x'00')", "SELECT readfile('/etc/passwd')", "SELECT writefile('/tmp/x', 'y')",
        "SELECT edit('x')", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE users", "BEGIN", "COMMIT", "SAVEPOINT s", "",
        "  ; -- nothing", "SELECT * FROM nobody", "SELECT nobody FROM users", "SELEC 1", "SELECT 1 FORM users",
        "SELECT * FROM sqlite_schema", "SELECT * FROM main.sqlite_master", "SELECT * FROM varve", "SELECT \"text\"",
        "SELECT 'unclosed", "SELECT /* unclosed", "SELECT 1\u{0}; SELECT 2", "SELECT * FROM varve.nothing",
        "SELECT * FROM users FOR SYSTEM_TIME AS OF '2026-01-01'", "SELECT * FROM users('0-12')",
        "SELECT * FROM users_history", "SELECT rowid FROM users",
    ])
    func `what a query cannot be is SQL_ERROR`(sql: String) async throws {
        let error = await failure(try source(), sql)
        #expect(error?.code == .sqlError, "\(sql): \(error?.description ?? "no error")")
    }

    @Test func `a semicolon and a comment behind the statement are fine`() async throws {
        #expect(try await ask(source(), "SELECT 1; -- done; really\n ; /* yes */").text == "[1]")
        #expect(try await ask(source(), "SELECT ';', \"name\" FROM users WHERE _id = 'bob';").text == #"[";","Bob"]"#)
    }

    @Test func `the message says what and where`() async throws {
        let error = await failure(try source(), "SELECT naem FROM users")
        #expect(error?.message == "no such column: naem (at byte 7)")
        #expect(error?.at == "/sql")
    }

    @Test(arguments: [
        ("SELECT * FROM users FOR SYSTEM_TIME AS OF '2026-01-01'", "FOR SYSTEM_TIME is not supported by this version"),
        ("SELECT * FROM users('0-12')", "users(position) is not supported by this version"),
        ("SELECT * FROM users_history", "users_history is not supported by this version"),
    ])
    func `forms of later versions are named`(sql: String, message: String) async throws {
        #expect(await failure(try source(), sql)?.message == message)
    }

    @Test func `parameters go by position or by name`() async throws {
        let source = try source()
        #expect(
            try await ask(
                source, "SELECT :a, @a, $b, :c, :d, :e",
                .named([
                    .init("a", true), .init("b", ["x", nil]), .init("c", .timestamp(Instant(microseconds: 0))),
                    .init("d", .binary([255])), .init("e", ""),
                ])
            ).text
                == #"[1,1,"[\"x\",null]","1970-01-01T00:00:00.000000Z",{"@type":"binary","@value":"/w=="},""]"#)
        #expect(
            try await ask(source, "SELECT ?2, ?1, ?", .positional([1, ["k": 2.5], nil])).text
                == #"["{\"k\":2.5}",1,null]"#)
        #expect(
            try await ask(source, "SELECT typeof(?), typeof(?)", .positional(["", .binary([])])).text
                == #"["text","blob"]"#)
    }

    @Test func `parameters that do not fit are refused`() async throws {
        let source = try source()
        #expect(
            await failure(source, "SELECT ?, ?", .positional([1]))?.message
                == "the statement has 2 parameters, 1 were given")
        #expect(await failure(source, "SELECT ?", .positional([1, 2]))?.code == .sqlError)
        #expect(await failure(source, "SELECT ?")?.code == .sqlError)
        #expect(await failure(source, "SELECT 1", .positional([1]))?.code == .sqlError)
        #expect(await failure(source, "SELECT :a", .named([]))?.at == "/params")
        #expect(await failure(source, "SELECT :a", .named([.init("a", 1), .init("b", 2)]))?.at == "/params/b")
        #expect(await failure(source, "SELECT ?", .named([.init("a", 1)]))?.code == .sqlError)
    }

    @Test func `a query that takes too long is QUERY_TIMEOUT`() async throws {
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        #expect(await failure(try source(), endless, timeout: .milliseconds(30))?.code == .queryTimeout)
        #expect(await failure(try source(), "SELECT 1", timeout: .zero)?.code == .queryTimeout)
    }

    @Test func `a cancelled task ends its query`() async throws {
        let source = try source()
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        let task = Task { await failure(source, endless) }
        task.cancel()
        #expect(await task.value?.message == "the query was cancelled")
    }

    @Test func `an error after the first rows comes with its batch`() async throws {
        let source = try MemorySource(["t": (0..<5000).map { ["_id": .integer($0)] }])
        let request = QueryRequest(
            sql: "SELECT json(CASE WHEN _id < 3000 THEN '{}' ELSE '{' END) FROM t ORDER BY _id",
            deadline: .now + .seconds(60))
        let run = try await engine.start(request, on: source)
        var rows = 0
        var error: VarveError?
        do throws(VarveError) {
            while let batch = try await run.nextBatch() { rows += batch.rowCount }
        } catch let thrown {
            error = thrown
        }
        #expect(rows == 2048)
        #expect(error?.code == .sqlError)
        #expect(error?.message == "malformed JSON")
        let more = try await run.nextBatch()
        #expect(more?.rowCount == nil)
    }

    @Test func `too large an answer or value is RESULT_TOO_LARGE`() async throws {
        let source = try MemorySource(["t": (0..<5000).map { ["_id": .integer($0)] }])
        #expect(
            await failure(source, "SELECT _id FROM t", limits: QueryLimits(resultBytesMax: 10_000))?.code
                == .resultTooLarge)
        #expect(
            await failure(source, "SELECT length(zeroblob(3000000))", limits: QueryLimits(memoryBytesMax: 1 << 20))?
                .code == .resultTooLarge)
    }
}
