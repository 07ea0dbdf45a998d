import RdKafka
import VarveModel

/// From librdkafka's codes to Varve's: what failed, on what, why, and what is safe.
enum KafkaFault {
    /// A question to the cluster, or the making of a topic, that failed.
    static func question(_ error: RdKafkaError, _ topic: String, at servers: String) -> VarveError {
        if error.isDenial { return denied(error, topic, at: servers) }
        if error.isMissingTopic { return missing(topic, at: servers) }
        switch error.code {
        case .invalidReplicationFactor, .invalidConfig, .topicException, .invalidArgument:
            return VarveError(.configInvalid, "Kafka at \(servers) refuses topic \(topic): \(error.message)")
        default:
            return VarveError(
                .logUnreachable,
                "Kafka at \(servers) does not answer for topic \(topic): \(error.message) (\(error.code.name))",
                next: remedy(error, at: servers))
        }
    }

    /// A name that does not resolve is a broker's own, which it advertises, as often as one that was configured.
    private static func remedy(_ error: RdKafkaError, at servers: String) -> String {
        let parts = error.message.split(separator: "Failed to resolve '", maxSplits: 1)
        guard parts.count == 2, let name = parts[1].split(separator: "'").first else {
            return "check that a broker listens at \(servers); the node goes on trying"
        }
        return "the node must be able to resolve and reach \(name): "
            + (servers.contains(name)
                ? "check the name and the node's network; the node goes on trying"
                : "a broker advertises it (advertised.listeners); the node goes on trying")
    }

    static func denied(_ error: RdKafkaError, _ topic: String, at servers: String) -> VarveError {
        VarveError(
            .logDenied, "Kafka at \(servers) refuses access to topic \(topic): \(error.message) (\(error.code.name))",
            next: error.isCredentials
                ? "correct mechanism, username and password (sasl.mechanism, sasl.jaas.config)"
                : "grant this user READ, WRITE and, for new epochs, CREATE on \(topic)")
    }

    /// The same for a connection whose mechanism may be the reason.
    static func question(
        _ cause: RdKafkaError, _ topic: String, at servers: String, mechanism: String?
    ) -> VarveError {
        var error = question(cause, topic, at: servers)
        guard cause.isCredentials, let mechanism, mechanism.hasPrefix("SCRAM"), !RdKafkaError.speaksSCRAMToKafka4
        else { return error }
        error.message +=
            ". This program's librdkafka \(RdKafkaError.libraryVersion) cannot do SCRAM with Kafka 4 or later, "
            + "however right the password is"
        error.next = "use sasl.mechanism PLAIN over TLS or mutual TLS, or install librdkafka 2.6.1 or later"
        return error
    }

    static func missing(_ topic: String, at servers: String) -> VarveError {
        VarveError(
            .logMissing,
            "there is no topic \(topic) on Kafka at \(servers). Everything in storage is safe; records after the newest "
                + "block were only in that topic",
            next: "see docs/runbooks/log-lost.md")
    }

    /// A record that is certainly not in the log.
    static func refused(
        _ error: RdKafkaError, _ topic: String, at servers: String, bytes: Int? = nil
    ) -> VarveError {
        switch error.code {
        case .messageSizeTooLarge:
            // The limit that was read at the start has been lowered since.
            return VarveError(
                .oversize,
                "the broker takes no record of \(bytes.map { "\($0) bytes" } ?? "this size") into \(topic) any more "
                    + "(max.message.bytes); nothing was written",
                next: "smaller transactions, or a larger max.message.bytes of topic \(topic)")
        case .queueFull:
            return VarveError(.overloaded, "too many records wait for Kafka; nothing was written")
        case .destroyed:
            return VarveError(.notReady, "the log is closed; nothing was written")
        default:
            if error.isDenial { return denied(error, topic, at: servers) }
            if error.isMissingTopic { return missing(topic, at: servers) }
            return VarveError(
                .logUnreachable,
                "Kafka at \(servers) refused a record for \(topic): \(error.message) (\(error.code.name)); it was not written"
            )
        }
    }

    /// A record of which nothing is certain.
    static func unknown(_ error: RdKafkaError, _ topic: String, at servers: String) -> VarveError {
        VarveError(
            .logUnreachable,
            "Kafka at \(servers) gave no answer on a record for \(topic): \(error.message) (\(error.code.name)); it may be written"
        )
    }
}
