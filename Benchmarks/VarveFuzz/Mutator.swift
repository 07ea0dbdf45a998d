/// Inputs from a seed: the same seed, decoder and number give the same bytes on every machine.

/// SplitMix64.
struct Generator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    /// Below `bound`, which is above 0. Slightly uneven, and fast.
    mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }
}

/// Changes bytes as disks, networks and people do: bits and bytes flipped, runs cut, zeroed, repeated, moved and put in,
/// numbers made extreme, and pieces of another input.
struct Mutator {
    var generator: Generator
    /// What texts of this decoder are made of; put in now and then.
    let words: [[UInt8]]

    private static let extremes: [[UInt8]] = [
        [0], [0x7f], [0x80], [0xff], [0xff, 0xff], [0, 0, 0, 0x80], [0xff, 0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff],
        [0, 0, 0, 0, 0, 0, 0, 0x80], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0, 0, 0, 0, 0, 0, 0, 0], [0x1b, 0xff, 0xff, 0xff, 0xff],
    ]

    mutating func mutate(_ bytes: inout [UInt8], other: [UInt8]) {
        // Mostly few changes: deep states are reached by inputs that are nearly right.
        var changes = 1
        while changes < 8 && generator.below(3) == 0 { changes += 1 }
        for _ in 0..<changes { change(&bytes, other) }
    }

    private mutating func change(_ bytes: inout [UInt8], _ other: [UInt8]) {
        guard !bytes.isEmpty else {
            bytes = other
            return
        }
        let at = generator.below(bytes.count)
        switch generator.below(12) {
        case 0, 1: bytes[at] = UInt8(truncatingIfNeeded: generator.next())
        case 2, 3: bytes[at] ^= 1 << UInt8(generator.below(8))
        case 4: bytes[at] = bytes[at] &+ (generator.below(2) == 0 ? 1 : 255)
        case 5: bytes.removeSubrange(at..<min(bytes.count, at + 1 + generator.below(16)))
        case 6: bytes.removeLast(bytes.count - at)
        case 7:
            for i in at..<min(bytes.count, at + 1 + generator.below(16)) { bytes[i] = 0 }
        case 8:
            let value = Self.extremes[generator.below(Self.extremes.count)]
            for (i, byte) in value.enumerated() where at + i < bytes.count { bytes[at + i] = byte }
        case 9:
            let end = min(bytes.count, at + 1 + generator.below(32))
            bytes.insert(contentsOf: Array(bytes[at..<end]), at: generator.below(bytes.count))
        case 10 where !words.isEmpty: bytes.insert(contentsOf: words[generator.below(words.count)], at: at)
        case 10: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: at)
        default:
            guard !other.isEmpty else { return }
            let from = generator.below(other.count)
            let count = min(other.count - from, 1 + generator.below(64))
            bytes.replaceSubrange(at..<min(bytes.count, at + count), with: other[from..<from + count])
        }
    }
}
