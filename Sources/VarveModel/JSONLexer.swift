/// The tokens of a JSON text (RFC 8259) over bytes in memory: white space, strings, numbers, literals.
///
/// Everything is checked here: UTF-8, escapes, surrogate pairs, ranges of numbers. Offsets count from `base`; nothing
/// outside `0..<end` is ever read.

/// A string token whose contents are `start..<end`, known to be well-formed.
struct JSONText {
    let start: Int
    let end: Int
    let isEscaped: Bool
}

struct JSONLexer {
    let base: UnsafePointer<UInt8>
    let end: Int
    var at = 0

    init(_ base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        end = count
    }

    @inline(__always)
    func fault(_ reason: ScanFault.Reason) -> ScanFault { fault(reason, at: at) }

    @inline(never)
    func fault(_ reason: ScanFault.Reason, at offset: Int) -> ScanFault {
        let isOutOfBytes = offset >= end && [.value, .name, .colon, .separator, .number].contains(reason)
        return ScanFault(reason: isOutOfBytes ? .ends : reason, offset: min(offset, end))
    }

    /// Passes over white space; the byte that stands there then, 0 at the end.
    @inline(__always)
    mutating func next() -> UInt8 {
        while at < end {
            let byte = base[at]
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return byte }
            at += 1
        }
        return 0
    }

    mutating func expectEnd() throws(ScanFault) {
        _ = next()
        guard at == end else { throw fault(.rest) }
    }

    @inline(__always)
    mutating func colon() throws(ScanFault) {
        guard next() == UInt8(ascii: ":") else { throw fault(.colon) }
        at += 1
    }

    /// After a member: true when another follows, false at `close`.
    @inline(__always)
    mutating func goesOn(until close: UInt8) throws(ScanFault) -> Bool {
        let byte = next()
        guard byte == UInt8(ascii: ",") || byte == close else { throw fault(.separator) }
        at += 1
        return byte != close
    }

    // MARK: Literals

    enum Literal { case null, yes, no }

    @inline(__always)
    mutating func literal() throws(ScanFault) -> Literal {
        func matches(_ text: StaticString) -> Bool {
            guard end - at >= text.utf8CodeUnitCount else { return false }
            for i in 0..<text.utf8CodeUnitCount where base[at + i] != text.utf8Start[i] { return false }
            return true
        }
        switch base[at] {
        case UInt8(ascii: "n") where matches("null"):
            at += 4
            return .null
        case UInt8(ascii: "t") where matches("true"):
            at += 4
            return .yes
        case UInt8(ascii: "f") where matches("false"):
            at += 5
            return .no
        default: throw fault(.value)
        }
    }

    // MARK: Strings

    /// The string whose opening quote stands at `at`.
    @inline(__always)
    mutating func text() throws(ScanFault) -> JSONText {
        let start = at + 1
        var i = start
        var isEscaped = false
        while true {
            while i + 8 <= end {
                let marks = Self.marks(loadWord(base + i))
                if marks != 0 {
                    i += marks.trailingZeroBitCount >> 3
                    break
                }
                i += 8
            }
            guard i < end else { throw fault(.ends, at: end) }
            switch base[i] {
            case 0x22:
                at = i + 1
                return JSONText(start: start, end: i, isEscaped: isEscaped)
            case 0x5c:
                isEscaped = true
                i = try escapeEnd(i)
            case 0..<0x20: throw fault(.control, at: i)
            case 0x80...:
                // Text in one script is a run of such sequences.
                repeat {
                    let next = utf8SequenceEnd(base, i, end)
                    guard next != 0 else { throw fault(.utf8, at: i) }
                    i = next
                } while i < end && base[i] >= 0x80
            default: i += 1
            }
        }
    }

    /// The top bit of each byte that is a quote, a backslash, a control character or not ASCII; the lowest one is exact.
    @inline(__always)
    private static func marks(_ word: UInt64) -> UInt64 { escapeMarks(word) | word & tops }

    /// The same for the bytes that stand escaped in a JSON string.
    @inline(__always)
    static func escapeMarks(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5c)
        return
            (((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- (ones &* 0x20)) & ~word))
            & tops
    }

    private static var ones: UInt64 { 0x0101_0101_0101_0101 }
    private static var tops: UInt64 { 0x8080_8080_8080_8080 }

    /// The end of the escape (of both halves of a surrogate pair) that starts at `i`.
    @inline(never)
    private func escapeEnd(_ i: Int) throws(ScanFault) -> Int {
        guard i + 1 < end else { throw fault(.ends, at: end) }
        switch base[i + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return i + 2
        case UInt8(ascii: "u"):
            guard let unit = codeUnit(i) else { throw fault(.escape, at: i) }
            guard unit & 0xf800 == 0xd800 else { return i + 6 }
            guard unit < 0xdc00, let low = codeUnit(i + 6), low & 0xfc00 == 0xdc00 else {
                throw fault(.surrogate, at: i)
            }
            return i + 12
        default: throw fault(.escape, at: i)
        }
    }

    /// The four digits of `\uXXXX` at `i`, nil when that does not stand there.
    private func codeUnit(_ i: Int) -> UInt32? {
        guard i + 6 <= end, base[i] == UInt8(ascii: "\\"), base[i + 1] == UInt8(ascii: "u") else { return nil }
        var unit: UInt32 = 0
        for digit in 2..<6 {
            guard let value = hexValue(base[i + digit]) else { return nil }
            unit = unit << 4 | value
        }
        return unit
    }
}

