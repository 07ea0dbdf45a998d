import Testing
import VarveIndexing
import VarveModel

@testable import VarveQuery

@Suite struct SnapshotTests {
    static let kinds: [Value] = [
        ["_id": "ada", "name": "Ada", "v": 36, "b": true, "n": nil, "tags": ["x", ["y": nil]]],
        ["_id": "bob", "name": "Bob \"quoted\" \u{1F600}", "v": "text", "b": false],
        ["_id": -3, "name": "", "v": 1.5, "o": ["city": "Ulm", "at": .timestamp(Instant(microseconds: 1))]],
        ["_id": 3, "v": .timestamp(Instant("2026-11-21T10:00:00.000001Z")!), "raw": .binary([0, 255])],
        ["_id": "é", "v": .binary([1]), "raw": .binary([]), "when": .timestamp(Instant(microseconds: -1))],
        ["_id": "f", "v": ["a", 1], "o": [1, 2], "x": 0.1, "i": .integer(.min)],
        ["_id": "g", "v": false, "o": [:], "x": -0.0, "i": .integer(.max)],
        ["_id": "h", "v": nil],
    ]

    static let questions = [
        "SELECT * FROM t ORDER BY _id", "SELECT _id, _doc, _version FROM t ORDER BY _id DESC",
        "SELECT _id, typeof(v), v FROM t ORDER BY _id", "SELECT count(*), sum(v), max(x), min(i) FROM t",
        "SELECT * FROM t WHERE _id = 'ada'", "SELECT * FROM t WHERE _id IN (3, -3, 'é', 'nobody')",
        "SELECT _id FROM t WHERE _id > 'b' AND _id <= 'g'", "SELECT a._id, b._id FROM t a JOIN t b ON a.v = b.v",
        "SELECT a._id FROM t a JOIN t b ON b._id = a._id AND b.name LIKE '%o%'",
        "SELECT o->>'city', json_array_length(tags) FROM t ORDER BY _id",
    ]

    @Test func `rows answer the same from memory and from a block file`() async throws {
        try await Database.run { database in
            try await database.submit(.put(into: "t", Self.kinds))
            var live: [Answer] = []
            for question in Self.questions { live.append(try await database.ask(question)) }
            #expect(live[2].text.contains(#"[3,"text","2026-11-21T10:00:00.000001Z"]"#))
            #expect(live[2].text.contains(#"["f","text","[\"a\",1]"]"#))
            #expect(live[2].text.contains(#"["g","integer",0]"#))
            #expect(live[2].text.contains(#"["é","blob",{"@type":"binary","@value":"AQ=="}]"#))
            try await database.flush()
            #expect(database.indexer.snapshot.blocks.blocks.count == 1)
            for (question, expected) in zip(Self.questions, live) {
                let stored = try await database.ask(question)
                #expect(stored.text == expected.text, "\(question)")
                #expect(stored.columns == expected.columns, "\(question)")
            }
        }
    }

    @Test func `fields without a column in the file are read all the same`() async throws {
        @Sendable func document(_ id: Int64) -> Value {
            .object([.init("_id", .integer(id))] + (0..<300).map { .init("f\(1000 + $0)", .integer(id * 1000 + $0)) })
        }
        try await Database.run { database in
            try await database.submit(
                .put(
                    into: "t", [document(1), document(2), ["_id": 3, "f1299": ["a": [1]]], ["_id": 4, "f1001": "x"]]))
            let questions = [
                "SELECT * FROM t ORDER BY _id", "SELECT f1299, f1000, f1255, f1256 FROM t ORDER BY _id",
                "SELECT _doc FROM t WHERE f1299 = 2299",
            ]
            var live: [String] = []
            for question in questions { live.append(try await database.ask(question).text) }
            #expect(live[1].hasPrefix(#"[1299,1000,1255,1256],[2299,2000,2255,2256],["{\"a\":[1]}",null,null,null]"#))
            try await database.flush()
            for (question, expected) in zip(questions, live) {
                #expect(try await database.ask(question).text == expected, "\(question)")
            }
        }
    }

