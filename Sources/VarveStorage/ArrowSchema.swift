/// The columns of a block file and their form as an Arrow schema (Arrow columnar format 1.x, metadata version 5).
///
/// Reserved columns come first and always in the same order; a document's fields follow by the bytes of their names.

import VarveModel

/// Type of a field's values in one file: the type all of them have there, else `json`.
package enum ColumnType: UInt8, Sendable {
    /// Every document that has the field has it explicitly null.
    case null
    case bool
    case int64
    case float64
    case text
    case binary
    case timestamp
    /// Nested or mixed: canonical JSON text, Arrow's extension type `arrow.json`.
    case json
}

/// The columns in front of a document's fields. Raw values are their places.
enum ReservedColumn: Int, CaseIterable {
    case key, id, sequence, systemFrom, systemTo, deleted, nulls

    var name: String {
        switch self {
        case .key: "_key"
        case .id: "_id"
        case .sequence: "_seq"
        case .systemFrom: "_system_from"
        case .systemTo: "_system_to"
        case .deleted: "_deleted"
        case .nulls: "_nulls"
        }
    }
}

struct ArrowSchema {
    /// Fields that did not get a column of their own.
    static let restName = Bytes("_rest")
    static let extensionKey = Bytes("ARROW:extension:name")
    static let jsonExtension = Bytes("arrow.json")

    /// `int64`, `text` or, when a file holds both, `json`.
    var idType: ColumnType
    /// A document's fields by the bytes of their names; `_rest` is not among them.
    var fields: [(name: Bytes, type: ColumnType)]
    var hasRest: Bool

    /// Writes a Schema table; `table` goes into its metadata, for readers other than us.
    func write(to writer: inout FlatBufferWriter, _ parent: FlatBufferWriter.Slot, table: String) {
        let slots = writer.table(parent, [.short(0), .child, .child])
        let count = ReservedColumn.allCases.count + fields.count + (hasRest ? 1 : 0)
        var places = writer.vector(slots[0], count: count)[...]
        func add(_ name: Bytes, _ type: ColumnType, nullable: Bool) {
            Self.field(&writer, places.removeFirst(), name, type, nullable: nullable)
        }
        for column in ReservedColumn.allCases {
            let name = Bytes(column.name)
            switch column {
            case .key: add(name, .binary, nullable: false)
            case .id: add(name, idType, nullable: false)
            case .sequence: add(name, .int64, nullable: false)
            case .systemFrom: add(name, .timestamp, nullable: false)
            case .systemTo: add(name, .timestamp, nullable: true)
            case .deleted: add(name, .bool, nullable: false)
            case .nulls: Self.list(&writer, places.removeFirst(), name)
            }
        }
        for field in fields { add(field.name, field.type, nullable: true) }
        if hasRest { add(Self.restName, .json, nullable: true) }
        Self.metadata(&writer, slots[1], [(Bytes("varve.format"), Bytes("1")), (Bytes("varve.table"), Bytes(table))])
    }

    /// Arrow's numbers of the types in its union `Type`.
    private enum Code {
        static let null: UInt8 = 1
        static let int: UInt8 = 2
        static let floatingPoint: UInt8 = 3
        static let binary: UInt8 = 4
        static let utf8: UInt8 = 5
        static let bool: UInt8 = 6
        static let timestamp: UInt8 = 10
        static let list: UInt8 = 12
    }

    private static func code(_ type: ColumnType) -> UInt8 {
        switch type {
        case .null: Code.null
        case .bool: Code.bool
        case .int64: Code.int
        case .float64: Code.floatingPoint
        case .text, .json: Code.utf8
        case .binary: Code.binary
        case .timestamp: Code.timestamp
        }
    }

    private static func field(
        _ writer: inout FlatBufferWriter, _ parent: FlatBufferWriter.Slot, _ name: Bytes, _ type: ColumnType,
        nullable: Bool
    ) {
        // name, nullable, type_type, type, dictionary, children, custom_metadata
        let slots = writer.table(
            parent,
            [
                .child, .bool(nullable), .byte(code(type)), .child, .absent, .child, type == .json ? .child : .absent,
            ])
        writer.text(slots[0], name)
        switch type {
        case .null, .bool, .text, .binary, .json: _ = writer.table(slots[1], [])
        case .int64: _ = writer.table(slots[1], [.int(64), .bool(true)])
        case .float64: _ = writer.table(slots[1], [.short(2)])
        case .timestamp:
            let zone = writer.table(slots[1], [.short(2), .child])
            writer.text(zone[0], Bytes("UTC"))
        }
        _ = writer.vector(slots[2], count: 0)
        if type == .json {
            metadata(
                &writer, slots[3], [(extensionKey, jsonExtension), (Bytes("ARROW:extension:metadata"), Bytes(""))])
        }
    }

