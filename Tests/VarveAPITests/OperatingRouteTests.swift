// What an operator sees, and what every request meets before its route: token, method, types.

import Testing
import VarveModel
import VarveNode

@Suite struct OperatingRouteTests {
    @Test func statusBlocksAndEpochs() async throws {
        try await serving { served in
            try await served.put("t", #"{"_id":1},{"_id":2}"#)
            let status = try await served.get("/v1/status").json
            #expect(status["node"] == "node-1")
            #expect(status["state"] == "ready")
            #expect(status["error"]?.isNull == true)
            #expect(status["epoch"] == 0)
            #expect(status["log"]?["kind"] == "memory")
            #expect(status["openBlock"]?["rows"] == 2)
            #expect(status["rpo"]?["transactions"] == 1)
            #expect(status["adopted"]?.isNull == true)
            let database = try #require(status["database"]?.asText)
            #expect(database.split(separator: "-").map(\.count) == [8, 4, 4, 4, 12])

            let flushed = try await served.ask("POST", "/v1/flush?await=true")
            #expect(flushed.status == 200, "\(flushed.text)")
            #expect(flushed.json["block"] == 0)
            #expect(flushed.json["noop"] == false)
            let again = try await served.ask("POST", "/system/finish-block?await=true")
            #expect(again.json["noop"] == true)
            #expect(again.json["block"] == 0)

            let blocks = try #require(try await served.get("/v1/blocks?limit=10").json["blocks"]?.asArray)
            #expect(blocks.count == 1)
            #expect(blocks[0]["number"] == 0)
            #expect(blocks[0]["rows"] == 2)
            #expect(blocks[0]["cut"] == "request")
            #expect(try await served.get("/v1/status").json["adopted"]?["systemTime"] == blocks[0]["systemTime"])
            #expect(blocks[0]["systemTime"]?.asText.flatMap { Instant($0) } != nil)
            #expect(blocks[0]["last"] == flushed.json["position"])
            #expect(blocks[0]["files"]?.asArray?.isEmpty == false)
            #expect(try await served.get("/v1/blocks?before=0").json["blocks"] == .array([]))
            let after = try await served.get("/v1/status").json
            #expect(after["adopted"]?["block"] == 0)
            #expect(after["applied"]?["inputChain"]?.asText?.count == 16)

            let epochs = try #require(try await served.get("/v1/epochs").json["epochs"]?.asArray)
            #expect(epochs.count == 1)
            #expect(epochs[0]["began"] == "initial")
            #expect(epochs[0]["end"]?.isNull == true)
            let rehearsed = try await served.post("/v1/epochs/migrate", #"{"dryRun":true}"#)
            #expect(rehearsed.json["epoch"] == 1)
            #expect(rehearsed.json["seal"]?.isNull == true)
            let unfit = try await served.post("/v1/epochs/migrate", #"{"cluster":"nowhere"}"#)
            #expect(unfit.status == 409)
            #expect(unfit.json["code"] == "TARGET_UNFIT")
            let moved = try await served.post("/v1/epochs/migrate", "{}")
            #expect(moved.json["epoch"] == 1)
            let both = try #require(try await served.get("/v1/epochs").json["epochs"]?.asArray)
            #expect(both.map { $0["began"] } == ["initial", "sealed"])
            #expect(both[0]["end"] == moved.json["seal"])
            #expect(both[0]["unindexedLost"] == 0)
            let asked = try await served.ask("POST", "/v1/flush")
            #expect(asked.status == 202)
            #expect(asked.json["position"] != nil)
            // What was flushed is read from its block.
            #expect(try await served.get("/v1/tables/t/rows/2?idType=integer").json == ["_id": 2])
        }
    }

    @Test func settingsAreChangedForEveryNodeByARecordThatClosesTheBlock() async throws {
        try await serving { served in
            let before = try await served.get("/v1/settings").json
            #expect(before["settings"]?["rowsPerBlock"] == 102_400)
            #expect(before["settings"] == before["configured"])
            try await served.put("t", #"{"_id":1}"#)
            let changed = try await served.post("/v1/settings", #"{"rowsPerBlock":2,"flushDuration":"PT1H"}"#)
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed.json["changed"] == true)
            #expect(changed.json["settings"]?["rowsPerBlock"] == 2)
            #expect(changed.json["settings"]?["flushDuration"] == "PT1H")
            #expect(changed.json["settings"]?["transactionsPerBlock"] == 100_000)
            #expect(changed.json["configured"]?["rowsPerBlock"] == 102_400)
            // Said again it is no change, and no record.
            let again = try await served.post("/v1/settings", #"{"rowsPerBlock":2}"#)
            #expect(again.json["changed"] == false)
            #expect(again.json["position"] == changed.json["position"])
            // Two rows now close a block.
            try await served.put("t", #"{"_id":2},{"_id":3}"#)
            _ = try await served.ask("POST", "/v1/flush?await=true")
            let blocks = try #require(try await served.get("/v1/blocks").json["blocks"]?.asArray)
            let cuts = Array(blocks.compactMap { $0["cut"]?.asText }.reversed().prefix(2))
            #expect(cuts == ["settings", "rows"])
            #expect(blocks.last?["last"] == changed.json["position"])
            let warnings = try #require(try await served.get("/v1/status").json["warnings"]?.asArray)
            #expect(
                warnings.contains { $0.asText?.contains("rowsPerBlock") == true },
                "the node's configuration differs, and status says so: \(warnings)")
        }
    }

    @Test(arguments: [
        ("{}", ""), (#"{"rows":1}"#, "/rows"), (#"{"rowsPerBlock":0}"#, "/rowsPerBlock"),
        (#"{"rowsPerBlock":"7"}"#, "/rowsPerBlock"), (#"{"bytesPerBlock":1023}"#, "/bytesPerBlock"),
        (#"{"flushDuration":"4h"}"#, "/flushDuration"), (#"{"idsRemembered":100000001}"#, "/idsRemembered"), ("[", ""),
    ])
    func settingsThatMakeNoSenseAreRefusedAndNothingIsWritten(body: String, pointer: String) async throws {
        try await serving { served in
            let position = try await served.get("/v1/status").json["applied"]?["position"]
            let refused = try await served.post("/v1/settings", body)
            #expect(refused.status == 400, "\(refused.text)")
            if !pointer.isEmpty { #expect(refused.json["at"]?.asText == pointer, "\(refused.text)") }
            #expect(try await served.get("/v1/status").json["applied"]?["position"] == position)
        }
    }

    @Test func healthAndMetrics() async throws {
        try await serving { served in
            for route in ["started", "alive", "ready"] {
                #expect(try await served.get("/healthz/\(route)").status == 200)
            }
            try await served.put("t", #"{"_id":1}"#)
            _ = try await served.get("/v1/nothing")
            let metrics = try await served.get("/metrics")
            #expect(metrics.headers["Content-Type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(metrics.text.contains("varve_transactions_total{outcome=\"committed\"} 1"))
            #expect(metrics.text.contains("varve_http_request_seconds_count{"))
            #expect(metrics.text.contains("route=\"/v1/transactions\""))
            #expect(metrics.text.contains("varve_errors_total{code=\"NOT_FOUND\"} 1"))
        }
    }

    @Test func methodsPathsAndTypes() async throws {
        try await serving { served in
            let wrong = try await served.ask("DELETE", "/v1/transactions")
            #expect(wrong.status == 405)
            #expect(wrong.headers["Allow"] == "GET, HEAD, POST")
            #expect(wrong.code == "METHOD_NOT_ALLOWED")
            #expect(try await served.get("/v1/query").headers["Allow"] == "POST")
            #expect(try await served.get("/v2/status").code == "NOT_FOUND")
            #expect(try await served.get("/v1/status/").status == 404)
            let type = try await served.post("/v1/transactions", "{}", headers: [("Content-Type", "text/plain")])
            #expect(type.status == 415)
            #expect(type.code == "UNSUPPORTED_MEDIA_TYPE")
            let head = try await served.ask("HEAD", "/v1/status")
            #expect(head.status == 200)
            #expect(head.body.isEmpty)
            #expect(try await served.get("/v1/status", headers: [("Accept", "text/html")]).status == 406)
            let encoded = try await served.post("/v1/transactions", "x", headers: [("Content-Encoding", "br")])
            #expect(encoded.status == 415)
            #expect(try await served.get("/").status == 200)
        }
    }

    @Test func theTokenIsAskedForBeforeAnythingElse() async throws {
        try await serving {
            $0.http.token = "s3cret-value"
        } _: { served in
            for path in ["/v1/status", "/metrics", "/openapi.yaml", "/nothing", "/v1/query"] {
                let answer = try await served.get(path)
                #expect(answer.status == 401, "\(path)")
                #expect(answer.code == "UNAUTHENTICATED")
                #expect(answer.text.contains("--token or VARVE_TOKEN"))
                #expect(answer.headers["WWW-Authenticate"] == "Bearer")
            }
            for open in ["/", "/healthz/started", "/healthz/alive", "/healthz/ready"] {
                #expect(try await served.get(open).status == 200, "\(open)")
            }
            for wrong in [
                "Bearer s3cret-valuf", "Bearer s3cret-value1", "Bearer s3cret", "Basic s3cret-value", "s3cret-value",
            ] {
                let answer = try await served.get("/v1/status", headers: [("Authorization", wrong)])
                #expect(answer.status == 401)
                #expect(answer.text.contains("this is not the token of this node"))
            }
            let right = try await served.get("/v1/status", headers: [("Authorization", "Bearer s3cret-value")])
            #expect(right.status == 200)
            let metrics = try await served.get("/metrics", headers: [("Authorization", "bearer s3cret-value")])
            #expect(!metrics.text.contains("s3cret"))
            #expect(!served.logged().contains { $0.contains("s3cret") })
        }
    }

    @Test func aNodeWithoutItsLogSaysSo() async throws {
        try await servingWithoutLog { served in
            for _ in 0..<1000 where try await served.get("/v1/status").json["error"]?.isNull == true {
                try await Task.sleep(for: .milliseconds(2))
            }
            let ready = try await served.get("/healthz/ready")
            #expect(ready.status == 503)
            #expect(ready.code == "LOG_UNREACHABLE")
            #expect(ready.headers["Retry-After"] == "1")
            #expect(try await served.get("/healthz/alive").status == 200)
            #expect(try await served.get("/healthz/started").status == 503)
            let refused = try await served.post("/v1/transactions", #"{"ops":[]}"#)
            #expect(refused.status == 503)
            #expect(refused.code == "LOG_UNREACHABLE")
            let rows = try await served.post("/v1/tables/t/rows", "{}")
            #expect(rows.status == 503)
            let status = try await served.get("/v1/status").json
            #expect(status["state"] == "starting")
            #expect(status["error"]?["code"] == "LOG_UNREACHABLE")
        }
    }
}
