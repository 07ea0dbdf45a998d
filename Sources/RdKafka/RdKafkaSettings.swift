import CRdKafka

/// The properties that handles are made with.
///
/// Three kinds: *fixed* ones decide correctness and a user may repeat but not change them; *tuned* ones are our
/// defaults; all others are the user's, under librdkafka's names. Everything is checked when the settings are made, so a
/// wrong property never shows up later. Values may be secrets: no message, no description and no mirror holds one.
package struct RdKafkaSettings: Sendable, Hashable {
    package let bootstrapServers: String
    package let properties: [String: String]
    package let trustStore: RdKafkaTrustStore?

    /// - Throws: one error that names every bad property.
    package init(
        bootstrapServers: String, properties: [String: String] = [:], trustStore: RdKafkaTrustStore? = nil
    ) throws(RdKafkaError) {
        self.bootstrapServers = bootstrapServers
        self.properties = properties
        self.trustStore = trustStore
        guard bootstrapServers.contains(where: { $0 != " " && $0 != "," }) else {
            throw RdKafkaError(.invalidArgument, "no bootstrap servers are given")
        }
        let faults = Self.faults(in: properties)
        guard faults.isEmpty else {
            throw RdKafkaError(.invalidArgument, faults.map { "\($0.name): \($0.reason)" }.joined(separator: "; "))
        }
    }

    /// What is wrong with each, sorted by name; empty when all may be used. No reason repeats a value.
    package static func faults(in properties: [String: String]) -> [(name: String, reason: String)] {
        properties.sorted { $0.key < $1.key }.compactMap { name, value in
            reason(against: name, value).map { (name, $0) }
        }
    }

    private static func reason(against name: String, _ value: String) -> String? {
        if let why = refused[name] { return why }
        if let ours = fixedValue(of: name) {
            let given = value.lowercased()
            return given == ours || name == "acks" && given == "-1" ? nil : "is always \(ours)"
        }
        return fault(of: name, value)
    }

    /// Makes one handle of each kind with everything but the servers, so that nothing is sent: most mistakes of security
    /// (a certificate that cannot be read, a mechanism that is not built in) show here.
    package func tryOut() throws(RdKafkaError) {
        for (type, made) in [
            (RD_KAFKA_PRODUCER, producer(messageBytesMax: 1 << 20)),
            (RD_KAFKA_CONSUMER, reader(messageBytesMax: 1 << 20, fetchWaitMilliseconds: 500, endOfPartition: false)),
        ] {
            var offline = made
            offline.values["bootstrap.servers"] = nil
            try Handle(type, offline).destroy()
        }
    }

    /// `message.timeout.ms` above 0 and more than one request in flight let the idempotent producer write records
    /// twice, out of order, or report ones that are not there.
    static let fixedForProducers = [
        "enable.idempotence": "true",
        "acks": "all",
        "message.timeout.ms": "0",
        "max.in.flight.requests.per.connection": "1",
        "allow.auto.create.topics": "false",
    ]

    static let fixedForReaders = [
        "check.crcs": "true",
        "isolation.level": "read_uncommitted",
        "allow.auto.create.topics": "false",
        "auto.offset.reset": "error",
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
    ]

    /// Names that would say one of the above in other words, or bring in what we do not use.
    private static let refused: [String: String] = {
        var reasons = [
            "bootstrap.servers": "the bootstrap servers have a setting of their own",
            "metadata.broker.list": "the bootstrap servers have a setting of their own",
            "delivery.timeout.ms": "is always 0 (message.timeout.ms): deadlines stand above the producer",
            "request.required.acks": "acks is always all",
            "max.in.flight": "is always 1",
        ]
        for name in [
            "transactional.id", "enable.gapless.guarantee", "group.id", "plugin.library.paths", "log.queue",
            "statistics.interval.ms", "enable.partition.eof", "builtin.features",
        ] { reasons[name] = "not supported" }
        return reasons
    }()

    private static let tuned = [
        // Recovery within 0.1 s of the broker's, instead of up to 9 s.
        "reconnect.backoff.ms": "50",
        "reconnect.backoff.max.ms": "250",
        "topic.metadata.refresh.fast.interval.ms": "100",
        "topic.metadata.refresh.interval.ms": "30000",
        "socket.timeout.ms": "10000",
        "socket.keepalive.enable": "true",
        "socket.nagle.disable": "true",
        // Lost connections and throttling are told by these alone.
        "statistics.interval.ms": "1000",
    ]

    private static let tunedForProducers = [
        "linger.ms": "0",
        "retry.backoff.ms": "50",
        "topic.metadata.propagation.max.ms": "5000",
        "queue.buffering.max.kbytes": "65536",
    ]

    private static let tunedForReaders = [
        // A queue that runs over costs a pause of one second: let bytes bound it, not the count.
        "queued.min.messages": "1000000",
        "queued.max.messages.kbytes": "16384",
        "fetch.error.backoff.ms": "50",
        "fetch.min.bytes": "1",
    ]

    private static func fixedValue(of name: String) -> String? {
        fixedForProducers[name] ?? fixedForReaders[name]
    }

    private func number(_ name: String) -> Int? { properties[name].flatMap { Int($0) } }

    /// The largest message that the user lets through, if there is a limit.
    package var messageBytesMax: Int? { number("message.max.bytes") }

    /// What the user says on how long a broker may hold an empty fetch.
    package var fetchWaitMilliseconds: Int? { number("fetch.wait.max.ms") }

    /// Properties of a producer handle for records up to `messageBytesMax` (as the topic's `max.message.bytes`).
    func producer(messageBytesMax: Int) -> HandleProperties {
        var values = merged([Self.tuned, Self.tunedForProducers], fixed: Self.fixedForProducers)
        // A batch larger than the topic's limit would be refused with all the small records in it.
        let message = min(max(messageBytesMax - 500, 1_000), 1_000_000_000)
        let batch = min(max(messageBytesMax - 1_000, 1), 1_000_000)
        values["message.max.bytes"] = String(min(message, max(number("message.max.bytes") ?? message, 1_000)))
        values["batch.size"] = String(min(batch, number("batch.size") ?? batch))
        return HandleProperties(values: values, trustStore: trustStore)
    }

    /// Properties of a reading handle. `messageBytesMax` as above.
    func reader(messageBytesMax: Int, fetchWaitMilliseconds: Int, endOfPartition: Bool) -> HandleProperties {
        var values = merged([Self.tuned, Self.tunedForReaders], fixed: Self.fixedForReaders)
        // The client must wait longer for an answer than the broker may hold it.
        let timeout = max(number("socket.timeout.ms") ?? 10_000, fetchWaitMilliseconds + 2_000)
        values["socket.timeout.ms"] = String(min(timeout, 300_000))
        values["fetch.wait.max.ms"] = String(fetchWaitMilliseconds)
        // Too small a value is an endless loop of disconnects that only error events tell of.
        let receive = max(100_000_000, messageBytesMax + (2 << 20), number("receive.message.max.bytes") ?? 0)
        values["receive.message.max.bytes"] = String(receive)
        values["enable.partition.eof"] = endOfPartition ? "true" : "false"
        return HandleProperties(values: values, trustStore: trustStore)
    }

    private func merged(_ ours: [[String: String]], fixed: [String: String]) -> [String: String] {
        var all: [String: String] = [:]
        for map in ours + [properties, fixed] {
            all.merge(map) { _, later in later }
        }
        all["bootstrap.servers"] = bootstrapServers
        all["log.queue"] = "true"
        return all
    }

    /// Asks librdkafka whether it knows the property and takes the value. Of its answer only an allowed range is kept: the
    /// rest may repeat the value, which may be a secret.
    private static func fault(of name: String, _ value: String) -> String? {
        guard !value.utf8.contains(0) else { return "the value holds a NUL character" }
        guard let conf = rd_kafka_conf_new() else { return "out of memory" }
        defer { rd_kafka_conf_destroy(conf) }
        var buffer = [CChar](repeating: 0, count: 512)
        switch rd_kafka_conf_set(conf, name, value, &buffer, buffer.count) {
        case RD_KAFKA_CONF_OK: return nil
        case RD_KAFKA_CONF_UNKNOWN: return "unknown property"
        default:
            let words = string(buffer).split(separator: " ")
            guard let range = words.last, range.contains(".."), words.dropLast().last == "range" else {
                return "the value is not accepted"
            }
            return "the value is not in the range \(range)"
        }
    }
}

