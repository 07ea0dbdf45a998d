// Where a real Kafka comes from.

import Glibc
import VarveIO

/// In this order: `KAFKA_BOOTSTRAP_SERVERS` (a running cluster, which nobody here may kill), `KAFKA_HOME` (a distribution, whose
/// broker is started and stopped), else nowhere, with the reason.
package enum KafkaAvailability: Sendable, Equatable {
    case running(bootstrapServers: String)
    case distribution(home: String, version: String, java: String)
    case missing(reason: String)

    /// Why no broker can be started that may be broken; nil when one can.
    package var reasonAgainstOwnBroker: String? {
        switch self {
        case .missing(let reason): reason
        case .running: "KAFKA_BOOTSTRAP_SERVERS names a broker that nobody here may stop"
        case .distribution: nil
        }
    }

    package static func find(_ environment: [String: String]) -> KafkaAvailability {
        if let servers = environment["KAFKA_BOOTSTRAP_SERVERS"], !servers.isEmpty {
            return .running(bootstrapServers: servers)
        }
        guard let home = environment["KAFKA_HOME"], !home.isEmpty else {
            return .missing(reason: "neither KAFKA_BOOTSTRAP_SERVERS nor KAFKA_HOME is set")
        }
        let jars = ((try? Directory.list(home + "/libs")) ?? []).map(\.name)
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
        return (ours + others).first { access($0, X_OK) == 0 && !Directory.isDirectory($0) }
    }
}
