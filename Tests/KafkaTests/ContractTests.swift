import RdKafka
import Testing
import VarveKafka
import VarveModel
import VarveTestSupport

private let skip = KafkaAvailability.skipReason

/// The contract of a log, over a real broker.
@Suite(.disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(5)))
struct ContractTests {
    @Test(arguments: LogContract.checks)
    func keepsTheContract(_ check: LogContract.Check) async throws {
        try await check.run {
            let broker = try await KafkaBroker.shared()
            let name = "contract-\(UInt32.random(in: 0 ... .max))"
            let admin = try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
            let settings = KafkaLogSettings(bootstrapServers: broker.bootstrapServers, topic: name)
            return LogSubject("real Kafka", provider: KafkaLogProvider(settings), isExclusive: false) {
                for epoch in 0..<2 { try? await admin.deleteTopic("\(name)-e\(epoch)", withinMilliseconds: 10_000) }
                await admin.close()
            }
        }
    }
}
