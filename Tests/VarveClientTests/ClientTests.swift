import Testing
import VarveClient
import VarveHTTPServer
import VarveModel
import VarveWire

private let put = try? Transaction.put(into: "users", ["_id": "ada", "name": "Ada"])

@Suite struct ClientTests {
    private func client(_ urls: [String], token: String? = nil, patience: Duration = .seconds(10)) throws -> Client {
        try Client(ClientOptions(urls: urls, token: token, patience: patience))
    }

    private func transaction() throws -> Transaction { try #require(put) }

    @Test func aSubmissionComesBackWithItsOutcome() async throws {
        try await withStubs([{ request, _ in .committed(request.json["id"] ?? .null) }]) { stubs in
            let id = try #require(SubmissionID(hex: "0b8f0000000000000000000000000001"))
            let outcome = try await client([stubs[0].url]).submit(transaction(), id: id)
            #expect(outcome.id == id)
            #expect(outcome.outcome == .committed)
            #expect(outcome.position.description == "0-13")
            #expect(outcome.token.description == "0-13-9f2c41d07a6be853")
        }
    }

    @Test func anAbortedSubmissionSaysWhichOperationAndWhy() async throws {
        try await withStubs([
            { request, _ in
                .json(
                    200,
                    [
                        "id": request.json["id"] ?? .null, "status": "aborted", "position": "0-14",
                        "systemTime": "2026-11-21T10:00:00Z", "token": "0-14",
                        "error": ["code": "ASSERT_FAILED", "op": 0, "detail": "users/ada does not exist"],
                    ])
            }
        ]) { stubs in
            let outcome = try await client([stubs[0].url]).submit(transaction())
            #expect(outcome.outcome == .aborted)
            #expect(outcome.error?.code == .assertFailed)
            #expect(outcome.error?.at == "/ops/0")
        }
    }

    @Test func aNodeThatIsNotThereIsPassedOver() async throws {
        let nobody = try await StubNode.nobody()
        try await withStubs([{ request, _ in .committed(request.json["id"] ?? .null) }]) { stubs in
            let client = try client([nobody, stubs[0].url])
            #expect(try await client.submit(transaction()).outcome == .committed)
            // The node that answered is asked first from then on.
            #expect(try await client.submit(transaction()).outcome == .committed)
            #expect(stubs[0].asked.count == 2)
        }
    }

    @Test func aRetryIsTheSameSubmission() async throws {
        try await withStubs([
            { _, _ in .problem(.notReady) },
            { request, before in before == 0 ? .problem(.overloaded) : .committed(request.json["id"] ?? .null) },
        ]) { stubs in
            let outcome = try await client(stubs.map(\.url)).submit(transaction())
            let ids = Set(stubs.flatMap(\.asked).map { $0.json["id"] ?? .null })
            #expect(ids == [.text(outcome.id.description)])
            #expect(stubs.flatMap(\.asked).count == 4)
        }
    }

    @Test func anOutcomeThatStaysUnknownIsSaidWithItsID() async throws {
        let unknown: StubNode.Answer = { _, _ in .problem(.unknownOutcome) }
        try await withStubs([unknown, unknown]) { stubs in
            let error = await #expect(throws: VarveError.self) {
                try await client(stubs.map(\.url), patience: .zero).submit(transaction())
            }
            let sent = stubs.flatMap(\.asked).map { $0.json["id"]?.asText }
            #expect(error?.code == .unknownOutcome)
            #expect(sent == [error?.id?.description, error?.id?.description])
        }
    }

