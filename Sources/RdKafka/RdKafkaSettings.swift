import CRdKafka

/// The properties that handles are made with.
///
/// Three kinds: *fixed* ones decide correctness and a user may repeat but not change them; *tuned* ones are our
/// defaults; all others are the user's, under librdkafka's names. Everything is checked when the settings are made, so a
/// wrong property never shows up later.
package struct RdKafkaSettings: Sendable, Hashable {
    package let bootstrapServers: String
    package let properties: [String: String]

    /// - Throws: one error that names every bad property.
    package init(bootstrapServers: String, properties: [String: String] = [:]) throws(RdKafkaError) {
        self.bootstrapServers = bootstrapServers
        self.properties = properties
        guard bootstrapServers.contains(where: { $0 != " " && $0 != "," }) else {
            throw RdKafkaError(.invalidArgument, "no bootstrap servers are given")
        }
        var faults: [String] = []
        for (name, value) in properties.sorted(by: { $0.key < $1.key }) {
            if Self.refused.contains(name) {
                faults.append("\(name): not supported")
            } else if name == "bootstrap.servers" || name == "metadata.broker.list" {
                faults.append("\(name): the bootstrap servers have a setting of their own")
            } else if let ours = Self.fixedValue(of: name), ours != value.lowercased() {
                faults.append("\(name): is always \(ours)")
            } else if let fault = Self.fault(of: name, value) {
                faults.append(fault)
            }
        }
        guard faults.isEmpty else {
            throw RdKafkaError(.invalidArgument, faults.joined(separator: "; "))
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
    private static let refused: Set<String> = [
        "transactional.id", "enable.gapless.guarantee", "group.id", "plugin.library.paths", "log.queue",
        "statistics.interval.ms", "enable.partition.eof", "request.required.acks", "delivery.timeout.ms",
        "max.in.flight",
    ]

    private static let tuned = [
        // Recovery within 0.1 s of the broker's, instead of up to 9 s.
        "reconnect.backoff.ms": "50",
        "reconnect.backoff.max.ms": "250",
        "topic.metadata.refresh.fast.interval.ms": "100",
        "topic.metadata.refresh.interval.ms": "30000",
        "socket.timeout.ms": "10000",
        "socket.keepalive.enable": "true",
        "socket.nagle.disable": "true",
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

    /// Properties of a producer handle for records up to `messageBytesMax` (as the topic's `max.message.bytes`).
    func producer(messageBytesMax: Int) -> [String: String] {
        // A batch larger than the topic's limit would be refused with all the small records in it.
        let limits = [
            "message.max.bytes": String(min(max(messageBytesMax - 500, 1_000), 1_000_000_000)),
            "batch.size": String(min(max(messageBytesMax - 1_000, 1), 1_000_000)),
        ]
        return merged([Self.tuned, Self.tunedForProducers, limits], fixed: Self.fixedForProducers)
    }

    /// Properties of a reading handle. `messageBytesMax` as above.
    func reader(messageBytesMax: Int, fetchWaitMilliseconds: Int, endOfPartition: Bool) -> [String: String] {
        var values = merged(
            [
                Self.tuned, Self.tunedForReaders,
                [
                    "fetch.wait.max.ms": String(fetchWaitMilliseconds),
                    // Too small a value is an endless loop of disconnects that only error events tell of.
                    "receive.message.max.bytes": String(max(100_000_000, messageBytesMax + (2 << 20))),
                ],
            ], fixed: Self.fixedForReaders)
        values["enable.partition.eof"] = endOfPartition ? "true" : "false"
        return values
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

    /// Asks librdkafka whether it knows the property and takes the value. Never repeats the value: it may be a secret.
    private static func fault(of name: String, _ value: String) -> String? {
        guard let conf = rd_kafka_conf_new() else { return "\(name): out of memory" }
        defer { rd_kafka_conf_destroy(conf) }
        switch rd_kafka_conf_set(conf, name, value, nil, 0) {
        case RD_KAFKA_CONF_OK: return nil
        case RD_KAFKA_CONF_UNKNOWN: return "\(name): unknown property"
        default: return "\(name): the value is not accepted"
        }
    }
}
