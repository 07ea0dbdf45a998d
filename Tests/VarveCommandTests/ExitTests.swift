import Glibc
import Testing
import VarveHarness
import VarveHTTPServer

@testable import VarveCommand

/// What goes wrong before a node is there: one line and the right exit code.
@Suite struct ExitTests {
    private static let nobody = ["VARVE_URL": "http://127.0.0.1:1"]

    @Test(arguments: [
        ["nonsense"], ["load"], ["load", "f"], ["sql", "SELECT 1", "--format", "csv"],
        ["get", "users", "ada", "--int"],
        ["cluster", "--kafka", "h:1", "--embedded"], ["cluster", "--nodes", "0"],
        ["get", "users", "a", "--as-of", "?"], ["status", "--url", "zz"], ["sql", "SELECT 1", "--url", "host:8080"],
        ["cluster", "--kafka", "nohost"], ["cluster", "--topic", "a/b"], ["broker", "--topic", "a/b"],
        ["broker", "--topic", ""],
        ["cluster", "--nodes", "9", "--base-port", "65000", "--kafka", "h:1", "--dir", "/no/such", "--topic"],
    ])
    func whatMakesNoSenseIs64(arguments: [String]) async throws {
        let ran = try await varve(arguments, environment: Self.nobody)
        #expect(ran.code == 64)
        #expect(ran.errors.hasPrefix("Error: "))
        #expect(ran.output.isEmpty)
    }

    @Test(arguments: [
        ["load", "/no/such/file", "--table", "t"], ["load", "/tmp", "--table", "t"], ["tx", "/no/such/file"],
        ["node", "--config", "/no/such/file"], ["config", "check", "/no/such/file"],
        ["blocks", "list", "--config", "/no/such/file"], ["log", "show", "--config", "/no/such/file"],
    ])
    func aMissingInputIs66(arguments: [String]) async throws {
        let ran = try await varve(arguments, environment: Self.nobody)
        #expect(ran.code == 66)
        #expect(ran.errors.hasPrefix("NOT_FOUND: "))
        #expect(ran.errors.split(separator: "\n").count == 1)
    }

    @Test(arguments: [
        ["get", "users", "ada"], ["sql", "SELECT 1"], ["status"], ["status", "--ready"], ["log", "show"],
        ["blocks", "list"], ["blocks", "show", "0"], ["blocks", "flush"],
    ])
    func aNodeThatIsNotThereIs69(arguments: [String]) async throws {
        let ran = try await varve(arguments, environment: Self.nobody)
        #expect(ran.code == 69)
        #expect(ran.errors.contains("NODE_UNREACHABLE: "))
        #expect(ran.errors.contains("; next: "))
    }

    @Test func aWrongConfigurationIs78WithItsLine() async throws {
        try await withDirectory { directory in
            try write("http:\n  port: 8080\n  prot: 1\n", to: "\(directory)/node.yaml")
            for command in [["node", "--config"], ["config", "check"]] {
                let ran = try await varve(command + ["\(directory)/node.yaml"])
                #expect(ran.code == 78)
                #expect(ran.errors.hasPrefix("CONFIG_INVALID: "))
                #expect(ran.errors.contains("node.yaml:3"))
                #expect(ran.errors.split(separator: "\n").count == 1)
            }
        }
    }

    @Test func aRightConfigurationIsSaidToBe() async throws {
        try await withDirectory { directory in
            try write(
                "log: !Local { path: log }\nstorage: !Local { path: data }\nnode: { id: n1 }\n",
                to: "\(directory)/node.yaml")
            let ran = try await varve("config", "check", "\(directory)/node.yaml")
            #expect(ran.code == 0)
            #expect(ran.output.contains("\(directory)/data"))
            let json = try await varve("config", "check", "\(directory)/node.yaml", "--json")
            #expect(json.output.hasPrefix("{\"ok\":true"))
        }
    }

    @Test func propertiesAreCheckedAsANodeWouldWithoutAWordOfTheirValues() async throws {
        try await withDirectory { directory in
            let login = "x.PlainLoginModule required username=\\\"a\\\" password=\\\"s3cr3t-pw\\\";"
            func check(_ map: String, json: Bool = false) async throws -> Ran {
                try write(
                    "log: !Kafka\n  bootstrapServers: h:1\n  topic: t\n  propertiesFile: k.properties\n"
                        + "  propertiesMap: { security.protocol: SASL_SSL, sasl.jaas.config: \"\(login)\", \(map) }\n"
                        + "  clusters: { b: { bootstrapServers: 'h:2', propertiesMap: { key.serializer: x } } }\n",
                    to: "\(directory)/node.yaml")
                let ran = try await varve(
                    ["config", "check", "\(directory)/node.yaml"] + (json ? ["--json"] : []),
                    environment: ["PW": "s3cr3t-e"])
                #expect(!ran.output.contains("s3cr3t") && !ran.errors.contains("s3cr3t"), "\(ran)")
                return ran
            }
            try write("sasl.mechanism=PLAIN\nmax.poll.records=1\n", to: "\(directory)/k.properties")
            let right = try await check("linger.ms: 1")
            #expect(right.code == 0, "\(right)")
            for words in [
                "sasl.password", "clusters b", "ignored: max.poll.records", "log.clusters.b: ", "key.serializer",
            ] {
                #expect(right.output.contains(words), "\(right.output)")
            }
            #expect(try await check("linger.ms: 1", json: true).output.contains("\"warnings\":["))
            let wrong = try await check("no.such: !Env PW, acks: s3cr3t-a, sasl.password: s3cr3t-other")
            #expect(wrong.code == 78)
            for words in ["CONFIG_INVALID", "3 Kafka properties", "no.such", "acks", "sasl.password"] {
                #expect(wrong.errors.contains(words), "\(wrong.errors)")
            }
            try write("sasl.mechanism=PLAIN\n\"s3cr3t-half\";\n", to: "\(directory)/k.properties")
            #expect(try await check("linger.ms: 1").errors.contains("k.properties:2"))
        }
    }

    @Test func aWrongTransactionNamesThePlace() async throws {
        let ran = try await varve("tx", "-", input: #"{"ops":[{"putt":{}}]}"#, environment: Self.nobody)
        #expect(ran.code == 1)
        #expect(ran.errors.hasPrefix("BAD_REQUEST: "))
        #expect(ran.errors.contains("/ops/0"))
    }

    @Test func anSQLOperationIsNotSupportedYet() async throws {
        let ran = try await varve(
            "tx", "-", input: #"{"ops":[{"sql":{"statement":"DELETE FROM t"}}]}"#, environment: Self.nobody)
        #expect(ran.code == 64)
        #expect(ran.errors.contains("not supported by this version"))
    }

    @Test func aTakenPortIsOneLine() async throws {
        let server = HTTPServer(.init(host: "127.0.0.1"), admit: { _ in .stream() }, handler: { _ in .text(200, "") })
        try server.start()
        try await withDirectory { directory in
            try write("http: { host: 127.0.0.1, port: \(server.port) }\n", to: "\(directory)/node.yaml")
            let process = try start(["node", "--config", "\(directory)/node.yaml"], output: "\(directory)/log")
            #expect(await process.wait() == .code(1))
            let lines = contents("\(directory)/log").split(separator: "\n")
            #expect(lines.count == 1)
            #expect(lines.last?.hasPrefix("ADDRESS_IN_USE: 127.0.0.1:\(server.port)") == true)
        }
        await server.stop(grace: .zero)
    }
}