    /// `list<item: utf8>`, nothing nullable.
    private static func list(_ writer: inout FlatBufferWriter, _ parent: FlatBufferWriter.Slot, _ name: Bytes) {
        let slots = writer.table(
            parent, [.child, .bool(false), .byte(Code.list), .child, .absent, .child])
        writer.text(slots[0], name)
        _ = writer.table(slots[1], [])
        let children = writer.vector(slots[2], count: 1)
        field(&writer, children[0], Bytes("item"), .text, nullable: false)
    }

    private static func metadata(
        _ writer: inout FlatBufferWriter, _ parent: FlatBufferWriter.Slot, _ pairs: [(Bytes, Bytes)]
    ) {
        let places = writer.vector(parent, count: pairs.count)
        for (pair, place) in zip(pairs, places) {
            let slots = writer.table(place, [.child, .child])
            writer.text(slots[0], pair.0)
            writer.text(slots[1], pair.1)
        }
    }

    /// Reads a Schema table and insists on the columns this version writes.
    init(_ table: FlatTable) throws(BlockFault) {
        guard try table.number(0, Int16.self) == 0 else { throw BlockFault("it is big-endian") }
        let columns = try table.tables(1)
        let reserved = ReservedColumn.allCases
        guard columns.count >= reserved.count else { throw BlockFault("a reserved column is missing") }
        idType = .json
        fields = []
        hasRest = false
        for column in reserved {
            let found = columns[column.rawValue]
            guard Bytes(Array(try found.text(0))) == Bytes(column.name) else {
                throw BlockFault("column \(column.rawValue) is not \(column.name)")
            }
            let type = column == .nulls ? nil : try Self.type(of: found)
            let fits =
                switch column {
                case .key: type == .binary
                case .id: type == .int64 || type == .text || type == .json
                case .sequence: type == .int64
                case .systemFrom, .systemTo: type == .timestamp
                case .deleted: type == .bool
                case .nulls: try Self.isListOfText(found)
                }
            guard fits else { throw BlockFault("column \(column.name) has another type") }
            if column == .id { idType = type! }
        }
        for (i, column) in columns[reserved.count...].enumerated() {
            let name = Bytes(Array(try column.text(0)))
            let type = try Self.type(of: column)
            if name == Self.restName, type == .json, i == columns.count - reserved.count - 1 {
                hasRest = true
            } else {
                if let last = fields.last, !(last.name < name) { throw BlockFault("columns out of order") }
                fields.append((name, type))
            }
        }
    }

    private static func isListOfText(_ field: FlatTable) throws(BlockFault) -> Bool {
        let children = try field.tables(5)
        guard try field.number(2, UInt8.self) == Code.list, children.count == 1 else { return false }
        return try type(of: children[0]) == .text
    }

    private static func type(of field: FlatTable) throws(BlockFault) -> ColumnType {
        guard try !field.has(4), try field.vector(5, stride: 4).count == 0 else {
            throw BlockFault("a column with a dictionary or children")
        }
        let type = try field.table(3)
        switch try field.number(2, UInt8.self) {
        case Code.null: return .null
        case Code.bool: return .bool
        case Code.binary: return .binary
        case Code.int:
            if try type.number(0, Int32.self) == 64, try type.number(1, UInt8.self) == 1 { return .int64 }
        case Code.floatingPoint:
            if try type.number(0, Int16.self) == 2 { return .float64 }
        case Code.timestamp:
            if try type.number(0, Int16.self) == 2, Bytes(Array(try type.text(1))) == Bytes("UTC") {
                return .timestamp
            }
        case Code.utf8:
            for pair in try field.tables(6) where Bytes(Array(try pair.text(0))) == extensionKey {
                guard Bytes(Array(try pair.text(1))) == jsonExtension else {
                    throw BlockFault("an unknown extension type")
                }
                return .json
            }
            return .text
        default: break
        }
        throw BlockFault("a column of a type this version does not know")
    }
}

extension ArrowSchema {
    init(idType: ColumnType, fields: [(name: Bytes, type: ColumnType)], hasRest: Bool) {
        self.idType = idType
        self.fields = fields
        self.hasRest = hasRest
    }
}
