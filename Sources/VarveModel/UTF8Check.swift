/// Whether bytes are well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.

/// The end of the well-formed sequence of two to four bytes that starts at `at`, or 0 when there is none.
///
/// `base[at]` is at least 0x80; nothing at or after `end` is read.
@inline(__always)
func utf8SequenceEnd(_ base: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Int {
    func isTail(_ offset: Int) -> Bool { base[at + offset] & 0xc0 == 0x80 }
    let lead = base[at]
    let left = end - at
    switch lead {
    case 0xc2...0xdf:
        guard left >= 2, isTail(1) else { return 0 }
        return at + 2
    case 0xe0...0xef:
        guard left >= 3, isTail(1), isTail(2) else { return 0 }
        if lead == 0xe0, base[at + 1] < 0xa0 { return 0 }
        if lead == 0xed, base[at + 1] > 0x9f { return 0 }
        return at + 3
    case 0xf0...0xf4:
        guard left >= 4, isTail(1), isTail(2), isTail(3) else { return 0 }
        if lead == 0xf0, base[at + 1] < 0x90 { return 0 }
        if lead == 0xf4, base[at + 1] > 0x8f { return 0 }
        return at + 4
    default: return 0
    }
}

/// Whether `count` bytes are UTF-8; eight ASCII bytes at a time.
@inline(__always)
func isUTF8(_ base: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    if count >= 8 {
        var at = 0
        var seen: UInt64 = 0
        while at + 8 <= count {
            seen |= loadWord(base + at)
            at += 8
        }
        // The last word overlaps the one before.
        seen |= loadWord(base + count - 8)
        if seen & 0x8080_8080_8080_8080 == 0 { return true }
    } else {
        var seen: UInt8 = 0
        for at in 0..<count { seen |= base[at] }
        if seen < 0x80 { return true }
    }
    return isUTF8BySequence(base, count)
}

@inline(never)
private func isUTF8BySequence(_ base: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    var at = 0
    while true {
        while at + 8 <= count, loadWord(base + at) & 0x8080_8080_8080_8080 == 0 { at += 8 }
        while at < count, base[at] < 0x80 { at += 1 }
        guard at < count else { return true }
        at = utf8SequenceEnd(base, at, count)
        guard at != 0 else { return false }
    }
}

/// Eight bytes as they stand in memory, the first in the lowest place.
@inline(__always)
func loadWord(_ pointer: UnsafePointer<UInt8>) -> UInt64 {
    UInt64(littleEndian: UnsafeRawPointer(pointer).loadUnaligned(as: UInt64.self))
}
