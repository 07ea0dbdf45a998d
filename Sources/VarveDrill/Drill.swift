// A drill: a cluster that is built, really broken, and mended by the commands of a runbook.
//
// A drill says only what is built, how it breaks, and what holds afterwards; what to do about it stands in the page of its
// name, and nowhere else.

package struct Drill: Sendable {
    /// Also of its page in docs/runbooks.
    package let name: String
    /// What breaks, in a few words.
    package let summary: String
    /// Why it cannot be held here; nil when it can.
    let obstacle: @Sendable (DrillSite) -> String?
    let rehearse: @Sendable (Rehearsal) async throws -> Void

    init(
        _ name: String, _ summary: String, obstacle: @escaping @Sendable (DrillSite) -> String? = { _ in nil },
        _ rehearse: @escaping @Sendable (Rehearsal) async throws -> Void
    ) {
        self.name = name
        self.summary = summary
        self.obstacle = obstacle
        self.rehearse = rehearse
    }

    /// In the order in which they are listed and held.
    package static let all: [Drill] = [
        logLost, logTruncated, logBehindStorage, logReplaced, epochMismatch, migrateTopic, migrateToAnotherCluster,
        migrateUnderLoad, salvageAfterBump, nodeLost, kafkaDown, storageFull,
    ]

    package static func named(_ name: String) -> Drill? { all.first { $0.name == name } }
}

/// Where drills are held: what they need of the program and of this machine.
package struct DrillSite: Sendable {
    /// The program `varve`, which nodes and pages run.
    package var program: String
    package var environment: [String: String]
    package var shelf: RunbookShelf
    /// Directory and processes stay when the drill is over.
    package var keeps: Bool

    package init(program: String, environment: [String: String], shelf: RunbookShelf, keeps: Bool) {
        self.program = program
        self.environment = environment
        self.shelf = shelf
        self.keeps = keeps
    }
}

/// What a drill came to.
package enum DrillVerdict: Sendable, Equatable {
    case passed
    case skipped(String)
    case failed(String)
    /// Somebody asked for its end. What it had started is gone.
    case interrupted
}
