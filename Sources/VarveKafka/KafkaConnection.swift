import RdKafka
import VarveModel

/// One cluster as a provider and its logs share it: checked settings, a handle for questions, the cluster's id.
/// The handle ends with the last owner.
final class KafkaConnection: Sendable {
    let settings: KafkaLogSettings
    let client: RdKafkaSettings
    let admin: Admin
    let clusterID: String
    let isEmbedded: Bool
    /// What references say. An embedded broker has another id at each start; one that is taken for a Kafka that keeps its
    /// topics stands in for the one before it.
    var recordedClusterID: String {
        isEmbedded && settings.allowEphemeral == false ? EmbeddedBroker.clusterIDPrefix : clusterID
    }
    var servers: String { settings.bootstrapServers }
    /// The embedded broker does not wake a waiting fetch, so it may not wait long.
    var fetchWaitMilliseconds: Int {
        isEmbedded ? 5 : min(max(client.fetchWaitMilliseconds ?? settings.pollMilliseconds, 10), 60_000)
    }

    init(_ settings: KafkaLogSettings) async throws(VarveError) {
        self.settings = settings
        let admin: Admin
        do throws(RdKafkaError) {
            client = try settings.properties.client(settings.bootstrapServers)
            admin = try Admin(client)
        } catch {
            throw VarveError(.configInvalid, "the Kafka settings are not accepted: \(error.message)")
        }
        self.admin = admin
        do throws(RdKafkaError) {
            clusterID = try await admin.clusterID(withinMilliseconds: settings.answerMilliseconds)
            isEmbedded = clusterID.hasPrefix(EmbeddedBroker.clusterIDPrefix)
        } catch {
            admin.shutDown()
            throw KafkaFault.question(
                error, settings.topic, at: settings.bootstrapServers, mechanism: settings.properties.mechanism)
        }
    }

    deinit { admin.shutDown() }

    /// Asks the cluster; failures come in our words.
    func ask<Answer: Sendable>(
        _ topic: String, _ question: (Admin) async throws(RdKafkaError) -> Answer
    ) async throws(VarveError) -> Answer {
        do throws(RdKafkaError) {
            return try await question(admin)
        } catch {
            throw KafkaFault.question(error, topic, at: servers, mechanism: settings.properties.mechanism)
        }
    }

    func topic(_ name: String) async throws(VarveError) -> Admin.Topic? {
        try await ask(name) { (admin) async throws(RdKafkaError) in
            try await admin.topic(name, withinMilliseconds: settings.answerMilliseconds)
        }
    }

    func range(_ name: String) async throws(VarveError) -> Range<Int64> {
        try await ask(name) { (admin) async throws(RdKafkaError) in
            try await admin.range(of: name, withinMilliseconds: settings.answerMilliseconds)
        }
    }

    /// Where the first record stands that is not older than `time`; nil when there is none.
    func firstOffset(_ name: String, notBefore time: Int64) async throws(VarveError) -> Int64? {
        try await ask(name) { (admin) async throws(RdKafkaError) in
            try await admin.firstOffset(
                of: name, notBefore: time, withinMilliseconds: settings.answerMilliseconds)
        }
    }

    /// The first record in `range`; nil when there is none.
    func firstRecord(_ name: String, _ range: Range<Int64>) async throws(VarveError) -> RdKafkaRecord? {
        try await ask(name) { (admin) async throws(RdKafkaError) in
            try await admin.read(name, range, recordsMax: 1, withinMilliseconds: settings.answerMilliseconds).first
        }
    }
}
