import Testing
import VarveModel
import VarveNode
import VarveTelemetry

func parse(_ yaml: String, _ environment: [String: String] = [:]) throws -> Configuration {
    try Configuration.parse(yaml: yaml, path: "/etc/varve/node.yaml", environment: environment)
}

@Suite("Configuration that is accepted")
struct ConfigurationTests {
    @Test("a file without content is all defaults", arguments: ["", "\n\n", "# nothing\n", "---\n", "\u{feff}", "{}"])
    func empty(yaml: String) throws {
        let configuration = try parse(yaml)
        #expect(configuration == Configuration())
        #expect(configuration.log == .inMemory)
        #expect(configuration.storage == .inMemory)
        #expect(configuration.http.host == "localhost")
        #expect(configuration.http.port == 8080)
    }

    @Test("every key is read")
    func everything() throws {
        let configuration = try parse(
            """
            log: !Kafka
              bootstrapServers: !Env SERVERS
              topic: varve-log
              autoCreateTopic: false
              replicationFactor: 3
              pollDuration: PT0.5S
              epoch: 7
              allowWeakLog: true
              allowEphemeral: true
              propertiesFile: kafka.properties
              propertiesMap: { security.protocol: SASL_SSL, linger.ms: 5, check.crcs: true, sasl.jaas.config: !Env JAAS }
              clusters:
                b: { bootstrapServers: "other:9092" }
                c: { bootstrapServers: !Env SERVERS, propertiesFile: c.properties, propertiesMap: { acks: all } }
            storage: !Local { path: /var/lib/varve/storage }
            indexer: { rowsPerBlock: 10, transactionsPerBlock: 11, bytesPerBlock: 1MiB, flushDuration: P1DT1H1M1.5S, frozenBytes: 2MB }
            transactions: { expiry: PT5M }
            http:
              host: 0.0.0.0
              port: 0
              token: !Env TOKEN
              maxBodyBytes: 2kB
              maxHeaderBytes: 32KiB
              headerTimeout: PT1S
              idleTimeout: PT2S
              maxConnections: 3
              maxConcurrentRequests: 4
              maxResultBytes: 1GiB
            query: { timeout: PT1S, maxTimeout: PT2S, maxMemory: 1GB }
            node: { id: node-1, directory: "scratch" }
            logging: { level: debug, format: json }
            """, ["SERVERS": "a:9092,b:9092", "TOKEN": "s3cret", "JAAS": "x required;"])
        #expect(
            configuration
                == Configuration(
                    log: .kafka(
                        KafkaLogConfiguration(
                            bootstrapServers: "a:9092,b:9092", topic: "varve-log", autoCreateTopic: false,
                            replicationFactor: 3, pollDuration: .milliseconds(500), epoch: 7, allowWeakLog: true,
                            propertiesFile: "/etc/varve/kafka.properties",
                            propertiesMap: [
                                "security.protocol": "SASL_SSL", "linger.ms": "5", "check.crcs": "true",
                                "sasl.jaas.config": "x required;",
                            ], propertiesDirectory: "/etc/varve/",
                            clusters: [
                                "b": KafkaClusterConfiguration(bootstrapServers: "other:9092"),
                                "c": KafkaClusterConfiguration(
                                    bootstrapServers: "a:9092,b:9092", propertiesFile: "/etc/varve/c.properties",
                                    propertiesMap: ["acks": "all"], propertiesDirectory: "/etc/varve/"),
                            ])),
                    allowEphemeral: true,
                    storage: .local(path: "/var/lib/varve/storage"),
                    indexer: IndexerConfiguration(
                        rowsPerBlock: 10, transactionsPerBlock: 11, bytesPerBlock: 1 << 20,
                        flushDuration: .seconds(86_400 + 3600 + 61) + .milliseconds(500), frozenBytes: 2_000_000),
                    transactions: TransactionConfiguration(expiry: .seconds(300)),
                    http: HTTPConfiguration(
                        host: "0.0.0.0", port: 0, token: "s3cret", maxBodyBytes: 2000, maxHeaderBytes: 32 << 10,
                        headerTimeout: .seconds(1), idleTimeout: .seconds(2), maxConnections: 3,
                        maxConcurrentRequests: 4, maxResultBytes: 1 << 30),
                    query: QueryConfiguration(
                        timeout: .seconds(1), maxTimeout: .seconds(2), maxMemory: 1_000_000_000),
                    node: NodeConfiguration(id: "node-1", directory: "/etc/varve/scratch"),
                    logging: LoggingConfiguration(level: .debug, format: .json)))
    }

    @Test("a variable may stand for any scalar")
    func environment() throws {
        let configuration = try parse(
            """
            log: !Kafka
              bootstrapServers: !Env H
              topic: !Env T
              autoCreateTopic: !Env B
              pollDuration: !Env D
              epoch: !Env E
              propertiesFile: !Env F
              propertiesMap: { client.id: !Env T }
            http: { port: !Env "PORT", maxBodyBytes: !Env SIZE, idleTimeout: !Env D }
            node: { id: !Env ID, directory: !Env DIR }
            logging: { level: !Env L }
            """,
            [
                "H": "h:1", "F": "kafka.properties", "T": "123", "B": "false", "E": "1", "PORT": "0", "SIZE": "1MiB",
                "D": "PT3S", "ID": "7", "DIR": "x",
                "L": "error",
            ])
        guard case .kafka(let kafka) = configuration.log else { throw WrongLog() }
        #expect(kafka.topic == "123" && !kafka.autoCreateTopic && kafka.epoch == 1)
        #expect(kafka.bootstrapServers == "h:1" && kafka.pollDuration == .seconds(3))
        #expect(kafka.propertiesFile == "/etc/varve/kafka.properties" && kafka.propertiesMap == ["client.id": "123"])
        #expect(configuration.http.port == 0 && configuration.http.maxBodyBytes == 1 << 20)
        #expect(configuration.http.idleTimeout == .seconds(3))
        #expect(configuration.node == NodeConfiguration(id: "7", directory: "/etc/varve/x"))
        #expect(configuration.logging.level == .error)
    }

    struct WrongLog: Error {}

    @Test("relative paths start at the file's directory, absolute ones stay")
    func paths() throws {
        let yaml = "log: !Local { path: data/log }\nstorage: !Local { path: ./data/storage }"
        let absolute = try Configuration.parse(yaml: yaml, path: "/etc/varve/node.yaml")
        #expect(absolute.log == .local(LocalLogConfiguration(path: "/etc/varve/data/log")))
        #expect(absolute.storage == .local(path: "/etc/varve/data/storage"))
        #expect(try Configuration.parse(yaml: yaml, path: "node.yaml").storage == .local(path: "data/storage"))
        #expect(
            try Configuration.parse(yaml: yaml, path: "conf/node.yaml").storage == .local(path: "conf/data/storage"))
        #expect(try Configuration.parse(yaml: yaml).storage == .local(path: "data/storage"))
    }

    @Test("a byte order mark, carriage returns and a version line are accepted")
    func marks() throws {
        #expect(try parse("\u{feff}http: { port: 0 }").http.port == 0)
        #expect(try parse("http:\r\n  port: 0\r\n").http.port == 0)
        #expect(try parse("%YAML 1.2\n---\nhttp: { port: 0 }\n...\n").http.port == 0)
    }

    @Test("no token is asked for on loopback", arguments: ["localhost", "127.0.0.1", "127.9.9.9", "'::1'"])
    func loopback(host: String) throws { _ = try parse("http: { host: \(host) }") }

    @Test("a configuration made in code passes the same rules")
    func inCode() throws {
        try Configuration().validate()
        var open = Configuration()
        open.http.host = "0.0.0.0"
        let error = #expect(throws: VarveError.self) { try open.validate() }
        #expect(error?.code == .configInvalid)
        #expect(error?.at == "http.token")
        for (wrong, at) in [
            (Configuration(http: HTTPConfiguration(port: 65_536)), "http.port"),
            (Configuration(log: .local(LocalLogConfiguration(path: ""))), "log.path"),
            (Configuration(log: .kafka(KafkaLogConfiguration(bootstrapServers: "a:1", topic: "a b"))), "log.topic"),
            (Configuration(query: QueryConfiguration(timeout: .seconds(-1))), "query.timeout"),
        ] {
            #expect(#expect(throws: VarveError.self) { try wrong.validate() }?.at == at)
        }
    }

    @Test("no print of a configuration holds a secret")
    func secrets() throws {
        let configuration = try parse(
            """
            log: !Kafka
              bootstrapServers: h:1
              topic: t
              propertiesMap: { sasl.password: s3cr3t-1 }
              clusters: { b: { bootstrapServers: "h:2", propertiesMap: { sasl.password: s3cr3t-2 } } }
            http: { token: s3cr3t-3 }
            """)
        var text = "\(configuration) \(String(reflecting: configuration)) \(configuration.log)"
        dump(configuration, to: &text)
        #expect(text.contains("sasl.password") && text.contains("h:2") && !text.contains("s3cr3t"), "\(text)")
    }

    @Test("a file that is not there is told apart from one that is wrong")
    func missingFile() {
        let error = #expect(throws: VarveError.self) {
            try Configuration.load(path: "/nowhere/node.yaml", environment: [:])
        }
        #expect(error?.code == .notFound)
        #expect(error?.message == "the configuration /nowhere/node.yaml cannot be read: No such file or directory")
    }
}
