/// Every key of the configuration file, once: from this table come parsing, defaults, messages and the tables of
/// `docs/configuration.md` (a test holds them together).

enum ConfigurationSchema {
    static let sections: [ConfigurationSection] = [log, storage, indexer, transactions, http, query, node, logging]

    private static let epoch = "The generation of the log this configuration is for; an assertion, checked at start."
    private static let ephemeral =
        "Accept a log that dies with its process over storage that does not; every start is then a declared loss."

    private static let log = ConfigurationSection(
        key: "log",
        variants: [
            .init(
                tag: "!InMemory", help: "The default. One node, gone with its process.",
                fields: [.optional("allowEphemeral", \.allowEphemeral, .boolean, default: "`false`", ephemeral)],
                choose: { $0.log = .inMemory },
                isChosen: { if case .inMemory = $0.log { true } else { false } }),
            .init(
                tag: "!Local", help: "A directory of one node; every record is durable before it is answered.",
                fields: [
                    .required("path", \.localLog.path, .path, "The log's directory."),
                    .key(
                        "bufferSize", \.localLog.bufferSize, .integer(1...1_048_576),
                        "Most entries in flight: written, not yet durable, one sync for all of them. "
                            + "Whoever else appends waits."),
                    .key(
                        "pollSleepDuration", \.localLog.pollSleepDuration, .duration(most: .seconds(60)),
                        "Longest sleep of a reader in another process (`varve log`) before it looks for more. "
                            + "This process's own readers are woken."),
                    .sections(
                        "clusters",
                        expected: "names, each with a section of `bootstrapServers`, `propertiesFile`, `propertiesMap`",
                        "Kafka clusters that epochs may migrate to.",
                        names: { $0.localLog.clusters.keys.sorted() }, fields: localClusterFields),
                    .sections(
                        "directories", expected: "names, each with a section of `path`",
                        "Other directories that epochs may migrate to, on another disk for one. A name is not one of `clusters` too.",
                        names: { $0.localLog.directories.keys.sorted() },
                        fields: { name in
                            [.required("path", \.localLog[directory: name], .path, "Where the log goes on.")]
                        }),
                    .optional("epoch", \.localLog.epoch, .integer(0...32_767), default: "what storage records", epoch),
                ],
                choose: { $0.log = .local(LocalLogConfiguration(path: "")) },
                isChosen: { if case .local = $0.log { true } else { false } }),
            .init(
                tag: "!Kafka", help: "One topic per epoch on Apache Kafka, shared by all nodes.",
                fields: [
                    .required(
                        "bootstrapServers", \.kafkaLog.bootstrapServers,
                        .text(KafkaLogConfiguration.serversExpected, fits: KafkaLogConfiguration.isServerList),
                        "Where to find the cluster."),
                    .required(
                        "topic", \.kafkaLog.topic,
                        .text(KafkaLogConfiguration.topicExpected, fits: KafkaLogConfiguration.isTopic),
                        "Epoch N lives in `<topic>-e<N>`."),
                    .key("autoCreateTopic", \.kafkaLog.autoCreateTopic, .boolean, "Create the topic of a new epoch."),
                    .optional(
                        "replicationFactor", \.kafkaLog.replicationFactor, .integer(1...32_767),
                        default: "min(3, brokers)", "Used when a topic is created."),
                    .key(
                        "pollDuration", \.kafkaLog.pollDuration, .duration(most: .seconds(60)),
                        "Longest time a broker may hold a poll that finds nothing; a record that comes ends it."),
                    .optional(
                        "propertiesFile", \.kafkaLog.propertiesFile, .path, default: "none",
                        "Client properties in Java's syntax; overrides `propertiesMap`. See [Kafka properties](#kafka-properties)."
                    ),
                    .texts(
                        "propertiesMap", \.kafkaLog.propertiesMap, directory: \.kafkaLog.propertiesDirectory,
                        expected: propertyMap,
                        "Client properties under Java's or librdkafka's names. Secrets: use `!Env`."),
                    .sections(
                        "clusters",
                        expected: "names, each with a section of `bootstrapServers`, `propertiesFile`, `propertiesMap`",
                        "Other clusters that epochs may migrate to. A cluster inherits no properties.",
                        names: { $0.kafkaLog.clusters.keys.sorted() }, fields: clusterFields),
                    .optional("epoch", \.kafkaLog.epoch, .integer(0...32_767), default: "what storage records", epoch),
                    .key(
                        "allowWeakLog", \.kafkaLog.allowWeakLog, .boolean,
                        "Accept a topic whose settings can lose acknowledged records."),
                    .optional(
                        "allowEphemeral", \.allowEphemeral, .boolean, default: "only the embedded broker's",
                        ephemeral
                            + " The embedded broker implies it; `false` makes nodes take that broker for a Kafka that keeps "
                            + "its topics, and refuse when it does not (drills do so)."),
                ],
                choose: { $0.log = .kafka(KafkaLogConfiguration(bootstrapServers: "", topic: "")) },
                isChosen: { if case .kafka = $0.log { true } else { false } }),
        ])

