/// The submission ids that are still remembered, with what became of each.
///
/// Bounded by count and by effective time, both replicated settings, so every node forgets the same id at the same
/// record. `horizon` is the position of the newest forgotten one: an unremembered id whose sender had looked before the
/// horizon proves nothing and is sent again.
///
/// Asked for every record that is applied, so it is a hash table of its own: decisions stand in their order, and a table
/// with open addressing finds them by id. Nothing depends on the order of the table.

package import VarveModel

package struct IDWindow: Sendable {
    /// In order; what lies before `oldest` was forgotten.
    private var decisions: [Decision] = []
    private var oldest = 0
    /// Half of each id's hash above its index into `decisions`, so that another id is told apart without looking there;
    /// `free` for none. A power of two long, at most half full, probed one by one.
    private var slots: [UInt64] = Array(repeating: free, count: 64)
    private static let free = UInt64.max
    /// Ids are their senders' choice: who does not know the log's tag cannot choose ones that collide.
    private let seed: UInt64
    package private(set) var horizon: Position

    package init(horizon: Position, tag: LogTag) {
        self.horizon = horizon
        seed = tag.raw
    }

    package var count: Int { decisions.count - oldest }

    /// What is remembered, in order of the decisions.
    package var kept: [Decision] { Array(decisions[oldest...]) }

    package subscript(id: SubmissionID) -> Decision? {
        let found = slots[slot(of: id)]
        return found == Self.free ? nil : decisions[Self.index(found)]
    }

    package func remembers(_ id: SubmissionID) -> Bool { slots[slot(of: id)] != Self.free }

    /// Takes back what was remembered at a cut, in order. Nothing is forgotten by it: settings that changed with the cut
    /// count from the next decision on, on a node that starts here as on one that went through.
    package mutating func restore(_ decision: Decision) { append(decision) }

    /// Adds a decision and forgets what the settings say; time is the decision's own effective time.
    package mutating func add(_ decision: Decision, _ settings: Settings) {
        append(decision)
        while oldest < decisions.count {
            let isTooMany = UInt64(count) > settings.idsRemembered
            // Both may come from a block's rows, where any number can stand.
            let age = decision.effectiveTime &- decisions[oldest].effectiveTime
            guard isTooMany || age > Int64(settings.idsRememberedMs) else { break }
            forgetOldest()
        }
        // Amortised: the forgotten front goes when it is a quarter of all.
        if oldest > 4096 && oldest > decisions.count / 4 { dropForgotten() }
    }

    // MARK: The table

    private static func index(_ slot: UInt64) -> Int { Int(truncatingIfNeeded: slot & 0xffff_ffff) }

    private func entry(_ hash: UInt64, _ index: Int) -> UInt64 { hash & ~0xffff_ffff | UInt64(index) }

    private mutating func append(_ decision: Decision) {
        let hash = hash(of: decision.id)
        slots[slot(of: decision.id, hash)] = entry(hash, decisions.count)
        decisions.append(decision)
        guard count * 2 > slots.count else { return }
        slots = Array(repeating: Self.free, count: slots.count * 2)
        fill()
    }

    private mutating func forgetOldest() {
        let forgotten = decisions[oldest]
        horizon = forgotten.position
        let place = slot(of: forgotten.id)
        // An id that was decided again meanwhile belongs to the later decision.
        if slots[place] != Self.free, Self.index(slots[place]) == oldest { remove(at: place) }
        oldest += 1
    }

    /// Takes an entry out and moves those behind it that were pushed away from their place by it.
    private mutating func remove(at place: Int) {
        let mask = slots.count - 1
        var hole = place
        var next = (hole + 1) & mask
        while slots[next] != Self.free {
            let home = Int(truncatingIfNeeded: hash(of: decisions[Self.index(slots[next])].id) >> 32) & mask
            // One whose own place lies behind the hole stays.
            if (next &- home) & mask >= (next &- hole) & mask {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        slots[hole] = Self.free
    }

    private mutating func dropForgotten() {
        decisions.removeFirst(oldest)
        oldest = 0
        for i in slots.indices { slots[i] = Self.free }
        fill()
    }

    private mutating func fill() {
        for i in oldest..<decisions.count {
            let hash = hash(of: decisions[i].id)
            slots[slot(of: decisions[i].id, hash)] = entry(hash, i)
        }
    }

    private func slot(of id: SubmissionID) -> Int { slot(of: id, hash(of: id)) }

    /// The slot that holds `id`, or the free one where it belongs.
    private func slot(of id: SubmissionID, _ hash: UInt64) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash >> 32) & mask
        while true {
            let found = slots[slot]
            if found == Self.free { return slot }
            if (found ^ hash) >> 32 == 0, decisions[Self.index(found)].id == id { return slot }
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
