/// Puts a document together again: the identical bytes that were written.

package import VarveModel

extension BlockFile {
    /// The document at `row` as deterministic CBOR without `_id`; nil for a deletion. Throws `BLOCK_CORRUPT` when a JSON
    /// cell is no JSON.
    package func document(at row: Int) throws(VarveError) -> Bytes? {
        guard !isDeleted(at: row) else { return nil }
        let (batchNumber, place) = locate(row)
        let batch = batches[batchNumber]
        let nulls = nullNames(batch, place)
        let rest = try restFields(at: row)
        let base = ReservedColumn.allCases.count

        var count = nulls.count + rest.count
        for i in columns.indices where columns[i].type != .null && isPresent(batch.columns[base + i], place) {
            count += 1
        }
        var writer = CBORWriter(reservingCapacity: 512)
        writer.map(count)
        if rest.isEmpty {
            for i in documentOrder {
                let column = columns[i]
                let value = value(column.type, batch.columns[base + i], place)
                if case .null = value {
                    guard !nulls.isEmpty, contains(nulls, column.name) else { continue }
                }
                writer.raw(column.encodedName)
                try append(value, to: &writer)
            }
        } else {
            var fields: [(name: Bytes, item: Bytes)] = rest
            for (i, column) in columns.enumerated() {
                let value = value(column.type, batch.columns[base + i], place)
                if case .null = value {
                    guard contains(nulls, column.name) else { continue }
                }
                var item = CBORWriter()
                try append(value, to: &item)
                fields.append((column.name, Bytes(item.bytes)))
            }
            fields.sort { encodedOrder($0.name, $1.name) }
            for field in fields {
                writer.head(.text, UInt64(field.name.count))
                writer.raw(field.name)
                writer.raw(field.item)
            }
        }
        return Bytes(writer.bytes)
    }

    private func append(_ cell: Cell, to writer: inout CBORWriter) throws(VarveError) {
        switch cell {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .int64(let value): writer.integer(value)
        case .float64(let value): writer.double(value)
        case .text(let utf8):
            writer.head(.text, UInt64(utf8.count))
            writer.bytes.append(contentsOf: utf8)
        case .binary(let content): writer.byteString(content)
        case .timestamp(let microseconds):
            writer.tag(0)
            writer.text(Instant(microseconds: microseconds).description)
        case .json(let text): writer.raw(try parsed(text))
        }
    }

    private func parsed(_ text: UnsafeRawBufferPointer) throws(VarveError) -> Bytes {
        guard let item = JSONCells.item(text) else { throw noJSON }
        return item
    }

    private var noJSON: VarveError {
        VarveError(
            .blockCorrupt, "block file \(file.name): a JSON cell is no JSON; other rows are not affected",
            next: "restore this file from a backup or another copy of the storage")
    }

    /// Fields of `_rest`: name and item.
    private func restFields(at row: Int) throws(VarveError) -> [(name: Bytes, item: Bytes)] {
        guard let text = rest(at: row) else { return [] }
        var reader = CBORReader(try parsed(text))
        do throws(CBORFault) {
            var fields: [(name: Bytes, item: Bytes)] = []
            for _ in 0..<(try reader.map()) { fields.append((try reader.textBytes(), try reader.skip())) }
            return fields
        } catch {
            throw noJSON
        }
    }

    /// Names of the fields that are explicitly null at a row.
    private func nullNames(_ batch: BlockBatch, _ row: Int) -> [UnsafeRawBufferPointer] {
        let list = batch.columns[ReservedColumn.nulls.rawValue]
        let place = list.offsets + 4 * row
        let start = Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: place, as: Int32.self)))
        let end = Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: place + 4, as: Int32.self)))
        guard start < end else { return [] }
        return (start..<end).map { run(batch.columns[batch.columns.count - 1], $0) }
    }

    private func contains(_ names: [UnsafeRawBufferPointer], _ name: Bytes) -> Bool {
        name.withUnsafeBytes { name in names.contains { compareRaw($0, name) == 0 } }
    }
}