extension RdKafkaSettings: CustomStringConvertible, CustomReflectable {
    package var description: String {
        "Kafka at \(bootstrapServers) with \(properties.keys.sorted().joined(separator: ", "))"
    }

    package var customMirror: Mirror {
        Mirror(self, children: ["bootstrapServers": bootstrapServers, "properties": properties.keys.sorted()])
    }
}

/// Certificates of authorities in a PKCS #12 file, as Java's keytool writes it.
package struct RdKafkaTrustStore: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    let bytes: [UInt8]
    let password: String

    package init(bytes: [UInt8], password: String) {
        self.bytes = bytes
        self.password = password
    }

    package var description: String { "a trust store of \(bytes.count) bytes" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// All that one handle is made with.
struct HandleProperties {
    var values: [String: String]
    var trustStore: RdKafkaTrustStore?

    /// What must not stand in any text that leaves this target. Shorter ones would make messages unreadable and are no
    /// secrets.
    var secrets: [String] {
        (values.filter { RdKafkaSettings.isSecret($0.key) }.map(\.value) + [trustStore?.password ?? ""])
            .filter { $0.utf8.count >= 4 }.sorted { $0.utf8.count > $1.utf8.count }
    }
}

extension RdKafkaSettings {
    /// Whether the value of a property of this name, Java's or librdkafka's, may be a secret.
    package static func isSecret(_ name: String) -> Bool {
        let name = name.lowercased()
        // ssl.key.location is a path, ssl.key.pem and ssl.keystore.key are keys.
        return ["password", "secret", "jaas", "token", "oauthbearer.config", "key.pem", "keystore.key"].contains {
            name.contains($0)
        }
    }
}
