/// Where the log is moved: between topics of a real Kafka when there is one, else of an embedded broker in this process.

internal import RdKafka
internal import VarveKafka
internal import VarveLog
internal import VarveModel
internal import VarveTestSupport

struct MigrationPlace {
    let servers: String
    let description: String
    private let embedded: EmbeddedBroker?
    private let name: String

    static func here() async throws -> MigrationPlace {
        var generator = SystemRandomNumberGenerator()
        let number: UInt32 = generator.next()
        let name = "varve-bench-\(number)"
        switch KafkaAvailability.here {
        case .missing(let reason):
            let broker = try EmbeddedBroker()
            return MigrationPlace(
                servers: broker.bootstrapServers, description: "embedded broker (no real Kafka: \(reason))",
                embedded: broker, name: name)
        case .distribution(_, let version, _):
            return MigrationPlace(
                servers: try await KafkaBroker.shared().bootstrapServers,
                description: "Kafka \(version), one broker on this machine", embedded: nil, name: name)
        case .running(let servers):
            return MigrationPlace(
                servers: servers, description: "Kafka cluster at \(servers)", embedded: nil, name: name)
        }
    }

    /// The name of the log without the epoch: two take turns.
    func base(of epoch: Int) -> String { name + (epoch % 2 == 0 ? "-a" : "-b") }

    /// The embedded broker makes no topic by request.
    func prepare(epochs: Int) throws {
        guard let embedded else { return }
        for epoch in 0..<epochs { try embedded.createTopic("\(base(of: epoch))-e\(epoch)") }
    }

    /// The log's own time of a record, in microseconds; nil when it is no longer held.
    func time(of position: Position) async throws -> Int64? {
        let epoch = position.epoch
        let log = try await KafkaLogProvider(
            KafkaLogSettings(bootstrapServers: servers, topic: base(of: Int(epoch.number)), allowWeakLog: true)
        ).open(epoch)
        let entry = try await log.read(at: position.offset)
        await log.close()
        return entry.map { $0.time * 1_000 }
    }
}
