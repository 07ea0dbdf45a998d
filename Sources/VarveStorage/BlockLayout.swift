/// Reads where everything is in a block file, and checks all of it, so that later reads need not.
///
/// The bytes may have been written by anyone: no offset is followed, and no count believed, before it is compared with
/// the size of what holds it.

import VarveModel

/// One column of one record batch: absolute places of its buffers.
struct BlockBuffers: Sendable {
    /// -1 when every row has a value.
    var validity = -1
    var offsets = 0
    var values = 0
}

struct BlockBatch: Sendable {
    var firstRow: Int
    var rows: Int
    /// Its bytes in the file, metadata and body.
    var range = 0..<0
    /// Reserved columns (for `_nulls` the list's own offsets), fields, `_rest` if there is one, the items of `_nulls`.
    var columns: [BlockBuffers]
}

/// How it is known that a file's bytes are those that its manifest means.
package enum BlockProof: Sendable {
    /// By their SHA-256.
    case digest
    /// By the CRC32C that they had when this process took their SHA-256: some milliseconds instead of tens.
    case checksum(UInt32)
    /// They were compared with those that were written.
    case compared
}

struct BlockLayout {
    var schema: ArrowSchema
    var batches: [BlockBatch] = []
    var rowCount = 0

    init(_ raw: UnsafeRawBufferPointer, _ file: Manifest.File, by proof: BlockProof = .digest) throws(BlockFault) {
        guard raw.count == file.size else {
            throw BlockFault("it has \(raw.count) bytes where the manifest says \(file.size)")
        }
        switch proof {
        case .digest:
            var hash = SHA256()
            hash.update(raw)
            guard hash.digest() == file.digest else { throw BlockFault("its SHA-256 is not the manifest's") }
        case .checksum(let checksum):
            guard crc32c(raw) == checksum else {
                throw BlockFault("its bytes are not those that were there when its SHA-256 was the manifest's")
            }
        case .compared: break
        }

        let magic = BlockFileWriter.magic
        guard raw.count >= 8 + 8 + 4 + magic.count, raw.starts(with: magic),
            raw.suffix(magic.count).elementsEqual(magic)
        else { throw BlockFault("it is not an Arrow file") }
        let tail = raw.count - magic.count - 4
        let footerSize = Int(try CheckedBytes(raw: raw).load(UInt32.self, at: tail))
        guard footerSize <= tail - 8 else { throw BlockFault("its footer is larger than the file") }
        let footerStart = tail - footerSize
        let footer = try FlatTable(
            CheckedBytes(raw: UnsafeRawBufferPointer(rebasing: raw[footerStart..<tail])), at: 0)
        guard try footer.number(0, Int16.self) == 4, try footer.vector(2, stride: 24).count == 0 else {
            throw BlockFault("it is of another Arrow version or has dictionaries")
        }
        schema = try ArrowSchema(footer.table(1))

        let blocks = try footer.vector(3, stride: 24)
        for i in 0..<blocks.count {
            let place = blocks.start + 24 * i
            let start = try footer.bytes.load(Int64.self, at: place)
            let metadata = try footer.bytes.load(Int32.self, at: place + 8)
            let body = try footer.bytes.load(Int64.self, at: place + 16)
            guard start >= 8, metadata >= 8, body >= 0, start <= footerStart, Int(metadata) <= footerStart - Int(start),
                Int(body) <= footerStart - Int(start) - Int(metadata)
            else { throw BlockFault("record batch \(i) lies outside the file") }
            let bodyStart = Int(start) + Int(metadata)
            let message = UnsafeRawBufferPointer(rebasing: raw[Int(start) + 8..<bodyStart])
            do throws(BlockFault) {
                let reader = BatchReader(
                    raw: raw, body: bodyStart..<bodyStart + Int(body), schema: schema, firstRow: rowCount)
                var batch = try reader.read(message)
                batch.range = Int(start)..<bodyStart + Int(body)
                rowCount += batch.rows
                batches.append(batch)
            } catch {
                throw BlockFault("record batch \(i): \(error.reason)")
            }
        }
        guard rowCount == file.rows else { throw BlockFault("it has \(rowCount) rows, not \(file.rows)") }
        try checkKeys(raw, file)
    }

