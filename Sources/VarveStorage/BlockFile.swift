/// A block file opened for reading: rows by number, keys by search, cells without copying.
///
/// Opening checks the size and the SHA-256 that the manifest names, then every offset inside, so nothing that is called
/// afterwards can leave the file's bytes. Rows stand by key, newest first within a key. Values that point into the file
/// (`Cell`, `keyBytes`) are good for as long as the file is held. Readable from any thread.

package import VarveModel

package final class BlockFile: Sendable {
    package let file: Manifest.File
    package let rowCount: Int
    /// A document's fields that have a column here, by the bytes of their names; `cell` takes their places.
    package let columns: [Column]
    /// Whether documents have fields without a column: those are found by `rest` or `document`.
    package let hasRest: Bool

    package struct Column: Sendable {
        /// UTF-8.
        package let name: Bytes
        package let type: ColumnType
        /// The name as it stands in a document's CBOR.
        let encodedName: Bytes
    }

    /// One value of one column. Pointers are into the file.
    package enum Cell {
        /// Absent or explicitly null.
        case null
        case bool(Bool)
        case int64(Int64)
        case float64(Double)
        case text(UnsafeRawBufferPointer)
        case binary(UnsafeRawBufferPointer)
        /// Microseconds since 1970, UTC.
        case timestamp(Int64)
        /// A nested value, or any value of a column whose values are of several types, as canonical JSON.
        case json(UnsafeRawBufferPointer)
    }

    private let contents: any ObjectContents
    // Points into `contents`, which is immutable, has one address for life and is held by this object.
    nonisolated(unsafe) let raw: UnsafeRawBufferPointer
    let batches: [BlockBatch]
    /// Rows of every batch but the last, if they are all the same: then a row's batch is a division.
    private let uniformRows: Int
    let idType: ColumnType
    /// `columns` in the order that names have in a document's CBOR.
    let documentOrder: [Int]

    /// Opens what `file` describes. Throws `BLOCK_CORRUPT`.
    package init(
        _ contents: any ObjectContents, _ file: Manifest.File, by proof: BlockProof = .digest
    ) throws(VarveError) {
        let raw = contents.withUnsafeBytes { $0 }
        let layout: BlockLayout
        do throws(BlockFault) {
            layout = try BlockLayout(raw, file, by: proof)
        } catch {
            throw VarveError(
                .blockCorrupt,
                "block file \(file.name): \(error.reason); it is not read, other blocks are not affected",
                next: "restore this file from a backup or another copy of the storage")
        }
        // Its digest was taken over all of it; a node that adopts a block may never read it again.
        contents.letPagesGo()
        self.contents = contents
        self.raw = raw
        self.file = file
        rowCount = layout.rowCount
        batches = layout.batches
        idType = layout.schema.idType
        hasRest = layout.schema.hasRest
        let columns = layout.schema.fields.map { field in
            var name = CBORWriter(reservingCapacity: field.name.count + 3)
            name.head(.text, UInt64(field.name.count))
            name.raw(field.name)
            return Column(name: field.name, type: field.type, encodedName: Bytes(name.bytes))
        }
        self.columns = columns
        documentOrder = columns.indices.sorted { encodedOrder(columns[$0].name, columns[$1].name) }
        let first = batches.first?.rows ?? 0
        uniformRows = batches.dropLast().allSatisfy({ $0.rows == first }) ? first : 0
    }

    /// CRC32C of all its bytes.
    package var checksum: UInt32 { crc32c(raw) }

    /// Place of the column that holds the field `name` (UTF-8), or nil: then look into `rest` if there is one.
    package func column(named name: Bytes) -> Int? {
        var low = 0
        var high = columns.count
        while low < high {
            let middle = (low + high) / 2
            if columns[middle].name < name { low = middle + 1 } else { high = middle }
        }
        return low < columns.count && columns[low].name == name ? low : nil
    }

    // MARK: Rows

    /// The batch a row is in, and its place there.
    @inline(__always)
    func locate(_ row: Int) -> (batch: Int, row: Int) {
        precondition(row >= 0 && row < rowCount, "row \(row) of \(rowCount)")
        if uniformRows > 0 {
            let batch = min(row / uniformRows, batches.count - 1)
            return (batch, row - batch * uniformRows)
        }
        var low = 0
        var high = batches.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if batches[middle].firstRow <= row { low = middle } else { high = middle }
        }
        return (low, row - batches[low].firstRow)
    }

    /// The key's order-preserving bytes.
    package func keyBytes(at row: Int) -> UnsafeRawBufferPointer {
        let (batch, row) = locate(row)
        return run(batches[batch].columns[ReservedColumn.key.rawValue], row)
    }

    package func key(at row: Int) -> Key { Key(unchecked: Bytes(Array(keyBytes(at: row)))) }

    package func position(at row: Int) -> Position { Position(packed: word(row, .sequence))! }

    package func systemFrom(at row: Int) -> Instant { Instant(microseconds: word(row, .systemFrom)) }

    /// When the next version replaced this one, as far as this file knows.
    package func systemTo(at row: Int) -> Instant? {
        let (batch, place) = locate(row)
        let column = batches[batch].columns[ReservedColumn.systemTo.rawValue]
        guard isPresent(column, place) else { return nil }
        return Instant(microseconds: integer(column, place))
    }

    package func isDeleted(at row: Int) -> Bool {
        let (batch, row) = locate(row)
        return bit(batches[batch].columns[ReservedColumn.deleted.rawValue].values, row)
    }

    /// The value of `columns[column]` at `row`.
    package func cell(at row: Int, column: Int) -> Cell {
        let (batch, row) = locate(row)
        return value(columns[column].type, batches[batch].columns[ReservedColumn.allCases.count + column], row)
    }

    /// The fields without a column, as one JSON object; nil when the row has none.
    package func rest(at row: Int) -> UnsafeRawBufferPointer? {
        guard hasRest else { return nil }
        let (batch, row) = locate(row)
        let column = batches[batch].columns[ReservedColumn.allCases.count + columns.count]
        return isPresent(column, row) ? run(column, row) : nil
    }

    // MARK: Search

    /// Negative, zero or positive as the key at `row` is below, equal to or above `key`.
    package func compareKey(at row: Int, with key: Key) -> Int {
        key.bytes.withUnsafeBytes { compare(keyBytes(at: row), $0) }
    }

    /// The rows of `key`, newest first; empty, at the place where they would be, when there are none.
    package func find(_ key: Key) -> Range<Int> {
        key.bytes.withUnsafeBytes { wanted in
            let start = lowerBound(wanted)
            var end = start
            while end < rowCount, compare(keyBytes(at: end), wanted) == 0 { end += 1 }
            return start..<end
        }
    }

    /// The first row whose key is not below `key`; `rowCount` when there is none.
    package func lowerBound(_ key: Key) -> Int { key.bytes.withUnsafeBytes { lowerBound($0) } }

    private func lowerBound(_ wanted: UnsafeRawBufferPointer) -> Int {
        // The last batch whose first key is below the wanted one, then within it.
        var low = 0
        var high = batches.count
        while low < high {
            let middle = (low + high) / 2
            let first = run(batches[middle].columns[ReservedColumn.key.rawValue], 0)
            if compare(first, wanted) < 0 { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return 0 }
        let batch = batches[low - 1]
        let keys = batch.columns[ReservedColumn.key.rawValue]
        var from = 1
        var to = batch.rows
        while from < to {
            let middle = (from + to) / 2
            if compare(run(keys, middle), wanted) < 0 { from = middle + 1 } else { to = middle }
        }
        return batch.firstRow + from
    }

    @inline(__always)
    private func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        compareRaw(a, b)
    }

    // MARK: Buffers. Every offset was checked when the file was opened.

    @inline(__always)
    private func word(_ row: Int, _ column: ReservedColumn) -> Int64 {
        let (batch, row) = locate(row)
        return integer(batches[batch].columns[column.rawValue], row)
    }

    @inline(__always)
    func integer(_ column: BlockBuffers, _ row: Int) -> Int64 {
        Int64(littleEndian: raw.loadUnaligned(fromByteOffset: column.values + 8 * row, as: Int64.self))
    }

    @inline(__always)
    func bit(_ start: Int, _ row: Int) -> Bool { raw[start + row >> 3] >> UInt8(truncatingIfNeeded: row & 7) & 1 == 1 }

    @inline(__always)
    func isPresent(_ column: BlockBuffers, _ row: Int) -> Bool { column.validity < 0 || bit(column.validity, row) }

    @inline(__always)
    func run(_ column: BlockBuffers, _ row: Int) -> UnsafeRawBufferPointer {
        let place = column.offsets + 4 * row
        let start = Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: place, as: Int32.self)))
        let end = Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: place + 4, as: Int32.self)))
        return UnsafeRawBufferPointer(rebasing: raw[column.values + start..<column.values + end])
    }

    @inline(__always)
    func value(_ type: ColumnType, _ column: BlockBuffers, _ row: Int) -> Cell {
        guard type != .null, isPresent(column, row) else { return .null }
        switch type {
        case .null: return .null
        case .bool: return .bool(bit(column.values, row))
        case .int64: return .int64(integer(column, row))
        case .float64: return .float64(Double(bitPattern: UInt64(bitPattern: integer(column, row))))
        case .text: return .text(run(column, row))
        case .binary: return .binary(run(column, row))
        case .timestamp: return .timestamp(integer(column, row))
        case .json: return .json(run(column, row))
        }
    }
}

@inline(__always)
func compareRaw(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let shared = min(a.count, b.count)
    if shared > 0 {
        let order = memcmp(a.baseAddress!, b.baseAddress!, shared)
        if order != 0 { return Int(order) }
    }
    return a.count - b.count
}

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
