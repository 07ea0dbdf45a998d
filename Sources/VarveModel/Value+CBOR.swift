/// Values to deterministic CBOR and back, and the door through which an embedding program's values become documents.

/// What one CBOR item of a document is, without building a value: texts and binary stay where they are.
package enum FieldValue {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case text(UnsafeRawBufferPointer)
    case binary(UnsafeRawBufferPointer)
    case timestamp(Instant)
    /// An array or an object, as its CBOR.
    case nested(UnsafeRawBufferPointer)
    case absent

    /// - Parameter item: exactly one item, as `Document.forEachField` gives it.
    package init(_ item: UnsafeRawBufferPointer) throws(CBORFault) {
        guard let base = item.baseAddress else { throw CBORFault(reason: "no bytes", offset: 0) }
        var cursor = CBORCursor(base.assumingMemoryBound(to: UInt8.self), count: item.count)
        self = try cursor.fieldValue()
    }
}

extension CBORCursor {
    /// Reads one item; of an array or object only the head, so that a caller may go on inside.
    fileprivate mutating func scalar(_ head: Head, from start: Int) throws(CBORFault) -> FieldValue {
        switch head.major {
        case 0, 1:
            guard head.argument <= UInt64(Int64.max) else { throw fault("an integer outside int64", at: start) }
            return .integer(head.major == 0 ? Int64(head.argument) : ~Int64(head.argument))
        case 2:
            let from = try run(head.argument)
            return .binary(slice(from..<at))
        case 3:
            let from = try run(head.argument)
            return .text(slice(from..<at))
        case 6:
            guard head.argument == 0, let instant = Instant(fixedWidth: slice(try textRange())) else {
                throw fault("a tag that is no timestamp", at: start)
            }
            return .timestamp(instant)
        case 7:
            switch (head.extra, head.argument) {
            case (0, 20): return .bool(false)
            case (0, 21): return .bool(true)
            case (0, 22): return .null
            case (0, 23): return .absent
            default:
                guard let value = shortestDouble(head) else { throw fault("an unknown kind", at: start) }
                return .double(value)
            }
        default: return .nested(slice(start..<at))
        }
    }

    mutating func fieldValue() throws(CBORFault) -> FieldValue {
        let start = at
        let head = try head()
        guard head.major == 4 || head.major == 5 else { return try scalar(head, from: start) }
        at = start
        try skip()
        return .nested(slice(start..<at))
    }

    fileprivate mutating func value(_ depth: Int) throws(CBORFault) -> Value {
        guard depth <= Document.depthMax else { throw fault("nested too deep") }
        let start = at
        let head = try head()
        switch head.major {
        case 4:
            guard head.argument <= UInt64(end - at) else { throw fault("a length beyond the end") }
            var elements: [Value] = []
            elements.reserveCapacity(Int(head.argument))
            for _ in 0..<head.argument { elements.append(try value(depth + 1)) }
            return .array(elements)
        case 5:
            guard head.argument <= UInt64(end - at) / 2 else { throw fault("a length beyond the end") }
            var fields: [Value.Field] = []
            fields.reserveCapacity(Int(head.argument))
            for _ in 0..<head.argument {
                let name = String(decoding: slice(try textRange()), as: UTF8.self)
                fields.append(Value.Field(name, try value(depth + 1)))
            }
            return .object(fields)
        default:
            switch try scalar(head, from: start) {
            case .null: return .null
            case .bool(let value): return .bool(value)
            case .integer(let value): return .integer(value)
            case .double(let value): return .double(value)
            case .text(let text): return .text(String(decoding: text, as: UTF8.self))
            case .binary(let bytes): return .binary(Array(bytes))
            case .timestamp(let instant): return .timestamp(instant)
            case .absent: return .absent
            case .nested: throw fault("an unknown kind", at: start)
            }
        }
    }
}

extension Value {
    /// The value of exactly one item; objects keep the order of their bytes.
    package init(cbor item: Bytes) throws(CBORFault) {
        self = try item.withUnsafeBytes { raw throws(CBORFault) in try Value(cbor: raw) }
    }

    package init(cbor item: UnsafeRawBufferPointer) throws(CBORFault) {
        guard let base = item.baseAddress else { throw CBORFault(reason: "no bytes", offset: 0) }
        var cursor = CBORCursor(base.assumingMemoryBound(to: UInt8.self), count: item.count)
        self = try cursor.value(0)
        guard cursor.at == cursor.end else { throw cursor.fault("bytes after the value") }
    }

    package init(_ key: VarveModel.Key) {
        switch key.id {
        case .integer(let integer): self = .integer(integer)
        case .text(let text): self = .text(text)
        }
    }

    /// Deterministic CBOR of a value that stands inside a document. Throws `BAD_REQUEST` with a pointer for what no
    /// document holds: floats that are not finite, instants outside the years 0001 to 9999, repeated or unfit names.
    package func encoded() throws(VarveError) -> Bytes {
        var writer = CBORWriter()
        try encode(to: &writer, level: 1, allowsAbsent: false, at: "")
        return Bytes(writer.bytes)
    }

