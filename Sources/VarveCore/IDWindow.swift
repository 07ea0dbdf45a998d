/// The submission ids that are still remembered, with what became of each.
///
/// Bounded by count and by effective time, both replicated settings, so every node forgets the same id at the same
/// record. `horizon` is the position of the newest forgotten one: an unremembered id whose sender had looked before the
/// horizon proves nothing and is sent again.

package import VarveModel

package struct IDWindow: Sendable {
    private var decisions: [SubmissionID: Decision] = [:]
    /// Ids in order of their decisions; what lies before `oldest` was forgotten.
    private var order: [SubmissionID] = []
    private var oldest = 0
    package private(set) var horizon: Position

    package init(horizon: Position) { self.horizon = horizon }

    package var count: Int { order.count - oldest }

    /// What is remembered, in order of the decisions.
    package var kept: [Decision] { order[oldest...].compactMap { decisions[$0] } }

    package subscript(id: SubmissionID) -> Decision? { decisions[id] }

    /// Takes back what was remembered at a cut, in order. Nothing is forgotten by it: settings that changed with the cut
    /// count from the next decision on, on a node that starts here as on one that went through.
    package mutating func restore(_ decision: Decision) {
        decisions[decision.id] = decision
        order.append(decision.id)
    }

    /// Adds a decision and forgets what the settings say; time is the decision's own effective time.
    package mutating func add(_ decision: Decision, _ settings: Settings) {
        decisions[decision.id] = decision
        order.append(decision.id)
        while oldest < order.count {
            guard let candidate = decisions[order[oldest]] else { break }
            let isTooMany = UInt64(count) > settings.idsRemembered
            // Both may come from a block's rows, where any number can stand.
            let age = decision.effectiveTime &- candidate.effectiveTime
            guard isTooMany || age > Int64(settings.idsRememberedMs) else { break }
            decisions[candidate.id] = nil
            horizon = candidate.position
            oldest += 1
        }
        // Amortised: the forgotten front goes when it is the larger half.
        if oldest > 4096 && oldest > order.count / 2 {
            order.removeFirst(oldest)
            oldest = 0
        }
    }
}
