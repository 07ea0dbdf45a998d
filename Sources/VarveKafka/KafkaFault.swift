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
            next: "grant this user READ and WRITE on \(topic), or correct its credentials")
    }

    static func missing(_ topic: String, at servers: String) -> VarveError {
        VarveError(
            .logMissing,
            "there is no topic \(topic) on Kafka at \(servers). Everything in storage is safe; records after the newest "
                + "block were only in that topic",
            next: "see docs/runbooks/log-lost.md")
    }

    /// A record that is certainly not in the log.
    static func refused(_ error: RdKafkaError, _ topic: String, at servers: String) -> VarveError {
        switch error.code {
        case .messageSizeTooLarge:
            return VarveError(.oversize, "the broker takes no record of this size into \(topic); nothing was written")
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
