/// JSON read where it stands: a request's envelope token by token, its documents by the fast path, the rest as values.
///
/// As strict as documents are: RFC 8259, no repeated names, int64 and float64 apart, nesting bounded. Faults carry the
/// pointer from the start of the text, whatever was read by which method.

package struct JSONReader: ~Copyable {
    private var lexer: JSONLexer
    private var scanner = JSONScanner()
    /// For each open container: whether a member was read already.
    private var open: [Bool] = []

    /// `text` stays in place and unchanged while the reader lives.
    package init(_ text: UnsafeRawBufferPointer) {
        lexer = JSONLexer(text.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? emptyBytes, count: text.count)
    }

    /// A fault at the value that comes next, for what only the caller can judge.
    package mutating func fault(_ reason: String) -> JSONFault {
        _ = lexer.next()
        var fault = ScanFault(reason: .value, offset: lexer.at).located(in: lexer.base, count: lexer.end)
        fault.reason = reason
        return fault
    }

    /// A fault that points at the start of something read before (`offset`).
    package func fault(_ reason: String, at offset: Int) -> JSONFault {
        var fault = ScanFault(reason: .value, offset: offset).located(in: lexer.base, count: lexer.end)
        fault.reason = reason
        return fault
    }

    /// Byte offset of the value that comes next.
    package var offset: Int {
        mutating get {
            _ = lexer.next()
            return lexer.at
        }
    }

    package enum Kind: Sendable { case object, array, text, number, bool, null }

    /// The kind of the value that comes next.
    package mutating func kind() throws(JSONFault) -> Kind {
        switch lexer.next() {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .text
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        default: throw located(lexer.fault(.value))
        }
    }

    // MARK: Containers

    /// Steps into the object that comes next; then `nextField` until it answers nil.
    package mutating func beginObject() throws(JSONFault) { try begin(UInt8(ascii: "{"), .object) }

    /// Steps into the array that comes next; then `nextElement` until it answers false.
    package mutating func beginArray() throws(JSONFault) { try begin(UInt8(ascii: "["), .array) }

    private mutating func begin(_ opening: UInt8, _ reason: ScanFault.Reason) throws(JSONFault) {
        guard lexer.next() == opening else { throw located(lexer.fault(lexer.at < lexer.end ? reason : .value)) }
        guard open.count < Document.depthMax else { throw located(lexer.fault(.depth)) }
        lexer.at += 1
        open.append(false)
    }

    /// The next field's name, its value not yet read; nil when the object has ended. Repeated names are the caller's to
    /// refuse: it knows which names there are.
    package mutating func nextField() throws(JSONFault) -> String? {
        guard try goesOn(until: UInt8(ascii: "}")) else { return nil }
        do throws(ScanFault) {
            guard lexer.next() == UInt8(ascii: "\"") else { throw lexer.fault(.name) }
            let name = try lexer.text().string(in: lexer.base)
            try lexer.colon()
            return name
        } catch { throw located(error) }
    }

    /// Whether another element follows.
    package mutating func nextElement() throws(JSONFault) -> Bool { try goesOn(until: UInt8(ascii: "]")) }

    private mutating func goesOn(until close: UInt8) throws(JSONFault) -> Bool {
        precondition(!open.isEmpty, "no container was begun")
        do throws(ScanFault) {
            if open[open.count - 1] {
                if try lexer.goesOn(until: close) { return true }
            } else {
                open[open.count - 1] = true
                guard lexer.next() == close else { return true }
                lexer.at += 1
            }
        } catch { throw located(error) }
        open.removeLast()
        return false
    }

    /// Throws unless nothing but white space is left.
    package mutating func expectEnd() throws(JSONFault) {
        do throws(ScanFault) { try lexer.expectEnd() } catch { throw located(error) }
    }

    // MARK: Values

    /// The value that comes next, whatever it is.
    /// - Parameter typed: whether `{"@type": …}` objects become timestamps and binary; else they stay objects.
    package mutating func value(typed: Bool = true) throws(JSONFault) -> Value {
        do throws(ScanFault) { return try lexer.value(level: 0, typed: typed) } catch { throw located(error) }
    }

    /// The document that comes next, `_id` taken out. It is level 1 of its own nesting.
    package mutating func document(_ options: DocumentOptions = DocumentOptions()) throws(JSONFault) -> Operation.Row {
        do throws(ScanFault) {
            let row = try scanner.row(from: lexer, options)
            lexer.at = scanner.lexer.at
            return row
        } catch { throw located(error) }
    }

    /// The object that comes next, without `_id`, as stored: the fields that an `equals` names.
    package mutating func condition() throws(JSONFault) -> Bytes {
        do throws(ScanFault) {
            let bytes = try scanner.condition(from: lexer)
            lexer.at = scanner.lexer.at
            return bytes
        } catch { throw located(error) }
    }

    /// The text that comes next; a fault when it is something else.
    package mutating func text() throws(JSONFault) -> String {
        guard try kind() == .text else { throw fault("expected a text") }
        return try value().asText ?? ""
    }

    package mutating func bool() throws(JSONFault) -> Bool {
        guard try kind() == .bool else { throw fault("expected true or false") }
        return try value().asBool ?? false
    }

    /// The key that comes next: a text or an int64.
    package mutating func key() throws(JSONFault) -> Key {
        let offset = offset
        let value = try value()
        do { return try Key(id: value) } catch { throw fault(error.message, at: offset) }
    }

    private func located(_ fault: ScanFault) -> JSONFault { fault.located(in: lexer.base, count: lexer.end) }
}

