/// A client's transaction: operations in order, all or nothing.
///
/// The payload of a transaction record. Keys and documents are byte strings, so applying needs only table, key and those
/// bytes; they share the record's storage.

public enum Operation: Sendable, Equatable {
    case put(TableName, [Row])
    case patch(TableName, [Row])
    case delete(TableName, [Key])
    case erase(TableName, [Key])
    case assert(TableName, Key, Condition)

    /// A key and a document: deterministic CBOR, a map of field names to values without `_id`.
    public struct Row: Sendable, Equatable {
        public let key: Key
        public let document: Bytes
        public init(_ key: Key, _ document: Bytes) {
            self.key = key
            self.document = document
        }
    }

    public enum Condition: Sendable, Equatable {
        case exists(Bool)
        /// The position that last wrote the document.
        case version(Position)
        /// The named top-level fields have these values, type and value.
        case equals(Bytes)
    }

    public var table: TableName {
        switch self {
        case .put(let table, _), .patch(let table, _), .delete(let table, _), .erase(let table, _),
            .assert(let table, _, _):
            table
        }
    }
}

public struct Transaction: Sendable, Equatable {
    public var operations: [Operation]
    public init(_ operations: [Operation]) { self.operations = operations }

    /// Payload: `{0: request digest, 1: [operation…]}` (docs/log-format.md, "Transaction").
    public func encoded() -> (payload: Bytes, requestDigest: Bytes16) {
        var body = CBORWriter(reservingCapacity: 256)
        body.array(operations.count)
        for operation in operations { operation.encode(to: &body) }
        let items = Bytes(body.bytes)
        let digest = Digest(of: items).first
        var writer = CBORWriter(reservingCapacity: items.count + 20)
        writer.map(2)
        writer.unsigned(0)
        writer.byteString(digest)
        writer.unsigned(1)
        writer.raw(items)
        return (Bytes(writer.bytes), digest)
    }

    /// Reads a payload; `VarveError` inside means the operation is malformed, which aborts the transaction.
    public static func decode(_ payload: Bytes) throws(CBORFault) -> (transaction: Transaction, requestDigest: Bytes16)
    {
        var reader = CBORReader(payload)
        guard try reader.map() == 2, try reader.unsigned() == 0 else { throw reader.fault("no transaction") }
        let digest = try reader.bytes16()
        guard try reader.unsigned() == 1 else { throw reader.fault("no operations") }
        var operations: [Operation] = []
        let count = try reader.array()
        operations.reserveCapacity(min(count, 4096))
        for _ in 0..<count { operations.append(try Operation.decode(&reader)) }
        try reader.expectEnd()
        return (Transaction(operations), digest)
    }
}

extension Operation {
    private enum Kind: UInt8 {
        case put = 1
        case patch = 2
        case delete = 3
        case erase = 4
        case assert = 5
    }

    func encode(to writer: inout CBORWriter) {
        func start(_ kind: Kind, _ table: TableName, fields: Int) {
            writer.map(fields)
            writer.unsigned(0)
            writer.unsigned(kind.rawValue)
            writer.unsigned(1)
            writer.text(table.text)
            writer.unsigned(2)
        }
        func rows(_ kind: Kind, _ table: TableName, _ rows: [Row]) {
            start(kind, table, fields: 3)
            writer.array(rows.count * 2)
            for row in rows {
                writer.byteString(row.key.bytes)
                writer.byteString(row.document)
            }
        }
        func keys(_ kind: Kind, _ table: TableName, _ keys: [Key]) {
            start(kind, table, fields: 3)
            writer.array(keys.count)
            for key in keys { writer.byteString(key.bytes) }
        }
        switch self {
        case .put(let table, let list): rows(.put, table, list)
        case .patch(let table, let list): rows(.patch, table, list)
        case .delete(let table, let list): keys(.delete, table, list)
        case .erase(let table, let list): keys(.erase, table, list)
        case .assert(let table, let key, let condition):
            start(.assert, table, fields: 4)
            writer.byteString(key.bytes)
            switch condition {
            case .exists(let wanted):
                writer.unsigned(3)
                writer.bool(wanted)
            case .version(let position):
                writer.unsigned(4)
                writer.integer(position.packed)
            case .equals(let document):
                writer.unsigned(5)
                writer.byteString(document)
            }
        }
    }

    static func decode(_ reader: inout CBORReader) throws(CBORFault) -> Operation {
        let fields = try reader.map()
        guard try reader.unsigned() == 0, let kind = Kind(rawValue: try reader.unsigned(as: UInt8.self)),
            try reader.unsigned() == 1
        else { throw reader.fault("an unknown operation") }
        let table: TableName
        do {
            table = try TableName(stored: try reader.text())
        } catch let error as VarveError {
            throw reader.fault(error.message)
        } catch let fault as CBORFault {
            throw fault
        } catch {
            throw reader.fault("no table name")
        }
        guard table != .transactions else { throw reader.fault("the table \(table) is the system's") }
        guard try reader.unsigned() == 2, fields == (kind == .assert ? 4 : 3) else {
            throw reader.fault("an operation with other fields")
        }
        switch kind {
        case .put: return .put(table, try rows(&reader))
        case .patch: return .patch(table, try rows(&reader))
        case .delete: return .delete(table, try keys(&reader))
        case .erase: return .erase(table, try keys(&reader))
        case .assert:
            let key = try key(&reader)
            switch try reader.unsigned() {
            case 3: return .assert(table, key, .exists(try reader.bool()))
            case 4:
                guard let position = Position(packed: try reader.integer()) else { throw reader.fault("no position") }
                return .assert(table, key, .version(position))
            case 5: return .assert(table, key, .equals(try reader.byteString()))
            default: throw reader.fault("an unknown condition")
            }
        }
    }

    private static func key(_ reader: inout CBORReader) throws(CBORFault) -> Key {
        guard let key = Key(encoded: try reader.byteString()) else { throw reader.fault("no key") }
        return key
    }

    private static func rows(_ reader: inout CBORReader) throws(CBORFault) -> [Row] {
        let count = try reader.array()
        guard count.isMultiple(of: 2) else { throw reader.fault("a key without its document") }
        var rows: [Row] = []
        rows.reserveCapacity(count / 2)
        for _ in 0..<count / 2 { rows.append(Row(try key(&reader), try reader.byteString())) }
        return rows
    }

    private static func keys(_ reader: inout CBORReader) throws(CBORFault) -> [Key] {
        var keys: [Key] = []
        for _ in 0..<(try reader.array()) { keys.append(try key(&reader)) }
        return keys
    }
}

extension Transaction {
    /// The request digest of a payload without reading its operations.
    package static func requestDigest(of payload: Bytes) throws(CBORFault) -> Bytes16 {
        var reader = CBORReader(payload)
        guard try reader.map() == 2, try reader.unsigned() == 0 else { throw reader.fault("no transaction") }
        return try reader.bytes16()
    }
}
