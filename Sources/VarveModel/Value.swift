/// A value of a document, or of any JSON that a request or answer is made of.
///
/// Six kinds are JSON's; int64 and float64 stay apart, and timestamps and binary travel as `{"@type": …}` objects
/// (docs/http-api.md, "Values"). Two values are equal when kind and content are, texts byte for byte.

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

/// Microseconds since 1970-01-01T00:00:00Z, UTC, without leap seconds.
public struct Instant: Sendable, Hashable, Comparable {
    public let microseconds: Int64
    public init(microseconds: Int64) { self.microseconds = microseconds }
    public static func < (a: Instant, b: Instant) -> Bool { a.microseconds < b.microseconds }
}
