import Testing
import VarveModel
import VarveNode

/// What is wrong in a file, and the place and words an operator gets.
struct Refusal: Sendable, CustomTestStringConvertible {
    var yaml: String
    var at: String
    var says: String

    init(_ yaml: String, at: String, says: String) {
        self.yaml = yaml
        self.at = at
        self.says = says
    }

    var testDescription: String { yaml.debugDescription }
}

@Suite("Configuration that is refused")
struct ConfigurationErrorTests {
    func expect(_ refusal: Refusal, _ environment: [String: String] = [:]) {
        let error = #expect(throws: VarveError.self) { try parse(refusal.yaml, environment) }
        #expect(error?.code == .configInvalid)
        #expect(error?.at == "/etc/varve/node.yaml:" + refusal.at)
        #expect(error?.message.contains(refusal.says) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("\n") == false)
    }

    @Test(
        "unknown keys, with the nearest known one",
        arguments: [
            Refusal("http:\n  prot: 1", at: "2 http.prot", says: "unknown key 'prot' in http, did you mean port?"),
            Refusal("\nlogg: 1", at: "2 logg", says: "did you mean log?"),
            Refusal("HTTP: {}", at: "1 HTTP", says: "did you mean http?"),
            Refusal("http: { zebra: 1 }", at: "1 http.zebra", says: "unknown key 'zebra' in http; known: host, port"),
            Refusal("log: !Local\n  path: a\n  topic: b", at: "3 log.topic", says: "unknown key 'topic' in log !Local"),
            Refusal("storage: !InMemory { path: a }", at: "1 storage.path", says: "it has no keys"),
            Refusal("\"a\\nb\": 1", at: "1 a\\nb", says: "unknown key 'a\\nb'"),
        ])
    func unknownKeys(refusal: Refusal) { expect(refusal) }

    @Test(
        "values of another type",
        arguments: [
            Refusal("http:\n  port: \"8080\"", at: "2 http.port", says: "found the text '8080'"),
            Refusal(
                "http: { port: 65536 }", at: "1 http.port", says: "an integer from 0 to 65535, found the number 65536"),
            Refusal("http: { port: -1 }", at: "1 http.port", says: "found the number -1"),
            Refusal("http: { port: 0x50 }", at: "1 http.port", says: "found the number 0x50"),
            Refusal("http: { port: 0o17 }", at: "1 http.port", says: "found the number 0o17"),
            Refusal("http: { port: 80.0 }", at: "1 http.port", says: "found the number 80.0"),
            Refusal("http: { port: 1_000 }", at: "1 http.port", says: "found the text '1_000'"),
            Refusal("http: { port: 99999999999999999999 }", at: "1 http.port", says: "found the number"),
            Refusal("http:\n  port:\n  host: localhost", at: "2 http.port", says: "found null, which is no value"),
            Refusal("http: { port: null }", at: "1 http.port", says: "null"),
            Refusal("http: { port: ~ }", at: "1 http.port", says: "null"),
            Refusal("http: { port: [1] }", at: "1 http.port", says: "found a list"),
            Refusal("http: { port: { a: 1 } }", at: "1 http.port", says: "found a section"),
            Refusal(
                "log: !Local\n  path: a\n  epoch: 32768", at: "3 log.epoch",
                says: "an integer from 0 to 32767, found the number 32768"),
            Refusal(
                "log: !Kafka { bootstrapServers: 'a:1', topic: t, epoch: 32768 }", at: "1 log.epoch",
                says: "an integer from 0 to 32767, found the number 32768"),
            Refusal(
                "log: !Local\n  path: a\n  directories: { b: { path: a } }", at: "1 log.directories",
                says: "b has the path of the log itself"),
            Refusal(
                "log: !Local\n  path: a\n  clusters: { b: { bootstrapServers: 'a:1' } }\n  directories: { b: { path: c } }",
                at: "1 log.directories", says: "b is the name of a cluster too"),
            Refusal("log: !Local { path: a, epoch: -1 }", at: "1 log.epoch", says: "found the number -1"),
            Refusal("log: !Local { path: a, epoch: next }", at: "1 log.epoch", says: "found the text 'next'"),
            Refusal("log: !Local { path: a, epoch: \"1\" }", at: "1 log.epoch", says: "found the text '1'"),
            Refusal("log: !Local { path: a, epoch: 1.0 }", at: "1 log.epoch", says: "found the number 1.0"),
            Refusal("log: !Local { path: a, epoch: }", at: "1 log.epoch", says: "null"),
            Refusal("node: { id: 7 }", at: "1 node.id", says: "found the number 7"),
            Refusal("node: { id: 1.5 }", at: "1 node.id", says: "found the number 1.5"),
            Refusal("node: { id: 1e3 }", at: "1 node.id", says: "found the number 1e3"),
            Refusal("node: { id: -.inf }", at: "1 node.id", says: "found the number -.inf"),
            Refusal("node: { id: true }", at: "1 node.id", says: "found the boolean true"),
            Refusal("node: { id: null }", at: "1 node.id", says: "null"),
            Refusal("node: { id: '' }", at: "1 node.id", says: "found the text ''"),
            Refusal("node: { id: a/b }", at: "1 node.id", says: "found the text 'a/b'"),
            Refusal(
                "log: !InMemory { allowEphemeral: yes }", at: "1 log.allowEphemeral",
                says: "true or false, found the text 'yes'"),
            Refusal("log: !InMemory { allowEphemeral: True }", at: "1 log.allowEphemeral", says: "true or false"),
            Refusal("log: !InMemory { allowEphemeral: \"true\" }", at: "1 log.allowEphemeral", says: "true or false"),
            Refusal("log: !InMemory { allowEphemeral: 1 }", at: "1 log.allowEphemeral", says: "true or false"),
            Refusal("logging: { level: loud }", at: "1 logging.level", says: "one of trace, debug"),
            Refusal("http:", at: "1 http", says: "expected a section with keys, found null"),
            Refusal("http: [1]", at: "1 http", says: "found a list"),
            Refusal("- a", at: "1", says: "found a list"),
            Refusal("null", at: "1", says: "found null"),
            Refusal("text", at: "1", says: "found the text 'text'"),
        ])
    func types(refusal: Refusal) { expect(refusal) }