    /// Keys are keys, in order, from the first to the last that the manifest names.
    private func checkKeys(_ raw: UnsafeRawBufferPointer, _ file: Manifest.File) throws(BlockFault) {
        var before: UnsafeRawBufferPointer?
        var sequenceBefore: Int64 = 0
        for batch in batches {
            let keys = batch.columns[ReservedColumn.key.rawValue]
            let sequences = batch.columns[ReservedColumn.sequence.rawValue]
            for row in 0..<batch.rows {
                let place = keys.offsets + 4 * row
                let start = Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: place, as: Int32.self)))
                let end = Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: place + 4, as: Int32.self)))
                let key = UnsafeRawBufferPointer(rebasing: raw[keys.values + start..<keys.values + end])
                guard key.count >= 2, key[0] == 1 ? key.count == 9 : key[0] == 2 else {
                    throw BlockFault("a key that is none")
                }
                let sequence = Int64(
                    littleEndian: raw.loadUnaligned(fromByteOffset: sequences.values + 8 * row, as: Int64.self))
                guard sequence >= 0 else { throw BlockFault("a row without a position") }
                if let before {
                    let order = compareRaw(before, key)
                    guard order < 0 || (order == 0 && sequenceBefore > sequence) else {
                        throw BlockFault("rows out of order")
                    }
                } else {
                    guard key.elementsEqual(file.firstKey.bytes.array) else {
                        throw BlockFault("its first key is not the manifest's")
                    }
                }
                before = key
                sequenceBefore = sequence
            }
        }
        if let before, !before.elementsEqual(file.lastKey.bytes.array) {
            throw BlockFault("its last key is not the manifest's")
        }
    }
}

private struct BatchReader {
    let raw: UnsafeRawBufferPointer
    let body: Range<Int>
    let schema: ArrowSchema
    let firstRow: Int

    private struct Cursor {
        let bytes: CheckedBytes
        var node: Int
        var nodesLeft: Int
        var buffer: Int
        var buffersLeft: Int

        mutating func nextNode() throws(BlockFault) -> (length: Int64, nulls: Int64) {
            guard nodesLeft > 0 else { throw BlockFault("a column is missing") }
            defer {
                node += 16
                nodesLeft -= 1
            }
            return (try bytes.load(Int64.self, at: node), try bytes.load(Int64.self, at: node + 8))
        }
    }

    func read(_ metadata: UnsafeRawBufferPointer) throws(BlockFault) -> BlockBatch {
        let message = try FlatTable(CheckedBytes(raw: metadata), at: 0)
        guard try message.number(0, Int16.self) == 4, try message.number(1, UInt8.self) == 3 else {
            throw BlockFault("it is no record batch")
        }
        let batch = try message.table(2)
        let length = try batch.number(0, Int64.self)
        guard length > 0, length <= Int64(body.count) else { throw BlockFault("an impossible number of rows") }
        guard try !batch.has(3) else { throw BlockFault("it is compressed, which this version does not write") }
        let rows = Int(length)
        let nodes = try batch.vector(1, stride: 16)
        let buffers = try batch.vector(2, stride: 16)
        var cursor = Cursor(
            bytes: message.bytes, node: nodes.start, nodesLeft: nodes.count, buffer: buffers.start,
            buffersLeft: buffers.count)

        var columns: [BlockBuffers] = []
        for column in ReservedColumn.allCases {
            let type: ColumnType? =
                switch column {
                case .key: .binary
                case .id: schema.idType
                case .sequence: .int64
                case .systemFrom, .systemTo: .timestamp
                case .deleted: .bool
                case .nulls: nil
                }
            guard let type else { continue }
            columns.append(try self.column(&cursor, type, rows: rows, nullable: column == .systemTo))
        }
        // A list's offsets look like a text's; its items are the child that follows.
        let (list, items) = try self.list(&cursor, rows: rows)
        columns.append(list)
        for field in schema.fields { columns.append(try column(&cursor, field.type, rows: rows, nullable: true)) }
        if schema.hasRest { columns.append(try column(&cursor, .json, rows: rows, nullable: true)) }
        columns.append(items)
        guard cursor.nodesLeft == 0, cursor.buffersLeft == 0 else { throw BlockFault("there are columns too many") }
        return BlockBatch(firstRow: firstRow, rows: rows, columns: columns)
    }

