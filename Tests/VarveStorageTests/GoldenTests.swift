import Foundation
import Testing
import VarveModel

@testable import VarveStorage

/// The stored formats, byte for byte. A test here that turns red means a new format version, not a new fixture.
@Suite("Stored formats, version 1")
struct GoldenTests {
    private func fixture(_ name: String) throws -> Data {
        try Data(contentsOf: #require(Bundle.module.url(forResource: "Fixtures/v1/\(name)", withExtension: nil)))
    }

    private func hexFixture(_ name: String) throws -> [UInt8] {
        let digits = String(decoding: try fixture(name), as: UTF8.self).filter { !$0.isWhitespace }
        return try #require(bytes(fromHex: digits))
    }

    @Test("FORMAT")
    func format() throws {
        let format = StorageFormat(database: Bytes16(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210))
        let golden = try hexFixture("FORMAT.hex")
        #expect(format.encoded().array == golden)
        #expect(try StorageFormat.decode(Bytes(golden)) == format)
    }

    @Test("epoch records")
    func epochs() throws {
        let sample = SampleStore()
        for (i, record) in sample.epochs.enumerated() {
            let golden = try hexFixture("epoch-e000\(i).hex")
            #expect(record.encoded().array == golden)
            #expect(try EpochRecord.decode(Bytes(golden)) == record)
        }
    }

    @Test("a manifest, of this format and the one before", arguments: [1, 2] as [UInt64])
    func manifest(format: UInt64) throws {
        let golden = try hexFixture(format == 1 ? "manifest.hex" : "manifest-2.hex")
        var sample = sampleManifest()
        #expect(sample.format == 2)
        sample.format = format
        #expect(sample.encoded().array == golden)
        #expect(try Manifest.decode(Bytes(golden)) == sample)
    }

    @Test("whatever bit of a manifest flips, it is no manifest")
    func flippedManifest() throws {
        let golden = try hexFixture("manifest-2.hex")
        for bit in 0..<golden.count * 8 {
            var bytes = golden
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: CBORFault.self, "bit \(bit)") { try Manifest.decode(Bytes(bytes)) }
        }
    }

    @Test("a block file")
    func blockFile() throws {
        let golden = try fixture("block.arrow")
        let rows = try rowsOfEveryKind()
        #expect(try BlockFileWriter.encode(table: table, rows: rows).array == Array(golden))
        let file = Manifest.File(
            name: "block.arrow", size: UInt64(golden.count), digest: Digest(of: Array(golden)), rows: 6,
            firstKey: Key(-5), lastKey: Key("zoë\u{0}")!)
        let opened = try BlockFile(MemoryContents(Bytes(Array(golden))), file)
        for (i, row) in rows.enumerated() { #expect(try opened.document(at: i) == row.document) }
    }

    /// SHA-256 of files too large to keep: all kinds over several batches, and names by the thousand.
    static let digests: [(rows: Int, seed: UInt64, fields: Int, digest: String)] = [
        (4200, 21, 30, "a54874726502ccbcd51cbc20b5784c2d91f2a3a6dec0c133fc2c76a11f4a6cd1"),
        (6, 22, 2000, "87a5bb43ac2dde996ae11f1acad94338588c0418fa7020cbfddb0e91176e6d90"),
    ]

    static func areGolden() throws -> Bool {
        try digests.allSatisfy { sample in
            let rows = try randomRows(sample.rows, seed: sample.seed, fields: sample.fields)
            return Digest(of: try BlockFileWriter.encode(table: table, rows: rows)).description == sample.digest
        }
    }

    @Test("large block files are the same bytes in every process")
    func everyProcess() async throws {
        #expect(try Self.areGolden())
        // Another process has other hash seeds and other addresses.
        await #expect(processExitsWith: .success) {
            let areGolden = try GoldenTests.areGolden()
            try #require(areGolden)
        }
    }
}
