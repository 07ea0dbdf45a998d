/// Comparisons of `_id` with a value, as ranges of keys.
///
/// SQLite's order (numbers, then texts, then blobs; numbers by value, texts by bytes) is the order of keys, so each
/// comparison is one range. No conversion takes place: the text '7' is not the integer 7.

import CVarveSQLite
import VarveModel

enum IDComparison: UInt8 {
    case equal = 0x3d  // =
    case above = 0x3e  // >
    case from = 0x67  // g
    case below = 0x3c  // <
    case through = 0x6c  // l

    /// The comparison behind a constraint of `xBestIndex`, if it is one of these.
    init?(constraint: UInt8) {
        switch Int32(constraint) {
        case SQLITE_INDEX_CONSTRAINT_EQ, SQLITE_INDEX_CONSTRAINT_IS: self = .equal
        case SQLITE_INDEX_CONSTRAINT_GT: self = .above
        case SQLITE_INDEX_CONSTRAINT_GE: self = .from
        case SQLITE_INDEX_CONSTRAINT_LT: self = .below
        case SQLITE_INDEX_CONSTRAINT_LE: self = .through
        default: return nil
        }
    }
}

extension KeyRange {
    /// Narrows the range to the keys for which the comparison holds; false when it holds for none.
    mutating func narrow(_ comparison: IDComparison, _ value: OpaquePointer) -> Bool {
        switch sqlite3_value_type(value) {
        case SQLITE_INTEGER:
            narrow(comparison, Key(sqlite3_value_int64(value)))
            return !isEmpty
        case SQLITE_FLOAT: return narrow(comparison, sqlite3_value_double(value))
        case SQLITE_TEXT:
            // The bytes need be no key: an empty or a very long text still has its place in the order.
            let text = sqlite3_value_text(value)
            let bytes = UnsafeRawBufferPointer(start: text, count: Int(sqlite3_value_bytes(value)))
            narrow(comparison, Key(unchecked: Bytes([Key.textTag] + Array(bytes))))
            return !isEmpty
        case SQLITE_BLOB:
            // Every key is below every blob.
            return comparison == .below || comparison == .through
        default: return false
        }
    }

    private static let firstText = Key(unchecked: Bytes([Key.textTag]))

    private mutating func narrow(_ comparison: IDComparison, _ bound: Key) {
        switch comparison {
        case .equal:
            narrow(from: bound)
            narrow(upTo: bound.successor)
        case .above: narrow(from: bound.successor)
        case .from: narrow(from: bound)
        case .below: narrow(upTo: bound)
        case .through: narrow(upTo: bound.successor)
        }
    }

    private mutating func narrow(_ comparison: IDComparison, _ value: Double) -> Bool {
        if let exact = Int64(exactly: value) {
            narrow(comparison, Key(exact))
            return !isEmpty
        }
        // Between two integers, or beyond them all: the least key above decides.
        let above: Key
        if value < -0x1p63 {
            above = Key(Int64.min)
        } else if value >= 0x1p63 {
            above = Self.firstText
        } else {
            above = Key(Int64(value.rounded(.up)))
        }
        switch comparison {
        case .equal: return false
        case .above, .from: narrow(from: above)
        case .below, .through: narrow(upTo: above)
        }
        return !isEmpty
    }
}

extension Key {
    /// First byte of the key of a text; integers have 1.
    fileprivate static let textTag: UInt8 = 2

    /// The `_id`, if it is one; a text is the bytes behind the first.
    var integer: Int64? {
        guard bytes[0] < Self.textTag, case .integer(let integer) = id else { return nil }
        return integer
    }
}
