/// Deterministic CBOR (RFC 8949 section 4.2): the one codec of records, documents, manifests and epoch records.
///
/// The writer produces the shortest form of every head and of every float; callers write map keys in the order of their
/// encoded bytes. The reader accepts exactly that form: a longer head than needed, an indefinite length or an unknown
/// simple value is a fault, so equal contents are equal bytes.

/// What a reader of stored bytes found wrong, and where.
public struct CBORFault: Error, Sendable, CustomStringConvertible {
    public let reason: String
    /// Byte offset from the start of what was read.
    public let offset: Int
    public var description: String { "\(reason) at byte \(offset)" }
}

public enum CBORMajor: UInt8, Sendable {
    case unsigned = 0
    case negative = 1
    case bytes = 2
    case text = 3
    case array = 4
    case map = 5
    case tag = 6
    case simple = 7
}

public struct CBORWriter: Sendable {
    public var bytes: [UInt8]

    public init(reservingCapacity capacity: Int = 0) {
        bytes = []
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    public mutating func head(_ major: CBORMajor, _ argument: UInt64) {
        let top = major.rawValue << 5
        switch argument {
        case 0..<24: bytes.append(top | UInt8(truncatingIfNeeded: argument))
        case 24..<0x100:
            bytes.append(top | 24)
            bytes.append(UInt8(truncatingIfNeeded: argument))
        case 0x100..<0x1_0000:
            bytes.append(top | 25)
            bytes.append(UInt8(truncatingIfNeeded: argument >> 8))
            bytes.append(UInt8(truncatingIfNeeded: argument))
        case 0x1_0000..<0x1_0000_0000:
            bytes.append(top | 26)
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: argument).bigEndian) { bytes.append(contentsOf: $0) }
        default:
            bytes.append(top | 27)
            bytes.append(bigEndian: argument)
        }
    }

    public mutating func unsigned(_ value: some BinaryInteger) { head(.unsigned, UInt64(value)) }

    public mutating func integer(_ value: Int64) {
        if value >= 0 { head(.unsigned, UInt64(value)) } else { head(.negative, UInt64(bitPattern: ~value)) }
    }

    public mutating func array(_ count: Int) { head(.array, UInt64(count)) }
    public mutating func map(_ count: Int) { head(.map, UInt64(count)) }
    public mutating func tag(_ number: UInt64) { head(.tag, number) }
    public mutating func null() { bytes.append(0xf6) }
    /// The simple value 23: in a patch, "remove this field".
    public mutating func undefined() { bytes.append(0xf7) }
    public mutating func bool(_ value: Bool) { bytes.append(value ? 0xf5 : 0xf4) }

    public mutating func text(_ value: some StringProtocol) {
        head(.text, UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    public mutating func byteString(_ value: UnsafeRawBufferPointer) {
        head(.bytes, UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func byteString(_ value: Bytes) { value.withUnsafeBytes { byteString($0) } }
    public mutating func byteString(_ value: [UInt8]) { value.withUnsafeBytes { byteString($0) } }
    public mutating func byteString(_ value: Bytes16) { byteString(value.bytes) }
    public mutating func byteString(_ value: Digest) { byteString(value.bytes) }

    /// Bytes that are one CBOR item already.
    public mutating func raw(_ item: Bytes) { item.withUnsafeBytes { bytes.append(contentsOf: $0) } }

    /// The shortest of the three widths that keeps the value; every NaN is the one quiet NaN `f97e00`.
    public mutating func double(_ value: Double) {
        let (count, bits) = shortestFloat(value)
        bytes.append(count == 2 ? 0xf9 : count == 4 ? 0xfa : 0xfb)
        for i in stride(from: count - 1, through: 0, by: -1) {
            bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * UInt64(i))))
        }
    }
}

/// The bits of the shortest of the three float formats that keeps the value, and its width: 2, 4 or 8 bytes.
func shortestFloat(_ value: Double) -> (bytes: Int, bits: UInt64) {
    if value.isNaN { return (2, 0x7e00) }
    let single = Float(value)
    guard Double(single) == value else { return (8, value.bitPattern) }
    if let half = halfBits(of: single) { return (2, UInt64(half)) }
    return (4, UInt64(single.bitPattern))
}

