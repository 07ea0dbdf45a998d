/// JSON text straight to a stored document, with no tree in between: the ingest path of every node.
///
/// One pass writes CBOR in source order; at the end of an object its fields are put into their order. Scratch memory is
/// kept from one document to the next, so a scanner serves one thread and many documents. CBOR is never three times as
/// long as its JSON (`[0.1,` becomes nine bytes), which is why scratch of that size needs no further checks.

package struct DocumentOptions: Sendable {
    /// `.patch` allows `{"@type":"absent"}` as a top-level value.
    package var role: Document.Role
    /// Name of the field that is copied into `_id`; nil when documents bring their own.
    package var idField: [UInt8]?

    package init(role: Document.Role = .document, idField: String? = nil) {
        self.role = role
        self.idField = idField.flatMap { $0 == "_id" ? nil : Array($0.utf8) }
    }
}

/// The CBOR of one value inside a document from its JSON text: the way back from `canonicalJSON`.
package func cborItem(fromJSON json: UnsafeRawBufferPointer) throws(JSONFault) -> Bytes {
    var scanner = JSONScanner()
    return try scanner.item(json)
}

/// The one document that `json` is, white space around it allowed. To scan many, keep a `JSONScanner`.
package func scanDocument(
    _ json: Bytes, _ options: DocumentOptions = DocumentOptions()
) throws(JSONFault) -> Operation.Row {
    var scanner = JSONScanner()
    return try json.withUnsafeBytes { raw throws(JSONFault) in try scanner.document(raw, options) }
}

