/// The only source of chance in a simulation: xoshiro256**, seeded by SplitMix64.
///
/// Each concern (the network, the disk, a node, each kind of fault) has a stream of its own, split from the seed by its
/// name, so that a fault that is left out does not move the draws of the others.

package struct Random: Sendable {
    private var s: (UInt64, UInt64, UInt64, UInt64)

    package init(_ seed: UInt64, _ concern: UInt64 = 0) {
        var state = seed &+ concern &* 0xd134_2543_de82_ef95
        func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        s = (next(), next(), next(), next())
    }

    package mutating func next() -> UInt64 {
        let result = rotate(s.1 &* 5, 7) &* 9
        let t = s.1 << 17
        s.2 ^= s.0
        s.3 ^= s.1
        s.1 ^= s.2
        s.0 ^= s.3
        s.2 ^= t
        s.3 = rotate(s.3, 45)
        return result
    }

    private func rotate(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 - k)) }

    /// 0 to `bound` - 1.
    package mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }
    package mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }
    /// True `parts` times in a million.
    package mutating func chance(_ parts: Int) -> Bool { below(1_000_000) < parts }
    package mutating func pick<T>(_ list: [T]) -> T { list[below(list.count)] }
    /// A value between the bounds, each order of magnitude as likely as the next.
    package mutating func spread(_ range: ClosedRange<Int>) -> Int {
        var bound = range.lowerBound
        while bound < range.upperBound, below(3) > 0 { bound = min(range.upperBound, max(1, bound) * 4) }
        return within(range.lowerBound...max(range.lowerBound, bound))
    }
    package mutating func bytes16() -> Bytes16 { Bytes16(high: next(), low: next()) }
}

package import VarveModel