    @Test func anAnswerThatBreaksOffLeavesTheOutcomeUnknown() async throws {
        struct Broken: Error {}
        try await withStubs([
            { _, _ in
                Response(status: 200) { writer in
                    try await writer.write("{")
                    throw Broken()
                }
            }
        ]) { stubs in
            let error = await #expect(throws: VarveError.self) {
                try await client([stubs[0].url], patience: .milliseconds(50)).submit(transaction())
            }
            #expect(error?.code == .unknownOutcome)
        }
    }

    @Test func aClientThatReachesNobodySaysSoAtOnce() async throws {
        let nobody = try await StubNode.nobody()
        let error = await #expect(throws: VarveError.self) {
            try await client([nobody], patience: .seconds(3600)).submit(transaction())
        }
        #expect(error?.code == .nodeUnreachable)
        #expect(error?.message.contains(nobody) == true)
    }

    @Test func aRefusalIsNotTriedAgain() async throws {
        try await withStubs([{ _, _ in .problem(.idConflict) }, { _, _ in .problem(.idConflict) }]) { stubs in
            let error = await #expect(throws: VarveError.self) {
                try await client(stubs.map(\.url)).submit(transaction())
            }
            #expect(error?.code == .idConflict)
            #expect(stubs.map(\.asked.count) == [1, 0])
        }
    }

    @Test func theTokenIsSentAndNotShown() async throws {
        try await withStubs([{ _, _ in .problem(.unauthenticated, "no") }]) { stubs in
            let error = await #expect(throws: VarveError.self) {
                try await client([stubs[0].url], token: "s3cret").status()
            }
            #expect(stubs[0].asked.first?.authorization == "Bearer s3cret")
            #expect("\(error as Any)".contains("s3cret") == false)
        }
    }

    @Test(arguments: ["localhost:8080", "http://", "ftp://a", "http://a b", "http://u@h", "http://h?x", "http:///x"])
    func whatIsNoURLIsRefused(text: String) {
        #expect(throws: VarveError.self) { try Client(ClientOptions(urls: [text])) }
    }

    @Test func idsAreEncodedAndTyped() async throws {
        try await withStubs([{ _, _ in .problem(.notFound) }]) { stubs in
            let client = try client([stubs[0].url])
            #expect(try await client.get("users", id: "a/b ü+") == nil)
            #expect(try await client.get("users", id: 7, asOf: AsOf("0-12")) == nil)
            #expect(
                stubs[0].asked.map(\.target) == [
                    "/v1/tables/users/rows/a%2Fb%20%C3%BC%2B", "/v1/tables/users/rows/7?idType=integer&asOf=0-12",
                ])
        }
    }

    @Test func aDocumentIsReadWithItsTypes() async throws {
        try await withStubs([{ _, _ in .json(200, ["_id": "ada", "age": 36, "weight": 1.5]) }]) { stubs in
            let document = try await client([stubs[0].url]).get("users", id: "ada")
            #expect(document == ["_id": "ada", "age": 36, "weight": 1.5])
        }
    }

    @Test func anAnswerThatBrokeOffIsItsError() async throws {
        let error = Problem(VarveError(.queryTimeout, "too long")).json
        let answer: Value = ["columns": [["name": "n", "type": "integer"]], "rows": [[1]], "error": error]
        try await withStubs([{ _, _ in .json(200, answer) }]) { stubs in
            let thrown = await #expect(throws: VarveError.self) {
                try await client([stubs[0].url]).query(QueryRequest("SELECT 1"))
            }
            #expect(thrown?.code == .queryTimeout)
        }
    }

    @Test func rowsAreHandedOnAndALateErrorIsThrown() async throws {
        let late = Problem(VarveError(.queryTimeout, "too long")).lastLine.json
        try await withStubs([{ _, _ in Response(status: 200, body: Array("{\"n\":1}\n{\"n\":2}\n\(late)\n".utf8)) }]) {
            stubs in
            let lines = Lines()
            let error = await #expect(throws: VarveError.self) {
                try await client([stubs[0].url]).queryLines(QueryRequest("SELECT 1")) { lines.add($0) }
            }
            #expect(error?.code == .queryTimeout)
            #expect(lines.text == "{\"n\":1}\n{\"n\":2}\n")
        }
    }

    @Test func aRowThatLooksLikeAnErrorIsARow() async throws {
        try await withStubs([{ _, _ in Response(status: 200, body: Array("{\"error\":\"none\"}\n".utf8)) }]) { stubs in
            let lines = Lines()
            try await client([stubs[0].url]).queryLines(QueryRequest("SELECT 1")) { lines.add($0) }
            #expect(lines.text == "{\"error\":\"none\"}\n")
        }
    }

    @Test func whatIsNoNodeIsSaidToBeNone() async throws {
        try await withStubs([{ _, _ in .text(404, "nginx") }]) { stubs in
            let error = await #expect(throws: VarveError.self) { try await client([stubs[0].url]).status() }
            #expect(error?.message.contains("status 404") == true)
        }
    }
}
