import Testing
import VarveModel

@testable import VarveQuery

@Suite struct SelectTests {
    static func users() throws -> MemorySource {
        try MemorySource([
            "users": [
                ["_id": "ada", "name": "Ada", "age": 36, "active": true, "tags": ["x", "y"]],
                ["_id": "bob", "name": "Bob", "age": 7, "active": false, "address": ["city": "Ulm"]],
                ["_id": 7, "name": "Seven", "score": 1.5, "raw": .binary([1, 2, 3])],
                ["_id": "eve", "name": nil, "since": .timestamp(Instant("2026-11-21T10:00:00.000001Z")!)],
            ]
        ])
    }

    @Test func `a filter with a parameter answers rows and typed columns`() async throws {
        let answer = try await ask(
            Self.users(), "SELECT name, age FROM users WHERE age > ?", .positional([30]))
        #expect(answer.text == #"["Ada",36]"#)
        #expect(answer.columns == [QueryColumn(name: "name", type: .text), QueryColumn(name: "age", type: .integer)])
    }

    @Test func `select star gives _id, then fields in byte order, and no hidden column`() async throws {
        let answer = try await ask(Self.users(), "SELECT * FROM users WHERE _id = 'ada'")
        #expect(
            answer.columns.map(\.name) == [
                "_id", "active", "address", "age", "name", "raw", "score", "since", "tags",
            ])
        #expect(answer.text == #"["ada",1,null,36,"Ada",null,null,null,"[\"x\",\"y\"]"]"#)
    }

    @Test func `every kind of value has its SQL form and its column type`() async throws {
        let answer = try await ask(
            Self.users(), "SELECT active, address, raw, score, since, name FROM users ORDER BY _id")
        #expect(
            answer.text == """
                [null,null,{"@type":"binary","@value":"AQID"},1.5,null,"Seven"],[1,null,null,null,null,"Ada"],\
                [0,"{\\"city\\":\\"Ulm\\"}",null,null,null,"Bob"],[null,null,null,null,"2026-11-21T10:00:00.000001Z",null]
                """)
        #expect(answer.columns.map(\.type) == [.boolean, .text, .blob, .real, .timestamp, .text])
    }

    @Test func `a column with several kinds is any`() async throws {
        let source = try MemorySource(["t": [["_id": 1, "v": 1], ["_id": 2, "v": "one"]]])
        let answer = try await ask(source, "SELECT v FROM t")
        #expect(answer.columns == [QueryColumn(name: "v", type: .any)])
    }

    @Test func `hidden columns are there by name`() async throws {
        let answer = try await ask(
            Self.users(), "SELECT _doc, _version, _system_from, _system_to FROM users WHERE _id = 'bob'")
        #expect(
            answer.text == """
                ["{\\"_id\\":\\"bob\\",\\"active\\":false,\\"address\\":{\\"city\\":\\"Ulm\\"},\\"age\\":7,\\"name\\":\\"Bob\\"}",\
                "0-2","2026-01-01T00:00:00.000001Z",null]
                """)
        #expect(answer.columns.map(\.type) == [.text, .text, .timestamp, .timestamp])
    }

    @Test func `values have no affinity`() async throws {
        let source = try Self.users()
        #expect(try await ask(source, "SELECT 1 FROM users WHERE age = '36'").text.isEmpty)
        #expect(try await ask(source, "SELECT 1 FROM users WHERE age = 36.0").text == "[1]")
        #expect(try await ask(source, "SELECT name FROM users WHERE _id = '7'").text.isEmpty)
        #expect(try await ask(source, "SELECT name FROM users WHERE _id = 7.0").text == #"["Seven"]"#)
    }

    @Test func `ndjson gives one object a line and numbers repeated names`() async throws {
        let answer = try await ask(
            Self.users(), "SELECT name, age, name, name FROM users WHERE age > 0 ORDER BY age", format: .ndjson)
        #expect(
            answer.text == """
                {"name":"Bob","age":7,"name:2":"Bob","name:3":"Bob"}
                {"name":"Ada","age":36,"name:2":"Ada","name:3":"Ada"}

                """)
    }

    @Test func `a repeated name never takes a name that is there`() {
        #expect(RowWriter.unique(["a", "a:2", "a", "a"]) == ["a", "a:2", "a:3", "a:4"])
        #expect(RowWriter.unique(["a", "a", "a:2"]) == ["a", "a:2", "a:2:2"])
    }

    @Test func `an infinity is null and a blob of text that is no UTF-8 is still JSON`() async throws {
        let answer = try await ask(Self.users(), "SELECT 9e999, -9e999, CAST(x'ff41' AS TEXT), 0.1, 1e300, -0.0")
        #expect(answer.text == "[null,null,\"\u{fffd}A\",0.1,1e+300,-0.0]")
    }

    @Test func `json_each and json_tree read arrays and objects`() async throws {
        let source = try Self.users()
        #expect(
            try await ask(source, "SELECT j.value FROM users, json_each(users.tags) AS j ORDER BY 1").text
                == #"["x"],["y"]"#)
        #expect(
            try await ask(source, "SELECT fullkey FROM json_tree('{\"a\":[1]}') WHERE atom = 1").text
                == ##"["$.a[0]"]"##)
        #expect(try await ask(source, "SELECT address->>'city' FROM users WHERE _id = 'bob'").text == #"["Ulm"]"#)
    }

    @Test func `names are matched without regard to ASCII case and the first seen is the column`() async throws {
        let source = try MemorySource(["t": [["_id": 1, "Name": "first", "ÄX": 1], ["_id": 2, "name": "second"]]])
        let answer = try await ask(source, "SELECT NAME, \"ÄX\" FROM T ORDER BY _ID")
        #expect(answer.text == #"["first",1],[null,null]"#)
        #expect(try await ask(source, "SELECT * FROM t LIMIT 1").columns.map(\.name) == ["_id", "Name", "ÄX"])
        #expect(try await ask(source, "SELECT _doc->>'name' FROM t WHERE _id = 2").text == #"["second"]"#)
    }

    @Test func `any field name is a column`() async throws {
        let source = try MemorySource([
            "order": [["_id": 1, "a\"b": 1, "select": 2, "x hidden y": 3, "it's": 4, "with,comma": 5, "é": 6]]
        ])
        let answer = try await ask(
            source, "SELECT \"a\"\"b\", \"select\", \"x hidden y\", \"it's\", \"with,comma\", \"é\" FROM \"order\"")
        #expect(answer.text == "[1,2,3,4,5,6]")
        #expect(try await ask(source, "SELECT count(*) FROM main.[order]").text == "[1]")
    }

    @Test func `more fields than columns are reachable through _doc`() async throws {
        let fields = (0..<2500).map { Value.Field("f\(10_000 + $0)", .integer(Int64($0))) }
        let source = try MemorySource(["wide": [.object([.init("_id", 1)] + fields)]])
        let answer = try await ask(source, "SELECT * FROM wide")
        #expect(answer.columns.count == 1 + DocumentTable.fieldsMax)
        #expect(answer.text.hasSuffix(",1992,1993]"))
        #expect(try await ask(source, "SELECT f11993, f10070, _doc->>'f12499' FROM wide").text == "[1993,70,2499]")
    }

    @Test func `a long answer comes in batches in order`() async throws {
        let source = try MemorySource(["t": (0..<5000).map { ["_id": .integer($0), "v": .integer($0 * 2)] }])
        let answer = try await ask(source, "SELECT v FROM t ORDER BY _id", format: .values)
        #expect(answer.rows.count == 5000)
        #expect(answer.batches == 5)
        let values = answer.rows.map { row in if case .integer(let v) = row[0] { v } else { Int64(-1) } }
        #expect(values == (0..<5000).map { Int64($0 * 2) })
        #expect(answer.columns == [QueryColumn(name: "v", type: .any)])
        let json = try await ask(source, "SELECT v FROM t ORDER BY _id").text
        #expect(json == (0..<5000).map { "[\($0 * 2)]" }.joined(separator: ","))
    }

    @Test func `an empty answer has its columns`() async throws {
        let answer = try await ask(Self.users(), "SELECT name, _version FROM users WHERE 0")
        #expect(answer.columns == [QueryColumn(name: "name", type: .any), QueryColumn(name: "_version", type: .text)])
        #expect(answer.batches == 0)
    }

    @Test func `system tables have a schema of their own`() async throws {
        func decision(_ number: Int64, failsAt operation: Int64? = nil) -> QueryTransaction {
            QueryTransaction(
                id: "\(number)", position: Position(.first, Offset(number)), systemTime: Instant(microseconds: 0),
                outcome: operation == nil ? "committed" : "aborted",
                errorCode: operation == nil ? nil : "ASSERT_FAILED", errorOperation: operation, errorDetail: nil,
                token: "t\(number)")
        }
        let decided = [decision(1), decision(2, failsAt: 4), decision(3)]
        let source = try MemorySource(
            ["transactions": [["_id": 1]], "b": [["_id": 1], ["_id": 2]]], transactions: decided)
        #expect(
            try await ask(source, "SELECT outcome, count(*), max(error_op) FROM varve.transactions GROUP BY 1").text
                == #"["aborted",1,4],["committed",2,null]"#)
        // A user's table of the same name is another one, and is meant when no schema is named.
        #expect(
            try await ask(source, "SELECT (SELECT count(*) FROM transactions), count(*) FROM varve.transactions").text
                == "[1,3]")
        #expect(
            try await ask(source, "SELECT name, rows, columns FROM varve.tables ORDER BY name").text
                == #"["b",2,"[\"_id\"]"],["transactions",1,"[\"_id\"]"]"#)
        #expect(try await ask(source, "SELECT * FROM varve.blocks").text.isEmpty)
    }
}