    private static let propertyMap = "names, each with a text, a number or true or false"

    @Sendable private static func clusterFields(_ name: String) -> [ConfigurationField] {
        [
            .required(
                "bootstrapServers", \.kafkaLog[cluster: name].bootstrapServers,
                .text(KafkaLogConfiguration.serversExpected, fits: KafkaLogConfiguration.isServerList),
                "Where to find the cluster."),
            .optional(
                "propertiesFile", \.kafkaLog[cluster: name].propertiesFile, .path, default: "none", "As of the log."),
            .texts(
                "propertiesMap", \.kafkaLog[cluster: name].propertiesMap,
                directory: \.kafkaLog[cluster: name].propertiesDirectory, expected: propertyMap, "As of the log."),
        ]
    }

    @Sendable private static func localClusterFields(_ name: String) -> [ConfigurationField] {
        [
            .required(
                "bootstrapServers", \.localLog[cluster: name].bootstrapServers,
                .text(KafkaLogConfiguration.serversExpected, fits: KafkaLogConfiguration.isServerList),
                "Where to find the cluster."),
            .optional(
                "propertiesFile", \.localLog[cluster: name].propertiesFile, .path, default: "none",
                "As of a log on Kafka."),
            .texts(
                "propertiesMap", \.localLog[cluster: name].propertiesMap,
                directory: \.localLog[cluster: name].propertiesDirectory, expected: propertyMap,
                "As of a log on Kafka."),
        ]
    }

    private static let storage = ConfigurationSection(
        key: "storage",
        variants: [
            .init(
                tag: "!InMemory", help: "The default. Gone with the process; the log is read from its start.",
                fields: [],
                choose: { $0.storage = .inMemory },
                isChosen: { if case .inMemory = $0.storage { true } else { false } }),
            .init(
                tag: "!Local", help: "A directory that all nodes share.",
                fields: [.required("path", \.storagePath, .path, "The directory; the one that holds it must exist.")],
                choose: { $0.storage = .local(path: "") },
                isChosen: { if case .local = $0.storage { true } else { false } }),
        ])

    private static let indexer = ConfigurationSection(
        key: "indexer",
        variants: [
            .init(
                help: "When blocks are cut. What a new database starts with; an existing one follows its log.",
                fields: [
                    .key("rowsPerBlock", \.indexer.rowsPerBlock, .integer(1...100_000_000), "Rows that close a block."),
                    .key(
                        "transactionsPerBlock", \.indexer.transactionsPerBlock, .integer(1...100_000_000),
                        "Transactions that close a block."),
                    .key("bytesPerBlock", \.indexer.bytesPerBlock, .size(from: 1 << 10), "Bytes that close a block."),
                    .key(
                        "flushDuration", \.indexer.flushDuration, .duration(),
                        "Age of the oldest unflushed transaction that closes a block; bounds what a lost log costs."),
                    .optional(
                        "frozenBytes", \.indexer.frozenBytes, .size(from: 1 << 10), default: "4 × `bytesPerBlock`",
                        "Bytes of cut but unpublished blocks above which a node stops consuming."),
                ])
        ])

    private static let transactions = ConfigurationSection(
        key: "transactions",
        variants: [
            .init(
                help: "Submissions.",
                fields: [
                    .key(
                        "expiry", \.transactions.expiry, .duration(most: .seconds(300)),
                        "How long a submission may still be applied, in log time, when the client says nothing.")
                ])
        ])

