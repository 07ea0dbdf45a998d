/// Reads FlatBuffers from bytes that nobody vouches for: every offset is checked before it is followed.

/// What is wrong with a block file, to be told with the file's name.
struct BlockFault: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

/// Little-endian integers at checked places.
struct CheckedBytes {
    let raw: UnsafeRawBufferPointer

    func load<T: FixedWidthInteger>(_ type: T.Type, at position: Int) throws(BlockFault) -> T {
        guard position >= 0, position <= raw.count - MemoryLayout<T>.size else {
            throw BlockFault("an offset beyond the end")
        }
        return T(littleEndian: raw.loadUnaligned(fromByteOffset: position, as: T.self))
    }
}

struct FlatTable {
    let bytes: CheckedBytes
    private let start: Int
    private let vtable: Int
    private let fieldCount: Int

    /// The table that the offset at `place` points at; 0 for a root.
    init(_ bytes: CheckedBytes, at place: Int) throws(BlockFault) {
        self.bytes = bytes
        start = place + Int(try bytes.load(UInt32.self, at: place))
        vtable = start - Int(try bytes.load(Int32.self, at: start))
        let size = Int(try bytes.load(UInt16.self, at: vtable))
        guard size >= 4, size.isMultiple(of: 2), vtable + size <= bytes.raw.count else {
            throw BlockFault("a table without a description")
        }
        fieldCount = (size - 4) / 2
    }

    private func place(_ field: Int) throws(BlockFault) -> Int? {
        guard field < fieldCount else { return nil }
        let offset = Int(try bytes.load(UInt16.self, at: vtable + 4 + 2 * field))
        return offset == 0 ? nil : start + offset
    }

    func number<T: FixedWidthInteger>(_ field: Int, _ type: T.Type) throws(BlockFault) -> T {
        guard let place = try place(field) else { return 0 }
        return try bytes.load(T.self, at: place)
    }

    func has(_ field: Int) throws(BlockFault) -> Bool { try place(field) != nil }

    func table(_ field: Int) throws(BlockFault) -> FlatTable {
        guard let place = try place(field) else { throw BlockFault("a table lacks field \(field)") }
        return try FlatTable(bytes, at: place)
    }

    /// First byte and length of a vector whose elements are `stride` bytes; empty when left out.
    func vector(_ field: Int, stride: Int) throws(BlockFault) -> (start: Int, count: Int) {
        guard let place = try place(field) else { return (0, 0) }
        let start = place + Int(try bytes.load(UInt32.self, at: place))
        let count = Int(try bytes.load(UInt32.self, at: start))
        guard count * stride <= bytes.raw.count - start - 4 else { throw BlockFault("a vector beyond the end") }
        return (start + 4, count)
    }

    func tables(_ field: Int) throws(BlockFault) -> [FlatTable] {
        let (start, count) = try vector(field, stride: 4)
        var result: [FlatTable] = []
        for i in 0..<count { result.append(try FlatTable(bytes, at: start + 4 * i)) }
        return result
    }

    func text(_ field: Int) throws(BlockFault) -> UnsafeRawBufferPointer {
        let (start, count) = try vector(field, stride: 1)
        return UnsafeRawBufferPointer(rebasing: bytes.raw[start..<start + count])
    }
}
