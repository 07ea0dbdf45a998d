/// The buffers of one column of one record batch.
///
/// Rows are set in ascending order; a row that is skipped is null. Null slots hold zeros and bits behind the last row
/// are zero, so equal cells are equal bytes.

import VarveModel

struct ColumnBuilder {
    let type: ColumnType
    private var present: [UInt8]
    private var presentCount = 0
    private var words: [UInt64]
    private var bits: [UInt8]
    private var ends: [Int32]
    /// Content of texts and binaries.
    var data: [UInt8] = []

    init(_ type: ColumnType, rows: Int) {
        self.type = type
        present = Array(repeating: 0, count: (rows + 7) / 8)
        words = []
        bits = []
        ends = []
        switch type {
        case .null: break
        case .bool: bits = present
        case .int64, .float64, .timestamp: words = Array(repeating: 0, count: rows)
        case .text, .binary, .json: ends.reserveCapacity(rows)
        }
    }

    /// Ready for the next batch, with the room it has.
    mutating func reset() {
        presentCount = 0
        for i in present.indices { present[i] = 0 }
        for i in bits.indices { bits[i] = 0 }
        for i in words.indices { words[i] = 0 }
        ends.removeAll(keepingCapacity: true)
        data.removeAll(keepingCapacity: true)
    }

    @inline(__always)
    private mutating func mark(_ row: Int) {
        present[row >> 3] |= 1 << UInt8(truncatingIfNeeded: row & 7)
        presentCount += 1
    }

    @inline(__always)
    mutating func set(_ row: Int, word: UInt64) {
        mark(row)
        words[row] = word
    }

    @inline(__always)
    mutating func set(_ row: Int, bool: Bool) {
        mark(row)
        if bool { bits[row >> 3] |= 1 << UInt8(truncatingIfNeeded: row & 7) }
    }

    @inline(__always)
    mutating func set(_ row: Int, content: UnsafeRawBufferPointer) {
        data.append(contentsOf: content)
        close(row)
    }

    /// Ends a cell whose content was appended to `data`.
    @inline(__always)
    mutating func close(_ row: Int) {
        mark(row)
        // Skipped rows end where the row before them did; `data` may have grown since only by this row's content.
        let before = ends.last ?? 0
        while ends.count < row { ends.append(before) }
        ends.append(Int32(truncatingIfNeeded: data.count))
    }

    func nullCount(rows: Int) -> Int { type == .null ? rows : rows - presentCount }

    /// Length of each Arrow buffer, in order.
    func bufferLengths(rows: Int) -> [Int] {
        guard type != .null else { return [] }
        let validity = presentCount == rows ? 0 : (rows + 7) / 8
        switch type {
        case .null: return []
        case .bool: return [validity, (rows + 7) / 8]
        case .int64, .float64, .timestamp: return [validity, 8 * rows]
        case .text, .binary, .json: return [validity, 4 * (rows + 1), data.count]
        }
    }

    /// Appends the buffers, each padded with zeros to `BlockFileWriter.alignment`.
    func append(to file: inout [UInt8], rows: Int) {
        guard type != .null else { return }
        if presentCount < rows { file.append(padded: present, bytes: (rows + 7) / 8) }
        switch type {
        case .null: break
        case .bool: file.append(padded: bits, bytes: (rows + 7) / 8)
        case .int64, .float64, .timestamp: file.append(padded: words, bytes: 8 * rows)
        case .text, .binary, .json:
            var offsets: [Int32] = [0]
            offsets.reserveCapacity(rows + 1)
            offsets.append(contentsOf: ends)
            while offsets.count < rows + 1 { offsets.append(Int32(truncatingIfNeeded: data.count)) }
            file.append(padded: offsets, bytes: 4 * (rows + 1))
            file.append(padded: data, bytes: data.count)
        }
    }
}

/// `_nulls`: for each row a list of texts.
struct NullNamesBuilder {
    private var ends: [Int32] = [0]
    private var nameEnds: [Int32] = [0]
    private var data: [UInt8] = []

    mutating func reset() {
        ends.removeSubrange(1...)
        nameEnds.removeSubrange(1...)
        data.removeAll(keepingCapacity: true)
    }

    mutating func append(name: UnsafeRawBufferPointer) {
        data.append(contentsOf: name)
        nameEnds.append(Int32(truncatingIfNeeded: data.count))
    }

    mutating func endRow() { ends.append(Int32(truncatingIfNeeded: nameEnds.count - 1)) }

    var nameCount: Int { nameEnds.count - 1 }
    var bufferLengths: [Int] { [0, 4 * ends.count, 0, 4 * nameEnds.count, data.count] }

    func append(to file: inout [UInt8]) {
        file.append(padded: ends, bytes: 4 * ends.count)
        file.append(padded: nameEnds, bytes: 4 * nameEnds.count)
        file.append(padded: data, bytes: data.count)
    }
}

extension [UInt8] {
    /// The first `bytes` bytes of `elements` as they are in memory (little-endian on every platform we run on).
    fileprivate mutating func append<T>(padded elements: [T], bytes: Int) {
        elements.withUnsafeBytes { append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[0..<bytes])) }
        let gap = BlockFileWriter.padding(bytes)
        if gap > 0 { append(contentsOf: repeatElement(0, count: gap)) }
    }
}
