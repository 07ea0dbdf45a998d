import Foundation
import Testing
import VarveModel

@testable import VarveStorage

/// Two epochs: blocks 0 to 2 in epoch 0, of which the successor kept 0 and 1, and block 2 of epoch 1.
struct SampleStore {
    let objects = MemoryObjectStore()
    let database = Bytes16(high: 1, low: 2)
    var store: BlockStore { BlockStore(objects) }
    var epochs: [EpochRecord] = []
    var manifests: [Manifest] = []
    var offChain: Manifest

    init() {
        var first = sampleEpochRecord()
        first.parentEnd = nil
        var second = first
        second.epoch = Epoch(1)!
        second.parent = Digest(of: first.encoded())
        second.began = .lost
        second.reason = "topic deleted"
        second.parentEnd = ParentEnd(
            position: at(20), inputChain: .zero, effectChain: .zero, block: BlockNumber(1), effectiveTime: 3,
            systemTime: Instant(microseconds: 3000))
        epochs = [first, second]
        var previous = Digest(of: first.encoded())
        for (number, epoch) in [(0, 0), (1, 0), (2, 1)] as [(Int64, Int)] {
            var manifest = sampleManifest()
            manifest.database = database
            manifest.number = BlockNumber(UInt64(number))
            manifest.previous = previous
            manifest.first = at(number * 10, epoch)
            manifest.last = at(number * 10 + 9, epoch)
            previous = Digest(of: manifest.encoded())
            manifests.append(manifest)
        }
        offChain = manifests[2]
        offChain.first = at(20)
        offChain.last = at(29)
    }

