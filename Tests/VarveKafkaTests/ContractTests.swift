import RdKafka
import Testing
import VarveKafka
import VarveModel
import VarveTestSupport

/// The contract of a log, over the embedded broker, which keeps about 5 MiB.
@Suite(.timeLimit(.minutes(2))) struct ContractTests {
    @Test(arguments: LogContract.checks)
    func keepsTheContract(_ check: LogContract.Check) async throws {
        try await check.run {
            let embedded = try Embedded()
            return LogSubject(
                "embedded Kafka", provider: embedded.provider, isExclusive: false, createsEpochs: false,
                bytesMax: 4 << 20
            ) {
                embedded.broker.close()
            }
        }
    }
}
