/// Walks the fields of a document's CBOR without allocating: what the block writer does for every field of every row.
///
/// Documents were validated before they were applied, so a fault here is ours; it is still reported, never a trap.

import VarveModel

struct DocumentFault: Error {
    let reason: StaticString
}

/// What a value is, as one bit, so that the types seen in a field are a union.
struct ValueKinds: OptionSet, Equatable {
    let rawValue: UInt8
    static let bool = ValueKinds(rawValue: 1)
    static let int64 = ValueKinds(rawValue: 2)
    static let float64 = ValueKinds(rawValue: 4)
    static let text = ValueKinds(rawValue: 8)
    static let binary = ValueKinds(rawValue: 16)
    static let timestamp = ValueKinds(rawValue: 32)
    static let nested = ValueKinds(rawValue: 64)
    /// The empty set: an explicit null.
    static let null: ValueKinds = []

    var columnType: ColumnType {
        switch self {
        case .null: .null
        case .bool: .bool
        case .int64: .int64
        case .float64: .float64
        case .text: .text
        case .binary: .binary
        case .timestamp: .timestamp
        default: .json
        }
    }
}

struct ScannedField {
    var name: UnsafeRawBufferPointer
    /// The value's whole item.
    var item: UnsafeRawBufferPointer
    var kind: ValueKinds
    /// Of an int64, timestamp or bool the number, of a float64 its bits.
    var word: UInt64
    /// Of a text or binary its content.
    var content: UnsafeRawBufferPointer
}

struct DocumentScanner {
    private let raw: UnsafeRawBufferPointer
    private var offset = 0
    private(set) var remaining: Int

    /// Reads the head of the map; `remaining` fields follow.
    init(_ document: UnsafeRawBufferPointer) throws(DocumentFault) {
        raw = document
        remaining = 0
        let head = try head()
        guard head.major == 5, head.argument <= UInt64(document.count / 2) else {
            throw DocumentFault(reason: "it is not a map")
        }
        remaining = Int(head.argument)
    }

    var isAtEnd: Bool { offset == raw.count }

    @inline(__always)
    private mutating func head() throws(DocumentFault) -> (major: UInt8, width: Int, argument: UInt64) {
        guard offset < raw.count else { throw DocumentFault(reason: "it ends too early") }
        let initial = raw[offset]
        let low = initial & 31
        offset += 1
        if low < 24 { return (initial >> 5, 0, UInt64(low)) }
        guard low < 28 else { throw DocumentFault(reason: "it has an indefinite length") }
        let width = 1 << Int(low - 24)
        guard raw.count - offset >= width else { throw DocumentFault(reason: "it ends too early") }
        let argument: UInt64 =
            switch width {
            case 1: UInt64(raw[offset])
            case 2: UInt64(UInt16(bigEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
            case 4: UInt64(UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            default: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            }
        offset += width
        return (initial >> 5, width, argument)
    }

    @inline(__always)
    private mutating func run(_ length: UInt64) throws(DocumentFault) -> UnsafeRawBufferPointer {
        guard length <= UInt64(raw.count - offset) else { throw DocumentFault(reason: "it ends too early") }
        let start = offset
        offset += Int(length)
        return UnsafeRawBufferPointer(rebasing: raw[start..<offset])
    }

    /// The next field. Call it `remaining` times.
    @inline(__always)
    mutating func next() throws(DocumentFault) -> ScannedField {
        remaining -= 1
        let nameHead = try head()
        guard nameHead.major == 3 else { throw DocumentFault(reason: "a name is not a text") }
        let name = try run(nameHead.argument)
        let start = offset
        let value = try head()
        var field = ScannedField(
            name: name, item: raw, kind: .null, word: 0, content: UnsafeRawBufferPointer(rebasing: raw[0..<0]))
        switch value.major {
        case 0, 1:
            guard value.argument <= UInt64(Int64.max) else { throw DocumentFault(reason: "an integer is too big") }
            field.kind = .int64
            field.word = value.major == 0 ? value.argument : ~value.argument
        case 2:
            field.kind = .binary
            field.content = try run(value.argument)
        case 3:
            field.kind = .text
            field.content = try run(value.argument)
        case 6:
            let text = try head()
            guard value.argument == 0, text.major == 3, case let digits = try run(text.argument), digits.count == 27,
                let time = Instant(String(decoding: digits, as: UTF8.self))
            else { throw DocumentFault(reason: "a tag that is no timestamp") }
            field.kind = .timestamp
            field.word = UInt64(bitPattern: time.microseconds)
        case 4, 5:
            field.kind = .nested
            offset = start
            try skip(depth: 0)
        default:
            switch (value.width, value.argument) {
            case (0, 20), (0, 21):
                field.kind = .bool
                field.word = value.argument - 20
            case (0, 22): field.kind = .null
            case (2, _), (4, _), (8, _):
                field.kind = .float64
                field.word = DocumentScanner.float(width: value.width, bits: value.argument).bitPattern
            default: throw DocumentFault(reason: "an unknown simple value")
            }
        }
        field.item = UnsafeRawBufferPointer(rebasing: raw[start..<offset])
        return field
    }

    private static func float(width: Int, bits: UInt64) -> Double {
        switch width {
        case 8: return Double(bitPattern: bits)
        case 4: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
        default:
            let exponent = Int(bits >> 10 & 0x1f)
            let fraction = Double(bits & 0x3ff)
            let magnitude: Double =
                switch exponent {
                case 0: fraction * 0x1p-24
                case 31: fraction == 0 ? .infinity : .nan
                default: Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
                }
            return bits & 0x8000 == 0 ? magnitude : -magnitude
        }
    }

    private mutating func skip(depth: Int) throws(DocumentFault) {
        guard depth <= CBORReader.depthMax else { throw DocumentFault(reason: "it is nested too deep") }
        let item = try head()
        switch item.major {
        case 2, 3: _ = try run(item.argument)
        case 4, 5:
            let count = item.argument.multipliedReportingOverflow(by: item.major == 5 ? 2 : 1)
            guard !count.overflow, count.partialValue <= UInt64(raw.count - offset) else {
                throw DocumentFault(reason: "it ends too early")
            }
            for _ in 0..<count.partialValue { try skip(depth: depth + 1) }
        case 6: try skip(depth: depth + 1)
        default: break
        }
    }
}
