import Foundation
import Testing
import VarveModel
import VarveNode

@Suite("ConfigurationDocumentation")
struct ConfigurationDocumentationTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test("docs/configuration.md and the schema say the same")
    func document() throws {
        let file = Self.root.appending(path: "docs/configuration.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- keys: begin -->\n"))
        let end = try #require(text.range(of: "<!-- keys: end -->"))
        let generated = "\n" + ConfigurationDocumentation.markdown()
        if ProcessInfo.processInfo.environment["VARVE_WRITE_DOCS"] != nil {
            let whole = text[..<begin.upperBound] + generated + text[end.lowerBound...]
            try whole.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(text[begin.upperBound..<end.lowerBound] == generated, "write it anew with VARVE_WRITE_DOCS=1")
        }
    }

    @Test(
        "each example is a configuration",
        arguments: ["memory", "local", "one-broker", "three-brokers", "container", "sasl-tls", "mutual-tls"])
    func examples(name: String) throws {
        let configuration = try Configuration.load(
            path: Self.root.appending(path: "Examples/config/\(name).yaml").path,
            environment: [
                "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "VARVE_STORAGE": "/srv/varve", "VARVE_HTTP_PORT": "8081",
                "VARVE_NODE_ID": "node-1", "VARVE_TOKEN": "secret", "VARVE_TOPIC": "varve-log",
                "KAFKA_JAAS": "PlainLoginModule required username=\"u\" password=\"secret\";",
                "KAFKA_CA": "/etc/ca.pem",
                "KAFKA_CLIENT": "/etc/client.pem",
            ])
        switch name {
        case "memory": #expect(configuration == Configuration())
        case "local":
            let data = Self.root.appending(path: "Examples/config/data").path
            #expect(configuration.log == .local(LocalLogConfiguration(path: data + "/log")))
            #expect(configuration.storage == .local(path: data + "/storage"))
        case "one-broker":
            #expect(
                configuration.log
                    == .kafka(
                        KafkaLogConfiguration(
                            bootstrapServers: "localhost:9092", topic: "varve-log", replicationFactor: 1)))
            #expect(configuration.http.port == 8081)
        case "container":
            #expect(
                configuration.log
                    == .kafka(KafkaLogConfiguration(bootstrapServers: "localhost:9092", topic: "varve-log")))
            #expect(configuration.storage == .local(path: "/var/lib/varve/storage"))
            #expect(configuration.http.token == "secret")
        case "sasl-tls", "mutual-tls":
            guard case .kafka(let kafka) = configuration.log else {
                Issue.record("no Kafka")
                return
            }
            #expect(kafka.propertiesMap["security.protocol"] == (name == "sasl-tls" ? "SASL_SSL" : "SSL"))
            #expect(kafka.propertiesMap["ssl.truststore.location"] == "/etc/ca.pem")
            #expect(configuration.http.token == "secret")
        default:
            #expect(configuration.log.epoch == 0)
            #expect(configuration.http.token == "secret")
        }
    }

    @Test("there is no example that is not tested")
    func noOther() throws {
        let found = try FileManager.default.contentsOfDirectory(
            atPath: Self.root.appending(path: "Examples/config").path)
        #expect(
            found.sorted() == [
                "container.yaml", "local.yaml", "memory.yaml", "mutual-tls.yaml", "one-broker.yaml", "sasl-tls.yaml",
                "three-brokers.yaml",
            ])
    }
}
