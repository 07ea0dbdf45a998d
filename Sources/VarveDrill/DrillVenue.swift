// Where a drill's log lives: on the embedded broker, or on a real Kafka.

import VarveHarness
import VarveModel

package struct DrillVenue: Sendable {
    /// For people: `the embedded broker`.
    package let name: String
    /// For pages: `embedded`, `kafka`.
    package let word: String
    let startBroker: @Sendable (DrillSite, _ directory: String, _ topic: String) async throws -> any DrillBroker

    package static let embedded = DrillVenue(name: "the embedded broker", word: "embedded") { site, directory, topic in
        try await EmbeddedDrillBroker.start(site, in: directory, topic: topic)
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