/// The half-precision bits of a float that half precision can hold exactly, else nil.
private func halfBits(of value: Float) -> UInt16? {
    let bits = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    let exponent = Int(bits >> 23 & 0xff)
    let fraction = bits & 0x7f_ffff
    if exponent == 0xff { return fraction == 0 ? sign | 0x7c00 : nil }
    if exponent == 0 { return fraction == 0 ? sign : nil }
    let power = exponent - 127
    if (-14...15).contains(power) {
        guard fraction & 0x1fff == 0 else { return nil }
        return sign | UInt16(power + 15) << 10 | UInt16(truncatingIfNeeded: fraction >> 13)
    }
    guard (-24 ..< -14).contains(power) else { return nil }
    // Subnormal half: the implicit bit moves into the fraction.
    let shift = UInt32(13 + (-14 - power))
    let whole = fraction | 0x80_0000
    guard whole & ((1 << shift) - 1) == 0 else { return nil }
    return sign | UInt16(truncatingIfNeeded: whole >> shift)
}

func double(ofHalf bits: UInt16) -> Double {
    let magnitude: Double
    let exponent = Int(bits >> 10 & 0x1f)
    let fraction = Double(bits & 0x3ff)
    switch exponent {
    case 0: magnitude = fraction * 0x1p-24
    case 31: magnitude = fraction == 0 ? .infinity : .nan
    default: magnitude = Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
    }
    return bits & 0x8000 == 0 ? magnitude : -magnitude
}

/// Reads one item after the other from bytes that were stored or received: every step is bounds-checked.
public struct CBORReader: Sendable {
    public let source: Bytes
    public private(set) var offset = 0

    public init(_ source: Bytes) { self.source = source }
    public init(_ source: [UInt8]) { self.init(Bytes(source)) }

    public var isAtEnd: Bool { offset == source.count }

    public func fault(_ reason: String) -> CBORFault { CBORFault(reason: reason, offset: offset) }

    /// Throws unless everything was read.
    public func expectEnd() throws(CBORFault) {
        guard isAtEnd else { throw fault("\(source.count - offset) bytes too many") }
    }

    /// The major type of the next item without reading it.
    public func peek() throws(CBORFault) -> CBORMajor {
        guard offset < source.count else { throw fault("ends too early") }
        return CBORMajor(rawValue: source[offset] >> 5)!
    }

