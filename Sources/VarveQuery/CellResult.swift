/// Hands one value to SQLite, and remembers what kinds of values a column has had.

import CVarveSQLite
import VarveModel

/// A set of kinds of values.
struct CellKinds: OptionSet {
    let rawValue: UInt8
    static let integer = CellKinds(rawValue: 1)
    static let real = CellKinds(rawValue: 2)
    static let text = CellKinds(rawValue: 4)
    static let blob = CellKinds(rawValue: 8)
    static let boolean = CellKinds(rawValue: 16)
    static let timestamp = CellKinds(rawValue: 32)

    /// The one kind there is; `any` for none or several.
    var type: QueryColumn.Kind {
        switch self {
        case .integer: .integer
        case .real: .real
        case .text: .text
        case .blob: .blob
        case .boolean: .boolean
        case .timestamp: .timestamp
        default: .any
        }
    }
}

extension Cell {
    var kind: CellKinds {
        switch self {
        case .null: []
        case .bool: .boolean
        case .integer: .integer
        case .double: .real
        case .text, .json, .nested: .text
        case .binary: .blob
        case .timestamp, .timestampText: .timestamp
        }
    }
}

enum SQLResult {
    /// Tells SQLite to make a copy; in C a macro that Swift does not import.
    static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    /// - Parameter bytesStay: the cell's bytes outlive the statement, so SQLite need not copy them.
    @inline(__always)
    static func set(_ result: OpaquePointer, _ cell: Cell, bytesStay: Bool) throws(VarveError) {
        switch cell {
        case .null: sqlite3_result_null(result)
        case .bool(let value): sqlite3_result_int(result, value ? 1 : 0)
        case .integer(let value): sqlite3_result_int64(result, value)
        case .double(let value): sqlite3_result_double(result, value)
        case .text(let bytes), .timestampText(let bytes), .json(let bytes): text(result, bytes, stays: bytesStay)
        case .binary(let bytes):
            if let base = bytes.baseAddress, bytes.count > 0 {
                sqlite3_result_blob64(result, base, UInt64(bytes.count), bytesStay ? nil : copied)
            } else {
                sqlite3_result_zeroblob(result, 0)
            }
        case .timestamp(let instant): text(result, instant.description)
        case .nested(let item):
            do {
                let json = try canonicalJSON(item)
                json.withUnsafeBytes { text(result, $0, stays: false) }
            } catch {
                throw VarveError(.blockCorrupt, "a stored value cannot be read: \(error)")
            }
        }
    }

    @inline(__always)
    static func text(_ result: OpaquePointer, _ bytes: UnsafeRawBufferPointer, stays: Bool) {
        guard let base = bytes.baseAddress, bytes.count > 0 else {
            sqlite3_result_text(result, "", 0, copied)
            return
        }
        sqlite3_result_text64(
            result, base.assumingMemoryBound(to: CChar.self), UInt64(bytes.count), stays ? nil : copied,
            UInt8(SQLITE_UTF8))
    }

    static func text(_ result: OpaquePointer, _ value: String) {
        var value = value
        value.withUTF8 { text(result, UnsafeRawBufferPointer($0), stays: false) }
    }
}
