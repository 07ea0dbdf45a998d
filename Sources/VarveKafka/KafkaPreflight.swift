import RdKafka
import VarveModel

/// Whether a topic is fit to be a log: what refuses it, what a person should know. A function of what the cluster says
/// about the topic; judged by values, not by where they come from.
struct KafkaPreflight: Equatable {
    /// The first fault that keeps the log closed.
    private(set) var refusal: VarveError?
    private(set) var warnings: [String] = []
    /// The topic's `max.message.bytes`.
    private(set) var messageBytesMax = Self.messageBytesDefault

    /// How long a record is kept; nil when for ever, or when it may not be seen.
    private(set) var retentionMilliseconds: Int64?

    /// What Kafka takes when a topic says nothing.
    static let messageBytesDefault = 1_048_588
    /// For the envelope of a batch around one record.
    static let envelopeBytes = 1_024
    private static let hour: Int64 = 3_600_000

    /// - Parameter configuration: nil when we have no right to see it.
    init(
        _ topic: Admin.Topic, named name: String, configuration: [String: String]?, settings: KafkaLogSettings
    ) {
        if topic.partitions != 1 {
            refuse(name, "has \(topic.partitions) partitions; a log has exactly one, or it has no order")
        }
        guard let configuration else {
            warnings.append(
                "the settings of topic \(name) may not be seen (grant DESCRIBE_CONFIGS): they are unchecked")
            judgeCopies(topic, name, leastInSync: nil, synced: false, allowWeak: settings.allowWeakLog)
            return
        }
        func number(_ key: String) -> Int64? { configuration[key].flatMap { Int64($0) } }
        if let type = configuration["message.timestamp.type"], type != "LogAppendTime" {
            refuse(name, "has message.timestamp.type=\(type); times must be the broker's: LogAppendTime")
        }
        if let policy = configuration["cleanup.policy"], policy != "delete" {
            refuse(name, "has cleanup.policy=\(policy); a log must not be compacted: delete")
        }
        if let limit = number("max.message.bytes"), limit > 0 { messageBytesMax = Int(limit) }
        judgeCopies(
            topic, name, leastInSync: number("min.insync.replicas"), synced: number("flush.messages") == 1,
            allowWeak: settings.allowWeakLog)
        judgeRetention(name, number("retention.ms"), settings)
        if let bytes = number("retention.bytes"), bytes >= 0 {
            warnings.append(
                "topic \(name) keeps \(bytes) bytes only (retention.bytes), whatever was not yet in a block")
        }
        if configuration["unclean.leader.election.enable"] == "true" {
            warnings.append("topic \(name) allows unclean leader election: acknowledged records may be lost")
        }
    }

    /// The embedded broker has no settings to check.
    static let embedded = KafkaPreflight(
        warning: "embedded broker: the log ends with its process. For development only")

    private init(warning: String) { warnings = [warning] }

    private mutating func judgeCopies(
        _ topic: Admin.Topic, _ name: String, leastInSync: Int64?, synced: Bool, allowWeak: Bool
    ) {
        if topic.brokers < 2 {
            warnings.append("the Kafka cluster has one broker: a log on it is as durable as that machine")
            return
        }
        guard !synced else { return }
        if topic.replicas < 2 {
            weak(name, "has one copy on a cluster of \(topic.brokers) brokers (replication factor 1)", allowWeak)
        } else if let leastInSync, leastInSync < 2 {
            weak(name, "acknowledges with one copy (min.insync.replicas=\(leastInSync))", allowWeak)
        }
    }

    private mutating func judgeRetention(_ name: String, _ retention: Int64?, _ settings: KafkaLogSettings) {
        // -1 is for ever.
        guard let retention, retention >= 0 else { return }
        retentionMilliseconds = retention
        if retention / 4 < settings.flushMilliseconds {
            weak(
                name,
                "keeps records for \(retention / 1_000) s, less than four times the flush duration of "
                    + "\(settings.flushMilliseconds / 1_000) s", settings.allowWeakLog)
        }
        if retention < 24 * Self.hour {
            warnings.append("topic \(name) keeps records for less than 24 h (retention.ms=\(retention))")
        }
    }

    private mutating func weak(_ name: String, _ fault: String, _ allowed: Bool) {
        if allowed {
            warnings.append("topic \(name) \(fault); allowed by allowWeakLog")
        } else {
            refuse(name, fault, next: "change the topic, or say allowWeakLog: true in the log section")
        }
    }

    private mutating func refuse(_ name: String, _ fault: String, next: String = "change the topic's settings") {
        guard refusal == nil else { return }
        refusal = VarveError(.logWeak, "topic \(name) \(fault). Nothing was written", next: next)
    }

    /// The settings a topic is made with. Records must outlive several flushes.
    static func configuration(replication: Int, flushMilliseconds: Int64) -> [String: String] {
        [
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "delete",
            "retention.ms": String(max(7 * 24 * hour, 8 * flushMilliseconds)),
            "retention.bytes": "-1",
            "max.message.bytes": String(16 << 20),
            "min.insync.replicas": String(replication == 1 ? 1 : max(2, replication - 1)),
            "unclean.leader.election.enable": "false",
        ]
    }
}
