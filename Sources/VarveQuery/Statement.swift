/// A compiled statement and its parameters.

import CVarveSQLite
import VarveModel

final class Statement {
    let handle: OpaquePointer
    private let connection: Connection

    init(_ handle: OpaquePointer, connection: Connection) {
        self.handle = handle
        self.connection = connection
    }

    deinit { sqlite3_finalize(handle) }

    /// True when there is a row, false at the end.
    func step() throws(VarveError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw connection.error(code)
        }
    }

    var columnCount: Int { Int(sqlite3_column_count(handle)) }

    func columnName(_ index: Int) -> String {
        sqlite3_column_name(handle, Int32(index)).map { String(cString: $0) } ?? ""
    }

    /// The table's column that a column of the answer is, when it is one as it stands.
    func origin(_ index: Int) -> (table: VirtualTable, column: Int)? { connection.origin(handle, Int32(index)) }

    // MARK: Parameters

    func bind(_ parameters: QueryParameters) throws(VarveError) {
        let count = Int(sqlite3_bind_parameter_count(handle))
        switch parameters {
        case .none:
            guard count == 0 else {
                throw parameterError("the statement has \(count) parameters, none were given", at: "/params")
            }
        case .positional(let values):
            guard values.count == count else {
                throw parameterError(
                    "the statement has \(count) parameters, \(values.count) were given", at: "/params")
            }
            for (i, value) in values.enumerated() { try bind(value, Int32(i + 1), at: "/params/\(i)") }
        case .named(let fields):
            var isUsed = Array(repeating: false, count: fields.count)
            for i in 0..<count {
                guard let mark = sqlite3_bind_parameter_name(handle, Int32(i + 1)) else {
                    throw parameterError("parameter \(i + 1) has no name, but params is an object", at: "/params")
                }
                let name = String(cString: mark).dropFirst()
                guard let at = fields.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
                    throw parameterError("the parameter \(String(cString: mark)) was not given", at: "/params")
                }
                isUsed[at] = true
                try bind(fields[at].value, Int32(i + 1), at: "/params/\(fields[at].name)")
            }
            if let extra = isUsed.firstIndex(of: false) {
                let name = fields[extra].name
                throw parameterError("the statement has no parameter \"\(name)\"", at: "/params/\(name)")
            }
        }
    }

    private func parameterError(_ message: String, at pointer: String) -> VarveError {
        VarveError(.sqlError, message, at: pointer)
    }

    private func bind(_ value: Value, _ index: Int32, at pointer: String) throws(VarveError) {
        let code: Int32
        switch value {
        case .null: code = sqlite3_bind_null(handle, index)
        case .bool(let value): code = sqlite3_bind_int(handle, index, value ? 1 : 0)
        case .integer(let value): code = sqlite3_bind_int64(handle, index, value)
        case .double(let value): code = sqlite3_bind_double(handle, index, value)
        case .text(let value): code = bind(value, index)
        case .timestamp(let value): code = bind(value.description, index)
        case .array, .object: code = bind(value.json, index)
        case .binary(let value):
            code = value.withUnsafeBytes { bytes in
                bytes.isEmpty
                    ? sqlite3_bind_zeroblob(handle, index, 0)
                    : sqlite3_bind_blob64(
                        handle, index, bytes.baseAddress, UInt64(bytes.count), SQLResult.copied)
            }
        case .absent: throw parameterError("\"absent\" is no value of a parameter", at: pointer)
        }
        guard code == SQLITE_OK else { throw connection.error(code) }
    }

    private func bind(_ text: String, _ index: Int32) -> Int32 {
        var text = text
        return text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                // A pointer that is not nil, also for the empty text: nil would bind NULL.
                sqlite3_bind_text64(
                    handle, index, $0.baseAddress ?? UnsafePointer(emptyText), UInt64($0.count), SQLResult.copied,
                    UInt8(SQLITE_UTF8))
            }
        }
    }
}

// One NUL that lives for ever; never written after its initialisation.
nonisolated(unsafe) private let emptyText: UnsafeMutablePointer<CChar> = {
    let pointer = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
    pointer.initialize(to: 0)
    return pointer
}()
