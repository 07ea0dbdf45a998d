import Testing
import VarveModel

@testable import VarveStorage

/// A shared directory may hold anything: a damaged file is named, and one that lies consistently traps nothing.
@Suite("A damaged block file")
struct BlockFileCorruptionTests {
    let encoded: EncodedBlockFile
    init() throws { encoded = try BlockFileWriter.encode(table: table, block: .first, rows: try rowsOfEveryKind()) }

    private func open(_ bytes: [UInt8], _ file: Manifest.File) -> (BlockFile?, VarveError?) {
        do throws(VarveError) {
            return (try BlockFile(MemoryContents(Bytes(bytes)), file), nil)
        } catch { return (nil, error) }
    }

    /// Everything a reader can ask of a file.
    private func readAll(_ file: BlockFile) {
        for row in 0..<file.rowCount {
            let key = file.key(at: row)
            _ = file.find(key)
            _ = key.id
            _ = (file.position(at: row), file.systemFrom(at: row), file.systemTo(at: row), file.isDeleted(at: row))
            _ = file.rest(at: row).map { $0.count }
            for column in file.columns.indices { _ = file.cell(at: row, column: column) }
            _ = try? file.document(at: row)
        }
        _ = file.find(Key("m")!)
    }

    @Test("is refused with its name when it is cut off anywhere")
    func truncation() {
        let bytes = encoded.bytes.array
        for count in 0..<bytes.count {
            let (file, error) = open(Array(bytes[..<count]), encoded.file)
            #expect(file == nil && error?.code == .blockCorrupt && error?.message.contains(encoded.file.name) == true)
            if file != nil { break }
        }
    }

    @Test("is refused when any byte changed")
    func everyByte() {
        var bytes = encoded.bytes.array
        for i in bytes.indices {
            bytes[i] ^= 0x40
            let (file, error) = open(bytes, encoded.file)
            #expect(file == nil && error?.code == .blockCorrupt)
            bytes[i] ^= 0x40
            if file != nil { break }
        }
    }

    @Test("traps nothing when its manifest agrees with the damage: cut off")
    func lyingTruncation() {
        let bytes = encoded.bytes.array
        for count in 0..<bytes.count {
            let cut = Array(bytes[..<count])
            var file = encoded.file
            file.size = UInt64(count)
            file.digest = Digest(of: cut)
            #expect(open(cut, file).1?.code == .blockCorrupt)
        }
    }

    @Test("traps nothing when its manifest agrees with the damage: bits flipped", arguments: [1, 2] as [UInt64])
    func lyingBits(seed: UInt64) throws {
        var random = SplitMix(seed)
        let encoded =
            seed == 1
            ? self.encoded
            : try BlockFileWriter.encode(table: table, block: .first, rows: try randomRows(20, seed: 3, fields: 270))
        let bytes = encoded.bytes.array
        // Metadata is where offsets are: half of the rounds damage the first and last kilobytes.
        for round in 0..<(seed == 1 ? 1500 : 100) {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                var place = Int.random(in: 0..<bytes.count, using: &random)
                if round.isMultiple(of: 2) {
                    place = Int.random(in: 0..<min(4096, bytes.count), using: &random)
                    if Bool.random(using: &random) { place = bytes.count - 1 - place }
                }
                let values: [UInt8] = [
                    0, 1, 0x7f, 0x80, 0xff, damaged[place] ^ (1 << UInt8.random(in: 0..<8, using: &random)),
                ]
                damaged[place] = values.randomElement(using: &random)!
            }
            var file = encoded.file
            file.digest = Digest(of: damaged)
            if let opened = open(damaged, file).0 { readAll(opened) }
        }
    }

    @Test("traps nothing when an offset of its metadata points anywhere")
    func lyingOffsets() {
        let bytes = encoded.bytes.array
        let footer = bytes.count - 10 - 3000
        for place in stride(from: footer / 4 * 4, to: bytes.count - 6, by: 4) {
            for value in [UInt32.max, 0x7fff_ffff, 0, 64] {
                var damaged = bytes
                withUnsafeBytes(of: value.littleEndian) { raw in
                    for (i, byte) in raw.enumerated() where place + i < damaged.count { damaged[place + i] = byte }
                }
                var file = encoded.file
                file.digest = Digest(of: damaged)
                if let opened = open(damaged, file).0 { readAll(opened) }
            }
        }
    }

    @Test("is refused when the manifest tells other rows or keys")
    func otherManifest() {
        for change in [
            { $0.rows += 1 }, { $0.firstKey = Key(-6) }, { $0.lastKey = Key("zz")! }, { $0.size += 1 },
            { $0.digest = .zero },
        ] as [(inout Manifest.File) -> Void] {
            var file = encoded.file
            change(&file)
            #expect(open(encoded.bytes.array, file).1?.code == .blockCorrupt)
        }
        #expect(open(encoded.bytes.array, encoded.file).1 == nil)
    }
}
