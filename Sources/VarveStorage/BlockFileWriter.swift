/// Writes a block file: an Arrow IPC file whose bytes are a function of its rows alone.
///
/// Level 0 of a table is uncompressed, 4,096 rows a record batch, every buffer aligned to 64 bytes and every gap zero.
/// Rows stand by key, newest first within a key. Column types follow from the values of this file only; what a document
/// was, byte for byte, can be rebuilt from its row (docs/storage-format.md, "Block files").

package import VarveModel

/// One version of a document, or its deletion.
package struct BlockRow: Sendable {
    package var key: Key
    /// Of the transaction that wrote it.
    package var position: Position
    package var systemFrom: Instant
    /// When the next version replaced it; nil while it is the newest.
    package var systemTo: Instant?
    /// Deterministic CBOR without `_id`; nil for a deletion.
    package var document: Bytes?

    package init(key: Key, position: Position, systemFrom: Instant, systemTo: Instant?, document: Bytes?) {
        self.key = key
        self.position = position
        self.systemFrom = systemFrom
        self.systemTo = systemTo
        self.document = document
    }
}

/// A block file before or after it was published.
package struct EncodedBlockFile: Sendable, Equatable {
    package var bytes: Bytes
    package var file: Manifest.File
}

package enum BlockFileWriter {
    package static let batchRows = 4096
    /// Keys and documents of one batch; a larger document goes alone. Offsets within a batch have 31 bits, and JSON text
    /// is at most about ten times the CBOR it stands for.
    package static let batchBytesMax = 64 * 1024 * 1024
    static let alignment = 64
    static let magic = Array("ARROW1".utf8)

    static func padding(_ count: Int) -> Int { (alignment - count % alignment) % alignment }

    /// The bytes of the file that holds `rows`, sorted by key and then newest first, at least one.
    package static func encode(table: TableName, rows: [BlockRow]) throws(VarveError) -> Bytes {
        try encode(table: table, rows: rows, batchBytesMax: batchBytesMax)
    }

    static func encode(table: TableName, rows: [BlockRow], batchBytesMax: Int) throws(VarveError) -> Bytes {
        var encoder = try BlockEncoder(table: table, rows: rows)
        var start = 0
        while start < rows.count {
            var end = start
            var bytes = 0
            while end < rows.count, end - start < batchRows {
                let size = rows[end].key.bytes.count + (rows[end].document?.count ?? 0)
                if end > start, bytes + size > batchBytesMax { break }
                bytes += size
                end += 1
            }
            try encoder.batch(rows, start..<end)
            start = end
        }
        return try encoder.finish()
    }

    /// A file of one block: its bytes and how a manifest names them.
    package static func encode(
        table: TableName, block: BlockNumber, rows: [BlockRow]
    ) throws(VarveError) -> EncodedBlockFile {
        let bytes = try encode(table: table, rows: rows)
        let digest = Digest(of: bytes)
        return EncodedBlockFile(
            bytes: bytes,
            file: Manifest.File(
                name: name(table: table, first: block, last: block, digest: digest), size: UInt64(bytes.count),
                digest: digest, rows: UInt64(rows.count), firstKey: rows.first!.key.detached(),
                lastKey: rows.last!.key.detached()))
    }

    /// Object name of a file of `table` that holds the blocks `first` to `last`.
    package static func name(table: TableName, first: BlockNumber, last: BlockNumber, digest: Digest) -> String {
        "tables/\(table)/l00-b\(hexNumber(first.value, 8))-b\(hexNumber(last.value, 8))-c-\(digest.shortHex).arrow"
    }
}

/// Lower-case hexadecimal with leading zeros to `digits`.
func hexNumber(_ value: some BinaryInteger, _ digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}
