/// What comes over HTTP and from an operator: JSON, documents, requests, heads, gzip, configuration, small texts.

internal import VarveGzip
internal import VarveHTTPServer
internal import VarveKafka
internal import VarveModel
internal import VarveNode
internal import VarveWire

extension Decoders {
    private static func words(_ texts: String...) -> [[UInt8]] { texts.map { Array($0.utf8) } }
    private static let jsonWords = words(
        "{", "}", "[", "]", ",", ":", "\"", "\\u0000", "\\ud83d\\ude00", "\\ud800", "null", "true", "-0.0", "1e999",
        "1e-400",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "0.1", "{\"@type\":\"", "\"_id\":",
        "\u{feff}",
        "{\"@type\":\"timestamp\",\"value\":\"", "absent", "\t", "\r\n", "\u{1}")

    static var http: [Decoder] {
        let texts = documents.map { Array($0.json.utf8) }
        return [
            Decoder(name: "json", source: .http, corpus: texts, words: jsonWords) { bytes in
                let input = Bytes(bytes)
                let row = try? scanDocument(input)
                let tree = (try? parseJSON(input)).flatMap { try? encodeDocument($0) }
                guard row == tree else { throw Broken("the scanner and the reader differ") }
                _ = bytes.withUnsafeBytes { raw in try? cborItem(fromJSON: raw) }
                guard let row else { return false }
                guard (try? Document.validate(row.document)) != nil else {
                    throw Broken("what was accepted is no document")
                }
                return true
            },
            Decoder(name: "document", source: .log, corpus: rows.map(\.document.array)) { bytes in
                let input = Bytes(bytes)
                let document = Document(input)
                try? document.forEachField { _, value in _ = try? FieldValue(value) }
                _ = try? document.patched(with: document)
                _ = try? document.matches(document)
                _ = try? canonicalJSON(input)
                let value = try? document.value()
                guard (try? Document.validate(input)) != nil else { return false }
                guard let value, (try? encodeFields(of: value)) == input else {
                    throw Broken("a valid document is other bytes when it is encoded again")
                }
                return true
            },
            Decoder(
                name: "submit", source: .http,
                corpus: words(
                    #"{"id":"0b8f0000000000000000000000000001","ops":[{"put":{"table":"users","docs":[{"_id":"ada","n":1}]}}],"timeout":"PT1S","await":true}"#,
                    #"{"ops":[{"patch":{"table":"users","docs":[{"_id":7,"n":null}]}},{"delete":{"table":"users","ids":["b",7]}},{"erase":{"table":"t","ids":["x"]}},{"assert":{"table":"t","id":"a","version":"0-12"}},{"assert":{"table":"t","id":"a","equals":{"n":1}}}]}"#
                ), words: jsonWords
            ) { bytes in (try? SubmitRequest(json: bytes)) != nil },
            Decoder(
                name: "wire", source: .http,
                corpus: words(
                    #"{"sql":"SELECT 1","params":[1,"a",null],"asOf":"0-12","timeout":"PT10S"}"#,
                    #"{"id":"0b8f0000000000000000000000000001","status":"aborted","position":"0-14","systemTime":"2026-11-21T10:00:00.000000Z","token":"0-14-9f2c41d07a6be853","error":{"code":"ASSERT_FAILED","op":4,"detail":"x"}}"#,
                    #"{"transactions":[],"next":"0-99"}"#,
                    #"{"columns":[{"name":"n","type":"integer"}],"rows":[[1]],"position":"0-15","token":"0-15","elapsedMs":0.8}"#,
                    #"{"versions":[{"version":"0-13","systemFrom":"2026-11-21T10:00:00.000000Z","systemTo":null,"deleted":false,"doc":{"_id":1}}]}"#
                ), words: jsonWords
            ) { bytes in
                guard let value = try? parseJSON(Bytes(bytes)) else { return false }
                let accepted = [
                    succeeds { _ = try QueryRequest(json: value) }, succeeds { _ = try TransactionAnswer(json: value) },
                    succeeds { _ = try TransactionsAnswer(json: value) }, succeeds { _ = try QueryAnswer(json: value) },
                    succeeds { _ = try HistoryAnswer(json: value) }, succeeds { _ = try StatusAnswer(json: value) },
                    succeeds { _ = try BlocksAnswer(json: value) }, succeeds { _ = try Problem(json: value) },
                ]
                return accepted.contains(true)
            },
            Decoder(
                name: "head", source: .http,
                corpus: words(
                    "/v1/tables/users/rows/ada?asOf=0-12&idType=integer",
                    "/v1/query?after=0-15-9f2c41d07a6be853&x=%C3%BC+%20",
                    "/v1/transactions?since=0-0&limit=100"),
                words: words("%", "%00", "%zz", "&", "=", "..", "//", "?", "#", "+")
            ) { bytes in
                let head = Head(
                    method: "GET", target: String(decoding: bytes, as: UTF8.self),
                    headers: RequestHeaders([
                        (name: String(decoding: bytes.prefix(9), as: UTF8.self), value: "gzip;q=0, *")
                    ]))
                let pairs = (head.query ?? []).map { (name: $0.name, value: $0.value) }
                _ = try? ReadParameters(query: pairs)
                _ = try? RowLoadOptions(query: pairs)
                return head.pathSegments != nil
            },
            Decoder(name: "gzip", source: .http, corpus: gzips) { bytes in
                (try? GzipReader.inflate(bytes, maxBytes: 1 << 16)) != nil
            },
            Decoder(
                name: "texts", source: .http,
                corpus: words(
                    "0-123", "0-123-9f2c41d07a6be853", "2026-11-21T10:00:00.123456Z", "2026-11-21T10:00:00+02:00",
                    "PT10.5S",
                    "P3DT4H", "0b8f0000000000000000000000000001", "users", "AQID/w==", "ada"),
                words: words("-", ":", ".", "T", "Z", "9", "99999999999999999999", "\u{0}", "ü")
            ) { bytes in
                let text = String(decoding: bytes, as: UTF8.self)
                let accepted = [
                    Position(text) != nil, Token(text) != nil, AsOf(text) != nil, Instant(text) != nil,
                    duration(fromISO: text) != nil,
                    SubmissionID(hex: text) != nil, Key(text) != nil, Key(encoded: Bytes(bytes)) != nil,
                    VarveModel.bytes(fromBase64: bytes) != nil, succeeds { _ = try TableName(text) },
                ]
                if let instant = Instant(text), Instant(instant.description) != instant {
                    throw Broken("an instant is another one as text")
                }
                if let position = Position(text), Position(position.description) != position {
                    throw Broken("a position is another one as text")
                }
                return accepted.contains(true)
            },
        ]
    }

