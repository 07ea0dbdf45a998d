import RdKafka
import Synchronization
public import VarveLog
public import VarveModel

/// Finds, makes and opens the topics of one log: epoch N is `<topic>-eN`.
///
/// The cluster is first spoken to when first needed; until it answers, everything throws `LOG_UNREACHABLE`.
public final class KafkaLogProvider: LogProvider {
    private struct State {
        var connection: KafkaConnection?
        var warnings: [String] = []
        /// Topics that were made here and not opened yet: there, whatever a broker says that has not heard of them.
        var made: Set<String> = []
    }

    /// How often, and after what time, a topic that was just made is looked for again.
    private static let looks = 100
    private static let pause = Duration.milliseconds(50)

    private let settings: KafkaLogSettings
    private let onNotice: @Sendable (KafkaNotice) -> Void
    private let state = Mutex(State())

    /// - Parameter onNotice: what librdkafka says without being asked (brokers that come and go), for log lines. Called on
    ///   its threads; must not block.
    public init(
        _ settings: KafkaLogSettings, onNotice: @escaping @Sendable (KafkaNotice) -> Void = { _ in }
    ) {
        self.settings = settings
        self.onNotice = onNotice
    }

    /// The full topic of an epoch.
    public func topic(of epoch: Epoch) -> String { "\(settings.topic)-e\(epoch)" }

    /// True for the embedded broker; known once the cluster has answered.
    public var isEphemeral: Bool {
        settings.allowEphemeral != false && state.withLock { $0.connection?.isEmbedded ?? false }
    }

    /// The embedded broker is for development and the demo: nobody needs to allow that its log ends.
    public var impliesEphemeral: Bool { isEphemeral }

    public var warnings: [String] { state.withLock { $0.warnings } }

    public func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference {
        LogReference(kind: .kafka, clusterID: try await connection().recordedClusterID, topic: topic(of: epoch))
    }

    public func named(_ name: String) -> any LogProvider {
        guard name != settings.topic else { return self }
        var other = settings
        other.topic = name
        let provider = KafkaLogProvider(other, onNotice: onNotice)
        let connection = state.withLock { $0.connection }
        provider.state.withLock { $0.connection = connection }
        return provider
    }

    public func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence {
        try await connection().topic(topic(of: epoch)) == nil ? .missing : .present
    }

    public func open(_ epoch: Epoch) async throws(VarveError) -> any Log {
        let name = topic(of: epoch)
        for _ in 0..<Self.looks {
            do throws(VarveError) {
                let log = try await openKnown(name)
                state.withLock { _ = $0.made.remove(name) }
                return log
            } catch {
                guard error.code == .logMissing, state.withLock({ $0.made.contains(name) }),
                    (try? await Task.sleep(for: Self.pause)) != nil
                else { throw error }
            }
        }
        return try await openKnown(name)
    }

    private func openKnown(_ name: String) async throws(VarveError) -> any Log {
        let connection = try await connection()
        guard let topic = try await connection.topic(name) else {
            throw KafkaFault.missing(name, at: connection.servers)
        }
        let preflight = try await preflight(connection, topic, name)
        if let refusal = preflight.refusal { throw refusal }
        state.withLock { $0.warnings = preflight.warnings }
        return try KafkaLog(connection, topic: name, preflight, onNotice: onNotice)
    }

    public func create(_ epoch: Epoch) async throws(VarveError) {
        let connection = try await connection()
        let name = topic(of: epoch)
        if try await connection.topic(name) != nil { return }
        guard !connection.isEmbedded else {
            throw VarveError(
                .logMissing,
                "the embedded broker at \(connection.servers) has no topic \(name), and makes none by request",
                next: "start it with: varve broker --topic \(settings.topic)")
        }
        guard settings.autoCreateTopic else {
            throw VarveError(
                .logMissing,
                "there is no topic \(name) on Kafka at \(connection.servers), and autoCreateTopic is false",
                next:
                    "make it with one partition and message.timestamp.type=LogAppendTime, or set autoCreateTopic: true")
        }
        let brokers = try await connection.ask(name) { (admin) async throws(RdKafkaError) in
            try await admin.brokers(withinMilliseconds: settings.answerMilliseconds).count
        }
        let replication = settings.replicationFactor ?? max(1, min(3, brokers))
        try await connection.ask(name) { (admin) async throws(RdKafkaError) in
            do throws(RdKafkaError) {
                try await admin.createTopic(
                    name, replication: replication,
                    configuration: KafkaPreflight.configuration(
                        replication: replication, flushMilliseconds: settings.flushMilliseconds),
                    withinMilliseconds: 3 * settings.answerMilliseconds)
            } catch  where error.code == .topicAlreadyExists {
                // Another node was faster; what it made is judged when it is opened.
            }
        }
        state.withLock { _ = $0.made.insert(name) }
        // The broker that made it knows it at once, another may need a moment; each question may go to another one.
        for _ in 0..<Self.looks where try await connection.topic(name) == nil {
            guard (try? await Task.sleep(for: Self.pause)) != nil else { return }
        }
    }

    private func preflight(
        _ connection: KafkaConnection, _ topic: Admin.Topic, _ name: String
    ) async throws(VarveError) -> KafkaPreflight {
        guard !connection.isEmbedded else {
            guard topic.partitions == 1 else {
                throw VarveError(.logWeak, "topic \(name) of the embedded broker has \(topic.partitions) partitions")
            }
            return .embedded
        }
        let configuration: [String: String]?
        do throws(RdKafkaError) {
            configuration = try await connection.admin.configuration(
                ofTopic: name, withinMilliseconds: settings.answerMilliseconds)
        } catch {
            guard error.code == .topicAuthorizationFailed || error.code == .clusterAuthorizationFailed else {
                throw KafkaFault.question(error, name, at: connection.servers)
            }
            configuration = nil
        }
        return KafkaPreflight(topic, named: name, configuration: configuration, settings: settings)
    }

    private func connection() async throws(VarveError) -> KafkaConnection {
        if let connection = state.withLock({ $0.connection }) { return connection }
        let made = try await KafkaConnection(settings)
        // Two callers may have made one each: the first stays, the other ends with its last reference.
        return state.withLock { state in
            if let first = state.connection { return first }
            state.connection = made
            return made
        }
    }
}

/// Something a Kafka client said without being asked.
public struct KafkaNotice: Sendable, Equatable {
    /// librdkafka's name of an error; nil for a line of its log.
    public let error: String?
    public let message: String
    /// The client is of no more use (and is made anew).
    public let isFatal: Bool
}

extension KafkaNotice {
    /// nil for what is only counted.
    init?(_ notice: RdKafkaNotice) {
        switch notice.kind {
        case .error: self.init(error: notice.error.code.name, message: notice.error.message, isFatal: false)
        case .fatal: self.init(error: notice.error.code.name, message: notice.error.message, isFatal: true)
        case .log: self.init(error: nil, message: notice.error.message, isFatal: false)
        case .news: return nil
        }
    }
}
