/// JSON text from values and from stored documents.
///
/// Compact, fields in the order of the value, or (from CBOR) in byte order of their names with `_id` first. A float64 is
/// written in the fewest digits that read back as itself and never looks like an integer; what JSON cannot hold
/// (infinities) is null. Timestamps and binary are `{"@type": …}` objects. Reading the text back gives the same bytes.

public struct JSONWriter: Sendable {
    public var bytes: [UInt8]

    public init(reservingCapacity capacity: Int = 0) {
        bytes = []
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    public mutating func value(_ value: Value) {
        switch value {
        case .null: raw("null")
        case .bool(let value): raw(value ? "true" : "false")
        case .integer(let value): integer(value)
        case .double(let value): double(value)
        case .text(let value): text(value)
        case .binary(let value): value.withUnsafeBytes { binary($0) }
        case .timestamp(let value): timestamp(value)
        case .array(let elements):
            byte("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { byte(",") }
                self.value(element)
            }
            byte("]")
        case .object(let fields):
            byte("{")
            for (index, field) in fields.enumerated() {
                if index > 0 { byte(",") }
                text(field.name)
                byte(":")
                self.value(field.value)
            }
            byte("}")
        case .absent: raw(#"{"@type":"absent"}"#)
        }
    }

    public mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { text(UnsafeRawBufferPointer($0)) }
    }

    /// - Parameter utf8: well-formed UTF-8.
    package mutating func text(_ utf8: UnsafeRawBufferPointer) {
        byte("\"")
        var from = 0
        var at = 0
        guard let base = utf8.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return byte("\"") }
        while at < utf8.count {
            // Whole words that need no escape.
            if at + 8 <= utf8.count {
                let marks = JSONLexer.escapeMarks(loadWord(base + at))
                guard marks != 0 else {
                    at += 8
                    continue
                }
                at += marks.trailingZeroBitCount >> 3
            }
            let unit = utf8[at]
            if unit < 0x20 || unit == 0x22 || unit == 0x5c {
                bytes.append(contentsOf: utf8[from..<at])
                from = at + 1
                escape(unit)
            }
            at += 1
        }
        bytes.append(contentsOf: utf8[from...])
        byte("\"")
    }

    private mutating func escape(_ unit: UInt8) {
        switch unit {
        case 0x22: raw(#"\""#)
        case 0x5c: raw(#"\\"#)
        case 0x08: raw(#"\b"#)
        case 0x09: raw(#"\t"#)
        case 0x0a: raw(#"\n"#)
        case 0x0c: raw(#"\f"#)
        case 0x0d: raw(#"\r"#)
        default:
            raw(unit < 0x10 ? #"\u000"# : #"\u001"#)
            bytes.append(unit & 15 < 10 ? 0x30 + (unit & 15) : 0x61 + (unit & 15) - 10)
        }
    }

    public mutating func integer(_ value: Int64) {
        if value < 0 { byte("-") }
        var rest = value.magnitude
        let start = bytes.count
        repeat {
            bytes.append(0x30 + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    public mutating func double(_ value: Double) {
        // The standard library prints the shortest digits that read back, always with a point or an exponent.
        raw(value.isFinite ? value.description : "null")
    }

    package mutating func binary(_ value: UnsafeRawBufferPointer) {
        raw(#"{"@type":"binary","@value":""#)
        base64(of: value, into: &bytes)
        raw(#""}"#)
    }

    package mutating func timestamp(_ value: Instant) {
        raw(#"{"@type":"timestamp","@value":""#)
        raw(value.description)
        raw(#""}"#)
    }

    /// A CBOR item of a document in its canonical text: no white space, names in byte order.
    package mutating func item(_ item: UnsafeRawBufferPointer) throws(CBORFault) {
        guard let base = item.baseAddress else { throw CBORFault(reason: "no bytes", offset: 0) }
        var cursor = CBORCursor(base.assumingMemoryBound(to: UInt8.self), count: item.count)
        try cursor.write(to: &self, 0)
    }

    package mutating func item(_ item: Bytes) throws(CBORFault) {
        try item.withUnsafeBytes { raw throws(CBORFault) in try self.item(raw) }
    }

    /// A stored document as clients see it: `_id`, then its fields in byte order of their names.
    package mutating func document(_ key: Key, _ document: Document) throws(CBORFault) {
        let fields = try document.fields()
        try document.bytes.withUnsafeBytes { raw throws(CBORFault) in
            guard let base = raw.baseAddress else { return }
            var cursor = CBORCursor(base.assumingMemoryBound(to: UInt8.self), count: raw.count)
            self.raw(#"{"_id":"#)
            self.key(key)
            try cursor.writeFields(fields, isFirst: false, to: &self, 1)
            byte("}")
        }
    }

    package mutating func key(_ key: Key) {
        switch key.id {
        case .integer(let value): integer(value)
        case .text(let value): text(value)
        }
    }

    @inline(__always)
    package mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    @inline(__always)
    fileprivate mutating func byte(_ unit: Unicode.Scalar) { bytes.append(UInt8(ascii: unit)) }
}

extension CBORCursor {
    fileprivate mutating func write(to writer: inout JSONWriter, _ depth: Int) throws(CBORFault) {
        guard depth <= Document.depthMax, at < end else { throw fault("ends too early or nested too deep") }
        switch base[at] >> 5 {
        case 4:
            let count = try head().argument
            writer.byte("[")
            for index in 0..<count {
                if index > 0 { writer.byte(",") }
                try write(to: &writer, depth + 1)
            }
            writer.byte("]")
        case 5:
            let fields = try fieldRanges()
            let after = at
            writer.byte("{")
            try writeFields(fields, isFirst: true, to: &writer, depth + 1)
            writer.byte("}")
            at = after
        default:
            switch try fieldValue() {
            case .null: writer.raw("null")
            case .bool(let value): writer.raw(value ? "true" : "false")
            case .integer(let value): writer.integer(value)
            case .double(let value): writer.double(value)
            case .text(let value): writer.text(value)
            case .binary(let value): writer.binary(value)
            case .timestamp(let value): writer.timestamp(value)
            case .absent: writer.raw(#"{"@type":"absent"}"#)
            case .nested: throw fault("an unknown kind")
            }
        }
    }

    fileprivate mutating func writeFields(
        _ fields: [Document.FieldRange], isFirst: Bool, to writer: inout JSONWriter, _ depth: Int
    ) throws(CBORFault) {
        let inOrder = fields.sorted { a, b in
            compareRaw(slice(a.text..<a.name.upperBound), slice(b.text..<b.name.upperBound)) < 0
        }
        var isFirst = isFirst
        for field in inOrder {
            if !isFirst { writer.byte(",") }
            isFirst = false
            writer.text(slice(field.text..<field.name.upperBound))
            writer.byte(":")
            at = field.value.lowerBound
            try write(to: &writer, depth)
        }
    }
}

extension Value {
    /// Compact JSON, fields in their order.
    public var json: String { String(decoding: jsonBytes, as: UTF8.self) }

    public var jsonBytes: [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }
}

/// The canonical JSON text of one CBOR item of a document: what Arrow's json columns and SQL hold of nested values.
package func canonicalJSON(_ item: UnsafeRawBufferPointer) throws(CBORFault) -> [UInt8] {
    var writer = JSONWriter(reservingCapacity: item.count * 2)
    try writer.item(item)
    return writer.bytes
}

package func canonicalJSON(_ item: Bytes) throws(CBORFault) -> [UInt8] {
    try item.withUnsafeBytes { raw throws(CBORFault) in try canonicalJSON(raw) }
}
