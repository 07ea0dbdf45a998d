// Loading rows: batches, faults in the first and in later ones, repeats, and what NDJSON may look like.

import Testing
import VarveGzip
import VarveModel
import VarveNode
import VarveWire

private func lines(_ range: Range<Int>, _ extra: String = "") -> String {
    range.map { #"{"_id":\#($0)\#(extra)}"# + "\n" }.joined()
}

@Suite struct RowLoadRouteTests {
    @Test func everyBatchIsATransactionAnsweredInOrder() async throws {
        try await serving { served in
            let load = "000102030405060708090a0b0c0d0e0f"
            let answer = try await served.post(
                "/v1/tables/t/rows?batch=100", lines(0..<1050), headers: [("Varve-Load-Id", load)])
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.headers["Varve-Load-Id"] == load)
            #expect(answer.lines.count == 11)
            for (number, line) in answer.lines.enumerated() {
                guard case .batch(let batch) = try RowLoadLine(json: line) else {
                    Issue.record("no batch: \(line.json)")
                    return
                }
                #expect(batch.number == number)
                #expect(batch.rows == (number == 10 ? 50 : 100))
                #expect(batch.transaction.status == "committed")
                #expect(batch.transaction.id == batchID(load: Bytes16(hex: load) ?? .zero, number: number))
            }
            let positions = answer.lines.compactMap { $0["position"]?.asText.flatMap { Position($0) } }
            #expect(positions == positions.sorted())
            let count = try await served.post("/v1/query", #"{"sql":"SELECT count(*) FROM t"}"#)
            #expect(count.json["rows"]?.json == "[[1050]]")

            // Repeated, however it is cut into pieces on its way, it applies nothing twice.
            let again = try await served.post(
                "/v1/tables/t/rows?batch=100", lines(0..<1050), headers: [("Varve-Load-Id", load)])
            #expect(again.text == answer.text)
            #expect(try await served.transactionCount() == 11)
        }
    }

    @Test func theLaterOfTwoLinesWins() async throws {
        try await serving { served in
            let body = (0..<400).map { #"{"_id":"same","n":\#($0)}"# + "\n" }.joined()
            let answer = try await served.post("/v1/tables/t/rows?batch=1", body)
            #expect(answer.lines.count == 400)
            #expect(try await served.get("/v1/tables/t/rows/same").json["n"] == 399)
            let history = try await served.get("/v1/tables/t/rows/same/history?limit=1000").json["versions"]?.asArray
            #expect(history?.compactMap { $0["doc"]?["n"]?.asInteger } == (0..<400).reversed().map(Int64.init))
        }
    }

    @Test(arguments: [
        (#"{"_id":1}"# + "\n{\n", 400, "BAD_REQUEST", 2),
        (#"{"_id":1}"# + "\n\n\n" + #"{"a":1}"# + "\n", 400, "BAD_REQUEST", 4),
        (#"{"_id":1,"_x":2}"#, 400, "BAD_REQUEST", 1),
        ("[1]\n", 400, "BAD_REQUEST", 1),
        (#"{"_id":1} {"_id":2}"#, 400, "BAD_REQUEST", 1),
    ])
    func aFaultInTheFirstBatchIsAPlainAnswer(_ body: String, _ status: Int, _ code: String, _ line: Int) async throws {
        try await serving { served in
            let answer = try await served.post("/v1/tables/t/rows", body)
            #expect(answer.status == status)
            #expect(answer.headers["Content-Type"] == "application/problem+json")
            #expect(answer.code == code)
            #expect(answer.json["line"] == .integer(Int64(line)))
            #expect(try await served.transactionCount() == 0)
        }
    }

    @Test func aFaultLaterIsTheLastLine() async throws {
        try await serving { served in
            let answer = try await served.post(
                "/v1/tables/t/rows?batch=10", lines(0..<25) + #"{"_id":25,"a":}"# + "\n" + lines(26..<100))
            #expect(answer.status == 200)
            #expect(answer.lines.count == 3)
            #expect(answer.lines[1]["batch"] == 1)
            #expect(answer.lines[1]["status"] == "committed")
            #expect(answer.lines[2]["error"]?["code"] == "BAD_REQUEST")
            #expect(answer.lines[2]["error"]?["line"] == 26)
            #expect(answer.lines[2]["error"]?["at"] == "/a")
            // The batch of the fault, and what follows, is not written.
            let count = try await served.post("/v1/query", #"{"sql":"SELECT count(*), max(_id) FROM t"}"#)
            #expect(count.json["rows"]?.json == "[[20,19]]")
        }
    }

    @Test func aFieldBecomesTheID() async throws {
        try await serving { served in
            let answer = try await served.post(
                "/v1/tables/packages/rows?id=Package", #"{"Package":"bash","Version":"5.2"}"#)
            #expect(answer.lines.first?["status"] == "committed")
            #expect(
                try await served.get("/v1/tables/packages/rows/bash").text
                    == #"{"_id":"bash","Package":"bash","Version":"5.2"}"#)
            let missing = try await served.post("/v1/tables/packages/rows?id=Package", #"{"Name":"bash"}"#)
            #expect(missing.status == 400)
            let both = try await served.post("/v1/tables/packages/rows?id=Package", #"{"_id":"a","Package":"b"}"#)
            #expect(both.status == 400)
        }
    }

    @Test func blankLinesMarksAndReturnsAreAccepted() async throws {
        try await serving { served in
            let answer = try await served.post(
                "/v1/tables/t/rows", "\u{feff}{\"_id\":1}\r\n\r\n  \n{\"_id\":2}\r\n{\"_id\":3}")
            #expect(answer.lines.count == 1)
            #expect(answer.lines[0]["rows"] == 3)
            let empty = try await served.post("/v1/tables/t/rows", "\n\n")
            #expect(empty.status == 200)
            #expect(empty.body.isEmpty)
            #expect(empty.headers["Varve-Load-Id"]?.count == 32)
        }
    }

    @Test func gzipIsAccepted() async throws {
        try await serving { served in
            let packed = try GzipWriter.deflate(Array(lines(0..<3000).utf8))
            let answer = try await served.ask(
                "POST", "/v1/tables/t/rows", bytes: packed, headers: [("Content-Encoding", "gzip")])
            #expect(answer.lines.compactMap { $0["rows"]?.asInteger } == [1000, 1000, 1000])
            let broken = try await served.ask(
                "POST", "/v1/tables/t/rows", bytes: Array("no gzip".utf8), headers: [("Content-Encoding", "gzip")])
            #expect(broken.status == 400)
            #expect(broken.code == "BAD_REQUEST")
            #expect(broken.json["line"] == 1)
        }
    }

    @Test(arguments: ["batch=0", "batch=100001", "batch=a", "id=", "size=1", "batch=1&batch=2"])
    func optionsAreStrict(_ query: String) async throws {
        try await serving { served in
            let answer = try await served.post("/v1/tables/t/rows?\(query)", lines(0..<1))
            #expect(answer.status == 400)
            let count = try await served.transactionCount()
            #expect(count == 0)
        }
    }

    @Test func namesAndLoadIDsAreChecked() async throws {
        try await serving { served in
            let name = try await served.post("/v1/tables/sqlite_t/rows", lines(0..<1))
            #expect(name.status == 400)
            let load = try await served.post("/v1/tables/t/rows", lines(0..<1), headers: [("Varve-Load-Id", "7")])
            #expect(load.status == 400)
            let type = try await served.post("/v1/tables/t/rows", "{}", headers: [("Content-Type", "application/json")])
            #expect(type.status == 415)
        }
    }

    @Test func aLineLongerThanTheLimitIsNamed() async throws {
        try await serving {
            $0.http.maxBodyBytes = 1000
        } _: { served in
            let long = #"{"_id":2,"t":""# + String(repeating: "x", count: 1000) + #""}"#
            let answer = try await served.post("/v1/tables/t/rows?batch=1", lines(0..<200) + long)
            #expect(answer.lines.count == 201)
            #expect(answer.lines.last?["error"]?["code"] == "OVERSIZE")
            #expect(answer.lines.last?["error"]?["line"] == 201)
        }
    }

    @Test func aBodyCutOffLosesOnlyWhatWasNotFull() async throws {
        try await serving { served in
            let body = lines(0..<25)
            let socket = try RawSocket(port: served.port)
            socket.send("POST /v1/tables/t/rows?batch=10 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n\(body)")
            for _ in 0..<500 where try await served.transactionCount() < 2 {
                try await Task.sleep(for: .milliseconds(5))
            }
            socket.close()
            try await Task.sleep(for: .milliseconds(50))
            #expect(try await served.transactionCount() == 2)
        }
    }
}
