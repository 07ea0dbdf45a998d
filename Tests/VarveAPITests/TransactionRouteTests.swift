// Transactions as a client of any language sees them: the examples of the contract.

import Testing
import VarveModel
import VarveNode

@Suite struct TransactionRouteTests {
    @Test func aTransactionIsCommittedAndSeen() async throws {
        try await serving { served in
            let answer = try await served.post(
                "/v1/transactions",
                """
                {"id":"0b8f0000000000000000000000000001","await":true,
                 "ops":[{"put":{"table":"users","docs":[{"_id":"ada","name":"Ada","age":36}]}},
                        {"patch":{"table":"users","docs":[{"_id":"ada","age":37}]}},
                        {"assert":{"table":"users","id":"ada","exists":true}},
                        {"assert":{"table":"users","id":"ada","equals":{"name":"Ada"}}}]}
                """)
            #expect(answer.status == 200)
            #expect(answer.json["id"] == "0b8f0000000000000000000000000001")
            #expect(answer.json["status"] == "committed")
            let position = try #require(answer.json["position"]?.asText)
            let token = try #require(answer.json["token"]?.asText)
            #expect(token.hasPrefix(position + "-"))
            #expect(Instant(answer.json["systemTime"]?.asText ?? "") != nil)

            let row = try await served.get("/v1/tables/users/rows/ada?after=\(token)")
            #expect(row.text == #"{"_id":"ada","age":37,"name":"Ada"}"#)
            #expect(row.headers["Varve-Version"] == position)
            #expect(row.headers["Varve-Position"] == position)
            #expect(row.headers["Varve-Token"] == token)
            #expect(row.headers["Varve-System-From"] == answer.json["systemTime"]?.asText)
            #expect(row.headers["Varve-Age-Ms"] != nil)
            #expect(row.headers["Content-Type"] == "application/json")

            let same = try await served.get("/v1/transactions/0b8f0000000000000000000000000001")
            #expect(same.status == 200)
            #expect(same.text == answer.text)
        }
    }

    @Test func anAbortNamesTheOperation() async throws {
        try await serving { served in
            let answer = try await served.post(
                "/v1/transactions",
                #"{"ops":[{"put":{"table":"users","docs":[{"_id":1}]}},{"assert":{"table":"users","id":"ada","exists":true}}]}"#
            )
            #expect(answer.status == 200)
            #expect(answer.json["status"] == "aborted")
            #expect(answer.json["error"]?["code"] == "ASSERT_FAILED")
            #expect(answer.json["error"]?["op"] == 1)
            #expect(try await served.get("/v1/tables/users/rows/1?idType=integer").status == 404)
        }
    }

