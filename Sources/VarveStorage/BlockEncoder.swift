/// The bytes of one block file, batch after batch: columns, their messages, and the footer that finds them.

import VarveModel

struct BlockEncoder {
    private let table: TableName
    private let schema: ArrowSchema
    private var file: [UInt8] = []
    private var blocks: [Int64] = []

    // Reserved columns
    private var key: ColumnBuilder
    private var id: ColumnBuilder
    private var sequence: ColumnBuilder
    private var systemFrom: ColumnBuilder
    private var systemTo: ColumnBuilder
    private var deleted: ColumnBuilder
    private var nulls = NullNamesBuilder()
    /// The schema's fields, then `_rest` if there is one.
    private var fields: [ColumnBuilder]
    private var names = FieldNames()

    init(table: TableName, rows: [BlockRow]) throws(VarveError) {
        func fault(_ reason: String) -> VarveError {
            VarveError(.internal, "a block file of table \(table) cannot be written: \(reason)")
        }
        guard !rows.isEmpty else { throw fault("it has no rows") }
        var census = FieldCensus()
        var integers = 0
        var size = 0
        for (i, row) in rows.enumerated() {
            if i > 0 {
                let before = rows[i - 1]
                guard before.key < row.key || (before.key == row.key && before.position > row.position) else {
                    throw fault("row \(i) is out of order")
                }
            }
            if case .integer = row.key.kind { integers += 1 }
            size += 2 * row.key.bytes.count + 48
            if let document = row.document {
                do throws(DocumentFault) {
                    try document.withUnsafeBytes { raw throws(DocumentFault) in try census.count(raw) }
                } catch {
                    throw fault("the document of key \(row.key) at \(row.position): \(error.reason)")
                }
                size += document.count
            }
        }
        let columns = census.columns()
        let idType: ColumnType = integers == rows.count ? .int64 : integers == 0 ? .text : .json
        self.table = table
        schema = ArrowSchema(idType: idType, fields: columns.fields, hasRest: columns.hasRest)
        let capacity = min(rows.count, BlockFileWriter.batchRows)
        key = ColumnBuilder(.binary, rows: capacity)
        id = ColumnBuilder(idType, rows: capacity)
        sequence = ColumnBuilder(.int64, rows: capacity)
        systemFrom = ColumnBuilder(.timestamp, rows: capacity)
        systemTo = ColumnBuilder(.timestamp, rows: capacity)
        deleted = ColumnBuilder(.bool, rows: capacity)
        fields = columns.fields.map { ColumnBuilder($0.type, rows: capacity) }
        if columns.hasRest { fields.append(ColumnBuilder(.json, rows: capacity)) }
        let order = columns.fields.indices.sorted { encodedOrder(columns.fields[$0].name, columns.fields[$1].name) }
        for (place, i) in order.enumerated() {
            columns.fields[i].name.withUnsafeBytes { names.insert($0, id: i, at: place) }
        }

        file.reserveCapacity(size + size / 4 + 64 * 1024)
        file.append(contentsOf: BlockFileWriter.magic + [0, 0])
        message(schema.message(table: table.text), alignment: 8)
    }

    /// One encapsulated message: continuation mark, length, metadata, zeros so that what follows is aligned.
    /// Returns how many bytes it took.
    @discardableResult
    private mutating func message(_ metadata: [UInt8], alignment: Int) -> Int {
        let start = file.count
        let end = start + 8 + metadata.count
        let gap = (alignment - end % alignment) % alignment
        file.append(word: UInt32.max)
        file.append(word: UInt32(metadata.count + gap))
        file.append(contentsOf: metadata)
        file.append(contentsOf: repeatElement(0, count: gap))
        return file.count - start
    }

    mutating func batch(_ rows: [BlockRow], _ range: Range<Int>) throws(VarveError) {
        reset()
        for i in range {
            let row = rows[i]
            do throws(DocumentFault) {
                try add(row, at: i - range.lowerBound)
            } catch {
                throw VarveError(
                    .internal, "the document of key \(row.key) at \(row.position) of table \(table): \(error.reason)")
            }
        }
        write(rows: range.count)
        guard file.count <= Int(UInt32.max) - (1 << 20) else {
            throw VarveError(.internal, "a block file of table \(table) would pass 4 GiB: set bytesPerBlock lower")
        }
    }

    private mutating func reset() {
        key.reset()
        id.reset()
        sequence.reset()
        systemFrom.reset()
        systemTo.reset()
        deleted.reset()
        nulls.reset()
        for i in fields.indices { fields[i].reset() }
    }

