/// What a process leaves behind while it applies records, and what its successor makes of it.
///
/// A record that ends the process would end every process after it, for ever. So the range being applied stands in a file
/// of the node's own; a process that finds one there applies that range one record at a time, and a record that ended two
/// processes while it was applied alone is *poison*: it is not applied a third time (docs/runbooks/poison.md).
///
/// Only an end during one record's own application counts against it; so whatever else ends processes (a kill, a lost
/// machine) would have to come twice within the same microseconds to make a sound record suspect.

package import VarveModel

package struct Breadcrumb: Sendable, Equatable {
    /// Ends of the process that make a record poison.
    package static let crashesMax: UInt64 = 2

    /// The one record that was being applied, by itself, when a process ended; how often that happened in a row.
    package struct Suspect: Sendable, Equatable {
        package var position: Position
        package var crashes: UInt64

        package init(_ position: Position, crashes: UInt64) {
            self.position = position
            self.crashes = crashes
        }
    }

    /// First and last record of what was being applied; nil while nothing was.
    package var applying: ClosedRange<Position>?
    package var suspect: Suspect?

    package init(applying: ClosedRange<Position>? = nil, suspect: Suspect? = nil) {
        self.applying = applying
        self.suspect = suspect
    }

    /// How a process that begins behind `applied` goes on.
    package func caution(behind applied: Position?) -> Caution {
        func isBehind(_ position: Position) -> Bool { applied.map { position <= $0 } ?? false }
        var caution = Caution()
        caution.suspect = suspect.flatMap { isBehind($0.position) ? nil : $0 }
        if let applying, !isBehind(applying.upperBound) {
            caution.through = applying.upperBound
            if applying.lowerBound == applying.upperBound {
                let position = applying.lowerBound
                let before = caution.suspect.flatMap { $0.position == position ? $0.crashes : nil } ?? 0
                caution.suspect = Suspect(position, crashes: before + 1)
            }
        }
        if let position = caution.suspect?.position {
            caution.through = max(caution.through ?? position, position)
        }
        return caution
    }
}

/// How far a process applies one record at a time, and before which record it stands still.
package struct Caution: Sendable, Equatable {
    /// The last record to apply by itself; nil when none is.
    package internal(set) var through: Position?
    package internal(set) var suspect: Breadcrumb.Suspect?

    package init() {}

    /// The record that is not applied again.
    package var poison: Position? {
        suspect.flatMap { $0.crashes >= Breadcrumb.crashesMax ? $0.position : nil }
    }

    /// Whether the record at `position` is applied by itself.
    package func isAlone(_ position: Position) -> Bool { through.map { position <= $0 } ?? false }

    /// Everything up to `position` was applied, or is skipped by all nodes. Returns whether a suspicion went.
    package mutating func passed(_ position: Position) -> Bool {
        if let through, through <= position { self.through = nil }
        guard let suspect, suspect.position <= position else { return false }
        self.suspect = nil
        return true
    }
}
