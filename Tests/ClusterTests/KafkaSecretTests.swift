import Foundation
import RdKafka
import Testing
import VarveClient
import VarveHTTPClient
import VarveModel
import VarveTestSupport
import VarveWire

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// Whole nodes on a broker with TLS and users: they work, and nothing that comes out of them holds a secret, though every
/// line that they and librdkafka can write is asked for.
@Suite(
    .serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(3))
) struct KafkaSecretTests {
    private func sections(_ directory: String, _ security: KafkaSecurity, _ user: KafkaSecurity.User) throws -> String {
        try Data(
            """
            ! what other programs use already
            security.protocol = SASL_SSL
            sasl.mechanism:PLAIN
            sasl.jaas.config = \(user.plainLogin.replacing("\\", with: "\\\\"))
            key.serializer   org.apache.kafka.common.serialization.StringSerializer

            """.utf8
        ).write(to: URL(filePath: "\(directory)/kafka.properties"))
        return """
            log: !Kafka
              bootstrapServers: \(security.saslServers)
              topic: node-log
              propertiesFile: kafka.properties
              propertiesMap: { ssl.truststore.location: \(security.authority), ssl.key.password: s3cr3t-key, debug: all }
            storage: !Local { path: \(directory)/storage }
            logging: { level: trace, format: json }
            """
    }

    /// The files below a directory that hold the text, but for those that an operator wrote.
    private func files(_ directory: String, holding text: String) -> [String] {
        let written = ["kafka.properties", "n.yaml", "wrong.yaml"]
        let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
        return names.filter { name in
            guard !written.contains(name) else { return false }
            return (try? Data(contentsOf: URL(filePath: "\(directory)/\(name)")))?.range(of: Data(text.utf8)) != nil
        }
    }

    @Test func aNodeWorksOverTLSWithAPasswordThatStandsNowhere() async throws {
        let broker = try await KafkaBroker.sharedSecured()
        let security = try #require(broker.security)
        let admin = try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
        try await admin.grant(
            [.read, .write, .create, .describeConfigs].map {
                RdKafkaRight(KafkaSecurity.alice.principal, $0, topicPrefix: "node-")
            }, withinMilliseconds: 10_000)
        await admin.close()
        try await withScratch { directory in
            let node = try NodeProcess("n", in: directory, try sections(directory, security, KafkaSecurity.alice))
            try await node.startAndWait()
            var said = ""
            for arguments in [
                ["tx", "\(directory)/tx.json", "--url", node.url], ["status", "--json", "--url", node.url],
                ["status", "--url", node.url], ["settings", "show", "--url", node.url],
                ["config", "check", "\(directory)/n.yaml"], ["config", "check", "\(directory)/n.yaml", "--json"],
            ] {
                try Data(#"{"ops":[{"put":{"table":"t","docs":[{"_id":1}]}}]}"#.utf8)
                    .write(to: URL(filePath: "\(directory)/tx.json"))
                let ran = try runProgram(arguments)
                #expect(ran.status == 0, "\(arguments): \(ran.text)")
                said += ran.text
            }
            let http = try HTTPClient()
            for path in ["/metrics", "/v1/status", "/", "/healthz/ready", "/v1/epochs"] {
                said += String(decoding: try await http.send(HTTPRequest("GET", node.url + path)).body, as: UTF8.self)
            }
            #expect(node.stop() == 0)
            // Asked for everything, librdkafka said much of its security.
            let log = node.log
            #expect(log.contains("SASL mechanism PLAIN") && log.contains("sasl.password"), "\(log.prefix(4_000))")
            #expect(log.contains("only inside a Java client") && log.contains("key.serializer"))
            #expect(said.contains("varve_log_reconnects_total") && said.contains("varve_retention_headroom_seconds"))
            for secret in ["s3cr3t", "al=ice"] {
                #expect(!said.contains(secret), "\(secret)")
                #expect(files(directory, holding: secret) == [])
            }
            // The look itself finds what is there.
            #expect(files(directory, holding: "sasl.password") == ["n.log"])

            // The examples of the repository pass with certificates that are there.
            for name in ["sasl-tls", "mutual-tls"] {
                let example =
                    "\(#filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined())/Examples/config/\(name).yaml"
                let checked = try runProgram(
                    ["config", "check", example],
                    [
                        "KAFKA_JAAS": KafkaSecurity.alice.plainLogin, "KAFKA_CA": security.authority,
                        "KAFKA_CLIENT": security.client, "VARVE_TOKEN": "s3cr3t-token", "VARVE_NODE_ID": "n",
                    ])
                #expect(checked.status == 0 && !checked.text.contains("s3cr3t"), "\(checked)")
            }

            let wrong = try NodeProcess(
                "wrong", in: directory,
                try sections(directory, security, KafkaSecurity.User(name: "alice", password: "s3cr3t-wrong")))
            try wrong.start()
            #expect(wrong.waitForEnd() == 1)
            #expect(wrong.log.contains("LOG_DENIED") && !wrong.log.contains("s3cr3t"), "\(wrong.log.suffix(2_000))")
        }
    }

    /// A right that is withdrawn is a definite answer; nothing is lost or doubled by it.
    @Test func aNodeWhoseRightsAreWithdrawnSaysSoAndStaysCorrect() async throws {
        let broker = try await KafkaBroker.sharedSecured()
        let security = try #require(broker.security)
        let admin = try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
        func rights(_ operations: [RdKafkaRight.Operation]) -> [RdKafkaRight] {
            operations.map { RdKafkaRight(KafkaSecurity.alice.principal, $0, topicPrefix: "rights-") }
        }
        try await admin.grant(rights([.read, .write, .create, .describeConfigs]), withinMilliseconds: 10_000)
        try await withScratch { directory in
            let node = try NodeProcess(
                "n", in: directory,
                try sections(directory, security, KafkaSecurity.alice).replacing("node-log", with: "rights-log")
                    .replacing(", debug: all", with: ""))
            try await node.startAndWait()
            var committed = 0
            /// Submits until that is answered as wished; every other answer must be the other one of the two.
            func submitUntil(accepted: Bool) async throws {
                for _ in 0..<200 {
                    try Data(#"{"ops":[{"put":{"table":"t","docs":[{"_id":\#(committed)}]}}]}"#.utf8)
                        .write(to: URL(filePath: "\(directory)/tx.json"))
                    let ran = try runProgram(["tx", "\(directory)/tx.json", "--url", node.url])
                    if ran.status == 0 {
                        committed += 1
                    } else {
                        #expect(ran.text.contains("LOG_DENIED"), "\(ran.text)")
                    }
                    if (ran.status == 0) == accepted { return }
                    try await Task.sleep(for: .milliseconds(50))
                }
                Issue.record("it never came")
            }
            try await submitUntil(accepted: true)
            try await admin.withdraw(rights([.write]), withinMilliseconds: 10_000)
            try await submitUntil(accepted: false)
            try await admin.grant(rights([.write]), withinMilliseconds: 10_000)
            try await submitUntil(accepted: true)
            let counted = try runProgram([
                "sql", "SELECT count(*) AS n FROM t", "--format", "ndjson", "--url", node.url,
            ])
            #expect(counted.text.contains("\"n\":\(committed)}"), "\(committed): \(counted.text)")
            // Without the right to read it goes no further, and says what it knows.
            try await admin.withdraw(rights([.read, .write]), withinMilliseconds: 10_000)
            for _ in 0..<200 where !node.log.contains("stopped: LOG_DENIED") {
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(node.log.contains("stopped: LOG_DENIED"), "\(node.log.suffix(2_000))")
            let after = try runProgram(["sql", "SELECT count(*) AS n FROM t", "--format", "ndjson", "--url", node.url])
            #expect(after.text == counted.text)
            node.stop()
        }
        await admin.close()
    }

    /// A topic that is not ours is refused untouched; one that is empty, whoever made it, is taken.
    @Test func aTopicWithRecordsOfOthersIsRefusedAndAnEmptyOneIsTaken() async throws {
        let broker = try await KafkaBroker.sharedSecured()
        let settings = try RdKafkaSettings(bootstrapServers: broker.bootstrapServers)
        let admin = try Admin(settings)
        for topic in ["foreign-e0", "empty-e0"] {
            try await admin.createTopic(
                topic, replication: 1, configuration: ["message.timestamp.type": "LogAppendTime"],
                withinMilliseconds: 10_000)
        }
        let appender = try Appender(settings, topic: "foreign-e0", messageBytesMax: 1 << 20)
        _ = try await appender.append([Array("not ours".utf8)])
        await appender.close()
        try await withScratch { directory in
            func sections(_ topic: String) -> String {
                """
                log: !Kafka { bootstrapServers: "\(broker.bootstrapServers)", topic: \(topic) }
                storage: !Local { path: \(directory)/\(topic) }
                """
            }
            let refused = try NodeProcess("refused", in: directory, sections("foreign"))
            try refused.start()
            #expect(refused.waitForEnd() == 1)
            #expect(refused.log.contains("STORAGE_MISSING"), "\(refused.log)")
            #expect(try await admin.range(of: "foreign-e0", withinMilliseconds: 5_000) == 0..<1)
            let taken = try NodeProcess("taken", in: directory, sections("empty"))
            try await taken.startAndWait()
            #expect(taken.stop() == 0)
        }
        await admin.close()
    }
}
