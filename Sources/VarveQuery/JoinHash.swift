/// From a field's value to the keys of the rows that have it: what makes a join on a field other than `_id` linear.
///
/// Finds every row that SQLite would call equal, and perhaps some more: SQLite compares again. So a text that reads as a
/// number stands with that number, because a comparison with a CAST may convert either way.

import CVarveSQLite
import VarveModel

final class JoinHash {
    private enum Value: Hashable {
        case integer(Int64)
        case double(UInt64)
        case text(Bytes)
        case blob(Bytes)

        init(_ value: Double) {
            if let exact = Int64(exactly: value) { self = .integer(exact) } else { self = .double(value.bitPattern) }
        }

        init(text: UnsafeRawBufferPointer) {
            if let first = text.first, first <= 0x39, let number = Self.number(text) {
                self = number
            } else {
                self = .text(Bytes(Array(text)))
            }
        }

        /// The number that the whole text is, as a numeric comparison would read it.
        private static func number(_ text: UnsafeRawBufferPointer) -> Value? {
            func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
            guard let start = text.firstIndex(where: { !isSpace($0) }),
                let end = text.lastIndex(where: { !isSpace($0) })
            else { return nil }
            let digits = String(decoding: text[start...end], as: UTF8.self)
            if let integer = Int64(digits) { return .integer(integer) }
            return Double(digits).map { Value($0) }
        }
    }

    private var rows: [Value: [Key]] = [:]

    /// Bytes that an entry takes besides its key, roughly.
    private static let entryBytes = 160
    /// Rows between two looks at the clock.
    private static let rowsBetweenChecks = 1024

    /// nil when it would take more than `bytesMax`.
    init?(_ table: DocumentTable, field: Int, bytesMax: Int) throws(VarveError) {
        let walk = try table.source.rows(of: table.name, in: .all, fields: [table.fields[field]])
        var bytes = 0
        var count = 0
        while try walk.next() {
            count += 1
            if count % Self.rowsBetweenChecks == 0 { try table.control.check() }
            let value: Value
            switch try walk.cell(0) {
            case .null: continue
            case .bool(let bool): value = .integer(bool ? 1 : 0)
            case .integer(let integer): value = .integer(integer)
            case .double(let double): value = Value(double)
            case .text(let text), .timestampText(let text), .json(let text): value = Value(text: text)
            case .binary(let binary): value = .blob(Bytes(Array(binary)))
            case .timestamp(let instant): value = .text(Bytes(instant.description))
            case .nested(let item):
                do {
                    value = .text(Bytes(try canonicalJSON(item)))
                } catch {
                    throw VarveError(.blockCorrupt, "a stored value cannot be read: \(error)")
                }
            }
            let key = walk.key.detached()
            bytes += key.bytes.count + Self.entryBytes
            guard bytes <= bytesMax else { return nil }
            rows[value, default: []].append(key)
        }
    }

    /// In the order of keys.
    subscript(value: OpaquePointer) -> ArraySlice<Key> {
        let bytes = { (base: UnsafeRawPointer?) in
            UnsafeRawBufferPointer(start: base, count: Int(sqlite3_value_bytes(value)))
        }
        let wanted: Value
        switch sqlite3_value_type(value) {
        case SQLITE_INTEGER: wanted = .integer(sqlite3_value_int64(value))
        case SQLITE_FLOAT: wanted = Value(sqlite3_value_double(value))
        case SQLITE_TEXT: wanted = Value(text: bytes(sqlite3_value_text(value)))
        case SQLITE_BLOB: wanted = .blob(Bytes(Array(bytes(sqlite3_value_blob(value)))))
        default: return []
        }
        return rows[wanted]?[...] ?? []
    }
}