    @Test func `the newest version shows, wherever versions lie`() async throws {
        try await Database.run { database in
            try await database.submit(
                .put(into: "t", (0..<50).map { ["_id": .integer($0), "v": 0, "w": .integer($0)] }))
            try await database.flush()
            var patches = Transaction()
            for id in 10..<20 { try patches.patch(in: "t", ["_id": .integer(Int64(id)), "v": 1]) }
            try await database.submit(patches)
            try await database.submit(.delete(from: "t", 5, 15))
            try await database.flush()
            try await database.submit(.patch(in: "t", ["_id": 5, "v": 2], ["_id": 0, "v": 2]))
            try await database.submit(.erase(from: "t", 1))
            #expect(
                try await database.ask("SELECT v, count(*), sum(w), group_concat(_id) FROM t GROUP BY v").text
                    == """
                    [0,37,1074,"2,3,4,6,7,8,9,\((20..<50).map(String.init).joined(separator: ","))"],\
                    [1,9,130,"10,11,12,13,14,16,17,18,19"],[2,2,0,"0,5"]
                    """)
            #expect(try await database.ask("SELECT _id FROM t WHERE _id IN (1, 15, 5, 16)").text == "[5],[16]")
        }
    }

    @Test func `a past question has the same answer for ever`() async throws {
        try await Database.run { database in
            let sql = "SELECT _id, v, _version, _system_to FROM t ORDER BY _id"
            let byKey = "SELECT v FROM t WHERE _id = 'a'"
            var answers: [(Position, String, String)] = []
            func note(_ position: Position) async throws {
                answers.append(
                    (position, try await database.ask(sql).text, try await database.ask(byKey).text))
            }
            try await note(database.submit(.put(into: "t", ["_id": "a", "v": 1])))
            try await note(database.submit(.put(into: "t", ["_id": "b", "v": 1])))
            try await database.flush()
            try await note(database.submit(.patch(in: "t", ["_id": "a", "v": 2])))
            try await note(database.submit(.delete(from: "t", "b")))
            try await database.flush()
            try await note(database.submit(.put(into: "t", ["_id": "b", "v": 3], ["_id": "a", "v": 3])))
            for (position, all, one) in answers {
                #expect(try await database.ask(sql, asOf: position).text == all)
                #expect(try await database.ask(byKey, asOf: position).text == one)
            }
            #expect(answers.map(\.2) == ["[1]", "[1]", "[2]", "[2]", "[3]"])
            #expect(try await database.ask(sql, asOf: .zero).text.isEmpty)
        }
    }

    @Test func `decisions and blocks are tables`() async throws {
        try await Database.run { database in
            try await database.submit(.put(into: "t", ["_id": 1, "v": 1]))
            try await database.submit(.assert("t", 2, exists: true))
            try await database.flush()
            let last = try await database.submit(.put(into: "u", ["_id": 1]))
            let decided = """
                SELECT outcome, error_code, error_op, position < '0-9', length(_id), token LIKE position || '-%'
                FROM varve.transactions
                """
            #expect(
                try await database.ask(decided).text == """
                    ["committed",null,null,1,32,1],["aborted","ASSERT_FAILED",0,1,32,1],["committed",null,null,1,32,1]
                    """)
            #expect(try await database.ask(decided, asOf: .zero).text.isEmpty)
            #expect(
                try await database.ask("SELECT number, rows, transactions, cut FROM varve.blocks").text
                    == #"[0,1,2,"request"]"#)
            #expect(
                try await database.ask("SELECT * FROM varve.tables ORDER BY 1").text
                    == #"["t",1,"[\"_id\",\"v\"]"],["u",1,"[\"_id\"]"]"#)
            #expect(
                try await database.ask(
                    "SELECT t.position FROM u JOIN varve.transactions t ON t.position = u._version"
                ).text == "[\"\(last)\"]")
        }
    }

    @Test func `nodes are rows, and read when they are asked for`() async throws {
        try await Database.run { database in
            var row = QueryNode(node: "n2", state: "silent", unchangedMs: 31_000)
            row.applied = Position(.first, Offset(7))
            row.errorCode = "POISON"
            let source = SnapshotSource(database.indexer.snapshot) { [row] in
                [QueryNode(node: "n1", state: "this", unchangedMs: 0), row]
            }
            let answer = try await ask(
                source,
                "SELECT node, state, unchanged_ms, applied, block, error_code FROM varve.nodes ORDER BY node")
            #expect(
                answer.text == #"["n1","this",0,null,null,null],["n2","silent",31000,"0-7",null,"POISON"]"#)
        }
    }

    @Test func `a running query keeps what it saw`() async throws {
        try await Database.run { database in
            try await database.submit(.put(into: "t", (0..<3000).map { ["_id": .integer($0), "v": "before"] }))
            let request = QueryRequest(
                sql: "SELECT v FROM t ORDER BY _id", format: .values, deadline: .now + .seconds(60))
            let run = try await engine.start(request, on: SnapshotSource(database.indexer.snapshot))
            try await database.submit(.put(into: "t", (0..<3000).map { ["_id": .integer($0), "v": "after"] }))
            try await database.flush()
            var seen: [String: Int] = [:]
            while let batch = try await run.nextBatch() {
                for row in batch.rows { if case .text(let text) = row[0] { seen[text, default: 0] += 1 } }
            }
            #expect(seen == ["before": 3000])
        }
    }
}
