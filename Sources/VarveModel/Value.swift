/// A value of a document, or of any JSON that a request or answer is made of.
///
/// Six kinds are JSON's; int64 and float64 stay apart, and timestamps and binary travel as `{"@type": …}` objects
/// (docs/http-api.md, "Values"). Two values are equal when kind and content are: texts and names byte for byte, floats
/// by their bits, objects whatever the order of their fields. That is equality of their deterministic CBOR.

public enum Value: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case text(String)
    case binary([UInt8])
    case timestamp(Instant)
    case array([Value])
    /// Fields in the order they came or shall be written; names are unique.
    case object([Field])
    /// Only in a patch: the field is to be removed.
    case absent

    public struct Field: Sendable {
        public let name: String
        public let value: Value
        public init(_ name: String, _ value: Value) {
            self.name = name
            self.value = value
        }
    }
}

extension Value {
    /// The field of that name, compared as bytes; nil when this is no object or has none.
    public subscript(name: String) -> Value? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    public var asText: String? { if case .text(let text) = self { text } else { nil } }
    public var asInteger: Int64? { if case .integer(let integer) = self { integer } else { nil } }
    public var asBool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
    public var asArray: [Value]? { if case .array(let elements) = self { elements } else { nil } }
    public var asObject: [Field]? { if case .object(let fields) = self { fields } else { nil } }
    public var isNull: Bool { if case .null = self { true } else { false } }
}

extension Value: Hashable {
    public static func == (a: Value, b: Value) -> Bool {
        switch (a, b) {
        case (.null, .null), (.absent, .absent): true
        case (.bool(let x), .bool(let y)): x == y
        case (.integer(let x), .integer(let y)): x == y
        case (.double(let x), .double(let y)): x.bitPattern == y.bitPattern || x.isNaN && y.isNaN
        case (.text(let x), .text(let y)): x.utf8.elementsEqual(y.utf8)
        case (.binary(let x), .binary(let y)): x == y
        case (.timestamp(let x), .timestamp(let y)): x == y
        case (.array(let x), .array(let y)): x == y
        case (.object(let x), .object(let y)):
            x.count == y.count && (x == y || x.sorted(by: Field.isBefore) == y.sorted(by: Field.isBefore))
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .integer(let value): hasher.combine(value)
        case .double(let value): hasher.combine(value.isNaN ? 0 : value.bitPattern)
        case .text(let value): for byte in value.utf8 { hasher.combine(byte) }
        case .binary(let value): hasher.combine(value)
        case .timestamp(let value): hasher.combine(value)
        case .array(let value): hasher.combine(value)
        case .object(let value): hasher.combine(value.sorted(by: Field.isBefore))
        case .absent: hasher.combine(1)
        }
    }
}

extension Value.Field: Hashable {
    public static func == (a: Self, b: Self) -> Bool { a.name.utf8.elementsEqual(b.name.utf8) && a.value == b.value }

    public func hash(into hasher: inout Hasher) {
        for byte in name.utf8 { hasher.combine(byte) }
        hasher.combine(value)
    }

    /// Byte order of names.
    static func isBefore(_ a: Self, _ b: Self) -> Bool { a.name.utf8.lexicographicallyPrecedes(b.name.utf8) }
}
