/// What becomes of a Java client's property: one table, looked up by name. A name that is in none of these goes to
/// librdkafka as it is, which knows the rest or not.
enum PropertyRule: Sendable {
    /// Under other names, same value.
    case renamed([String])
    /// Under another name, changed; nil when the value cannot be used.
    case changed(String, expected: String, @Sendable (String) -> String?)
    /// Means something only inside a Java client: accepted, with a warning.
    case ignored
    /// Would mean something that cannot be done here.
    case refused(String)
    /// Read together with others: SASL, trust store, key store.
    case grouped

    static func rule(of name: String) -> PropertyRule {
        if let rule = table[name] { return rule }
        if ignoredNames.contains(name) || ignoredPrefixes.contains(where: name.hasPrefix)
            || name.hasSuffix(".serializer") || name.hasSuffix(".deserializer")
        {
            return .ignored
        }
        if name.hasPrefix("sasl.oauthbearer.") { return .refused(oauth) }
        if name == "config.providers" || name.hasPrefix("config.providers.") {
            return .refused("values are not fetched from elsewhere; in propertiesMap use !Env")
        }
        return .renamed([name])
    }

    static let oauth = "OAuth is not supported; use PLAIN or SCRAM over TLS, or mutual TLS"
    private static let javaClass = "names a Java class, which cannot be loaded here"

    private static let table: [String: PropertyRule] = [
        "request.timeout.ms": .renamed(["socket.timeout.ms"]),
        "fetch.max.wait.ms": .renamed(["fetch.wait.max.ms"]),
        "max.request.size": .renamed(["message.max.bytes"]),
        "metadata.max.age.ms": .renamed(["metadata.max.age.ms", "topic.metadata.refresh.interval.ms"]),
        "send.buffer.bytes": .changed("socket.send.buffer.bytes", expected: bytes, systemDefault),
        "receive.buffer.bytes": .changed("socket.receive.buffer.bytes", expected: bytes, systemDefault),
        "connections.max.idle.ms": .changed(
            "connections.max.idle.ms", expected: "milliseconds, or -1 for no limit", systemDefault),
        "buffer.memory": .changed("queue.buffering.max.kbytes", expected: bytes) { value in
            Int(value).flatMap { $0 > 0 ? String(max(1, $0 / 1024)) : nil }
        },
        "security.protocol": .changed(
            "security.protocol", expected: "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
        ) { value in
            let value = value.lowercased()
            return ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"].contains(value) ? value : nil
        },
        "auto.offset.reset": .changed(
            "auto.offset.reset", expected: "none: a log is never read from anywhere else than asked"
        ) { ["none", "error"].contains($0.lowercased()) ? "error" : nil },
        "ssl.endpoint.identification.algorithm": .changed(
            "ssl.endpoint.identification.algorithm", expected: "https, or nothing for no check of host names"
        ) { value in
            switch value.lowercased() {
            case "https": "https"
            case "", "none": "none"
            default: nil
            }
        },
        "ssl.cipher.suites": .changed(
            "ssl.cipher.suites", expected: "OpenSSL's names (ECDHE-RSA-AES256-GCM-SHA384), not Java's (TLS_…)"
        ) { $0.contains("TLS_") ? nil : $0 },
        "interceptor.classes": .refused(javaClass), "security.providers": .refused(javaClass),
        "ssl.engine.factory.class": .refused(javaClass), "sasl.login.class": .refused(javaClass),
        "sasl.login.callback.handler.class": .refused(javaClass),
        "sasl.client.callback.handler.class": .refused(javaClass),
        "sasl.mechanism": .grouped, "sasl.mechanisms": .grouped, "sasl.jaas.config": .grouped,
        "ssl.enabled.protocols": .grouped, "ssl.protocol": .grouped,
        "ssl.truststore.location": .grouped, "ssl.truststore.password": .grouped, "ssl.truststore.type": .grouped,
        "ssl.truststore.certificates": .grouped,
        "ssl.keystore.location": .grouped, "ssl.keystore.password": .grouped, "ssl.keystore.type": .grouped,
        "ssl.keystore.key": .grouped, "ssl.keystore.certificate.chain": .grouped,
    ]

    private static let bytes = "a number of bytes"

    /// Java's -1 is librdkafka's 0.
    private static let systemDefault: @Sendable (String) -> String? = { value in
        Int(value).flatMap { $0 >= -1 ? String(max(0, $0)) : nil }
    }

    private static let ignoredNames: Set<String> = [
        // Of a consumer group, which a log does not use.
        "group.id", "group.instance.id", "group.protocol", "group.remote.assignor", "session.timeout.ms",
        "heartbeat.interval.ms", "max.poll.interval.ms", "max.poll.records", "auto.commit.interval.ms",
        "partition.assignment.strategy", "exclude.internal.topics", "internal.leave.group.on.close",
        "internal.throw.on.fetch.stable.offset.unsupported",
        // Of a Java producer.
        "max.block.ms", "partitioner.class", "partitioner.ignore.keys", "partitioner.availability.timeout.ms",
        "partitioner.adaptive.partitioning.enable", "transaction.timeout.ms", "transaction.two.phase.commit.enable",
        "compression.gzip.level", "compression.lz4.level", "compression.zstd.level",
        // Of every Java client.
        "metric.reporters", "auto.include.jmx.reporter", "enable.metrics.push", "default.api.timeout.ms",
        "client.dns.lookup", "retry.backoff.max.ms", "metadata.max.idle.ms", "metadata.recovery.strategy",
        "metadata.recovery.rebootstrap.trigger.ms", "bootstrap.controllers", "socket.connection.setup.timeout.max.ms",
        "ssl.provider", "ssl.keymanager.algorithm", "ssl.trustmanager.algorithm", "ssl.secure.random.implementation",
    ]

    private static let ignoredPrefixes = ["metrics.", "sasl.login.", "sasl.kerberos.ticket.renew."]

    /// Values that name files; relative ones start where their property stands.
    static let paths: Set<String> = [
        "ssl.truststore.location", "ssl.keystore.location", "ssl.ca.location", "ssl.certificate.location",
        "ssl.key.location", "ssl.crl.location", "sasl.kerberos.keytab",
    ]
}
