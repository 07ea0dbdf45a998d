import Testing
import VarveModel

@testable import VarveStorage

/// What stands beside a block file is derived: useful when right, without harm when wrong.
@Suite("The sidecar of a block file")
struct SidecarTests {
    let objects = MemoryObjectStore()
    var store: BlockStore { BlockStore(objects) }

    private func published(_ count: Int = 10_000, block: BlockNumber = .first) throws -> EncodedBlockFile {
        let encoded = try BlockFileWriter.encode(table: table, block: block, rows: try randomRows(count, seed: 7))
        try store.publishFile(encoded)
        return encoded
    }

    @Test("is published with its file and says which keys are not in it")
    func keys() throws {
        let encoded = try published()
        let sidecar = try #require(try store.sidecar(of: encoded.file))
        let file = try store.openFile(encoded.file)
        #expect(sidecar.batches.map(\.rows).reduce(0, +) == file.rowCount)
        #expect(sidecar.batches.count == (file.rowCount + 4095) / 4096)
        for row in 0..<file.rowCount { #expect(sidecar.mayHold(file.key(at: row))) }
        let absent = (0..<10_000).filter { sidecar.mayHold(Key("absent-\($0)")!) }.count
        #expect(absent < 500, "\(absent) of 10,000 absent keys may be there")
    }

    @Test("is the same bytes on every node, the golden ones")
    func golden() throws {
        let encoded = try BlockFileWriter.encode(table: table, block: .first, rows: try rowsOfEveryKind())
        let file = try BlockFile(MemoryContents(encoded.bytes), encoded.file)
        let bytes = BlockSidecar(of: file).encoded()
        #expect(Digest(of: bytes).shortHex == "01a8b8e8717f6b34")
        #expect(BlockSidecar.decode(bytes, of: encoded.file) == BlockSidecar(of: file))
    }

    @Test("is no sidecar when it is cut off, changed or of another file")
    func damage() throws {
        let encoded = try published(20)
        let bytes = try #require(try objects.get(BlockSidecar.name(of: encoded.file))).array
        for count in 0..<bytes.count {
            #expect(BlockSidecar.decode(Bytes(Array(bytes[..<count])), of: encoded.file) == nil)
        }
        for i in bytes.indices {
            var changed = bytes
            changed[i] ^= 0x10
            #expect(BlockSidecar.decode(Bytes(changed), of: encoded.file) == nil)
        }
        var other = encoded.file
        other.digest = Digest(of: Bytes("another"))
        #expect(BlockSidecar.decode(Bytes(bytes), of: other) == nil)
    }

    @Test("is built again where it is missing or wrong", arguments: [nil, Bytes("rubbish")] as [Bytes?])
    func rebuilt(_ stands: Bytes?) throws {
        let encoded = try published(100)
        let name = BlockSidecar.name(of: encoded.file)
        let right = try objects.get(name)
        try objects.remove(name)
        if let stands { _ = try objects.putIfAbsent(name, stands) }
        #expect(try store.sidecar(of: encoded.file) == nil)
        #expect(try store.restoreSidecar(of: try store.openFile(encoded.file)))
        #expect(try objects.get(name) == right)
        #expect(try store.restoreSidecar(of: try store.openFile(encoded.file)) == false)
    }
}

/// `varve blocks verify`, without its command line.
@Suite("Verifying a storage")
struct StorageVerifierTests {
    let objects = MemoryObjectStore()
    var store: BlockStore { BlockStore(objects) }
    let file: Manifest.File

    /// One epoch, one block, one file of 10,000 rows: three batches.
    init() throws {
        let database = Bytes16(high: 1, low: 2)
        let encoded = try BlockFileWriter.encode(table: table, block: .first, rows: try randomRows(10_000, seed: 3))
        file = encoded.file
        let store = BlockStore(objects)
        _ = try store.publishFormat(StorageFormat(database: database))
        let epoch = sampleEpochRecord()
        _ = try store.publishEpochRecord(epoch)
        try store.publishFile(encoded)
        var manifest = sampleManifest()
        manifest.database = database
        manifest.previous = Digest(of: epoch.encoded())
        manifest.tables = [Manifest.Table(name: table, newFields: [], erasures: [], files: [file])]
        _ = try store.publishManifest(manifest)
    }

    private func change(_ name: String, _ body: (inout [UInt8]) -> Void) throws {
        var bytes = try #require(try objects.get(name)).array
        body(&bytes)
        try objects.remove(name)
        _ = try objects.putIfAbsent(name, Bytes(bytes))
    }

    @Test("counts what is whole")
    func whole() throws {
        let report = try StorageVerifier(store).verify()
        #expect(report.damages.isEmpty && report.unnamed.isEmpty && report.sidecarsRebuilt.isEmpty)
        #expect((report.epochs, report.blocks, report.files) == (1, 1, 1))
        #expect((report.rows, report.bytes) == (file.rows, file.size))
    }

    @Test("names file, batch and what can still be read")
    func flippedByte() throws {
        let sidecar = try #require(try store.sidecar(of: file))
        try change(file.name) { $0[sidecar.batches[1].range.upperBound - 100] ^= 1 }
        let report = try StorageVerifier(store).verify()
        #expect(report.damages.count == 1)
        let damage = try #require(report.damages.first)
        #expect(damage.name == file.name && damage.table == table && damage.block == .first)
        #expect(damage.batches == [1])
        let rest = Int(file.rows) - sidecar.batches[1].rows
        #expect(damage.readable == "\(rest) of \(file.rows) rows stand in whole batches")
        #expect(damage.reason.contains("SHA-256"))
    }

    @Test("sees a file that was cut off, with the batches that are left")
    func truncated() throws {
        let sidecar = try #require(try store.sidecar(of: file))
        try change(file.name) { $0.removeLast($0.count - sidecar.batches[0].range.upperBound) }
        let damage = try #require(try StorageVerifier(store).verify().damages.first)
        #expect(damage.batches == [1, 2])
    }

    @Test("sees a file that is missing")
    func missing() throws {
        try objects.remove(file.name)
        let damage = try #require(try StorageVerifier(store).verify().damages.first)
        #expect(damage.reason.contains("is missing") && damage.readable == "nothing")
    }

    @Test("says when nothing tells the batches apart")
    func sidecarGone() throws {
        try objects.remove(BlockSidecar.name(of: file))
        try change(file.name) { $0[$0.count / 2] ^= 1 }
        let damage = try #require(try StorageVerifier(store).verify().damages.first)
        #expect(damage.batches == nil)
    }

    @Test("lists files that no manifest names, and builds a wrong sidecar again")
    func leftOver() throws {
        let other = try BlockFileWriter.encode(table: table, block: BlockNumber(1), rows: try randomRows(5, seed: 9))
        _ = try objects.putIfAbsent(other.file.name, other.bytes)
        try change(BlockSidecar.name(of: file)) { $0[9] ^= 1 }
        let report = try StorageVerifier(store).verify()
        #expect(report.damages.isEmpty)
        #expect(report.unnamed == [other.file.name])
        #expect(report.sidecarsRebuilt == [BlockSidecar.name(of: file)])
        #expect(try StorageVerifier(store).verify().sidecarsRebuilt.isEmpty)
    }

    @Test("refuses a storage that holds no database")
    func empty() {
        #expect(throws: VarveError.self) { try StorageVerifier(BlockStore(MemoryObjectStore())).verify() }
    }
}
