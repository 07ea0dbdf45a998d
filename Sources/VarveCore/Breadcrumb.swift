/// What a process leaves behind while it applies records, and what its successor makes of it.
///
/// A record that ends the process would end every process after it, for ever. So the range being applied stands in a file
/// of the node's own; a process that finds one there applies that range one record at a time, and a record that ended two
/// processes while it was applied alone is *poison*: it is not applied a third time (docs/runbooks/poison.md).
///
/// Only an end during one record's own application counts against it; so whatever else ends processes (a kill, a lost
/// machine) would have to come twice within the same microseconds to make a sound record suspect.
///
/// The same for blocks, whose encoding takes longer, so it takes one end more: a block that ended three processes while it
/// was encoded is left to other nodes, and to a version that can.

package import VarveModel

package struct Breadcrumb: Sendable, Equatable {
    /// Ends of the process that make a record poison.
    package static let crashesMax: UInt64 = 2
    /// Ends of the process while one block was encoded after which this node does not encode it.
    package static let blockCrashesMax: UInt64 = 3

    /// The one record that was being applied, by itself, when a process ended; how often that happened in a row.
    package struct Suspect: Sendable, Equatable {
        package var position: Position
        package var crashes: UInt64

        package init(_ position: Position, crashes: UInt64) {
            self.position = position
            self.crashes = crashes
        }
    }

    /// A block that was being encoded when a process ended.
    package struct SuspectBlock: Sendable, Equatable {
        package var number: BlockNumber
        package var crashes: UInt64

        package init(_ number: BlockNumber, crashes: UInt64) {
            self.number = number
            self.crashes = crashes
        }
    }

    /// The block that was being encoded; nil while none was.
    package var encoding: BlockNumber?
    package var suspectBlock: SuspectBlock?
    /// First and last record of what was being applied; nil while nothing was.
    package var applying: ClosedRange<Position>?
    package var suspect: Suspect?

    package init(
        applying: ClosedRange<Position>? = nil, suspect: Suspect? = nil, encoding: BlockNumber? = nil,
        suspectBlock: SuspectBlock? = nil
    ) {
        self.applying = applying
        self.suspect = suspect
        self.encoding = encoding
        self.suspectBlock = suspectBlock
    }

    /// How a process that begins behind `applied`, with `adopted` as its newest block, goes on.
    package func caution(behind applied: Position?, adopted: BlockNumber? = nil) -> Caution {
        func isBehind(_ position: Position) -> Bool { applied.map { position <= $0 } ?? false }
        var caution = Caution()
        caution.suspectBlock = suspectBlock
        if let encoding {
            let before = suspectBlock.flatMap { $0.number == encoding ? $0.crashes : nil } ?? 0
            caution.suspectBlock = SuspectBlock(encoding, crashes: before + 1)
        }
        if let adopted, let suspect = caution.suspectBlock, suspect.number <= adopted { caution.suspectBlock = nil }
        caution.suspect = suspect.flatMap { isBehind($0.position) ? nil : $0 }
        if let applying, !isBehind(applying.upperBound) {
            caution.through = applying.upperBound
            if applying.lowerBound == applying.upperBound {
                let position = applying.lowerBound
                let before = caution.suspect.flatMap { $0.position == position ? $0.crashes : nil } ?? 0
                caution.suspect = Suspect(position, crashes: before + 1)
            }
        }
        // What comes before a poison record was applied before; what comes before one that is not known yet may hold it.
        if let position = caution.suspect?.position, caution.poison == nil {
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
    package internal(set) var suspectBlock: Breadcrumb.SuspectBlock?

    package init() {}

    /// The block that is not encoded again.
    package var unencodable: BlockNumber? {
        suspectBlock.flatMap { $0.crashes >= Breadcrumb.blockCrashesMax ? $0.number : nil }
    }

    /// The block was encoded after all. Returns whether a suspicion went.
    package mutating func encoded(_ block: BlockNumber) -> Bool {
        guard suspectBlock?.number == block else { return false }
        suspectBlock = nil
        return true
    }

    /// The record that is not applied again.
    package var poison: Position? {
        suspect.flatMap { $0.crashes >= Breadcrumb.crashesMax ? $0.position : nil }
    }

    /// Whether the record at `position` is applied by itself.
    package func isAlone(_ position: Position) -> Bool { through.map { position <= $0 } ?? false }

    /// Whether anything is left to be careful about.
    package var isNeeded: Bool { through != nil || suspect != nil }

    /// How many of the records are applied together, the first of which is no poison. An end in front of a poison record is
    /// looked into like any other: else a node would end there for ever.
    package func together(_ count: Int, _ position: (Int) -> Position) -> Int {
        guard count > 1 else { return count }
        if isAlone(position(0)) { return 1 }
        guard let poison else { return count }
        return (1..<count).first { position($0) >= poison } ?? count
    }

    /// Everything up to `position` was applied, or is skipped by all nodes. Returns whether a suspicion went.
    package mutating func passed(_ position: Position) -> Bool {
        if let through, through <= position { self.through = nil }
        guard let suspect, suspect.position <= position else { return false }
        self.suspect = nil
        return true
    }
}