    @Test(
        "texts that are no duration or no size",
        arguments: [
            "pt4h", "PT4h", "4H", "PT", "P", "P1DT", "PT1.5H", "PT1.S", "PT-1S", "-PT1S", "PT1M1H", "PT1H1H", "P1Y",
            "P1W", "1",
            "PT0S", "PT9999999999999999999S", "PT9000000000000000H", "P1D1D", "PT1S ", "''",
        ])
    func durations(text: String) {
        let wrong = text.hasPrefix("'") ? text : "'\(text)'"
        expect(
            Refusal("indexer:\n  flushDuration: \(wrong)", at: "2 indexer.flushDuration", says: "expected a duration"))
    }

    @Test(
        "sizes",
        arguments: [
            "32 MiB", "32mib", "32MB ", "1.5GiB", "-1", "0", "MiB", "9999999999GiB", "32M", "32TiB", "0x400", "1e6",
        ])
    func sizes(text: String) {
        expect(
            Refusal("indexer: { bytesPerBlock: \"\(text)\" }", at: "1 indexer.bytesPerBlock", says: "expected a size"))
        if text.last != " " {
            expect(
                Refusal("indexer: { bytesPerBlock: \(text) }", at: "1 indexer.bytesPerBlock", says: "expected a size"))
        }
    }

    @Test(
        "missing keys have their section's line",
        arguments: [
            Refusal("\nlog: !Kafka\n\n  topic: a", at: "2 log.bootstrapServers", says: "bootstrapServers is missing"),
            Refusal(
                "log: !Kafka { bootstrapServers: 'a:1' }", at: "1 log.topic", says: "topic is missing; !Kafka needs it"),
            Refusal("log: !Kafka", at: "1 log.bootstrapServers", says: "missing"),
            Refusal("\nstorage: !Local", at: "2 storage.path", says: "path is missing"),
            Refusal("\nhttp:\n  port: 1\n  host: 0.0.0.0", at: "2 http.token", says: "not loopback ('0.0.0.0')"),
            Refusal("http: { host: 127.0.0.1.evil.example }", at: "1 http.token", says: "token is missing"),
        ])
    func missing(refusal: Refusal) { expect(refusal) }

    @Test(
        "tags",
        arguments: [
            Refusal(
                "log: { path: a }", at: "1 log",
                says: "one of the tags !InMemory, !Local, !Kafka, found a section without a tag"),
            Refusal("log: !kafka { topic: a }", at: "1 log", says: "found the tag '!kafka', did you mean !Kafka?"),
            Refusal("log: !Local /data", at: "1 log", says: "expected a section with keys, found the text '/data'"),
            Refusal("http: !Local { port: 1 }", at: "1 http", says: "takes no tag"),
            Refusal("http: { port: !!int 1 }", at: "1 http.port", says: "only the tag !Env"),
            Refusal("http: { !Env port: 1 }", at: "1", says: "a key is a plain text"),
            Refusal("!Local {}", at: "1", says: "expected sections"),
        ])
    func tags(refusal: Refusal) { expect(refusal) }

