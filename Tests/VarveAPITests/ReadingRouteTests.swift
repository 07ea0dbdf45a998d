// Reads: rows, history, the past, tables and SQL.

import Testing
import VarveModel

@Suite struct ReadingRouteTests {
    @Test func thePastIsReadAtPositionsAndInstants() async throws {
        try await serving { served in
            try await served.put("users", #"{"_id":"ada","age":36}"#)
            let first = try await served.get("/v1/tables/users/rows/ada")
            let then = try #require(first.headers["Varve-Version"])
            let since = try #require(first.headers["Varve-System-From"])
            try await served.submit(#"{"patch":{"table":"users","docs":[{"_id":"ada","age":37}]}}"#)
            try await served.submit(#"{"delete":{"table":"users","ids":["ada"]}}"#)

            let gone = try await served.get("/v1/tables/users/rows/ada")
            #expect(gone.status == 404)
            #expect(gone.code == "NOT_FOUND")
            #expect(gone.headers["Varve-Position"] != nil)
            #expect(gone.headers["Varve-Token"] != nil)

            for asOf in [then, since] {
                let past = try await served.get("/v1/tables/users/rows/ada?asOf=\(asOf)")
                #expect(past.text == #"{"_id":"ada","age":36}"#, "as of \(asOf)")
                #expect(past.headers["Varve-As-Of"] == then)
            }
            #expect(try await served.get("/v1/tables/users/rows/ada?asOf=0-0").status == 404)

            let history = try await served.get("/v1/tables/users/rows/ada/history")
            let versions = try #require(history.json["versions"]?.asArray)
            #expect(versions.map { $0["deleted"]?.asBool } == [true, false, false])
            #expect(versions[0]["doc"]?.isNull == true)
            #expect(versions[0]["systemTo"]?.isNull == true)
            #expect(versions[1]["doc"] == ["_id": "ada", "age": 37])
            #expect(versions[2]["version"]?.asText == then)
            #expect(versions[2]["systemTo"] == versions[1]["systemFrom"])
            #expect(
                try await served.get("/v1/tables/users/rows/ada/history?limit=1").json["versions"]?.asArray?.count == 1)

            try await served.submit(#"{"erase":{"table":"users","ids":["ada"]}}"#)
            #expect(try await served.get("/v1/tables/users/rows/ada/history").status == 404)
            #expect(try await served.get("/v1/tables/users/rows/ada?asOf=\(then)").status == 404)
        }
    }

    @Test func idsOfBothKindsAndOfAnyLetters() async throws {
        try await serving { served in
            try await served.put(
                "t", #"{"_id":1,"k":"int"},{"_id":"1","k":"text"},{"_id":"a/b c+é","k":"odd"},{"_id":-5}"#)
            #expect(try await served.get("/v1/tables/t/rows/1").json["k"] == "text")
            #expect(try await served.get("/v1/tables/T/rows/1?idType=integer").json["k"] == "int")
            #expect(try await served.get("/v1/tables/t/rows/-5?idType=integer").status == 200)
            #expect(try await served.get("/v1/tables/t/rows/a%2Fb%20c+%C3%A9").json["k"] == "odd")
            #expect(try await served.get("/v1/tables/t/rows/x?idType=integer").status == 400)
            #expect(try await served.get("/v1/tables/t/rows/").status == 400)
            #expect(try await served.get("/v1/tables/t/rows/%ff").status == 400)
        }
    }

    @Test func tablesAreListedWithTheirColumns() async throws {
        try await serving { served in
            try await served.put("users", #"{"_id":"ada","name":"Ada","age":36},{"_id":"bob"}"#)
            #expect(
                try await served.get("/v1/tables").text
                    == #"{"tables":[{"name":"users","rows":2,"columns":["_id","age","name"]}]}"#)
            #expect(
                try await served.get("/v1/tables?asOf=0-0").json["tables"]?.asArray?.first?["rows"] == 0)
        }
    }

    @Test func aReaderWaitsForItsToken() async throws {
        try await serving { served in
            let token = try await served.put("t", #"{"_id":1}"#)
            #expect(try await served.get("/v1/tables/t/rows/1?idType=integer&after=\(token)").status == 200)
            let late = try await served.get("/v1/tables?after=0-1000000&timeout=PT0.05S")
            #expect(late.status == 504)
            #expect(late.code == "QUERY_TIMEOUT")
            let position = token.split(separator: "-").prefix(2).joined(separator: "-")
            let foreign = try await served.get("/v1/tables?after=\(position)-0123456789abcdef")
            #expect(foreign.status == 409)
            #expect(foreign.code == "HISTORY_TOKEN")
            #expect(try await served.get("/v1/tables?asOf=2999-01-01T00:00:00Z").status == 400)
            #expect(
                try await served.get("/v1/tables?consistency=strict").text.contains("not supported by this version"))
            #expect(try await served.get("/v1/tables?timeout=PT0S").status == 400)
            #expect(try await served.get("/v1/tables?limit=1").json["at"] == "?limit")
        }
    }

    @Test func aQueryAnswersInJSON() async throws {
        try await serving { served in
            try await served.put("users", #"{"_id":"ada","name":"Ada","age":36},{"_id":"bob","name":"Bob","age":20}"#)
            let token = try await served.submit(#"{"patch":{"table":"users","docs":[{"_id":"ada","age":37}]}}"#)
            let answer = try await served.post(
                "/v1/query",
                #"{"sql":"SELECT name, age FROM users WHERE age > ?","params":[30],"after":"\#(token)"}"#)
            #expect(answer.status == 200, "\(answer.text)")
            #expect(
                answer.json["columns"]?.json == #"[{"name":"name","type":"text"},{"name":"age","type":"integer"}]"#)
            #expect(answer.json["rows"]?.json == #"[["Ada",37]]"#)
            #expect(answer.json["token"]?.asText == token)
            #expect(answer.json["elapsedMs"] != nil)
            #expect(answer.headers["Varve-Token"] == token)
            let named = try await served.post(
                "/v1/query", #"{"sql":"SELECT count(*) FROM users WHERE name = :n","params":{"n":"Bob"}}"#)
            #expect(named.json["rows"]?.json == "[[1]]")
            let first = try await served.get("/v1/transactions?limit=1").json["next"]?.asText ?? ""
            let past = try await served.post(
                "/v1/query", #"{"sql":"SELECT age FROM users ORDER BY _id","asOf":"\#(first)"}"#)
            #expect(past.json["rows"]?.json == "[[36],[20]]")
            #expect(past.json["asOf"]?.asText == first)
        }
    }

    /// Rows that come until one of them overflows.
    private func breaking(at row: Int) -> String {
        #"{"sql":"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) "#
            + #"SELECT CASE WHEN i = \#(row) THEN abs(-9223372036854775807 - 1) ELSE i END AS i, "#
            + #"'a text that makes a hundred bytes of this row, or about as many as that, whoever counts them' AS t FROM n"}"#
    }

    @Test func anAnswerThatBreaksBeforeAMebibyteIsAnErrorAndNothingElse() async throws {
        try await serving { served in
            for accept in ["application/json", "application/x-ndjson"] {
                let answer = try await served.post("/v1/query", breaking(at: 5_000), headers: [("Accept", accept)])
                #expect(answer.status == 400)
                #expect(answer.code == "SQL_ERROR", "\(answer.text.prefix(200))")
            }
        }
    }

    @Test func aLongerAnswerThatBreaksEndsWithTheError() async throws {
        try await serving { served in
            let json = try await served.post("/v1/query", breaking(at: 40_000))
            #expect(json.status == 200)
            #expect((json.json["rows"]?.asArray?.count ?? 0) > 10_000)
            #expect(json.json["error"]?["code"] == "SQL_ERROR", "\(json.text.suffix(300))")
            #expect(json.json["position"] == nil)
            let lines = try await served.post(
                "/v1/query", breaking(at: 40_000), headers: [("Accept", "application/x-ndjson")])
            #expect(lines.status == 200)
            #expect(lines.lines.last?["error"]?["code"] == "SQL_ERROR")
        }
    }

    @Test func aLongAnswerIsStreamed() async throws {
        try await serving { served in
            let docs = (0..<5000).map { #"{"_id":\#($0),"t":"row \#($0)"}"# }.joined(separator: ",")
            try await served.put("t", docs)
            let all = #"{"sql":"SELECT _id, t FROM t ORDER BY _id"}"#
            let json = try await served.post("/v1/query", all)
            let rows = try #require(json.json["rows"]?.asArray)
            #expect(rows.count == 5000)
            #expect(rows.last?.json == #"[4999,"row 4999"]"#)
            #expect(json.json["position"] != nil)
            let lines = try await served.post("/v1/query", all, headers: [("Accept", "application/x-ndjson")])
            #expect(lines.headers["Content-Type"] == "application/x-ndjson")
            #expect(lines.lines.count == 5000)
            #expect(lines.lines.first?.json == #"{"_id":0,"t":"row 0"}"#)
        }
    }

    @Test(arguments: [
        (#"{"sql":"SELEC 1"}"#, 400, "SQL_ERROR"), (#"{"sql":"SELECT * FROM nowhere"}"#, 400, "SQL_ERROR"),
        (#"{"sql":"DELETE FROM users"}"#, 403, "READ_ONLY"), (#"{"sql":"SELECT 1; SELECT 2"}"#, 400, "SQL_ERROR"),
        (#"{"sql":"PRAGMA user_version"}"#, 400, "SQL_ERROR"), (#"{"sql":1}"#, 400, "BAD_REQUEST"),
        (#"{"sql":"SELECT 1","consistency":"strict"}"#, 400, "BAD_REQUEST"), (#"{"#, 400, "BAD_REQUEST"),
        (
            #"{"sql":"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT sum(i) FROM n","timeout":"PT0.1S"}"#,
            504, "QUERY_TIMEOUT"
        ),
    ])
    func aQueryThatCannotBeAnsweredSaysWhy(_ body: String, _ status: Int, _ code: String) async throws {
        try await serving { served in
            try await served.put("users", #"{"_id":"ada"}"#)
            let answer = try await served.post("/v1/query", body)
            #expect(answer.status == status, "\(answer.text)")
            #expect(answer.code == code)
        }
    }

    @Test func whatAClientAccepts() async throws {
        try await serving { served in
            let body = #"{"sql":"SELECT 1"}"#
            for (accept, status, type) in [
                ("text/html;q=0.9, */*;q=0.1", 200, "application/json"),
                ("application/json;q=0.5, application/x-ndjson", 200, "application/x-ndjson"),
                ("application/*", 200, "application/json"),
                ("text/csv", 400, "application/problem+json"),
                ("text/html", 406, "application/problem+json"),
                ("application/json;q=0", 406, "application/problem+json"),
            ] {
                let answer = try await served.post("/v1/query", body, headers: [("Accept", accept)])
                #expect(answer.status == status, "\(accept)")
                #expect(answer.headers["Content-Type"] == type, "\(accept)")
            }
        }
    }
}
