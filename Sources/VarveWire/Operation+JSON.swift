/// One operation of a transaction: `{"put":{"table":…,"docs":[…]}}` and its sisters.

import VarveModel

extension Operation {
    /// Reads the operation that comes next.
    init(_ reader: inout JSONReader) throws(JSONFault) {
        let start = reader.offset
        try reader.beginObject()
        guard let kind = try reader.nextField() else { throw reader.fault(Self.kinds, at: start) }
        switch kind {
        case "put":
            let (table, rows) = try Self.rows(&reader, .document)
            self = .put(table, rows)
        case "patch":
            let (table, rows) = try Self.rows(&reader, .patch)
            self = .patch(table, rows)
        case "delete":
            let (table, keys) = try Self.keys(&reader)
            self = .delete(table, keys)
        case "erase":
            let (table, keys) = try Self.keys(&reader)
            self = .erase(table, keys)
        case "assert": self = try Self.assertion(&reader)
        case "sql": throw reader.fault("the operation sql is not supported by this version")
        default: throw reader.fault("unknown operation \"\(kind)\": \(Self.kinds)")
        }
        guard try reader.nextField() == nil else { throw reader.fault("one object holds one operation") }
    }

    private static let kinds = "an operation is one of put, patch, delete, erase, assert"

    private static func rows(
        _ reader: inout JSONReader, _ role: Document.Role
    ) throws(JSONFault) -> (TableName, [Row]) {
        var table: TableName?
        var rows: [Row]?
        var seen = SeenNames()
        let start = reader.offset
        let options = DocumentOptions(role: role)
        try reader.beginObject()
        while let name = try reader.nextField() {
            try seen.insert(name, &reader)
            switch name {
            case "table": table = try reader.table()
            case "docs":
                var list: [Row] = []
                try reader.beginArray()
                while try reader.nextElement() { list.append(try reader.document(options)) }
                rows = list
            default: throw reader.fault("unknown field \"\(name)\"")
            }
        }
        guard let table else { throw reader.fault("table is missing", at: start) }
        guard let rows else { throw reader.fault("docs is missing", at: start) }
        return (table, rows)
    }

    private static func keys(_ reader: inout JSONReader) throws(JSONFault) -> (TableName, [Key]) {
        var table: TableName?
        var keys: [Key]?
        var seen = SeenNames()
        let start = reader.offset
        try reader.beginObject()
        while let name = try reader.nextField() {
            try seen.insert(name, &reader)
            switch name {
            case "table": table = try reader.table()
            case "ids":
                var list: [Key] = []
                try reader.beginArray()
                while try reader.nextElement() { list.append(try reader.key()) }
                keys = list
            default: throw reader.fault("unknown field \"\(name)\"")
            }
        }
        guard let table else { throw reader.fault("table is missing", at: start) }
        guard let keys else { throw reader.fault("ids is missing", at: start) }
        return (table, keys)
    }

    private static func assertion(_ reader: inout JSONReader) throws(JSONFault) -> Operation {
        var table: TableName?
        var key: Key?
        var condition: Condition?
        var seen = SeenNames()
        let start = reader.offset
        try reader.beginObject()
        while let name = try reader.nextField() {
            try seen.insert(name, &reader)
            let isCondition = name == "exists" || name == "version" || name == "equals"
            if isCondition, condition != nil {
                throw reader.fault("an assert has one of exists, version, equals")
            }
            switch name {
            case "table": table = try reader.table()
            case "id": key = try reader.key()
            case "exists": condition = .exists(try reader.bool())
            case "version":
                let offset = reader.offset
                guard let position = Position(try reader.text()) else {
                    throw reader.fault("version must be a position like 0-123", at: offset)
                }
                condition = .version(position)
            case "equals": condition = .equals(try reader.condition())
            default: throw reader.fault("unknown field \"\(name)\"")
            }
        }
        guard let table else { throw reader.fault("table is missing", at: start) }
        guard let key else { throw reader.fault("id is missing", at: start) }
        guard let condition else { throw reader.fault("an assert has one of exists, version, equals", at: start) }
        return .assert(table, key, condition)
    }

    func write(to writer: inout JSONWriter) throws(CBORFault) {
        func rows(_ kind: String, _ table: TableName, _ rows: [Row]) throws(CBORFault) {
            writer.raw(#"{"\#(kind)":{"table":"\#(table.text)","docs":["#)
            for (i, row) in rows.enumerated() {
                if i > 0 { writer.raw(",") }
                try writer.document(row.key, Document(row.document))
            }
            writer.raw("]}}")
        }
        func keys(_ kind: String, _ table: TableName, _ keys: [Key]) {
            writer.raw(#"{"\#(kind)":{"table":"\#(table.text)","ids":["#)
            for (i, key) in keys.enumerated() {
                if i > 0 { writer.raw(",") }
                writer.key(key)
            }
            writer.raw("]}}")
        }
        switch self {
        case .put(let table, let list): try rows("put", table, list)
        case .patch(let table, let list): try rows("patch", table, list)
        case .delete(let table, let list): keys("delete", table, list)
        case .erase(let table, let list): keys("erase", table, list)
        case .assert(let table, let key, let condition):
            writer.raw(#"{"assert":{"table":"\#(table.text)","id":"#)
            writer.key(key)
            switch condition {
            case .exists(let wanted): writer.raw(#","exists":\#(wanted)}}"#)
            case .version(let position): writer.raw(#","version":"\#(position)"}}"#)
            case .equals(let fields):
                writer.raw(#","equals":"#)
                try writer.item(fields)
                writer.raw("}}")
            }
        }
    }
}

extension JSONReader {
    mutating func table() throws(JSONFault) -> TableName {
        let offset = offset
        let name = try text()
        do throws(VarveError) {
            return try TableName(name)
        } catch {
            throw fault(error.message, at: offset)
        }
    }
}