    @Test(
        "variables that are not there, empty or wrong",
        arguments: [
            Refusal("node:\n  id: !Env NOWHERE", at: "2 node.id", says: "the environment variable NOWHERE is not set"),
            Refusal("node: { id: !Env EMPTY }", at: "1 node.id", says: "the environment variable EMPTY is empty"),
            Refusal("node: { id: !Env '' }", at: "1 node.id", says: "expected the name of an environment variable"),
            Refusal("node: { id: !Env a-b }", at: "1 node.id", says: "expected the name"),
            Refusal("node: { id: !Env [A] }", at: "1 node.id", says: "expected the name"),
            Refusal(
                "http: { port: !Env SECRET }", at: "1 http.port",
                says: "found what the environment variable SECRET holds"),
        ])
    func variables(refusal: Refusal) {
        expect(refusal, ["EMPTY": "", "SECRET": "hunter2"])
    }

    @Test(
        "what YAML allows and this file does not",
        arguments: [
            Refusal("http:\n  port: 1\n  port: 2", at: "3", says: "the key 'port' is here twice, first in line 2"),
            Refusal("http: {}\nnode: {}\n\"http\": {}", at: "3", says: "twice"),
            Refusal("http: &a { port: 1 }", at: "1", says: "anchors"),
            Refusal("http: { port: &p 1 }", at: "1", says: "anchors"),
            Refusal("http:\n  port: *p", at: "2", says: "aliases"),
            Refusal("http:\n  <<: { port: 1 }", at: "2", says: "merge keys"),
            Refusal("http: {}\n---\nnode: {}", at: "2", says: "second document"),
            Refusal("%YAML 1.1\n---\nhttp: {}", at: "1", says: "YAML 1.1; the file is YAML 1.2"),
            Refusal("http: { port: 1", at: "1", says: "not YAML"),
            Refusal("http:\n\tport: 1", at: "2", says: "not YAML"),
            Refusal("http:\n  port: 1\n host: a", at: "3", says: "not YAML"),
            Refusal("? [a]\n: b", at: "1", says: "a key is a plain text"),
            Refusal(String(repeating: "a: {", count: 50), at: "1", says: "levels deep"),
            Refusal(String(repeating: "[", count: 100_000), at: "1", says: "levels deep"),
            Refusal("http: {}\nnode: { id: 'a\u{0}' }", at: "2", says: "NUL"),
            Refusal(String(repeating: "# comment\n", count: 200_000), at: "1", says: "the file has 2000000 bytes"),
        ])
    func yaml(refusal: Refusal) { expect(refusal) }