    private static var gzips: [[UInt8]] {
        var all: [[UInt8]] = []
        for text in [String(repeating: "{\"_id\":1}\n", count: 30), "", "x"] {
            guard var writer = try? GzipWriter(level: 6) else { continue }
            var out: [UInt8] = []
            writer.deflate(Array(text.utf8), into: &out)
            writer.finish(into: &out)
            all.append(out)
        }
        if all.count > 1 { all.append(all[0] + all[1]) }
        return all
    }

    static var config: [Decoder] {
        [
            Decoder(
                name: "yaml", source: .config,
                corpus: words(
                    """
                    log: !Kafka
                      bootstrapServers: !Env SERVERS
                      topic: varve-log
                      replicationFactor: 3
                      pollDuration: PT1S
                    storage: !Local { path: /var/lib/varve }
                    indexer: { rowsPerBlock: 102400, bytesPerBlock: 32MiB, flushDuration: PT4H }
                    http: { host: localhost, port: 8080 }
                    logging: { level: info, format: text }

                    """,
                    """
                    # a comment
                    log: !Local
                      path: "log"
                      bufferSize: 4096
                      pollSleepDuration: PT0.1S
                    node: { id: 'node-1' }

                    """),
                words: words(
                    "!Env X", "!Local", "!InMemory", "\n", "  ", "- ", ": ", "{", "}", "[", "]", "&a", "*a", "<<:",
                    "---\n", "|\n",
                    ">\n", "\"", "'", "#", "\t", "null", "~", "0x10", "1e3", "PT", "99999999999999999999", "32MiB",
                    "%YAML 1.1\n")
            ) { bytes in
                (try? Configuration.parse(yaml: bytes, environment: ["SERVERS": "localhost:9092", "X": "y"])) != nil
            },
            Decoder(
                name: "properties", source: .config,
                corpus: words(
                    "# a comment\\\nsecurity.protocol=SASL_SSL\nsasl.mechanism : PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\\n  username=\"u\" \\\n  password=\"p\\u0041\\\"\";\n",
                    "a\\ b\\=c=d\r\n!x\n\n  lead = tail \nlast\\"),
                words: words("\\", "\\u", "\\u00e9", "=", ":", "\n", "\r\n", "#", "!", "\"", ";", "required", " ", "\t")
            ) { bytes in PropertyInspection.accepts(bytes) },
        ]
    }
}
