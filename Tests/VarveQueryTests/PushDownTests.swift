import Synchronization
import Testing
import VarveModel

@testable import VarveQuery

@Suite struct PushDownTests {
    static let ids: [Value] = [-5, 0, 3, 7, "a", "ab", "b", "é"]

    static func source() throws -> MemorySource {
        try MemorySource(["t": ids.map { ["_id": $0, "v": 1] }])
    }

    /// The same comparison on `_id` itself and on an expression that no index can serve.
    @Test(arguments: ["=", "<", "<=", ">", ">=", "IS", "<>"])
    func `a comparison of _id finds what a scan finds`(operation: String) async throws {
        let source = try Self.source()
        let literals = [
            "3", "4", "-6", "100", "3.0", "3.5", "-0.5", "1e30", "-1e30", "9223372036854775807", "''", "'a'", "'aa'",
            "'z'", "x''", "x'61'", "NULL", "'3'",
        ]
        for literal in literals {
            for order in ["", "DESC"] {
                let pushed = try await ask(
                    source, "SELECT _id FROM t WHERE _id \(operation) \(literal) ORDER BY _id \(order)")
                let scanned = try await ask(
                    source, "SELECT _id FROM t WHERE +_id \(operation) \(literal) ORDER BY +_id \(order)")
                #expect(pushed.text == scanned.text, "_id \(operation) \(literal)")
            }
        }
    }

    @Test func `a comparison of _id walks only its range`() async throws {
        let source = try Self.source()
        let answer = try await ask(source, "SELECT _id FROM t WHERE _id >= 3 AND _id < 'ab' ORDER BY _id")
        #expect(answer.text == #"[3],[7],["a"]"#)
        #expect(source.walks.withLock { $0 } == [KeyRange(from: Key(3), upTo: Key("ab"))])
    }

    @Test func `a list of ids is a list of look-ups`() async throws {
        let source = try Self.source()
        let answer = try await ask(source, "SELECT _id FROM t WHERE _id IN ('b', 3, 'nobody') ORDER BY _id")
        #expect(answer.text == #"[3],["b"]"#)
        #expect(source.walks.withLock { $0.allSatisfy { $0.single != nil } && $0.count == 3 })
    }

    @Test func `alternatives of ids give each row once`() async throws {
        let answer = try await ask(
            Self.source(), "SELECT _id FROM t WHERE _id = 'b' OR _id < 1 OR _id = 0 ORDER BY _id")
        #expect(answer.text == #"[-5],[0],["b"]"#)
    }

    @Test func `rows come in the order of _id without sorting`() async throws {
        let source = try Self.source()
        let plan = try await ask(source, "EXPLAIN QUERY PLAN SELECT * FROM t ORDER BY _id, v").text
        #expect(!plan.contains("TEMP B-TREE"))
        let down = try await ask(source, "SELECT _id FROM t ORDER BY _id DESC").text
        #expect(down == #"["é"],["b"],["ab"],["a"],[7],[3],[0],[-5]"#)
    }

    @Test func `a collation is respected`() async throws {
        let source = try MemorySource(["t": [["_id": "Ada", "n": "X"], ["_id": "ada", "n": "x"]]])
        #expect(
            try await ask(source, "SELECT count(*) FROM t WHERE _id = 'ADA' COLLATE NOCASE").text == "[2]")
        #expect(
            try await ask(source, "SELECT count(*) FROM t a JOIN t b ON a.n = b.n COLLATE NOCASE").text == "[4]")
    }

    @Test func `a join on _id is a look-up for each row`() async throws {
        let source = try MemorySource([
            "orders": (0..<50).map { ["_id": .integer($0), "customer": .text("c\($0 % 7)")] },
            "customers": (0..<1000).map { ["_id": .text("c\($0)"), "name": .text("n\($0)")] },
        ])
        let answer = try await ask(
            source,
            """
            SELECT c.name, count(*) FROM orders o JOIN customers c ON c._id = o.customer GROUP BY 1 ORDER BY 1 LIMIT 2
            """)
        #expect(answer.text == #"["n0",8],["n1",7]"#)
        #expect(source.walks.withLock { $0.filter { $0.single == nil }.count } == 1)
    }

    @Test func `a join on another field scans each table at most twice`() async throws {
        let source = try MemorySource([
            "a": (0..<300).map { ["_id": .integer($0), "x": .integer($0 % 100)] },
            "b": (0..<300).map { ["_id": .integer($0), "y": $0 % 2 == 0 ? .integer($0) : .double(Double($0))] },
        ])
        let answer = try await ask(source, "SELECT count(*), sum(b._id) FROM a JOIN b ON a.x = b.y")
        #expect(answer.text == "[300,14850]")
        #expect(source.walks.withLock { $0.filter { $0 == .all }.count } <= 3)
    }

    @Test func `a join finds what SQLite calls equal, casts included`() async throws {
        let source = try MemorySource([
            "a": [["_id": 1, "x": "36"], ["_id": 2, "x": 36], ["_id": 3, "x": "x"], ["_id": 4, "x": true]],
            "b": [
                ["_id": 1, "y": 36], ["_id": 2, "y": "36"], ["_id": 3, "y": "x"], ["_id": 4, "y": 1],
                ["_id": 5, "y": nil],
            ],
        ])
        for condition in [
            "a.x = b.y", "a.x = CAST(b.y AS TEXT)", "CAST(a.x AS INTEGER) = b.y", "CAST(a.x AS TEXT) = b.y",
        ] {
            let sql = "SELECT a._id, b._id FROM a JOIN b ON"
            let joined = try await ask(source, "\(sql) \(condition) ORDER BY 1, 2").text
            // In parentheses before IS TRUE the equality is no constraint on a column.
            let crossed = try await ask(source, "\(sql) (\(condition)) IS TRUE ORDER BY 1, 2").text
            #expect(joined == crossed, "\(condition)")
        }
    }

    @Test func `a left join keeps what has no match`() async throws {
        let source = try MemorySource([
            "a": [["_id": 1, "x": 1], ["_id": 2, "x": 2], ["_id": 3]], "b": [["_id": 1, "y": 2, "z": "two"]],
        ])
        #expect(
            try await ask(source, "SELECT a._id, b.z FROM a LEFT JOIN b ON a.x = b.y ORDER BY 1").text
                == #"[1,null],[2,"two"],[3,null]"#)
        #expect(
            try await ask(source, "SELECT a._id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.y = a.x)").text
                == "[1],[3]")
    }

    @Test func `only fields that are read are asked for`() throws {
        let plan = DocumentTable.Plan(
            uses: [], columnsUsed: 0b100, fields: [Bytes("a"), Bytes("b"), Bytes("c")])
        #expect(plan.wanted == [Bytes("b")])
        #expect(plan.places == [-1, 0, -1])
    }
}
