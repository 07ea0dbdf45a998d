/// A walk over CBOR in memory, for the hot paths over documents: validation, fields, decoding.
///
/// Every step is bounds-checked, so bytes from anywhere are safe; what is longer than needed or out of order is refused
/// only by `validate` (docs/log-format.md, "Documents").

struct CBORCursor {
    let base: UnsafePointer<UInt8>
    let end: Int
    var at = 0

    init(_ base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        end = count
    }

    @inline(never)
    func fault(_ reason: String, at offset: Int? = nil) -> CBORFault {
        CBORFault(reason: reason, offset: offset ?? at)
    }

    struct Head {
        let major: UInt8
        /// 0 when the argument stands in the first byte, else the bytes after it: 1, 2, 4 or 8.
        let extra: Int
        let argument: UInt64
    }

    @inline(__always)
    mutating func head() throws(CBORFault) -> Head {
        guard at < end else { throw fault("ends too early") }
        let initial = base[at]
        if initial & 31 < 24 {
            at += 1
            return Head(major: initial >> 5, extra: 0, argument: UInt64(initial & 31))
        }
        return try longHead(initial)
    }

    private mutating func longHead(_ initial: UInt8) throws(CBORFault) -> Head {
        let low = initial & 31
        guard low < 28 else { throw fault("indefinite length or reserved head") }
        let extra = 1 << Int(low - 24)
        guard end - at > extra else { throw fault("ends too early") }
        var argument: UInt64 = 0
        for i in 1...extra { argument = argument << 8 | UInt64(base[at + i]) }
        if initial >> 5 != 7 {
            let least: UInt64 = extra == 1 ? 24 : extra == 2 ? 0x100 : extra == 4 ? 0x1_0000 : 0x1_0000_0000
            guard argument >= least else { throw fault("a head longer than needed") }
        }
        at += 1 + extra
        return Head(major: initial >> 5, extra: extra, argument: argument)
    }

    /// Passes over `length` bytes and returns where they start.
    @inline(__always)
    mutating func run(_ length: UInt64) throws(CBORFault) -> Int {
        guard length <= UInt64(end - at) else { throw fault("a length beyond the end") }
        let start = at
        at += Int(length)
        return start
    }

    /// The number of pairs of the map that starts here.
    @inline(__always)
    mutating func mapHead() throws(CBORFault) -> UInt64 {
        let head = try head()
        guard head.major == 5 else { throw fault("expected a map") }
        return head.argument
    }

    /// Passes over one item.
    mutating func skip(_ depth: Int = 0) throws(CBORFault) {
        let head = try head()
        switch head.major {
        case 2, 3: _ = try run(head.argument)
        case 4, 5:
            guard depth < Document.depthMax else { throw fault("nested too deep") }
            guard head.argument <= UInt64(end - at) else { throw fault("a length beyond the end") }
            for _ in 0..<head.argument * (head.major == 5 ? 2 : 1) { try skip(depth + 1) }
        case 6:
            guard depth < Document.depthMax else { throw fault("nested too deep") }
            try skip(depth + 1)
        default: break
        }
    }

    /// The text that stands here, as a range of bytes.
    @inline(__always)
    mutating func textRange() throws(CBORFault) -> Range<Int> {
        let head = try head()
        guard head.major == 3 else { throw fault("expected a text") }
        let start = try run(head.argument)
        return start..<at
    }

    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
    }
}

/// A float64 from the bits of a head of the simple major type; nil when a shorter head holds the same value.
func shortestDouble(_ head: CBORCursor.Head) -> Double? {
    let value: Double
    switch head.extra {
    case 2: value = double(ofHalf: UInt16(truncatingIfNeeded: head.argument))
    case 4: value = Double(Float(bitPattern: UInt32(truncatingIfNeeded: head.argument)))
    case 8: value = Double(bitPattern: head.argument)
    default: return nil
    }
    let shortest = shortestFloat(value)
    return shortest.bytes == head.extra && shortest.bits == head.argument ? value : nil
}