    private func encode(
        to writer: inout CBORWriter, level: Int, allowsAbsent: Bool, at pointer: @autoclosure () -> String
    ) throws(VarveError) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .integer(let value): writer.integer(value)
        case .double(let value):
            guard value.isFinite else { throw unfit("a float64 must be finite", pointer()) }
            writer.double(value)
        case .text(let value): writer.text(value)
        case .binary(let value): writer.byteString(value)
        case .timestamp(let value):
            guard value.isInRange else { throw unfit("a timestamp outside the years 0001 to 9999", pointer()) }
            writer.tag(0)
            writer.text(value.description)
        case .array(let elements):
            guard level < Document.depthMax else { throw unfit(ScanFault.Reason.depth.rawValue, pointer()) }
            writer.array(elements.count)
            for (index, element) in elements.enumerated() {
                try element.encode(
                    to: &writer, level: level + 1, allowsAbsent: false, at: pointer() + "/\(index)")
            }
        case .object(let fields):
            guard level < Document.depthMax else { throw unfit(ScanFault.Reason.depth.rawValue, pointer()) }
            try Value.encodeFields(fields, to: &writer, level: level + 1, allowsAbsent: false, at: pointer())
        case .absent:
            guard allowsAbsent else { throw unfit(ScanFault.Reason.absent.rawValue, pointer()) }
            writer.undefined()
        }
    }

    /// The map of a whole document (level 1) or of an object inside.
    static func encodeFields(
        _ fields: [Field], to writer: inout CBORWriter, level: Int, allowsAbsent: Bool,
        at pointer: @autoclosure () -> String
    ) throws(VarveError) {
        func isBefore(_ a: Field, _ b: Field) -> Bool {
            let (x, y) = (a.name.utf8.count, b.name.utf8.count)
            return x == y ? Field.isBefore(a, b) : x < y
        }
        writer.map(fields.count)
        var previous: Field?
        for field in fields.sorted(by: isBefore) {
            func here() -> String { pointer() + "/" + escapedForPointer(field.name) }
            if let previous, !isBefore(previous, field) { throw unfit(ScanFault.Reason.duplicate.rawValue, here()) }
            if let reason = nameFault(field.name, isTop: level == 1) { throw unfit(reason.rawValue, here()) }
            writer.text(field.name)
            try field.value.encode(to: &writer, level: level, allowsAbsent: allowsAbsent, at: here())
            previous = field
        }
    }

    private static func nameFault(_ name: String, isTop: Bool) -> ScanFault.Reason? {
        let name = name.utf8
        if name.isEmpty { return .emptyName }
        if name.count > Document.nameBytesMax { return .longName }
        if name.contains(0) { return .nulName }
        if isTop, name.first == UInt8(ascii: "_") { return .reserved }
        if name.elementsEqual("@type".utf8) { return .typed }
        return nil
    }

    static func unfit(_ reason: String, _ pointer: String) -> VarveError {
        VarveError(.badRequest, reason, at: pointer.isEmpty ? nil : pointer)
    }

    private func unfit(_ reason: String, _ pointer: String) -> VarveError { Value.unfit(reason, pointer) }
}

extension Key {
    /// The key of an `_id` as a value. Throws `BAD_REQUEST` unless it is a fit text or an int64.
    public init(id: Value) throws(VarveError) {
        switch id {
        case .integer(let integer): self.init(integer)
        case .text(let text):
            guard let key = Key(text) else { fallthrough }
            self = key
        default: throw VarveError(.badRequest, ScanFault.Reason.id.rawValue, at: "/_id")
        }
    }
}

/// Splits a document given as an object into its key and its stored bytes. Throws `BAD_REQUEST` with a pointer.
package func encodeDocument(_ value: Value, as role: Document.Role = .document) throws(VarveError) -> Operation.Row {
    guard case .object(let fields) = value else { throw Value.unfit(ScanFault.Reason.object.rawValue, "") }
    let ids = fields.filter { $0.name.utf8.elementsEqual("_id".utf8) }
    guard let id = ids.first else { throw Value.unfit(ScanFault.Reason.missingID.rawValue, "") }
    guard ids.count == 1 else { throw Value.unfit(ScanFault.Reason.duplicate.rawValue, "/_id") }
    let rest = fields.filter { !$0.name.utf8.elementsEqual("_id".utf8) }
    return Operation.Row(try Key(id: id.value), try encodeFields(of: .object(rest), as: role))
}

/// The stored bytes of an object without `_id`, as `equals` of an assertion has it.
package func encodeFields(of value: Value, as role: Document.Role = .document) throws(VarveError) -> Bytes {
    guard case .object(let fields) = value else { throw Value.unfit(ScanFault.Reason.object.rawValue, "") }
    var writer = CBORWriter(reservingCapacity: 64)
    try Value.encodeFields(fields, to: &writer, level: 1, allowsAbsent: role == .patch, at: "")
    return Bytes(writer.bytes)
}
