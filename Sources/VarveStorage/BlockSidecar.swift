/// The sidecar of a block file, `<name>.idx`: what can be said of the file without reading it.
///
/// For each batch its place, rows, first key and CRC32C; a Bloom filter of the keys. Derived: a function of the file's
/// bytes, named by no manifest, of no account for what is true. One that is missing, damaged or of another file is built
/// again from the file, and only after the file's SHA-256 was checked. Bytes: docs/storage-format.md, "Sidecars".

package import VarveModel

package struct BlockSidecar: Sendable, Equatable {
    package struct Batch: Sendable, Equatable {
        /// Bytes of the record batch, metadata and body, in the file.
        package var range: Range<Int>
        package var rows: Int
        package var firstKey: Bytes
        package var checksum: UInt32
    }

    /// SHA-256 of the block file.
    package var digest: Digest
    package var batches: [Batch]
    var filter: BloomFilter

    static let ending = ".idx"
    package static func name(of file: Manifest.File) -> String { file.name + ending }

    package init(of file: BlockFile) {
        digest = file.file.digest
        batches = file.batches.map { batch in
            Batch(
                range: batch.range, rows: batch.rows, firstKey: Bytes(Array(file.keyBytes(at: batch.firstRow))),
                checksum: crc32c(UnsafeRawBufferPointer(rebasing: file.raw[batch.range])))
        }
        filter = BloomFilter(keys: file.rowCount)
        for row in 0..<file.rowCount { filter.insert(file.keyBytes(at: row)) }
    }

    /// False: the file certainly has no row of `key`.
    package func mayHold(_ key: Key) -> Bool { key.bytes.withUnsafeBytes { filter.mayHold($0) } }

    // MARK: Bytes

    private static let version: UInt64 = 1

    /// `{0: version, 1: digest, 2: [[start, length, rows, first key, crc32c], …], 3: filter}` and its CRC32C, four bytes.
    package func encoded() -> Bytes {
        var writer = CBORWriter(reservingCapacity: filter.bits.count + 64 * batches.count + 64)
        writer.map(4)
        writer.unsigned(0)
        writer.unsigned(Self.version)
        writer.unsigned(1)
        writer.byteString(digest)
        writer.unsigned(2)
        writer.array(batches.count)
        for batch in batches {
            writer.array(5)
            writer.unsigned(batch.range.lowerBound)
            writer.unsigned(batch.range.count)
            writer.unsigned(batch.rows)
            writer.byteString(batch.firstKey)
            writer.unsigned(batch.checksum)
        }
        writer.unsigned(3)
        writer.byteString(filter.bits)
        let checksum = writer.bytes.withUnsafeBytes { crc32c($0) }
        return Bytes(writer.bytes + (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (8 * $0)) })
    }

    /// nil for anything but the sidecar of `file`, whole: then it is built again.
    package static func decode(_ bytes: Bytes, of file: Manifest.File) -> BlockSidecar? {
        guard bytes.count > 4 else { return nil }
        let body = bytes[0..<bytes.count - 4]
        var stored: UInt32 = 0
        for i in 0..<4 { stored |= UInt32(bytes[bytes.count - 4 + i]) << (8 * i) }
        guard body.withUnsafeBytes({ crc32c($0) }) == stored else { return nil }
        guard let sidecar = try? BlockSidecar(body), sidecar.digest == file.digest,
            sidecar.batches.allSatisfy({ $0.range.upperBound <= file.size })
        else { return nil }
        return sidecar
    }

    private init(_ body: Bytes) throws(CBORFault) {
        var reader = CBORReader(body)
        guard try reader.map() == 4, try reader.unsigned() == 0, try reader.unsigned() == Self.version,
            try reader.unsigned() == 1
        else { throw reader.fault("no sidecar") }
        digest = try reader.digest()
        guard try reader.unsigned() == 2 else { throw reader.fault("no sidecar") }
        batches = []
        for _ in 0..<(try reader.array()) {
            guard try reader.array() == 5 else { throw reader.fault("no batch") }
            let start = try reader.unsigned(as: Int32.self)
            let length = try reader.unsigned(as: Int32.self)
            let rows = try reader.unsigned(as: Int32.self)
            batches.append(
                Batch(
                    range: Int(start)..<Int(start) + Int(length), rows: Int(rows), firstKey: try reader.byteString(),
                    checksum: try reader.unsigned(as: UInt32.self)))
        }
        guard try reader.unsigned() == 3 else { throw reader.fault("no sidecar") }
        filter = BloomFilter(bits: try reader.byteString().array)
        try reader.expectEnd()
    }
}

/// Eight bits and five hashes for each key: about one in fifty absent keys is taken for present.
struct BloomFilter: Sendable, Equatable {
    private(set) var bits: [UInt8]

    private static let hashes: UInt64 = 5

    init(keys: Int) { bits = [UInt8](repeating: 0, count: max(8, keys)) }
    init(bits: [UInt8]) { self.bits = bits }

    mutating func insert(_ key: UnsafeRawBufferPointer) {
        let (first, step) = Self.hash(key)
        for i in 0..<Self.hashes {
            let bit = Int((first &+ i &* step) % UInt64(8 * bits.count))
            bits[bit >> 3] |= 1 << UInt8(bit & 7)
        }
    }

    func mayHold(_ key: UnsafeRawBufferPointer) -> Bool {
        guard !bits.isEmpty else { return true }
        let (first, step) = Self.hash(key)
        return (0..<Self.hashes).allSatisfy { i in
            let bit = Int((first &+ i &* step) % UInt64(8 * bits.count))
            return bits[bit >> 3] >> UInt8(bit & 7) & 1 == 1
        }
    }

    /// FNV-1a over the key, then the finisher of SplitMix64 twice: the second number, made odd, is the step.
    private static func hash(_ key: UnsafeRawBufferPointer) -> (first: UInt64, step: UInt64) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let first = mix(hash)
        return (first, mix(first) | 1)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
