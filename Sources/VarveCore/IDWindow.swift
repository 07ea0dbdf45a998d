/// The submission ids that are still remembered, with what became of each.
///
/// Bounded by count and by effective time, both replicated settings, so every node forgets the same id at the same
/// record. `horizon` is the position of the newest forgotten one: an unremembered id whose sender had looked before the
/// horizon proves nothing and is sent again.
///
/// Asked for every record that is applied, so it is a hash table of its own: decisions stand in their order, and a table
/// with open addressing finds them by id. Nothing depends on the order of the table.
///
/// Invariant: fewer than 2^32 decisions are remembered, so the low half of a number tells which.

package import VarveModel

package struct IDWindow: Sendable {
    private var decisions = DecisionQueue()
    /// Half of each id's hash above the low half of its decision's number, so that another id is told apart without
    /// looking there; `free` for none. A power of two long, at most half full, probed one by one.
    private var slots: [UInt64] = Array(repeating: free, count: 64)
    private static let free = UInt64.max
    /// Ids are their senders' choice: who does not know the log's tag cannot choose ones that collide.
    private let seed: UInt64
    package private(set) var horizon: Position

    package init(horizon: Position, tag: LogTag) {
        self.horizon = horizon
        seed = tag.raw
    }

    package var count: Int { decisions.count }

    /// What is remembered, in order of the decisions.
    package var kept: [Decision] { decisions.numbers.map { decisions[$0] } }

    package subscript(id: SubmissionID) -> Decision? {
        let found = slots[slot(of: id)]
        return found == Self.free ? nil : decisions[number(found)]
    }

    package func remembers(_ id: SubmissionID) -> Bool { slots[slot(of: id)] != Self.free }

    /// Takes back what was remembered at a cut, in order. Nothing is forgotten by it: settings that changed with the cut
    /// count from the next decision on, on a node that starts here as on one that went through.
    package mutating func restore(_ decision: Decision) { append(decision) }

    /// Adds a decision and forgets what the settings say; time is the decision's own effective time.
    package mutating func add(_ decision: Decision, _ settings: Settings) {
        append(decision)
        while let oldest = decisions.numbers.first {
            let isTooMany = UInt64(count) > settings.idsRemembered
            // Both may come from a block's rows, where any number can stand.
            let age = decision.effectiveTime &- decisions.effectiveTime(oldest)
            guard isTooMany || age > Int64(settings.idsRememberedMs) else { break }
            forget(oldest)
        }
    }

    // MARK: The table

    private func number(_ slot: UInt64) -> Int {
        let oldest = decisions.numbers.lowerBound
        return oldest + Int(UInt32(truncatingIfNeeded: slot) &- UInt32(truncatingIfNeeded: oldest))
    }

    private func entry(_ hash: UInt64, _ number: Int) -> UInt64 {
        hash & ~0xffff_ffff | UInt64(UInt32(truncatingIfNeeded: number))
    }

    private mutating func append(_ decision: Decision) {
        let hash = hash(of: decision.id)
        slots[slot(of: decision.id, hash)] = entry(hash, decisions.numbers.upperBound)
        decisions.append(decision)
        guard count * 2 > slots.count else { return }
        slots = Array(repeating: Self.free, count: slots.count * 2)
        for number in decisions.numbers {
            let id = decisions.id(number)
            let hash = self.hash(of: id)
            slots[slot(of: id, hash)] = entry(hash, number)
        }
    }

    private mutating func forget(_ oldest: Int) {
        horizon = decisions.position(oldest)
        let place = slot(of: decisions.id(oldest))
        // An id that was decided again meanwhile belongs to the later decision.
        if slots[place] != Self.free, number(slots[place]) == oldest { remove(at: place) }
        decisions.removeFirst()
    }

    /// Takes an entry out and moves those behind it that were pushed away from their place by it.
    private mutating func remove(at place: Int) {
        let mask = slots.count - 1
        var hole = place
        var next = (hole + 1) & mask
        while slots[next] != Self.free {
            let home = Int(truncatingIfNeeded: hash(of: decisions.id(number(slots[next]))) >> 32) & mask
            // One whose own place lies behind the hole stays.
            if (next &- home) & mask >= (next &- hole) & mask {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        slots[hole] = Self.free
    }

    private func slot(of id: SubmissionID) -> Int { slot(of: id, hash(of: id)) }

    /// The slot that holds `id`, or the free one where it belongs.
    private func slot(of id: SubmissionID, _ hash: UInt64) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash >> 32) & mask
        while true {
            let found = slots[slot]
            if found == Self.free { return slot }
            if (found ^ hash) >> 32 == 0, decisions.id(number(found)) == id { return slot }
            slot = (slot + 1) & mask
        }
    }

    private func hash(of id: SubmissionID) -> UInt64 {
        var hash = (id.high ^ seed) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 32
        hash = (hash ^ id.low) &* 0xff51_afd7_ed55_8ccd
        return hash ^ hash >> 29
    }
}
