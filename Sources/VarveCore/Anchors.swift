/// For each k the newest record that was the first at or above a multiple of 2^k.
///
/// Part of the state and of every manifest: at start a log is compared with storage at these places, spread ever wider
/// towards the past, so a log whose recent records expired can still be told from another.

package import VarveModel

package struct Anchors: Sendable, Equatable {
    private struct Point: Sendable, Equatable {
        var position: Position
        var digest: Digest
    }

    /// One for each power 0 to 47; empty before the first record.
    private var points: [Point] = []
    private static let powers = 48

    package init() {}

    package mutating func pass(_ position: Position, digest: Digest, previous: Offset?) {
        let point = Point(position: position, digest: digest)
        guard !points.isEmpty, let previous else {
            points = Array(repeating: point, count: Self.powers)
            return
        }
        // A multiple of 2^k lies in (previous, offset] exactly when they differ at or above bit k.
        let differing = previous.value ^ position.offset.value
        let highest = Int64.bitWidth - 1 - differing.leadingZeroBitCount
        for power in 0...max(0, min(highest, Self.powers - 1)) { points[power] = point }
    }

    /// Runs of equal points, as a manifest has them.
    package var listed: [Manifest.Anchor] {
        var list: [Manifest.Anchor] = []
        for (power, point) in points.enumerated() where list.last?.position != point.position {
            list.append(
                Manifest.Anchor(fromPower: UInt8(power), position: point.position, digest: point.digest))
        }
        return list
    }

    package init(_ list: [Manifest.Anchor]) {
        for (i, anchor) in list.enumerated() {
            let end = i + 1 < list.count ? Int(list[i + 1].fromPower) : Self.powers
            let point = Point(position: anchor.position, digest: anchor.digest)
            if Int(anchor.fromPower) < end { points += Array(repeating: point, count: end - Int(anchor.fromPower)) }
        }
        if points.count != Self.powers { points = [] }
    }
}
