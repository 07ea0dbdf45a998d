/// Decisions in their order, each with a number that it keeps: added at the end, forgotten at the front.
///
/// A node holds a million of them for a day, so what is rare is kept aside, and they stand in pieces: nothing is moved
/// when the queue grows, and what is forgotten is given back piece by piece. No step costs more than one piece.

package import VarveModel

struct DecisionQueue: Sendable {
    /// Numbers of what is here.
    private(set) var numbers = 0..<0
    /// The first one begins with the piece's multiple at or before `numbers.lowerBound`.
    private var pieces: [[Row]] = []
    /// Why a decision was an abort, by number.
    private var failures: [Int: Decision.Failure] = [:]

    private static let piece = 1_024

    /// A decision without what is rare.
    private struct Row {
        let id: SubmissionID
        let position: Position
        let systemTime: Instant
        let effectiveTime: Int64
        let chainPrefix: UInt64
        let requestDigest: Bytes16
        let outcome: Outcome
        let hasDigest: Bool
        let hasFailure: Bool
    }

    var count: Int { numbers.count }

    mutating func append(_ decision: Decision) {
        if numbers.upperBound % Self.piece == 0 {
            pieces.append([])
            pieces[pieces.count - 1].reserveCapacity(Self.piece)
        }
        pieces[pieces.count - 1].append(
            Row(
                id: decision.id, position: decision.position, systemTime: decision.systemTime,
                effectiveTime: decision.effectiveTime, chainPrefix: decision.chainPrefix,
                requestDigest: decision.requestDigest ?? .zero, outcome: decision.outcome,
                hasDigest: decision.requestDigest != nil, hasFailure: decision.failure != nil))
        if let failure = decision.failure { failures[numbers.upperBound] = failure }
        numbers = numbers.lowerBound..<numbers.upperBound + 1
    }

    mutating func removeFirst() {
        if row(numbers.lowerBound).hasFailure { failures[numbers.lowerBound] = nil }
        numbers = numbers.lowerBound + 1..<numbers.upperBound
        if numbers.lowerBound % Self.piece == 0 { pieces.removeFirst() }
    }

    subscript(number: Int) -> Decision {
        let row = row(number)
        return Decision(
            id: row.id, position: row.position, systemTime: row.systemTime, effectiveTime: row.effectiveTime,
            outcome: row.outcome, requestDigest: row.hasDigest ? row.requestDigest : nil,
            failure: row.hasFailure ? failures[number] : nil, chainPrefix: row.chainPrefix)
    }

    func id(_ number: Int) -> SubmissionID { row(number).id }
    func position(_ number: Int) -> Position { row(number).position }
    func effectiveTime(_ number: Int) -> Int64 { row(number).effectiveTime }

    private func row(_ number: Int) -> Row {
        precondition(numbers.contains(number))
        return pieces[number / Self.piece - numbers.lowerBound / Self.piece][number % Self.piece]
    }
}