/// The one value that `text` is.
/// - Parameter typed: whether `{"@type": …}` objects become timestamps and binary, and are refused when they are no such
///   thing; else they stay objects.
public func parseJSON(_ text: Bytes, typed: Bool = true) throws(JSONFault) -> Value {
    try text.withUnsafeBytes { raw throws(JSONFault) in
        var reader = JSONReader(raw)
        let value = try reader.value(typed: typed)
        try reader.expectEnd()
        return value
    }
}

public func parseJSON(_ text: String, typed: Bool = true) throws(JSONFault) -> Value {
    try parseJSON(Bytes(text), typed: typed)
}

extension JSONLexer {
    /// One value inside `level` containers, as a tree.
    mutating func value(level: Int, typed: Bool) throws(ScanFault) -> Value {
        switch next() {
        case UInt8(ascii: "\""): return .text(try text().string(in: base))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            switch try number() {
            case .integer(let integer): return .integer(integer)
            case .double(let double): return .double(double)
            }
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            switch try literal() {
            case .null: return .null
            case .yes: return .bool(true)
            case .no: return .bool(false)
            }
        case UInt8(ascii: "["):
            guard level < Document.depthMax else { throw fault(.depth) }
            at += 1
            var elements: [Value] = []
            if next() == UInt8(ascii: "]") {
                at += 1
                return .array(elements)
            }
            repeat {
                elements.append(try value(level: level + 1, typed: typed))
            } while try goesOn(
                until: UInt8(ascii: "]"))
            return .array(elements)
        case UInt8(ascii: "{"): return try object(level: level + 1, typed: typed)
        default: throw fault(.value)
        }
    }

    private mutating func object(level: Int, typed: Bool) throws(ScanFault) -> Value {
        let object = at
        guard level <= Document.depthMax else {
            guard typed else { throw fault(.depth) }
            return try typedValue(orElse: .depth, allowsAbsent: true)
        }
        at += 1
        var fields: [Value.Field] = []
        if next() == UInt8(ascii: "}") {
            at += 1
            return .object(fields)
        }
        var sources: [Int] = []
        repeat {
            guard next() == UInt8(ascii: "\"") else { throw fault(.name) }
            sources.append(at)
            let name = try text().string(in: base)
            if typed, name == "@type" {
                at = object
                return try typedValue(orElse: .typed, allowsAbsent: true)
            }
            try colon()
            fields.append(Value.Field(name, try value(level: level, typed: typed)))
        } while try goesOn(until: UInt8(ascii: "}"))
        let order = fields.indices.sorted { Value.Field.isBefore(fields[$0], fields[$1]) }
        for (a, b) in zip(order, order.dropFirst()) where !Value.Field.isBefore(fields[a], fields[b]) {
            throw fault(.duplicate, at: sources[max(a, b)])
        }
        return .object(fields)
    }

    /// The `{"@type": …}` object that starts at `at`. `reason` is the fault when no field is named `@type`.
    mutating func typedValue(orElse reason: ScanFault.Reason, allowsAbsent: Bool) throws(ScanFault) -> Value {
        let object = at
        var type: String?
        var content: (text: JSONText, at: Int)?
        at += 1
        if next() != UInt8(ascii: "}") {
            repeat {
                guard next() == UInt8(ascii: "\"") else { throw fault(.name) }
                let source = at
                let name = try text().string(in: base)
                guard name == "@type" || name == "@value" else {
                    throw fault(reason == .depth && type == nil ? .depth : .typed, at: object)
                }
                try colon()
                guard next() == UInt8(ascii: "\"") else {
                    throw fault(reason == .depth && type == nil ? .depth : .typed, at: object)
                }
                let valueAt = at
                let value = try text()
                guard name == "@type" ? type == nil : content == nil else { throw fault(.duplicate, at: source) }
                if name == "@type" { type = value.string(in: base) } else { content = (value, valueAt) }
            } while try goesOn(until: UInt8(ascii: "}"))
        } else {
            at += 1
        }
        guard let type else { throw fault(reason, at: object) }
        switch (type, content) {
        case ("timestamp", let content?):
            let instant =
                content.text.isEscaped
                ? Instant(content.text.string(in: base))
                : Instant(
                    rfc3339: UnsafeRawBufferPointer(
                        start: base + content.text.start, count: content.text.end - content.text.start))
            guard let instant else { throw fault(.timestamp, at: content.at) }
            return .timestamp(instant)
        case ("binary", let content?):
            guard let bytes = bytes(fromBase64: content.text.bytes(in: base)) else {
                throw fault(.base64, at: content.at)
            }
            return .binary(bytes)
        case ("absent", nil):
            guard allowsAbsent else { throw fault(.absent, at: object) }
            return .absent
        default: throw fault(.typed, at: object)
        }
    }
}

/// Somewhere to point when there is nothing; never read.
var emptyBytes: UnsafePointer<UInt8> { UnsafePointer(bitPattern: 1).unsafelyUnwrapped }
