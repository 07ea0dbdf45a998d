import RdKafka
import Testing
import VarveKafka
import VarveModel
import VarveTestSupport

/// The contract of a log, over the embedded broker: all of it but one check, which needs more than the 5 MiB that this
/// broker keeps. `KafkaTests` runs that one too, on a real one.
@Suite(.timeLimit(.minutes(2))) struct ContractTests {
    static let checks = LogContract.checks.filter { $0.description != "a batch is bounded by some megabytes" }

    @Test(arguments: checks)
    func keepsTheContract(_ check: LogContract.Check) async throws {
        try await check.run {
            let embedded = try Embedded()
            return LogSubject(provider: embedded.provider, isExclusive: false, createsEpochs: false) {
                embedded.broker.close()
            }
        }
    }
}