    /// Absolute place and size of the next buffer.
    private func buffer(_ cursor: inout Cursor) throws(BlockFault) -> Range<Int> {
        guard cursor.buffersLeft > 0 else { throw BlockFault("a buffer is missing") }
        let start = try cursor.bytes.load(Int64.self, at: cursor.buffer)
        let count = try cursor.bytes.load(Int64.self, at: cursor.buffer + 8)
        cursor.buffer += 16
        cursor.buffersLeft -= 1
        guard start >= 0, count >= 0, start <= body.count, count <= Int64(body.count) - start else {
            throw BlockFault("a buffer beyond the end")
        }
        let place = body.lowerBound + Int(start)
        return place..<place + Int(count)
    }

    private func buffer(_ cursor: inout Cursor, atLeast bytes: Int) throws(BlockFault) -> Range<Int> {
        let range = try buffer(&cursor)
        guard range.count >= bytes else { throw BlockFault("a buffer that is too short") }
        return range
    }

    private func column(
        _ cursor: inout Cursor, _ type: ColumnType, rows: Int, nullable: Bool
    ) throws(BlockFault) -> BlockBuffers {
        let node = try cursor.nextNode()
        guard node.length == Int64(rows), (0...Int64(rows)).contains(node.nulls), nullable || node.nulls == 0 else {
            throw BlockFault("a column of another length")
        }
        var column = BlockBuffers()
        guard type != .null else { return column }
        let validity = try buffer(&cursor)
        if node.nulls > 0 {
            guard validity.count >= (rows + 7) / 8 else { throw BlockFault("a validity map that is too short") }
            column.validity = validity.lowerBound
        }
        switch type {
        case .null: break
        case .bool: column.values = try buffer(&cursor, atLeast: (rows + 7) / 8).lowerBound
        case .int64, .float64, .timestamp: column.values = try buffer(&cursor, atLeast: 8 * rows).lowerBound
        case .text, .binary, .json:
            let offsets = try buffer(&cursor, atLeast: 4 * (rows + 1))
            let values = try buffer(&cursor)
            _ = try checkOffsets(offsets.lowerBound, rows: rows, within: values.count)
            column.offsets = offsets.lowerBound
            column.values = values.lowerBound
        }
        return column
    }

    private func list(_ cursor: inout Cursor, rows: Int) throws(BlockFault) -> (BlockBuffers, items: BlockBuffers) {
        let node = try cursor.nextNode()
        guard node.length == Int64(rows), node.nulls == 0 else { throw BlockFault("a column of another length") }
        _ = try buffer(&cursor)
        let offsets = try buffer(&cursor, atLeast: 4 * (rows + 1))
        // Each item has an offset of four bytes, so an honest count is below the body's size.
        let items = try cursor.nextNode()
        guard (0...Int64(body.count)).contains(items.length), items.nulls == 0 else {
            throw BlockFault("a column of another length")
        }
        _ = try checkOffsets(offsets.lowerBound, rows: rows, within: Int(items.length))
        _ = try buffer(&cursor)
        let itemOffsets = try buffer(&cursor, atLeast: 4 * (Int(items.length) + 1))
        let values = try buffer(&cursor)
        _ = try checkOffsets(itemOffsets.lowerBound, rows: Int(items.length), within: values.count)
        return (
            BlockBuffers(validity: -1, offsets: offsets.lowerBound, values: 0),
            items: BlockBuffers(validity: -1, offsets: itemOffsets.lowerBound, values: values.lowerBound)
        )
    }

    /// Offsets never go back and stay within what they point into.
    private func checkOffsets(_ start: Int, rows: Int, within count: Int) throws(BlockFault) {
        var before: Int32 = 0
        var isSound = true
        for i in 0...rows {
            let offset = Int32(littleEndian: raw.loadUnaligned(fromByteOffset: start + 4 * i, as: Int32.self))
            isSound = isSound && offset >= before
            before = offset
        }
        guard isSound, Int(before) <= count else { throw BlockFault("an offset beyond the end") }
    }
}
