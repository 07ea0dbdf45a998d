/// Reads as of an instant: what a node answers for one is never another answer later.

internal import VarveIndexing
internal import VarveModel

extension World {
    /// Around the present, where the next record may still come to stand in the same millisecond. The oracle has read
    /// further than the node: a record that would change the answer is known to it.
    func compareInstant(_ node: SimulatedNode) {
        let snapshot = node.snapshot
        let instant = Instant(
            microseconds: snapshot.effectiveTime * 1000 + [-1_000, -1, 500, 999][answers >> 2 & 3])
        guard snapshot.hasPassed(instant) else { return }
        let found: Position
        do throws(VarveError) { found = try snapshot.position(asOf: instant) } catch { return readRefused(node, error) }
        let expected = reference.position(asOf: instant.microseconds)
        if found != expected {
            fail(
                "an instant's answer does not change",
                "\(node.name) says \(found) at \(instant), it comes to \(expected)")
        }
    }
}

extension Reference {
    /// The newest decision at or before an instant; system times rise.
    func position(asOf microseconds: Int64) -> Position {
        var (low, high) = (0, times.count)
        while low < high {
            let middle = (low + high) / 2
            if times[middle].systemTime <= microseconds { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? .zero : times[low - 1].position
    }
}
