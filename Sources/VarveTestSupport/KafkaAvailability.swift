package import VarveHarness

extension KafkaAvailability {
    /// Found out once for each process, and noted in the test report.
    package static let here: KafkaAvailability = {
        let found = find(processEnvironment())
        TestReport.note("kafka", found.summary)
        return found
    }()

    /// nil when there is a Kafka: for `.disabled(if: KafkaAvailability.skipReason != nil, "\(…)")`.
    package static var skipReason: String? {
        if case .missing(let reason) = here { return reason }
        return nil
    }

    /// The same for tests that kill or stop a broker.
    package static var skipReasonForOwnBroker: String? { here.reasonAgainstOwnBroker }

    /// `ran (4.3.1, 1 broker)` or `skipped: reason`.
    package var summary: String {
        switch self {
        case .running(let servers): "ran (cluster at \(servers))"
        case .distribution(_, let version, _): "ran (\(version), 1 broker)"
        case .missing(let reason): "skipped: \(reason)"
        }
    }
}