    func publishAll() throws {
        _ = try store.publishFormat(StorageFormat(database: database))
        for epoch in epochs { #expect(try store.publishEpochRecord(epoch) == .created) }
        for manifest in manifests + [offChain] { #expect(try store.publishManifest(manifest) == .created) }
    }
}

func sampleEpochRecord() -> EpochRecord {
    EpochRecord(
        epoch: .first, parent: .zero, began: .initial,
        log: LogReference(
            kind: .kafka, clusterID: "cluster-1", topic: "varve-log-e0", genesis: Bytes16(high: 3, low: 4),
            genesisOffset: .zero), parentEnd: nil, reason: "")
}

func sampleManifest() -> Manifest {
    Manifest(
        database: Bytes16(high: 1, low: 2), number: .first, previous: Digest(of: Bytes("previous")), first: at(0),
        last: at(9), logTime: 1_700_000_000_000, effectiveTime: 1_700_000_000_001,
        systemTime: Instant(microseconds: 1_700_000_000_001_000), inputChain: Digest(of: Bytes("H")),
        effectChain: Bytes16(high: 5, low: 6), recordDigest: Digest(of: Bytes("record")), horizon: .zero,
        anchors: [.init(fromPower: 0, position: at(9), digest: Digest(of: Bytes("anchor")))], cut: .rows,
        counts: .init(records: 10, transactions: 9, rows: 12, bytes: 3456), settings: Settings(),
        tables: [
            .init(
                name: table, newFields: [Bytes("name"), Bytes("größe")],
                erasures: [.init(key: Key("gone")!, position: at(4))],
                files: [
                    .init(
                        name: BlockFileWriter.name(
                            table: table, first: .first, last: .first, digest: Digest(of: Bytes("file"))), size: 4321,
                        digest: Digest(of: Bytes("file")), rows: 12, firstKey: Key(-1), lastKey: Key("zoë")!)
                ])
        ])
}

@Suite("A block store")
struct BlockStoreTests {
    @Test("is empty at first")
    func empty() throws {
        let store = BlockStore(MemoryObjectStore())
        #expect(try store.readFormat() == nil)
        #expect(try store.epochRecords().isEmpty)
        #expect(try store.manifests(of: [], database: .zero).isEmpty)
        #expect(try store.manifest(.first, .first) == nil)
    }

    @Test("lets the first FORMAT win")
    func format() throws {
        let store = BlockStore(MemoryObjectStore())
        let first = StorageFormat(database: Bytes16(high: 1, low: 1))
        #expect(try store.publishFormat(first) == first)
        #expect(try store.publishFormat(StorageFormat(database: Bytes16(high: 2, low: 2))) == first)
        #expect(try store.readFormat() == first)
    }

    @Test("reads epochs and the manifests on the chain, over a declared loss")
    func chain() throws {
        let sample = SampleStore()
        try sample.publishAll()
        let epochs = try sample.store.epochRecords()
        #expect(epochs.map(\.record) == sample.epochs)
        let chain = try sample.store.manifests(of: epochs, database: sample.database)
        #expect(chain.map(\.manifest) == sample.manifests)
        #expect(chain.last?.digest == Digest(of: sample.manifests[2].encoded()))
        #expect(try sample.store.manifest(Epoch(1)!, BlockNumber(2))?.manifest == sample.manifests[2])
    }

    @Test("misses no epoch and no block that a listing does not show yet", arguments: [0, 1, 2])
    func laggingListing(hidden: Int) throws {
        let sample = SampleStore()
        try sample.publishAll()
        let store = BlockStore(AlteredStore(objects: sample.objects, hidden: hidden))
        let epochs = try store.epochRecords()
        #expect(epochs.map(\.record) == sample.epochs)
        let all = try sample.store.epochRecords()
        #expect(try store.manifests(of: all, database: sample.database).map(\.manifest) == sample.manifests)
    }

    @Test("ignores names that are none of its own")
    func foreignNames() throws {
        let sample = SampleStore()
        try sample.publishAll()
        for name in [
            "epochs/e00000.cbor", "epochs/eFFFF.cbor", "epochs/.nfs1", "blocks/e0000/b1.cbor", "blocks/e0000/x",
        ] {
            _ = try sample.objects.putIfAbsent(name, Bytes("x"))
        }
        let epochs = try sample.store.epochRecords()
        #expect(try sample.store.manifests(of: epochs, database: sample.database).count == 3)
    }

    @Test("tells a second manifest of the same number from the first")
    func manifestTwice() throws {
        let sample = SampleStore()
        try sample.publishAll()
        #expect(try sample.store.publishManifest(sample.manifests[1]) == .identical)
        var other = sample.manifests[1]
        other.counts.rows += 1
        #expect(try sample.store.publishManifest(other) == .different(sample.manifests[1].encoded()))
    }

    @Test("says which link of a chain is missing or wrong")
    func brokenChains() throws {
        var hole = SampleStore()
        hole.manifests.remove(at: 0)
        try hole.publishAll()
        let epochs = try hole.store.epochRecords()
        #expect(throws: VarveError.self) { try hole.store.manifests(of: epochs, database: hole.database) }
        #expect(code { _ = try hole.store.manifests(of: epochs, database: hole.database) } == .chainBroken)

        var other = SampleStore()
        other.manifests[2].previous = .zero
        try other.publishAll()
        let error = #expect(throws: VarveError.self) {
            try other.store.manifests(of: try other.store.epochRecords(), database: other.database)
        }
        #expect(error?.code == .chainBroken)
        #expect(error?.message.hasPrefix("blocks/e0001/b0000000000000002.cbor") == true)

        var parent = SampleStore()
        parent.epochs[1].parent = .zero
        try parent.publishAll()
        #expect(code { _ = try parent.store.epochRecords() } == .chainBroken)

        var missing = SampleStore()
        missing.epochs.remove(at: 0)
        try missing.publishAll()
        #expect(code { _ = try missing.store.epochRecords() } == .chainBroken)
    }

    @Test("a database that has lost its first files is damaged, not absent")
    func firstFilesGone() throws {
        #expect(try SampleStore().store.readFormat() == nil)
        #expect(try SampleStore().store.epochRecords().isEmpty)

        let format = SampleStore()
        try format.publishAll()
        try format.objects.remove("FORMAT")
        #expect(code { _ = try format.store.readFormat() } == .chainBroken)

        let epochs = SampleStore()
        try epochs.publishAll()
        for number in 0...1 { try epochs.objects.remove(BlockStore.epochName(Epoch(number)!)) }
        #expect(code { _ = try epochs.store.epochRecords() } == .chainBroken)
    }

    @Test("names the files of blocks that are missing or cut")
    func missingFiles() throws {
        let sample = SampleStore()
        try sample.publishAll()
        let manifests = try sample.store.manifests(of: try sample.store.epochRecords(), database: sample.database)
        let named = Set(manifests.flatMap { $0.manifest.tables.flatMap(\.files) }.map(\.name))
        #expect(!named.isEmpty)
        #expect(Set(try sample.store.missingFiles(of: manifests).map(\.name)) == named)
        for file in manifests.flatMap({ $0.manifest.tables.flatMap(\.files) }) {
            _ = try sample.objects.putIfAbsent(file.name, Bytes(Array(repeating: 0, count: Int(file.size))))
        }
        #expect(try sample.store.missingFiles(of: manifests).isEmpty)
    }

    @Test("refuses manifests of another database")
    func foreign() throws {
        let sample = SampleStore()
        try sample.publishAll()
        let epochs = try sample.store.epochRecords()
        #expect(code { _ = try sample.store.manifests(of: epochs, database: .zero) } == .storageForeign)
    }

    @Test("names a file whose bytes mean nothing, whichever byte is damaged")
    func corrupt() throws {
        let sample = SampleStore()
        let names: [(String, Bytes, (BlockStore) throws -> Void)] = [
            ("FORMAT", StorageFormat(database: sample.database).encoded(), { _ = try $0.readFormat() }),
            ("epochs/e0000.cbor", sample.epochs[0].encoded(), { _ = try $0.epochRecord(.first) }),
            (
                "blocks/e0000/b0000000000000000.cbor", sample.manifests[0].encoded(),
                { _ = try $0.manifest(.first, .first) }
            ),
        ]
        for (name, bytes, read) in names {
            for count in 0..<bytes.count {
                let store = BlockStore(MemoryObjectStore())
                _ = try store.objects.putIfAbsent(name, bytes[0..<count])
                let error = #expect(throws: VarveError.self, "\(count) bytes") { try read(store) }
                #expect(error?.code == .blockCorrupt && error?.message.hasPrefix(name) == true)
            }
            var damaged = bytes.array
            for i in damaged.indices {
                damaged[i] ^= 0xff
                let store = BlockStore(MemoryObjectStore())
                _ = try store.objects.putIfAbsent(name, Bytes(damaged))
                if let code = code({ try read(store) }) { #expect(code == .blockCorrupt) }
                damaged[i] ^= 0xff
            }
        }
    }

    @Test("misplaced records are not taken for others")
    func misplaced() throws {
        let sample = SampleStore()
        _ = try sample.objects.putIfAbsent("epochs/e0001.cbor", sample.epochs[0].encoded())
        _ = try sample.objects.putIfAbsent("blocks/e0000/b0000000000000001.cbor", sample.manifests[0].encoded())
        #expect(code { _ = try sample.store.epochRecord(Epoch(1)!) } == .blockCorrupt)
        #expect(code { _ = try sample.store.manifest(.first, BlockNumber(1)) } == .blockCorrupt)
    }

    @Test("publishes a block file once and opens what its manifest names")
    func files() throws {
        let store = BlockStore(MemoryObjectStore())
        let encoded = try BlockFileWriter.encode(table: table, block: BlockNumber(26), rows: try rowsOfEveryKind())
        #expect(encoded.file.name.hasPrefix("tables/things/l00-b0000001a-b0000001a-c-"))
        #expect(code { _ = try store.openFile(encoded.file) } == .blockCorrupt)
        try store.publishFile(encoded)
        try store.publishFile(encoded)
        #expect(try store.openFile(encoded.file).rowCount == 6)
        var outside = encoded.file
        outside.name = "../../etc/passwd"
        #expect(code { _ = try store.openFile(outside) } == .blockCorrupt)
        var damaged = encoded
        damaged.bytes = Bytes("something else")
        #expect(code { try store.publishFile(damaged) } == .blockCorrupt)
    }

    @Test("a block file that a disk gives back otherwise than it was written is not published")
    func readBack() throws {
        let encoded = try BlockFileWriter.encode(table: table, block: .first, rows: try randomRows(300, seed: 9))
        for place in [0, encoded.bytes.count / 2, encoded.bytes.count - 1] {
            let objects = MemoryObjectStore()
            let store = BlockStore(AlteredStore(objects: objects, flipped: place))
            #expect(code { try store.publishFile(encoded) } == .blockCorrupt)
            #expect(try objects.get(BlockSidecar.name(of: encoded.file)) == nil)
        }
    }

    @Test("who only looks makes nothing, not even where writers leave their files")
    func readerChangesNothing() throws {
        let place = try TemporaryDirectory()
        let sample = SampleStore()
        let written = BlockStore(try DirectoryObjectStore(path: place.path, node: "n1", nonce: 0))
        _ = try written.publishFormat(StorageFormat(database: sample.database))
        _ = try written.publishEpochRecord(sample.epochs[0])
        try FileManager.default.removeItem(atPath: "\(place.path)/tmp")
        let before = try FileManager.default.subpathsOfDirectory(atPath: place.path)
        let store = BlockStore(try DirectoryObjectStore(reading: place.path))
        #expect(try store.readFormat()?.database == sample.database)
        #expect(try store.epochRecords().map(\.record) == [sample.epochs[0]])
        #expect(try store.manifestNumbers(of: .first).isEmpty)
        #expect(try FileManager.default.subpathsOfDirectory(atPath: place.path) == before)
        #expect(code { _ = try DirectoryObjectStore(reading: "\(place.path)/nowhere") } == .storageUnreachable)
    }

    @Test("reads blocks from a directory, mapped")
    func directory() throws {
        let place = try TemporaryDirectory()
        let store = BlockStore(try DirectoryObjectStore(path: place.path, node: "n1", nonce: 0))
        let rows = try randomRows(300, seed: 9)
        let encoded = try BlockFileWriter.encode(table: table, block: .first, rows: rows)
        try store.publishFile(encoded)
        let file = try store.openFile(encoded.file)
        for (i, row) in rows.enumerated() { #expect(try file.document(at: i) == row.document) }
    }
}

/// A store that is not quite what it should be.
private struct AlteredStore: ObjectStore {
    let objects: MemoryObjectStore
    /// Lists all but so many of the last names, as a directory that is shared over a network may for a while.
    var hidden = 0
    /// Keeps one bit of this byte the other way round, as a disk may.
    var flipped: Int?

    var isShared: Bool { true }
    func list(_ prefix: String) throws(VarveError) -> [String] { try objects.list(prefix).dropLast(hidden) }
    func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome {
        var array = bytes.array
        if let flipped { array[flipped] ^= 1 }
        return try objects.putIfAbsent(name, Bytes(array))
    }
    func persist(_ name: String) throws(VarveError) { try objects.persist(name) }
    func get(_ name: String) throws(VarveError) -> Bytes? { try objects.get(name) }
    func size(of name: String) throws(VarveError) -> UInt64? { try objects.size(of: name) }
    func open(_ name: String) throws(VarveError) -> (any ObjectContents)? { try objects.open(name) }
    func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError) { try objects.overwrite(name, bytes) }
    func remove(_ name: String) throws(VarveError) { try objects.remove(name) }
    func progress(of node: String) throws(VarveError) -> UInt64 { try objects.progress(of: node) }
}