    @Test("bytes that are no UTF-8 are refused with their line")
    func notText() {
        for bytes: [UInt8] in [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82]] {
            let error = #expect(throws: VarveError.self) {
                try Configuration.parse(yaml: Array("http: {}\nnode: { id: ".utf8) + bytes, path: "n.yaml")
            }
            #expect(error?.code == .configInvalid)
            #expect(error?.at == "n.yaml:2", "\(String(describing: error))")
        }
        let utf16: [UInt8] = [0xff, 0xfe, 0x61, 0x00]
        #expect(throws: VarveError.self) { try Configuration.parse(yaml: utf16) }
    }

    @Test(
        "rules between keys",
        arguments: [
            Refusal(
                "storage: !Local { path: a }", at: "1 log.allowEphemeral",
                says: "in-memory log over a storage directory"),
            Refusal(
                "\nlog: !InMemory\nstorage: !Local { path: a }", at: "2 log.allowEphemeral",
                says: "!InMemory { allowEphemeral: true }"),
            Refusal(
                "\nquery: { timeout: PT11M }", at: "2 query.timeout",
                says: "timeout is PT11M, more than maxTimeout PT10M"),
            Refusal("indexer: { frozenBytes: 1MiB }", at: "1 indexer.frozenBytes", says: "less than one block"),
            Refusal("transactions: { expiry: PT301S }", at: "1 transactions.expiry", says: "at most PT5M"),
        ])
    func rules(refusal: Refusal) { expect(refusal) }

    @Test(
        "what stands in the sections of properties and clusters is checked, and never shown",
        arguments: [
            Refusal(kafka + "propertiesMap: s3cr3t", at: "4 log.propertiesMap", says: "found another text"),
            Refusal(kafka + "propertiesMap: [s3cr3t]", at: "4 log.propertiesMap", says: "found a list"),
            Refusal(kafka + "propertiesMap: !Env PW", at: "4 log.propertiesMap", says: "expected names, each with"),
            Refusal(kafka + "propertiesMap: { a: null }", at: "4 log.propertiesMap.a", says: "null"),
            Refusal(
                kafka + "propertiesMap: { a: { b: s3cr3t } }", at: "4 log.propertiesMap.a", says: "expected a text"),
            Refusal(
                kafka + "propertiesMap: { a: !Env NOTHING }", at: "4 log.propertiesMap.a", says: "NOTHING is not set"),
            Refusal(kafka + "propertiesMap: { a: 1, a: 2 }", at: "4", says: "twice"),
            Refusal(kafka + "propertiesFile: 7", at: "4 log.propertiesFile", says: "a path"),
            Refusal(kafka + "clusters: s3cr3t", at: "4 log.clusters", says: "found another text"),
            Refusal(kafka + "clusters: { 'b c': {} }", at: "4 log.clusters", says: "a name"),
            Refusal(kafka + "clusters: { b: s3cr3t }", at: "4 log.clusters.b", says: "expected a section"),
            Refusal(
                kafka + "clusters: { b: {} }", at: "4 log.clusters.b.bootstrapServers",
                says: "bootstrapServers is missing"),
            Refusal(
                kafka + "clusters: { b: { bootstrapServers: nowhere } }", at: "4 log.clusters.b.bootstrapServers",
                says: "host:port"),
            Refusal(
                kafka + "clusters: { b: { bootstrapServer: 'a:1' } }", at: "4 log.clusters.b.bootstrapServer",
                says: "did you mean bootstrapServers?"),
        ])
    func properties(refusal: Refusal) throws {
        expect(refusal, ["PW": "s3cr3t"])
        let error = #expect(throws: VarveError.self) { try parse(refusal.yaml, ["PW": "s3cr3t"]) }
        #expect(try !"\(#require(error))".contains("s3cr3t"))
    }

    private static let kafka = "log: !Kafka\n  bootstrapServers: 'a:1'\n  topic: t\n  "

    @Test("a secret never appears, whatever is wrong with it")
    func secrets() throws {
        for yaml in ["http: { token: 12345678 }", "http: { token: \"sec ret12345678\" }", "http: { token: !Env T }"] {
            let error = try #require(
                #expect(throws: VarveError.self) { try parse(yaml, ["T": "line12345678\nline"]) })
            #expect(!error.description.contains("12345678"))
            #expect(error.at == "/etc/varve/node.yaml:1 http.token")
        }
    }

    @Test("the whole line an operator sees")
    func wholeLine() throws {
        let error = try #require(
            #expect(throws: VarveError.self) {
                try Configuration.parse(yaml: "http:\n  port: eighty\n", path: "node.yaml")
            })
        #expect(
            error.description
                == "CONFIG_INVALID: expected an integer from 0 to 65535, found the text 'eighty' (at node.yaml:2 http.port)"
        )
    }

    @Test("no file whatever ends the process: thousands of damaged ones are read or refused")
    func damaged() {
        let whole = Array(
            """
            # comment
            log: !Kafka
              bootstrapServers: !Env S
              topic: "varve-log"
              pollDuration: PT1.5S
            storage: !Local { path: 'a b', }
            indexer: {rowsPerBlock: 10, bytesPerBlock: 32MiB}
            http: {port: 0, token: |
              text}
            """.utf8)
        var random: UInt64 = 4
        func next(_ below: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((random >> 33) % UInt64(below))
        }
        let hard: [UInt8] =
            Array("\u{0}\t\n :-?[]{},&*!|>'\"%@`~<=\u{7f}".utf8) + [0xff, 0xef, 0xbb, 0xbf, 0xc3, 0xe2, 0x80]
        var refused = 0
        for _ in 0..<3000 {
            var bytes = whole
            for _ in 0...next(4) {
                let index = next(bytes.count)
                switch next(3) {
                case 0: bytes[index] = hard[next(hard.count)]
                case 1: bytes.insert(hard[next(hard.count)], at: index)
                default: bytes.removeSubrange(index..<min(bytes.count, index + 1 + next(8)))
                }
                if bytes.isEmpty { bytes = whole }
            }
            do { _ = try Configuration.parse(yaml: bytes, path: "n.yaml", environment: ["S": "a:1"]) } catch {
                refused += 1
                #expect(error.code == .configInvalid)
                #expect(error.at?.hasPrefix("n.yaml:") == true)
                let text = error.description.unicodeScalars
                #expect(
                    text.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }, "\(error.description.debugDescription)")
            }
        }
        #expect(refused > 1000)
    }
}