    /// Major type and argument. For `simple`, the argument is the raw value: a simple number, or a float's bits whose
    /// width `floatWidth` tells.
    private mutating func head() throws(CBORFault) -> (major: CBORMajor, argument: UInt64, extra: Int) {
        guard offset < source.count else { throw fault("ends too early") }
        let initial = source[offset]
        let major = CBORMajor(rawValue: initial >> 5)!
        let low = initial & 31
        if low < 24 {
            offset += 1
            return (major, UInt64(low), 0)
        }
        guard low < 28 else { throw fault("indefinite length or reserved head") }
        let extra = 1 << Int(low - 24)
        guard source.count - offset > extra else { throw fault("ends too early") }
        let start = offset + 1
        let argument = source.withUnsafeBytes { raw -> UInt64 in
            switch extra {
            case 1: UInt64(raw[start])
            case 2: UInt64(UInt16(bigEndian: raw.loadUnaligned(fromByteOffset: start, as: UInt16.self)))
            case 4: UInt64(UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
            default: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: start, as: UInt64.self))
            }
        }
        if major != .simple {
            let least: UInt64 = extra == 1 ? 24 : extra == 2 ? 0x100 : extra == 4 ? 0x1_0000 : 0x1_0000_0000
            guard argument >= least else { throw fault("a head longer than needed") }
        }
        offset += 1 + extra
        return (major, argument, extra)
    }

    private mutating func expect(_ major: CBORMajor) throws(CBORFault) -> UInt64 {
        let start = offset
        let head = try head()
        guard head.major == major else {
            offset = start
            throw fault("expected \(major), found \(head.major)")
        }
        return head.argument
    }

    public mutating func unsigned() throws(CBORFault) -> UInt64 { try expect(.unsigned) }

    /// An unsigned integer that fits `type`.
    public mutating func unsigned<T: FixedWidthInteger>(as type: T.Type) throws(CBORFault) -> T {
        guard let value = T(exactly: try unsigned()) else { throw fault("an integer out of range") }
        return value
    }

    public mutating func integer() throws(CBORFault) -> Int64 {
        let start = offset
        let head = try head()
        guard head.major == .unsigned || head.major == .negative, head.argument <= UInt64(Int64.max) else {
            offset = start
            throw fault("expected an int64")
        }
        return head.major == .unsigned ? Int64(head.argument) : ~Int64(head.argument)
    }

    /// Number of elements; each takes at least a byte, so a count beyond what is left is a fault here.
    public mutating func array() throws(CBORFault) -> Int { try count(.array, bytesEach: 1) }
    /// Number of pairs.
    public mutating func map() throws(CBORFault) -> Int { try count(.map, bytesEach: 2) }

    private mutating func count(_ major: CBORMajor, bytesEach: Int) throws(CBORFault) -> Int {
        let count = try expect(major)
        guard count <= UInt64((source.count - offset) / bytesEach) else { throw fault("a length beyond the end") }
        return Int(count)
    }

    public mutating func tag() throws(CBORFault) -> UInt64 { try expect(.tag) }

    private mutating func run(_ major: CBORMajor) throws(CBORFault) -> Bytes {
        let length = try expect(major)
        guard length <= UInt64(source.count - offset) else { throw fault("a length beyond the end") }
        let slice = source[offset..<offset + Int(length)]
        offset += Int(length)
        return slice
    }

    /// A byte string, sharing the source's storage.
    public mutating func byteString() throws(CBORFault) -> Bytes { try run(.bytes) }
    /// The UTF-8 of a text, checked, sharing the source's storage.
    public mutating func textBytes() throws(CBORFault) -> Bytes {
        let bytes = try run(.text)
        guard bytes.isUTF8 else { throw fault("a text that is not UTF-8") }
        return bytes
    }

    public mutating func text() throws(CBORFault) -> String {
        guard let text = try run(.text).utf8 else { throw fault("a text that is not UTF-8") }
        return text
    }

    public mutating func bytes16() throws(CBORFault) -> Bytes16 {
        let bytes = try byteString()
        guard bytes.count == 16 else { throw fault("expected 16 bytes") }
        return Bytes16(bytes.array)
    }

    public mutating func digest() throws(CBORFault) -> Digest {
        guard let digest = Digest(try byteString().array) else { throw fault("expected 32 bytes") }
        return digest
    }

    public enum Simple: Sendable, Equatable {
        case bool(Bool)
        case null
        case undefined
        case double(Double)
    }

    public mutating func simple() throws(CBORFault) -> Simple {
        let start = offset
        let head = try head()
        guard head.major == .simple else {
            offset = start
            throw fault("expected a simple value, found \(head.major)")
        }
        switch (head.extra, head.argument) {
        case (0, 20): return .bool(false)
        case (0, 21): return .bool(true)
        case (0, 22): return .null
        case (0, 23): return .undefined
        default:
            if let value = shortestDouble(.init(major: 7, extra: head.extra, argument: head.argument)) {
                return .double(value)
            }
            offset = start
            throw fault(head.extra >= 2 ? "a float longer than needed" : "an unknown simple value")
        }
    }

    public mutating func bool() throws(CBORFault) -> Bool {
        guard case .bool(let value) = try simple() else { throw fault("expected a boolean") }
        return value
    }

    /// Deepest nesting that is read: a document's 64 levels and what is around it.
    public static let depthMax = 96

    /// Passes over one item of any kind and returns its bytes.
    @discardableResult
    public mutating func skip() throws(CBORFault) -> Bytes {
        let start = offset
        try skip(depth: 0)
        return source[start..<offset]
    }

    private mutating func skip(depth: Int) throws(CBORFault) {
        guard depth <= Self.depthMax else { throw fault("nested too deep") }
        let head = try head()
        switch head.major {
        case .unsigned, .negative, .simple: return
        case .bytes, .text:
            guard head.argument <= UInt64(source.count - offset) else { throw fault("a length beyond the end") }
            offset += Int(head.argument)
        case .array, .map:
            let items = head.argument.multipliedReportingOverflow(by: head.major == .map ? 2 : 1)
            guard !items.overflow, items.partialValue <= UInt64(source.count - offset) else {
                throw fault("a length beyond the end")
            }
            for _ in 0..<items.partialValue { try skip(depth: depth + 1) }
        case .tag: try skip(depth: depth + 1)
        }
    }
}
