// What a client may send as a transaction, and what it is told about everything else.

import Testing
import VarveModel
import VarveWire

private func parse(_ json: String) throws(VarveError) -> SubmitRequest { try SubmitRequest(json: Array(json.utf8)) }

@Suite struct SubmitRequestTests {
    @Test func everyOperationOfTheContractIsRead() throws {
        let request = try parse(
            """
            {"id":"0b8f0000000000000000000000000001","await":true,"timeout":"PT5S","expiry":"PT30S",
             "ops":[{"put":{"table":"users","docs":[{"_id":"ada","name":"Ada","age":36}]}},
                    {"patch":{"table":"Users","docs":[{"_id":"ada","age":37,"old":{"@type":"absent"}}]}},
                    {"delete":{"table":"users","ids":["bob",7]}},
                    {"erase":{"table":"users","ids":["eve"]}},
                    {"assert":{"table":"users","id":"ada","exists":true}},
                    {"assert":{"table":"users","id":"ada","version":"0-12"}},
                    {"assert":{"table":"users","id":"ada","equals":{"name":"Ada"}}}]}
            """)
        #expect(request.id?.description == "0b8f0000000000000000000000000001")
        #expect(request.awaitsOutcome)
        #expect(request.timeout == .seconds(5))
        #expect(request.expiry == .seconds(30))
        var expected = try Transaction.put(into: "users", ["_id": "ada", "name": "Ada", "age": 36])
        expected += try .patch(in: "users", ["_id": "ada", "age": 37, "old": .absent])
        expected += try .delete(from: "users", "bob", 7)
        expected += try .erase(from: "users", "eve")
        expected += try .assert("users", "ada", exists: true)
        expected += try .assert("users", "ada", version: try #require(Position("0-12")))
        expected += try .assert("users", "ada", equals: ["name": "Ada"])
        #expect(request.transaction == expected)
    }

    @Test func whatAClientWritesAServerReads() throws {
        var transaction = try Transaction.put(
            into: "t", ["_id": 1, "a": [1, 2.5, .null, ["x": true]]], ["_id": "é\""])
        transaction += try .patch(in: "t", ["_id": 1, "gone": .absent, "bin": .binary([0, 255])])
        transaction += try .delete(from: "t", 1, "b")
        transaction += try .erase(from: "t", "b")
        transaction += try .assert("t", 1, exists: false)
        transaction += try .assert("t", 1, equals: ["a": .timestamp(Instant(microseconds: 1))])
        transaction += try .assert("t", 1, version: .zero)
        for request in [
            SubmitRequest(transaction),
            SubmitRequest(
                transaction, id: SubmissionID(high: 1, low: 2), awaitsOutcome: false, timeout: .seconds(3),
                expiry: .seconds(4)),
            SubmitRequest(Transaction()),
        ] {
            #expect(try SubmitRequest(json: try request.json()) == request)
        }
    }

    @Test func emptyOperationsAreAllowed() throws {
        let request = try parse(#"{"ops":[]}"#)
        #expect(request.transaction.operations.isEmpty)
        #expect(request.id == nil)
        #expect(request.awaitsOutcome)
        #expect(request.timeout == .seconds(10))
        #expect(request.expiry == nil)
    }

    @Test(
        arguments: [
            (#""#, nil, "too early"),
            (#"[]"#, nil, "object"),
            (#"{"ops":[]"#, "/ops", "too early"),
            (#"{"ops":[]} x"#, nil, "follows"),
            (#"{}"#, "/ops", "ops is missing"),
            (#"{"ops":{}}"#, "/ops", "array"),
            (#"{"ops":[],"ops":[]}"#, "/ops", "twice"),
            (#"{"ops":[],"speed":1}"#, "/speed", "unknown field"),
            (#"{"ops":[],"id":"abc"}"#, "/id", "32 hexadecimal"),
            (#"{"ops":[],"id":null}"#, "/id", "text"),
            (#"{"ops":[],"await":"yes"}"#, "/await", "true or false"),
            (#"{"ops":[],"timeout":10}"#, "/timeout", "text"),
            (#"{"ops":[],"timeout":"PT0S"}"#, "/timeout", "PT0S"),
            (#"{"ops":[],"timeout":"PT11M"}"#, "/timeout", "PT10M"),
            (#"{"ops":[],"expiry":"PT6M"}"#, "/expiry", "PT5M"),
            (#"{"ops":[1]}"#, "/ops/0", "object"),
            (#"{"ops":[{}]}"#, "/ops/0", "one of put"),
            (#"{"ops":[{"insert":{}}]}"#, "/ops/0/insert", "unknown operation"),
            (#"{"ops":[{"sql":{"statement":"DELETE FROM t"}}]}"#, "/ops/0/sql", "not supported by this version"),
            (#"{"ops":[{"put":{"table":"t","docs":[]},"delete":{}}]}"#, "/ops/0/delete", "one operation"),
            (#"{"ops":[{"put":{"docs":[]}}]}"#, "/ops/0/put", "table is missing"),
            (#"{"ops":[{"put":{"table":"t"}}]}"#, "/ops/0/put", "docs is missing"),
            (#"{"ops":[{"put":{"table":"t","docs":[],"ids":[]}}]}"#, "/ops/0/put/ids", "unknown field"),
            (#"{"ops":[{"put":{"table":7,"docs":[]}}]}"#, "/ops/0/put/table", "text"),
            (#"{"ops":[{"put":{"table":"varve","docs":[]}}]}"#, "/ops/0/put/table", "reserved"),
            (#"{"ops":[{"put":{"table":"sqlite_x","docs":[]}}]}"#, "/ops/0/put/table", "reserved"),
            (#"{"ops":[{"put":{"table":"t_history","docs":[]}}]}"#, "/ops/0/put/table", "reserved"),
            (#"{"ops":[{"put":{"table":"a-b","docs":[]}}]}"#, "/ops/0/put/table", "no table name"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1},{"a":1}]}}]}"#, "/ops/0/put/docs/1", "_id is missing"),
            (#"{"ops":[{"put":{"table":"t","docs":[7]}}]}"#, "/ops/0/put/docs/0", "object"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":""}]}}]}"#, "/ops/0/put/docs/0/_id", "non-empty"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1.0}]}}]}"#, "/ops/0/put/docs/0/_id", "_id must be"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"_x":1}]}}]}"#, "/ops/0/put/docs/0/_x", "reserved"),
            (
                #"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"a":9223372036854775808}]}}]}"#, "/ops/0/put/docs/0/a",
                "int64"
            ),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"a":1e999}]}}]}"#, "/ops/0/put/docs/0/a", "too large"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"a":1,"a":1}]}}]}"#, "/ops/0/put/docs/0/a", "twice"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"a":"\ud800"}]}}]}"#, "/ops/0/put/docs/0/a", "surrogate"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"a":{"@type":"x"}}]}}]}"#, "/ops/0/put/docs/0/a", "@type"),
            (
                #"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"a":{"@type":"absent"}}]}}]}"#, "/ops/0/put/docs/0/a",
                "patch"
            ),
            (#"{"ops":[{"delete":{"table":"t","ids":[null]}}]}"#, "/ops/0/delete/ids/0", "_id must be"),
            (#"{"ops":[{"assert":{"table":"t","id":1}}]}"#, "/ops/0/assert", "one of exists"),
            (#"{"ops":[{"assert":{"table":"t","exists":true}}]}"#, "/ops/0/assert", "id is missing"),
            (
                #"{"ops":[{"assert":{"table":"t","id":1,"exists":true,"version":"0-1"}}]}"#, "/ops/0/assert/version",
                "one of"
            ),
            (#"{"ops":[{"assert":{"table":"t","id":1,"version":"12"}}]}"#, "/ops/0/assert/version", "position"),
            (#"{"ops":[{"assert":{"table":"t","id":1,"equals":{"_id":1}}}]}"#, "/ops/0/assert/equals/_id", "reserved"),
        ] as [(String, String?, String)])
    func aFaultIsNamedWithItsPlace(_ json: String, _ at: String?, _ words: String) throws {
        let error = try #require(throws: VarveError.self) { try parse(json) }
        #expect(error.code == .badRequest)
        #expect(error.at == at, "\(error)")
        #expect(error.message.contains(words), "\(error)")
    }

    @Test func sixtyFourLevelsAreAllowedAndNotOneMore() throws {
        func nested(_ levels: Int) -> String {
            let opening = String(repeating: "[", count: levels - 1)
            let closing = String(repeating: "]", count: levels - 1)
            return #"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"a":\#(opening)\#(closing)}]}}]}"#
        }
        #expect(try parse(nested(64)).transaction.operations.count == 1)
        #expect(throws: VarveError.self) { try parse(nested(65)) }
    }
}