    private static let http = ConfigurationSection(
        key: "http",
        variants: [
            .init(
                help: "The server. A token is required for any host that is not loopback.",
                fields: [
                    .key("host", \.http.host, .text("a host name or an address"), "Where to listen."),
                    .key("port", \.http.port, .integer(0...65_535), "0 takes a free one and says which."),
                    .optional(
                        "token", \.http.token, .text("a text of visible ASCII characters", fits: isToken),
                        default: "none", secret: true,
                        "Asked for as `Authorization: Bearer …`. A secret: use `!Env`."),
                    .key(
                        "maxBodyBytes", \.http.maxBodyBytes, .size(from: 1 << 10),
                        "A request body; of NDJSON rows, which stream, a line."),
                    .key("maxHeaderBytes", \.http.maxHeaderBytes, .size(from: 1 << 10), "A request's headers."),
                    .key("headerTimeout", \.http.headerTimeout, .duration(), "Until a request's headers are there."),
                    .key(
                        "idleTimeout", \.http.idleTimeout, .duration(),
                        "A sender or reader that makes no progress is cut off."),
                    .key("maxConnections", \.http.maxConnections, .integer(1...1_000_000), "Connections at once."),
                    .key(
                        "maxConcurrentRequests", \.http.maxConcurrentRequests, .integer(1...1_000_000),
                        "Requests at once; then 503 `OVERLOADED`."),
                    .key("maxResultBytes", \.http.maxResultBytes, .size(from: 1 << 10), "A query's answer."),
                ])
        ])

    private static let query = ConfigurationSection(
        key: "query",
        variants: [
            .init(
                help: "SQL.",
                fields: [
                    .key("timeout", \.query.timeout, .duration(), "A query's time when the client says nothing."),
                    .key("maxTimeout", \.query.maxTimeout, .duration(), "What a client may ask for."),
                    .key("maxMemory", \.query.maxMemory, .size(from: 1 << 20), "Working memory of one query."),
                ])
        ])

    private static let node = ConfigurationSection(
        key: "node",
        variants: [
            .init(
                help: "This node.",
                fields: [
                    .optional(
                        "id", \.node.id,
                        .text(
                            "a name: at most 128 of letters, digits, '.', '_' and '-', no leading '.'", fits: isNodeID),
                        default: "host name and HTTP port", "Unique in the cluster."),
                    .optional(
                        "directory", \.node.directory, .path, default: "in the system's temporary directory",
                        "Scratch of this node alone; may be lost at any time."),
                ])
        ])

    private static let logging = ConfigurationSection(
        key: "logging",
        variants: [
            .init(
                help: "Log lines, written to standard error.",
                fields: [
                    .key("level", \.logging.level, .choice, "The least level that is written."),
                    .key("format", \.logging.format, .choice, "`json` is one object a line."),
                ])
        ])
}

// The fields of a variant have a place only while the configuration is of that variant; `choose` has made it so.
extension Configuration {
    fileprivate var localLog: LocalLogConfiguration {
        get { if case .local(let local) = log { local } else { LocalLogConfiguration(path: "") } }
        set { log = .local(newValue) }
    }

    fileprivate var kafkaLog: KafkaLogConfiguration {
        get {
            if case .kafka(let kafka) = log { kafka } else { KafkaLogConfiguration(bootstrapServers: "", topic: "") }
        }
        set { log = .kafka(newValue) }
    }

    fileprivate var storagePath: String {
        get { if case .local(let path) = storage { path } else { "" } }
        set { storage = .local(path: newValue) }
    }
}

extension LocalLogConfiguration {
    fileprivate subscript(directory name: String) -> String {
        get { directories[name] ?? "" }
        set { directories[name] = newValue }
    }

    /// A cluster that is not there yet is made when one of its keys is set.
    fileprivate subscript(cluster name: String) -> KafkaClusterConfiguration {
        get { clusters[name] ?? KafkaClusterConfiguration(bootstrapServers: "") }
        set { clusters[name] = newValue }
    }
}

extension KafkaLogConfiguration {
    /// A cluster that is not there yet is made when one of its keys is set.
    fileprivate subscript(cluster name: String) -> KafkaClusterConfiguration {
        get { clusters[name] ?? KafkaClusterConfiguration(bootstrapServers: "") }
        set { clusters[name] = newValue }
    }
}

func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
    default: false
    }
}

/// It becomes a file's name in storage.
private func isNodeID(_ name: String) -> Bool {
    name.utf8.count <= 128 && name.utf8.allSatisfy(isNameByte) && !name.hasPrefix(".")
}

private func isToken(_ text: String) -> Bool { text.utf8.allSatisfy { (0x21...0x7e).contains($0) } }
