import RdKafka
import VarveKafka
import VarveLog
import VarveModel
import VarveTestSupport

/// An embedded broker with the topics of two epochs, and a provider for it.
struct Embedded {
    let broker: EmbeddedBroker
    let provider: KafkaLogProvider

    init() throws {
        broker = try EmbeddedBroker()
        for epoch in 0..<2 { try broker.createTopic("log-e\(epoch)") }
        provider = KafkaLogProvider(KafkaLogSettings(bootstrapServers: broker.bootstrapServers, topic: "log"))
    }
}
