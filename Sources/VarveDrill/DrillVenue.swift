// Where a drill's log lives: on the embedded broker, or on a real Kafka.

import VarveHarness
package import VarveModel

package struct DrillVenue: Sendable {
    /// For people: `the embedded broker`.
    package let name: String
    /// For pages: `embedded`, `kafka`.
    package let word: String
    let startBroker: @Sendable (DrillSite, _ directory: String, _ topic: String) async throws -> any DrillBroker

    package static let embedded = DrillVenue(name: "the embedded broker", word: "embedded") { site, directory, topic in
        try await EmbeddedDrillBroker.start(site, in: directory, topic: topic)
    }

    /// Brokers of the distribution that KAFKA_HOME names, one for each drill. Throws when there is none.
    package static func kafka(_ environment: [String: String]) throws(VarveError) -> DrillVenue {
        let kafka = KafkaAvailability.find(environment)
        guard case .distribution(_, let version, _) = kafka else {
            throw VarveError(
                .logUnreachable, "there is no Kafka that a drill may break: \(kafka.reasonAgainstOwnBroker ?? "")",
                next: "unpack a Kafka distribution and set KAFKA_HOME to it, or leave --real-kafka out")
        }
        return DrillVenue(name: "Kafka \(version)", word: "kafka") { site, _, topic in
            try await KafkaDrillBroker.start(kafka, site, topic: topic)
        }
    }
}

/// Holds drills one after the other.
package struct DrillSeries: Sendable {
    private let site: DrillSite
    private let narrator: Narrator

    package init(_ site: DrillSite, _ narrator: Narrator) { (self.site, self.narrator) = (site, narrator) }

    package func hold(_ drills: [Drill], at venue: DrillVenue) async -> [DrillVerdict] {
        var verdicts: [DrillVerdict] = []
        for drill in drills where !Task.isCancelled {
            verdicts.append(await Rehearsal.hold(drill, site, at: venue, narrator))
        }
        return verdicts
    }
}