package struct JSONScanner: ~Copyable {
    /// A field of an object that is being read: where its CBOR stands in `out`.
    struct Field {
        /// The first eight bytes of the encoded name, as a number that sorts as they do.
        let word: UInt64
        let start: UInt32
        let nameEnd: UInt32
        let end: UInt32
        /// Offset of the name in the JSON.
        let source: UInt32
    }

    private(set) var lexer = JSONLexer(emptyBytes, count: 0)
    private var out: UnsafeMutablePointer<UInt8>
    private var sorted: UnsafeMutablePointer<UInt8>
    private var capacity = 0
    private var length = 0
    private var fields: UnsafeMutablePointer<Field>
    private var fieldCapacity = 256
    private var fieldCount = 0
    private var allowsAbsent = false

    static let jsonBytesMax = 512 << 20

    package init() {
        out = .allocate(capacity: 1)
        sorted = .allocate(capacity: 1)
        fields = .allocate(capacity: fieldCapacity)
    }

    deinit {
        out.deallocate()
        sorted.deallocate()
        fields.deallocate()
    }

    /// The one document that `json` is.
    package mutating func document(
        _ json: UnsafeRawBufferPointer, _ options: DocumentOptions = DocumentOptions()
    ) throws(JSONFault) -> Operation.Row {
        let lexer = JSONLexer(json.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? emptyBytes, count: json.count)
        do throws(ScanFault) {
            let row = try row(from: lexer, options)
            try self.lexer.expectEnd()
            return row
        } catch {
            throw error.located(in: lexer.base, count: lexer.end)
        }
    }

    /// One value as it stands inside a document (level 2 when it is an array or object).
    package mutating func item(_ json: UnsafeRawBufferPointer) throws(JSONFault) -> Bytes {
        let lexer = JSONLexer(json.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? emptyBytes, count: json.count)
        do throws(ScanFault) {
            try start(lexer, DocumentOptions())
            try value(1)
            try self.lexer.expectEnd()
            return Bytes(Array(UnsafeBufferPointer(start: out, count: length)))
        } catch {
            throw error.located(in: lexer.base, count: lexer.end)
        }
    }

    /// The document at the lexer's place; afterwards `self.lexer` stands behind it.
    mutating func row(from lexer: JSONLexer, _ options: DocumentOptions) throws(ScanFault) -> Operation.Row {
        try start(lexer, options)
        var id = Identity(field: options.idField)
        let object = try topObject(&id)
        guard let key = id.own ?? id.copied else { throw lexer.fault(.missingID, at: object) }
        if let own = id.own, let copied = id.copied, own != copied {
            throw lexer.fault(.differentID, at: id.copiedAt)
        }
        return Operation.Row(key, gathered())
    }

    /// The same for an object without `_id`: the condition of an `equals`.
    mutating func condition(from lexer: JSONLexer) throws(ScanFault) -> Bytes {
        try start(lexer, DocumentOptions())
        var id = Identity(field: nil)
        id.isRefused = true
        _ = try topObject(&id)
        return gathered()
    }

    private mutating func start(_ lexer: JSONLexer, _ options: DocumentOptions) throws(ScanFault) {
        self.lexer = lexer
        length = 0
        fieldCount = 0
        allowsAbsent = options.role == .patch
        let left = lexer.end - lexer.at
        guard lexer.end <= Self.jsonBytesMax else { throw lexer.fault(.tooLong, at: 0) }
        let needed = 3 * left + 64
        if capacity < needed {
            out.deallocate()
            sorted.deallocate()
            out = .allocate(capacity: needed)
            sorted = .allocate(capacity: needed)
            capacity = needed
        }
    }

    // MARK: The document

    private struct Identity {
        let field: [UInt8]?
        var own: Key?
        var copied: Key?
        var copiedAt = 0
        var isRefused = false

        init(field: [UInt8]?) { self.field = field }
    }

    /// Reads the fields of the document; returns where it begins.
    private mutating func topObject(_ id: inout Identity) throws(ScanFault) -> Int {
        guard lexer.next() == UInt8(ascii: "{") else { throw lexer.fault(lexer.at < lexer.end ? .object : .value) }
        let object = lexer.at
        lexer.at += 1
        guard lexer.next() != UInt8(ascii: "}") else {
            lexer.at += 1
            return object
        }
        repeat {
            let source = try nameStart()
            let start = length
            let text = try emitName()
            try lexer.colon()
            if out[text] == UInt8(ascii: "_") {
                guard length - text == 3, out[text + 1] == UInt8(ascii: "i"), out[text + 2] == UInt8(ascii: "d"),
                    !id.isRefused
                else { throw lexer.fault(.reserved, at: source) }
                guard id.own == nil else { throw lexer.fault(.duplicate, at: source) }
                id.own = try key()
                length = start
                continue
            }
            if out[text] == UInt8(ascii: "@"), isTypeName(out + text, length - text) {
                throw lexer.fault(.typed, at: source)
            }
            let nameEnd = length
            if let field = id.field, isName(text, field) {
                id.copied = try key()
                id.copiedAt = source
            } else {
                try value(1)
            }
            push(start, nameEnd, source)
        } while try lexer.goesOn(until: UInt8(ascii: "}"))
        _ = try sort(from: 0)
        return object
    }

    private func isName(_ text: Int, _ name: [UInt8]) -> Bool {
        UnsafeBufferPointer(start: out + text, count: length - text).elementsEqual(name)
    }

    /// Reads an `_id`, writing its CBOR, too.
    private mutating func key() throws(ScanFault) -> Key {
        let byte = lexer.next()
        let source = lexer.at
        let start = length
        switch byte {
        case UInt8(ascii: "\""):
            let text = try emitText()
            let count = length - text
            guard (1...Key.textBytesMax).contains(count) else { throw lexer.fault(.id, at: source) }
            return Key(
                unchecked: Bytes(
                    [UInt8](unsafeUninitializedCapacity: count + 1) { buffer, initialized in
                        buffer[0] = Key.textTag
                        (buffer.baseAddress! + 1).initialize(from: out + text, count: count)
                        initialized = count + 1
                    }))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard case .integer(let integer) = try lexer.number() else { throw lexer.fault(.id, at: source) }
            emit(integer)
            return Key(integer)
        default:
            length = start
            throw lexer.fault(lexer.at < lexer.end ? .id : .value)
        }
    }

    /// The document's bytes: the fields of the top level in the order they were sorted into.
    private mutating func gathered() -> Bytes {
        let count = fieldCount
        return Bytes(
            [UInt8](unsafeUninitializedCapacity: length + 5) { buffer, initialized in
                let target = buffer.baseAddress!
                var at = writeHead(5, UInt64(count), target)
                for i in 0..<count {
                    let field = fields[i]
                    let bytes = Int(field.end - field.start)
                    (target + at).initialize(from: out + Int(field.start), count: bytes)
                    at += bytes
                }
                initialized = at
            })
    }

    // MARK: Values

    /// One value inside `level` containers.
    private mutating func value(_ level: Int) throws(ScanFault) {
        switch lexer.next() {
        case UInt8(ascii: "\""): _ = try emitText()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            switch try lexer.number() {
            case .integer(let integer): emit(integer)
            case .double(let double): emit(double)
            }
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            switch try lexer.literal() {
            case .null: emit(byte: 0xf6)
            case .yes: emit(byte: 0xf5)
            case .no: emit(byte: 0xf4)
            }
        case UInt8(ascii: "{"): try object(level + 1)
        case UInt8(ascii: "["): try array(level + 1)
        default: throw lexer.fault(.value)
        }
    }

    private mutating func array(_ level: Int) throws(ScanFault) {
        guard level <= Document.depthMax else { throw lexer.fault(.depth) }
        lexer.at += 1
        let head = length
        length += 1
        var count: UInt64 = 0
        if lexer.next() == UInt8(ascii: "]") {
            lexer.at += 1
        } else {
            repeat {
                try value(level)
                count += 1
            } while try lexer.goesOn(until: UInt8(ascii: "]"))
        }
        finish(head, major: 4, count)
    }

    private mutating func object(_ level: Int) throws(ScanFault) {
        let object = lexer.at
        let head = length
        let first = fieldCount
        // A typed value is no level of nesting.
        guard level <= Document.depthMax else { return try typed(level, orElse: .depth) }
        lexer.at += 1
        length += 1
        if lexer.next() == UInt8(ascii: "}") {
            lexer.at += 1
        } else {
            repeat {
                let source = try nameStart()
                let start = length
                let text = try emitName()
                if out[text] == UInt8(ascii: "@"), isTypeName(out + text, length - text) {
                    lexer.at = object
                    length = head
                    fieldCount = first
                    return try typed(level, orElse: .typed)
                }
                let nameEnd = length
                try lexer.colon()
                try value(level)
                push(start, nameEnd, source)
            } while try lexer.goesOn(until: UInt8(ascii: "}"))
        }
        let count = fieldCount - first
        if try sort(from: first) {
            var at = 0
            for i in first..<fieldCount {
                let field = fields[i]
                let bytes = Int(field.end - field.start)
                (sorted + at).update(from: out + Int(field.start), count: bytes)
                at += bytes
            }
            (out + head + 1).update(from: sorted, count: at)
        }
        fieldCount = first
        finish(head, major: 5, UInt64(count))
    }

    /// `{"@type": …}` at the lexer's place; anything else there is a fault.
    private mutating func typed(_ level: Int, orElse reason: ScanFault.Reason) throws(ScanFault) {
        switch try lexer.typedValue(orElse: reason, allowsAbsent: allowsAbsent && level == 2) {
        case .timestamp(let instant):
            emit(byte: 0xc0)
            length += writeHead(3, UInt64(Instant.textBytes), out + length)
            instant.write(to: out + length)
            length += Instant.textBytes
        case .binary(let bytes):
            length += writeHead(2, UInt64(bytes.count), out + length)
            (out + length).update(from: bytes, count: bytes.count)
            length += bytes.count
        default: emit(byte: absentByte)
        }
    }

    // MARK: Fields and their order

    @inline(__always)
    private mutating func nameStart() throws(ScanFault) -> Int {
        guard lexer.next() == UInt8(ascii: "\"") else { throw lexer.fault(.name) }
        return lexer.at
    }

    /// Writes a name; returns where its text begins in `out`, the end is `length`.
    @inline(__always)
    private mutating func emitName() throws(ScanFault) -> Int {
        let source = lexer.at
        let text = try emitText()
        let count = length - text
        guard count > 0 else { throw lexer.fault(.emptyName, at: source) }
        guard count <= Document.nameBytesMax else { throw lexer.fault(.longName, at: source) }
        // Only an escape can write NUL.
        if lexer.at - source - 2 != count, UnsafeBufferPointer(start: out + text, count: count).contains(0) {
            throw lexer.fault(.nulName, at: source)
        }
        return text
    }

    @inline(__always)
    private mutating func push(_ start: Int, _ nameEnd: Int, _ source: Int) {
        if fieldCount == fieldCapacity { growFields() }
        fields[fieldCount] = Field(
            word: nameWord(out + start, nameEnd - start, isReadable: true),
            start: UInt32(truncatingIfNeeded: start), nameEnd: UInt32(truncatingIfNeeded: nameEnd),
            end: UInt32(truncatingIfNeeded: length), source: UInt32(truncatingIfNeeded: source))
        fieldCount += 1
    }

    private mutating func growFields() {
        let grown = UnsafeMutablePointer<Field>.allocate(capacity: fieldCapacity * 2)
        grown.update(from: fields, count: fieldCount)
        fields.deallocate()
        fields = grown
        fieldCapacity *= 2
    }

    /// Puts the fields from `first` on into the order of their encoded names; false when they were. Repeats are a fault.
    private mutating func sort(from first: Int) throws(ScanFault) -> Bool {
        var list = UnsafeMutableBufferPointer(start: fields + first, count: fieldCount - first)
        guard list.count > 1 else { return false }
        let bytes = UnsafePointer(out)
        var moved = false
        if list.count <= 48 {
            for i in 1..<list.count {
                let field = list[i]
                var at = i
                while at > 0, isBefore(field, list[at - 1], bytes) {
                    list[at] = list[at - 1]
                    at -= 1
                }
                if at != i {
                    list[at] = field
                    moved = true
                }
            }
        } else if (1..<list.count).contains(where: { isBefore(list[$0], list[$0 - 1], bytes) }) {
            list.sort { isBefore($0, $1, bytes) }
            moved = true
        }
        for i in 1..<list.count where !isBefore(list[i - 1], list[i], bytes) {
            throw lexer.fault(.duplicate, at: Int(max(list[i - 1].source, list[i].source)))
        }
        return moved
    }

    // MARK: Writing

    /// The head before the items that were written from `head + 1` on.
    @inline(__always)
    private mutating func finish(_ head: Int, major: UInt8, _ count: UInt64) {
        if count < 24 {
            out[head] = major << 5 | UInt8(truncatingIfNeeded: count)
            return
        }
        let extra = count < 0x100 ? 1 : count < 0x1_0000 ? 2 : 4
        let items = out + head + 1
        (items + extra).update(from: items, count: length - head - 1)
        _ = writeHead(major, count, out + head)
        length += extra
    }

    @inline(__always)
    private mutating func emit(byte: UInt8) {
        out[length] = byte
        length += 1
    }

    @inline(__always)
    private mutating func emit(_ integer: Int64) {
        length += writeHead(
            integer < 0 ? 1 : 0, UInt64(bitPattern: integer < 0 ? ~integer : integer), out + length)
    }

    private mutating func emit(_ double: Double) {
        let (count, bits) = shortestFloat(double)
        out[length] = count == 2 ? 0xf9 : count == 4 ? 0xfa : 0xfb
        for i in 0..<count { out[length + 1 + i] = UInt8(truncatingIfNeeded: bits >> UInt64(8 * (count - 1 - i))) }
        length += 1 + count
    }

    /// Writes the string at the lexer's place; returns where its text begins in `out`, the end is `length`.
    @inline(__always)
    private mutating func emitText() throws(ScanFault) -> Int {
        let text = try lexer.text()
        var count = text.end - text.start
        if text.isEscaped {
            // Room for the longest head, then move to where the real one ends.
            count = text.resolve(from: lexer.base, into: out + length + 5)
            let resolved = out + length + 5
            length += writeHead(3, UInt64(count), out + length)
            (out + length).update(from: resolved, count: count)
        } else {
            length += writeHead(3, UInt64(count), out + length)
            let source = lexer.base + text.start
            if count <= 32, text.start + 32 <= lexer.end {
                // `out` has room to spare behind what it will hold.
                for word in 0..<4 where 8 * word < count {
                    UnsafeMutableRawPointer(out + length + 8 * word).storeBytes(
                        of: loadWord(source + 8 * word).littleEndian, as: UInt64.self)
                }
            } else {
                (out + length).update(from: source, count: count)
            }
        }
        defer { length += count }
        return length
    }
}

/// Order of encoded names.
@inline(__always)
private func isBefore(_ a: JSONScanner.Field, _ b: JSONScanner.Field, _ bytes: UnsafePointer<UInt8>) -> Bool {
    if a.word != b.word { return a.word < b.word }
    func name(_ field: JSONScanner.Field) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes + Int(field.start), count: Int(field.nameEnd - field.start))
    }
    return compareRaw(name(a), name(b)) < 0
}

/// Writes a head of at most nine bytes in its shortest form; returns its length.
@inline(__always)
private func writeHead(_ major: UInt8, _ argument: UInt64, _ out: UnsafeMutablePointer<UInt8>) -> Int {
    if argument < 24 {
        out[0] = major << 5 | UInt8(truncatingIfNeeded: argument)
        return 1
    }
    let extra = argument < 0x100 ? 1 : argument < 0x1_0000 ? 2 : argument < 0x1_0000_0000 ? 4 : 8
    out[0] = major << 5 | (extra == 1 ? 24 : extra == 2 ? 25 : extra == 4 ? 26 : 27)
    for i in 0..<extra { out[1 + i] = UInt8(truncatingIfNeeded: argument >> UInt64(8 * (extra - 1 - i))) }
    return 1 + extra
}
