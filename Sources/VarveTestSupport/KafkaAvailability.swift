import Foundation

/// Where a real Kafka for tests comes from, in this order: `KAFKA_BOOTSTRAP_SERVERS` (a running cluster, which tests may
/// not kill), `KAFKA_HOME` (a distribution, whose broker the tests start and stop), else nowhere, with the reason.
package enum KafkaAvailability: Sendable, Equatable {
    case running(bootstrapServers: String)
    case distribution(home: String, version: String, java: String)
    case missing(reason: String)

    /// Found out once for each process, and noted in the test report.
    package static let here: KafkaAvailability = {
        let found = find(ProcessInfo.processInfo.environment)
        TestReport.note("kafka", found.summary)
        return found
    }()

    /// nil when there is a Kafka: for `.disabled(if: KafkaAvailability.skipReason != nil, "\(…)")`.
    package static var skipReason: String? {
        if case .missing(let reason) = here { return reason }
        return nil
    }

    /// The same for tests that kill or stop a broker.
    package static var skipReasonForOwnBroker: String? {
        switch here {
        case .missing(let reason): reason
        case .running: "KAFKA_BOOTSTRAP_SERVERS names a broker that tests may not stop"
        case .distribution: nil
        }
    }

    /// `ran (4.3.1, 1 broker)` or `skipped: reason`.
    package var summary: String {
        switch self {
        case .running(let servers): "ran (cluster at \(servers))"
        case .distribution(_, let version, _): "ran (\(version), 1 broker)"
        case .missing(let reason): "skipped: \(reason)"
        }
    }

    static func find(_ environment: [String: String]) -> KafkaAvailability {
        if let servers = environment["KAFKA_BOOTSTRAP_SERVERS"], !servers.isEmpty {
            return .running(bootstrapServers: servers)
        }
        guard let home = environment["KAFKA_HOME"], !home.isEmpty else {
            return .missing(reason: "neither KAFKA_BOOTSTRAP_SERVERS nor KAFKA_HOME is set")
        }
        let jars = (try? FileManager.default.contentsOfDirectory(atPath: home + "/libs")) ?? []
        let server = jars.filter { $0.hasPrefix("kafka_2.") && $0.hasSuffix(".jar") && !$0.contains("-test") }.min()
        guard let server, let dash = server.firstIndex(of: "-") else {
            return .missing(reason: "KAFKA_HOME holds no Kafka distribution (no libs/kafka_2.*.jar)")
        }
        guard let java = java(environment) else { return .missing(reason: "KAFKA_HOME is set but there is no java") }
        return .distribution(
            home: home, version: String(server[server.index(after: dash)...].dropLast(4)), java: java)
    }

    private static func java(_ environment: [String: String]) -> String? {
        let ours = environment["JAVA_HOME"].map { [$0 + "/bin/java"] } ?? []
        let others = (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/java" }
        return (ours + others).first(where: FileManager.default.isExecutableFile(atPath:))
    }
}