    private mutating func add(_ row: BlockRow, at r: Int) throws(DocumentFault) {
        row.key.bytes.withUnsafeBytes { raw in
            key.set(r, content: raw)
            switch (row.key.kind, schema.idType) {
            case (.integer(let value), .int64): id.set(r, word: UInt64(bitPattern: value))
            case (.text, .text): id.set(r, content: UnsafeRawBufferPointer(rebasing: raw[1...]))
            default:
                JSONCells.append(key: row.key, to: &id.data)
                id.close(r)
            }
        }
        sequence.set(r, word: UInt64(bitPattern: row.position.packed))
        systemFrom.set(r, word: UInt64(bitPattern: row.systemFrom.microseconds))
        if let end = row.systemTo { systemTo.set(r, word: UInt64(bitPattern: end.microseconds)) }
        deleted.set(r, bool: row.document == nil)
        if let document = row.document {
            try document.withUnsafeBytes { raw throws(DocumentFault) in try add(document: raw, at: r) }
        }
        nulls.endRow()
    }

    private mutating func add(document: UnsafeRawBufferPointer, at r: Int) throws(DocumentFault) {
        var scanner = try DocumentScanner(document)
        var hint = 0
        var rest: [UnsafeRawBufferPointer] = []
        for _ in 0..<scanner.remaining {
            let field = try scanner.next()
            guard case .found(let column, let next) = names.find(field.name, from: hint) else {
                rest.append(field.name)
                rest.append(field.item)
                continue
            }
            hint = next
            if field.kind == .null {
                nulls.append(name: field.name)
                continue
            }
            switch fields[column].type {
            case .null: break
            case .bool: fields[column].set(r, bool: field.word == 1)
            case .int64, .float64, .timestamp: fields[column].set(r, word: field.word)
            case .text, .binary: fields[column].set(r, content: field.content)
            case .json:
                try JSONCells.append(item: field.item, to: &fields[column].data)
                fields[column].close(r)
            }
        }
        if !rest.isEmpty {
            let last = fields.count - 1
            try JSONCells.append(object: rest, to: &fields[last].data)
            fields[last].close(r)
        }
    }

    private mutating func write(rows: Int) {
        var nodes: [Int64] = []
        var buffers: [Int64] = []
        var body = 0
        func count(_ lengths: [Int]) {
            for length in lengths {
                buffers.append(Int64(body))
                buffers.append(Int64(length))
                body += length + BlockFileWriter.padding(length)
            }
        }
        for column in [key, id, sequence, systemFrom, systemTo, deleted] {
            nodes += [Int64(rows), Int64(column.nullCount(rows: rows))]
            count(column.bufferLengths(rows: rows))
        }
        nodes += [Int64(rows), 0, Int64(nulls.nameCount), 0]
        count(nulls.bufferLengths)
        for column in fields {
            nodes += [Int64(rows), Int64(column.nullCount(rows: rows))]
            count(column.bufferLengths(rows: rows))
        }
        var metadata = FlatBufferWriter()
        // version V5, header_type RecordBatch, header, bodyLength
        let slots = metadata.table(FlatBufferWriter.root, [.short(4), .byte(3), .child, .long(Int64(body))])
        let batch = metadata.table(slots[0], [.long(Int64(rows)), .child, .child])
        metadata.structs(batch[0], count: nodes.count / 2, words: nodes)
        metadata.structs(batch[1], count: buffers.count / 2, words: buffers)

        let start = file.count
        let length = message(metadata.bytes, alignment: BlockFileWriter.alignment)
        blocks += [Int64(start), Int64(length), Int64(body)]
        for column in [key, id, sequence, systemFrom, systemTo, deleted] { column.append(to: &file, rows: rows) }
        nulls.append(to: &file)
        for column in fields { column.append(to: &file, rows: rows) }
    }

    mutating func finish() throws(VarveError) -> Bytes {
        file.append(word: UInt32.max)
        file.append(word: 0)
        var footer = FlatBufferWriter()
        // version V5, schema, dictionaries, recordBatches
        let slots = footer.table(FlatBufferWriter.root, [.short(4), .child, .child, .child])
        schema.write(to: &footer, slots[0], table: table.text)
        footer.structs(slots[1], count: 0, words: [])
        footer.structs(slots[2], count: blocks.count / 3, words: blocks)
        footer.pad(to: 8)
        file.append(contentsOf: footer.bytes)
        file.append(word: UInt32(footer.bytes.count))
        file.append(contentsOf: BlockFileWriter.magic)
        return Bytes(file)
    }
}

extension ArrowSchema {
    fileprivate func message(table: String) -> [UInt8] {
        var metadata = FlatBufferWriter()
        // version V5, header_type Schema, header, bodyLength
        let slots = metadata.table(FlatBufferWriter.root, [.short(4), .byte(1), .child, .long(0)])
        write(to: &metadata, slots[0], table: table)
        metadata.pad(to: 8)
        return metadata.bytes
    }
}

extension [UInt8] {
    fileprivate mutating func append(word: UInt32) {
        Swift.withUnsafeBytes(of: word.littleEndian) { append(contentsOf: $0) }
    }
}

extension Key {
    fileprivate enum Kind {
        case integer(Int64)
        case text
    }

    /// Like `id` without making a String.
    fileprivate var kind: Kind {
        guard bytes[0] == 1 else { return .text }
        let raw = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 1, as: UInt64.self) }
        return .integer(Int64(bitPattern: UInt64(bigEndian: raw) ^ (1 << 63)))
    }
}
