/// A stored document: deterministic CBOR (RFC 8949 section 4.2.1) of a map from field names to values, without `_id`.
///
/// Field order is that of the encoded names: shorter first, then by bytes. Kinds: null, booleans, int64, finite float64
/// in the shortest form, text, byte string, timestamp (tag 0 around the fixed-width text), array, map with text names;
/// `undefined` only as a top-level value of a patch. Equal documents are equal bytes. Methods that read are safe on any
/// bytes; what they answer is defined only for bytes that `validate` accepts.

package struct Document: Sendable, Equatable {
    package let bytes: Bytes
    package init(_ bytes: Bytes) { self.bytes = bytes }

    /// `{}`
    package static let empty = Document(Bytes([0xa0]))

    /// Levels of nesting; the document is the first.
    package static let depthMax = 64
    /// Longest field name in bytes.
    package static let nameBytesMax = 255

    /// Calls `body` with each top-level field in stored order: the bytes of its name, and its value as one CBOR item.
    @inline(__always)
    package func forEachField(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) throws(CBORFault) {
        try withCursor { cursor throws(CBORFault) in
            for _ in 0..<(try cursor.mapHead()) {
                let name = try cursor.textRange()
                let start = cursor.at
                try cursor.skip()
                body(cursor.slice(name), cursor.slice(start..<cursor.at))
            }
        }
    }

    package var fieldCount: Int {
        get throws(CBORFault) { try withCursor { cursor throws(CBORFault) in Int(clamping: try cursor.mapHead()) } }
    }

    /// The value of one top-level field as one CBOR item that shares the document's storage; nil when absent.
    package func field(_ name: some StringProtocol) throws(CBORFault) -> Bytes? {
        var name = String(name)
        let range = try withCursor { cursor throws(CBORFault) -> Range<Int>? in
            for _ in 0..<(try cursor.mapHead()) {
                let candidate = cursor.slice(try cursor.textRange())
                let start = cursor.at
                try cursor.skip()
                if candidate.count == name.utf8.count,
                    name.withUTF8({ UnsafeRawBufferPointer($0).elementsEqual(candidate) })
                {
                    return start..<cursor.at
                }
            }
            return nil
        }
        return range.map { bytes[$0] }
    }

    /// One field as a value; nil when absent.
    package func value(of name: some StringProtocol) throws(CBORFault) -> Value? {
        guard let item = try field(name) else { return nil }
        return try Value(cbor: item)
    }

    /// The whole document as an object, fields in byte order of their names; with a key, `_id` first.
    package func value(key: Key? = nil) throws(CBORFault) -> Value {
        guard case .object(let fields) = try Value(cbor: bytes) else {
            throw CBORFault(reason: "a document is a map", offset: 0)
        }
        let sorted = fields.sorted(by: Value.Field.isBefore)
        guard let key else { return .object(sorted) }
        return .object([Value.Field("_id", Value(key))] + sorted)
    }

    /// Whether each top-level field of `expected` has the same type and value here: the same bytes.
    package func matches(_ expected: Document) throws(CBORFault) -> Bool {
        let own = try fields()
        let wanted = try expected.fields()
        return bytes.withUnsafeBytes { mine in
            expected.bytes.withUnsafeBytes { theirs in
                var at = 0
                for field in wanted {
                    while at < own.count, compareNames(mine, own[at], theirs, field) < 0 { at += 1 }
                    guard at < own.count, compareNames(mine, own[at], theirs, field) == 0,
                        mine[own[at].value].elementsEqual(theirs[field.value])
                    else { return false }
                    at += 1
                }
                return true
            }
        }
    }

    /// This document with the top-level fields of `patch` in place of its own; `absent` removes one.
    package func patched(with patch: Document) throws(CBORFault) -> Document {
        let own = try fields()
        let changes = try patch.fields()
        var pieces: [(isOwn: Bool, range: Range<Int>)] = []
        pieces.reserveCapacity(own.count + changes.count)
        return bytes.withUnsafeBytes { mine in
            patch.bytes.withUnsafeBytes { theirs in
                var at = 0
                for change in changes {
                    while at < own.count, compareNames(mine, own[at], theirs, change) < 0 {
                        pieces.append((true, own[at].whole))
                        at += 1
                    }
                    if at < own.count, compareNames(mine, own[at], theirs, change) == 0 { at += 1 }
                    if theirs[change.value.lowerBound] != absentByte { pieces.append((false, change.whole)) }
                }
                for field in own[at...] { pieces.append((true, field.whole)) }
                var writer = CBORWriter(reservingCapacity: mine.count + theirs.count + 9)
                writer.map(pieces.count)
                for piece in pieces {
                    writer.bytes.append(contentsOf: (piece.isOwn ? mine : theirs)[piece.range])
                }
                return Document(Bytes(writer.bytes))
            }
        }
    }

    /// A field's place within the document's bytes.
    struct FieldRange {
        /// The encoded name, head included: order of these bytes is the order of fields.
        let name: Range<Int>
        /// Where the text of the name begins.
        let text: Int
        let value: Range<Int>
        var whole: Range<Int> { name.lowerBound..<value.upperBound }
    }

    func fields() throws(CBORFault) -> [FieldRange] {
        try withCursor { cursor throws(CBORFault) in try cursor.fieldRanges() }
    }

    @inline(__always)
    private func withCursor<R>(_ body: (inout CBORCursor) throws(CBORFault) -> R) throws(CBORFault) -> R {
        try bytes.withUnsafeBytes { raw throws(CBORFault) in
            guard let base = raw.baseAddress else { throw CBORFault(reason: "no bytes", offset: 0) }
            var cursor = CBORCursor(base.assumingMemoryBound(to: UInt8.self), count: raw.count)
            return try body(&cursor)
        }
    }
}

/// The CBOR item of `Value.absent`: the simple value `undefined`.
let absentByte: UInt8 = 0xf7

private func compareNames(
    _ a: UnsafeRawBufferPointer, _ x: Document.FieldRange, _ b: UnsafeRawBufferPointer, _ y: Document.FieldRange
) -> Int {
    compareRaw(UnsafeRawBufferPointer(rebasing: a[x.name]), UnsafeRawBufferPointer(rebasing: b[y.name]))
}

extension CBORCursor {
    /// The fields of the map that starts here.
    mutating func fieldRanges() throws(CBORFault) -> [Document.FieldRange] {
        let count = try mapHead()
        guard count <= UInt64(end - at) / 2 else { throw fault("a length beyond the end") }
        var fields: [Document.FieldRange] = []
        fields.reserveCapacity(Int(count))
        for _ in 0..<count {
            let start = at
            let text = try textRange()
            let valueStart = at
            try skip()
            fields.append(
                Document.FieldRange(
                    name: start..<text.upperBound, text: text.lowerBound, value: valueStart..<at))
        }
        return fields
    }
}
