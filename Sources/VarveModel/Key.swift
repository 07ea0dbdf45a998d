/// The order-preserving bytes of a document's `_id`, and names of tables.
///
/// A key is one tag byte and the id: 1 and an int64 big-endian with its sign bit flipped, or 2 and the UTF-8 of a text.
/// So integers come before texts, integers are in numeric order and texts in byte order, on every node the same.

public struct Key: Sendable, Hashable, Comparable {
    public let bytes: Bytes
    /// The first eight bytes as a big-endian number, zero-filled: settles most comparisons without touching the storage.
    @usableFromInline let prefix: UInt64

    static let integerTag: UInt8 = 1
    static let textTag: UInt8 = 2
    /// Longest text id in bytes.
    public static let textBytesMax = 1024

    public init(_ integer: Int64) {
        var bytes = [Self.integerTag]
        bytes.append(bigEndian: UInt64(bitPattern: integer) ^ (1 << 63))
        self.init(unchecked: Bytes(bytes))
    }

    /// nil when the text is empty or longer than 1,024 bytes.
    public init?(_ text: some StringProtocol) {
        guard (1...Self.textBytesMax).contains(text.utf8.count) else { return nil }
        self.init(unchecked: Bytes([Self.textTag] + Array(text.utf8)))
    }

    /// A key as it stands in a record or a block; nil when it is none.
    public init?(encoded bytes: Bytes) {
        guard bytes.count >= 2 else { return nil }
        switch bytes[0] {
        case Self.integerTag: guard bytes.count == 9 else { return nil }
        case Self.textTag:
            guard bytes.count <= 1 + Self.textBytesMax, bytes[1..<bytes.count].isUTF8 else { return nil }
        default: return nil
        }
        self.init(unchecked: bytes)
    }

    package init(unchecked bytes: Bytes) {
        self.bytes = bytes
        prefix = bytes.withUnsafeBytes { raw in
            if raw.count >= 8 { return UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self)) }
            var word: UInt64 = 0
            for (i, byte) in raw.enumerated() { word |= UInt64(byte) << (56 - 8 * UInt64(i)) }
            return word
        }
    }

    public enum ID: Sendable, Hashable {
        case integer(Int64)
        case text(String)
    }

    public var id: ID {
        if bytes[0] == Self.integerTag {
            let raw = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 1, as: UInt64.self) }
            return .integer(Int64(bitPattern: UInt64(bigEndian: raw) ^ (1 << 63)))
        }
        return .text(bytes[1..<bytes.count].withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    }

    @inlinable
    public static func == (a: Key, b: Key) -> Bool { a.prefix == b.prefix && a.bytes == b.bytes }

    @inlinable
    public static func < (a: Key, b: Key) -> Bool {
        a.prefix == b.prefix ? a.bytes < b.bytes : a.prefix < b.prefix
    }

    @inlinable
    public func hash(into hasher: inout Hasher) { bytes.hash(into: &hasher) }

    public func detached() -> Key { Key(unchecked: bytes.detached()) }
}

extension Key: CustomStringConvertible {
    public var description: String {
        switch id {
        case .integer(let value): String(value)
        case .text(let text): text
        }
    }
}

extension Bytes {
    var isUTF8: Bool {
        withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return true }
            return VarveModel.isUTF8(base.assumingMemoryBound(to: UInt8.self), raw.count)
        }
    }
}

extension [UInt8] {
    mutating func append(bigEndian value: UInt64) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}

/// Name of a table: `[a-z_][a-z0-9_]{0,62}` after lower-casing; some names are kept for the system.
public struct TableName: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let text: String

    /// What decided submissions are rows of; written by the machine only.
    public static let transactions = TableName(unchecked: "varve.transactions")

    package init(unchecked text: String) { self.text = text }

    /// A user's table. Throws `BAD_REQUEST` with what is wrong with the name.
    public init(_ text: some StringProtocol) throws(VarveError) {
        let lower = String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
        guard Self.isWellFormed(lower) else {
            throw VarveError(
                .badRequest, "\"\(text)\" is no table name: letters, digits and _, at most 63, no digit first")
        }
        guard !Self.isReserved(lower) else {
            throw VarveError(.badRequest, "the table name \"\(text)\" is reserved")
        }
        self.text = lower
    }

    private static func isWellFormed(_ lower: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte) || byte == 0x5f }
        guard let head = lower.utf8.first, isLetter(head), lower.utf8.count <= 63 else { return false }
        return lower.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) }
    }

    private static func isReserved(_ lower: String) -> Bool {
        lower == "varve" || lower == "main" || lower == "temp" || lower.hasPrefix("sqlite_")
            || lower.hasSuffix("_history")
    }

    /// A name as it stands in a record or manifest.
    package init(stored text: String) throws(VarveError) {
        if text == Self.transactions.text {
            self = .transactions
            return
        }
        // Every operation of every record comes this way: nothing is copied of a name as it should be.
        if Self.isWellFormed(text), !Self.isReserved(text) {
            self = TableName(unchecked: text)
            return
        }
        try self.init(text)
        // Written in lower case always: one name has one form where bytes are compared.
        guard text.utf8.elementsEqual(self.text.utf8) else {
            throw VarveError(.badRequest, "the table name \"\(text)\" is not in lower case")
        }
    }

    // Their bytes are ASCII, its own canonical form: to compare the texts is to compare the bytes.
    public static func == (a: TableName, b: TableName) -> Bool { a.text == b.text }
    public static func < (a: TableName, b: TableName) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
    public var description: String { text }
}
