/// Turns the current row of a statement into the form that was asked for, and learns the columns' types on the way.

import CVarveSQLite
import VarveModel

struct RowWriter {
    private let statement: Statement
    private let format: QueryFormat
    private let count: Int
    /// Of each column of the answer, unique for `ndjson`.
    let names: [String]
    /// `"name":` for each column, with `{` or `,` before it.
    private var prefixes: [[UInt8]] = []
    private var kinds: [CellKinds]
    private var hasNull: [Bool]

    private var json: JSONWriter
    private var rows: [[Value]] = []
    private(set) var rowsInBatch = 0
    private var isFirstRow = true
    private(set) var valueBytes = 0

    init(_ statement: Statement, format: QueryFormat) {
        self.statement = statement
        self.format = format
        count = statement.columnCount
        names = (0..<count).map { statement.columnName($0) }
        kinds = Array(repeating: [], count: count)
        hasNull = Array(repeating: false, count: count)
        json = JSONWriter()
        guard format == .ndjson else { return }
        for (i, name) in Self.unique(names).enumerated() {
            var writer = JSONWriter()
            writer.raw(i == 0 ? "{" : ",")
            writer.text(name)
            writer.raw(":")
            prefixes.append(writer.bytes)
        }
    }

    /// A repeated name gets `:2`, `:3` and so on.
    static func unique(_ names: [String]) -> [String] {
        // As bytes: two names that only Swift holds for equal are two names.
        var seen: Set<[UInt8]> = []
        return names.map { name in
            var candidate = name
            var number = 1
            while !seen.insert(Array(candidate.utf8)).inserted {
                number += 1
                candidate = "\(name):\(number)"
            }
            return candidate
        }
    }

    /// Bytes of the batch so far.
    var batchBytes: Int { format == .values ? valueBytes : json.bytes.count }

    mutating func appendRow() {
        let handle = statement.handle
        rowsInBatch += 1
        switch format {
        case .values: rows.append((0..<count).map { value(handle, Int32($0)) })
        case .json:
            json.raw(isFirstRow ? "[" : ",[")
            for i in 0..<count {
                if i > 0 { json.raw(",") }
                append(handle, Int32(i))
            }
            json.raw("]")
        case .ndjson:
            for i in 0..<count {
                json.bytes.append(contentsOf: prefixes[i])
                append(handle, Int32(i))
            }
            json.raw("}\n")
        }
        isFirstRow = false
    }

    mutating func takeBatch() -> QueryBatch {
        let content = format == .values ? QueryBatch.Content.rows(rows) : .bytes(json.bytes)
        let batch = QueryBatch(rowCount: rowsInBatch, content: content)
        json = JSONWriter(reservingCapacity: json.bytes.count)
        rows = []
        rowsInBatch = 0
        valueBytes = 0
        return batch
    }

    private static func bytes(_ handle: OpaquePointer, _ i: Int32, _ base: UnsafeRawPointer?) -> UnsafeRawBufferPointer
    {
        UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : Int(sqlite3_column_bytes(handle, i)))
    }

    private mutating func append(_ handle: OpaquePointer, _ i: Int32) {
        switch sqlite3_column_type(handle, i) {
        case SQLITE_INTEGER:
            kinds[Int(i)].insert(.integer)
            json.integer(sqlite3_column_int64(handle, i))
        case SQLITE_FLOAT:
            kinds[Int(i)].insert(.real)
            json.double(sqlite3_column_double(handle, i))
        case SQLITE_TEXT:
            kinds[Int(i)].insert(.text)
            let text = Self.bytes(handle, i, sqlite3_column_text(handle, i))
            if isUTF8(text) { json.text(text) } else { json.text(String(decoding: text, as: UTF8.self)) }
        case SQLITE_BLOB:
            kinds[Int(i)].insert(.blob)
            json.binary(Self.bytes(handle, i, sqlite3_column_blob(handle, i)))
        default: json.raw("null")
        }
    }

    private mutating func value(_ handle: OpaquePointer, _ i: Int32) -> Value {
        valueBytes += MemoryLayout<Value>.size
        switch sqlite3_column_type(handle, i) {
        case SQLITE_INTEGER:
            kinds[Int(i)].insert(.integer)
            return .integer(sqlite3_column_int64(handle, i))
        case SQLITE_FLOAT:
            kinds[Int(i)].insert(.real)
            return .double(sqlite3_column_double(handle, i))
        case SQLITE_TEXT:
            kinds[Int(i)].insert(.text)
            let text = Self.bytes(handle, i, sqlite3_column_text(handle, i))
            valueBytes += text.count
            return .text(String(decoding: text, as: UTF8.self))
        case SQLITE_BLOB:
            kinds[Int(i)].insert(.blob)
            let blob = Self.bytes(handle, i, sqlite3_column_blob(handle, i))
            valueBytes += blob.count
            return .binary(Array(blob))
        default: return .null
        }
    }

    /// The columns, with the types of what was written so far.
    ///
    /// - Parameter isWhole: whether that is the whole answer. If not, a later row may hold another kind, so only
    ///   columns that can't are given a type.
    func columns(isWhole: Bool) -> [QueryColumn] {
        names.indices.map { i in
            let origin = statement.origin(i)
            if let origin, let fixed = origin.table.columns[origin.column].fixed {
                return QueryColumn(name: names[i], type: fixed)
            }
            guard isWhole else { return QueryColumn(name: names[i], type: .any) }
            // SQLite has no booleans and no timestamps; where a column comes straight from a table, the table knows.
            guard let origin, !kinds[i].isEmpty, !origin.table.kinds[origin.column].isEmpty else {
                return QueryColumn(name: names[i], type: kinds[i].type)
            }
            return QueryColumn(name: names[i], type: origin.table.kinds[origin.column].type)
        }
    }
}

private func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var isASCII: UInt8 = 0
    for byte in bytes { isASCII |= byte }
    return isASCII < 0x80 || String(validating: bytes, as: UTF8.self) != nil
}