private func hexValue(_ digit: UInt8) -> UInt32? {
    switch digit {
    case 0x30...0x39: UInt32(digit - 0x30)
    case 0x41...0x46: UInt32(digit - 0x41 + 10)
    case 0x61...0x66: UInt32(digit - 0x61 + 10)
    default: nil
    }
}

extension JSONText {
    /// Writes the contents with their escapes resolved, never more than `end - start` bytes; returns how many.
    @inline(never)
    func resolve(from base: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<UInt8>) -> Int {
        var i = start
        var count = 0
        func unit(_ i: Int) -> UInt32 {
            (2..<6).reduce(UInt32(0)) { $0 << 4 | (hexValue(base[i + $1]) ?? 0) }
        }
        while i < end {
            guard base[i] == UInt8(ascii: "\\") else {
                out[count] = base[i]
                count += 1
                i += 1
                continue
            }
            switch base[i + 1] {
            case UInt8(ascii: "u"):
                var scalar = unit(i)
                i += 6
                if scalar & 0xfc00 == 0xd800 {
                    scalar = 0x1_0000 + (scalar & 0x3ff) << 10 + unit(i) & 0x3ff
                    i += 6
                }
                count += encodeUTF8(scalar, out + count)
                continue
            case UInt8(ascii: "b"): out[count] = 0x08
            case UInt8(ascii: "f"): out[count] = 0x0c
            case UInt8(ascii: "n"): out[count] = 0x0a
            case UInt8(ascii: "r"): out[count] = 0x0d
            case UInt8(ascii: "t"): out[count] = 0x09
            default: out[count] = base[i + 1]
            }
            count += 1
            i += 2
        }
        return count
    }

    private func encodeUTF8(_ scalar: UInt32, _ out: UnsafeMutablePointer<UInt8>) -> Int {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: scalar >> shift & 0x3f | 0x80) }
        switch scalar {
        case 0..<0x80:
            out[0] = UInt8(truncatingIfNeeded: scalar)
            return 1
        case 0x80..<0x800:
            out[0] = UInt8(truncatingIfNeeded: scalar >> 6 | 0xc0)
            out[1] = tail(0)
            return 2
        case 0x800..<0x1_0000:
            out[0] = UInt8(truncatingIfNeeded: scalar >> 12 | 0xe0)
            out[1] = tail(6)
            out[2] = tail(0)
            return 3
        default:
            out[0] = UInt8(truncatingIfNeeded: scalar >> 18 | 0xf0)
            out[1] = tail(12)
            out[2] = tail(6)
            out[3] = tail(0)
            return 4
        }
    }

    func bytes(in base: UnsafePointer<UInt8>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: end - start) { buffer, count in
            guard end > start, let out = buffer.baseAddress else { return }
            if isEscaped {
                count = resolve(from: base, into: out)
            } else {
                out.initialize(from: base + start, count: end - start)
                count = end - start
            }
        }
    }

    func string(in base: UnsafePointer<UInt8>) -> String {
        if isEscaped { return String(decoding: bytes(in: base), as: UTF8.self) }
        return String(decoding: UnsafeBufferPointer(start: base + start, count: end - start), as: UTF8.self)
    }
}