    @Test func theSameIDIsTheSameSubmission() async throws {
        try await serving { served in
            let body = #"{"id":"0b8f0000000000000000000000000002","ops":[{"put":{"table":"t","docs":[{"_id":1}]}}]}"#
            let first = try await served.post("/v1/transactions", body)
            let again = try await served.post(
                "/v1/transactions", body.replacing(#""ops":["#, with: #""timeout":"PT5S", "ops" : [ "#))
            #expect(again.text == first.text)
            let other = try await served.post("/v1/transactions", body.replacing("_id\":1", with: "_id\":2"))
            #expect(other.status == 409)
            #expect(other.code == "ID_CONFLICT")
            #expect(try await served.transactionCount() == 1)
        }
    }

    @Test func whoDoesNotWaitIsToldPending() async throws {
        try await serving { served in
            let answer = try await served.post("/v1/transactions", #"{"await":false,"ops":[]}"#)
            #expect(answer.status == 202)
            #expect(answer.json["status"] == "pending")
            #expect(answer.json["expiresAt"] != nil)
            let id = try #require(answer.json["id"]?.asText)
            let resolved = try await served.get("/v1/transactions/\(id)?resolve=true")
            #expect(["committed", "cancelled"].contains(resolved.json["status"]?.asText))
        }
    }

    @Test func anUnknownIDIsResolvedToCancelled() async throws {
        try await serving { served in
            let path = "/v1/transactions/00000000000000000000000000000009"
            #expect(try await served.get(path).code == "NOT_FOUND")
            #expect(try await served.get(path + "?resolve=true").json["status"] == "cancelled")
            #expect(try await served.get(path).json["status"] == "cancelled")
            let late = try await served.post(
                "/v1/transactions", #"{"id":"00000000000000000000000000000009","ops":[]}"#)
            #expect(late.json["status"] == "cancelled")
            #expect(try await served.get("/v1/transactions/9").status == 400)
        }
    }

    @Test func theListGoesFromTheOldestOn() async throws {
        try await serving { served in
            for i in 0..<5 { try await served.put("t", #"{"_id":\#(i)}"#) }
            let first = try await served.get("/v1/transactions?limit=3")
            let positions = first.json["transactions"]?.asArray?.compactMap { $0["position"]?.asText } ?? []
            #expect(positions.count == 3)
            #expect(first.json["next"]?.asText == positions.last)
            let rest = try await served.get("/v1/transactions?since=\(positions[2])")
            #expect(rest.json["transactions"]?.asArray?.count == 2)
            let next = try #require(rest.json["next"]?.asText)
            let end = try await served.get("/v1/transactions?since=\(next)")
            #expect(end.json["transactions"] == .array([]))
            #expect(end.json["next"]?.asText == next)
        }
    }

    @Test(
        arguments: [
            (#"{"ops":["#, 400, "BAD_REQUEST", nil),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1},{"a":1}]}}]}"#, 400, "BAD_REQUEST", "/ops/0/put/docs/1"),
            (#"{"ops":[{"put":{"table":"varve","docs":[{"_id":1}]}}]}"#, 400, "BAD_REQUEST", "/ops/0/put/table"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":1,"_b":1}]}}]}"#, 400, "BAD_REQUEST", "/ops/0/put/docs/0/_b"),
            (#"{"ops":[{"put":{"table":"t","docs":[{"_id":true}]}}]}"#, 400, "BAD_REQUEST", "/ops/0/put/docs/0/_id"),
            (#"{"ops":[{"sql":{"statement":"DELETE FROM t"}}]}"#, 400, "BAD_REQUEST", "/ops/0/sql"),
            (#"{"ops":[],"asOf":"0-1"}"#, 400, "BAD_REQUEST", "/asOf"),
        ] as [(String, Int, String, String?)])
    func whatIsWrongIsNamedAndNothingIsWritten(
        _ body: String, _ status: Int, _ code: String, _ at: String?
    ) async throws {
        try await serving { served in
            let answer = try await served.post("/v1/transactions", body)
            #expect(answer.status == status)
            #expect(answer.headers["Content-Type"] == "application/problem+json")
            #expect(answer.code == code)
            if let at { #expect(answer.json["at"]?.asText == at) }
            #expect(try await served.transactionCount() == 0)
        }
    }

    @Test func aBodyThatIsTooLargeIsRefused() async throws {
        try await serving {
            $0.http.maxBodyBytes = 1000
        } _: { served in
            let long = String(repeating: "x", count: 2000)
            let answer = try await served.post(
                "/v1/transactions", #"{"ops":[{"put":{"table":"t","docs":[{"_id":"\#(long)"}]}}]}"#)
            #expect(answer.status == 413)
            #expect(answer.code == "OVERSIZE")
            #expect(try await served.transactionCount() == 0)
        }
    }

    @Test func aBodyCutOffWritesNothing() async throws {
        try await serving { served in
            let body = #"{"ops":[{"put":{"table":"t","docs":[{"_id":1}]}}]}"#
            let socket = try RawSocket(port: served.port)
            socket.send(
                "POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(body.utf8.count + 10)\r\n\r\n\(body)")
            socket.close()
            #expect(try await served.transactionCount() == 0)
        }
    }
}
