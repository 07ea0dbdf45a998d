import Foundation
import Testing
import VarveCore
import VarveIO
import VarveModel
import VarveRecovery
import VarveStorage
import VarveTestSupport

/// A collection that a power cut ends: whatever the disk may hold then, everything that a block names is there, and the
/// next collection finishes the work.
@Suite struct GarbagePowerCutTests {
    private struct Storage {
        let path: String
        let database = Bytes16(high: 1, low: 2)
        let table = TableName(unchecked: "t")
        var needed: [String: Bytes] = [:]
        var garbage: [String] = []

        func open() throws -> BlockStore {
            BlockStore(try DirectoryObjectStore(path: path, node: "gc", nonce: UInt64.random(in: 1...UInt64.max / 2)))
        }

        func name(_ block: UInt64, _ text: String) -> (name: String, digest: Digest) {
            let digest = Digest(of: Bytes("\(text) \(block)"))
            return (
                BlockFileWriter.name(table: table, first: BlockNumber(block), last: BlockNumber(block), digest: digest),
                digest
            )
        }

        mutating func put(_ name: String, _ bytes: Bytes, isNeeded: Bool) throws {
            _ = try open().objects.putIfAbsent(name, bytes)
            if isNeeded { needed[name] = bytes } else { garbage.append(name) }
        }

        /// Blocks 0 to 5; files of lost publications of blocks 0 to 2; claims on blocks that are published and on one
        /// that is not.
        init(_ path: String) throws {
            self.path = path
            let epoch = EpochRecord(
                epoch: .first, parent: .zero, began: .initial,
                log: LogReference(
                    kind: .memory, topic: "e0000", genesis: Bytes16(high: 3, low: 4), genesisOffset: .zero),
                parentEnd: nil, reason: "")
            try put(BlockStore.formatName, StorageFormat(database: database).encoded(), isNeeded: true)
            try put(BlockStore.epochName(.first), epoch.encoded(), isNeeded: true)
            var previous = Digest(of: epoch.encoded())
            for block in 0..<UInt64(6) {
                let (file, digest) = name(block, "published")
                let content = Bytes([UInt8](repeating: UInt8(block), count: 1_500))
                try put(file, content, isNeeded: true)
                func at(_ offset: UInt64) -> Position { Position(.first, Offset(Int64(offset))) }
                let manifest = Manifest(
                    database: database, number: BlockNumber(block), previous: previous, first: at(block * 10),
                    last: at(block * 10 + 9), logTime: 0, effectiveTime: 0, systemTime: Instant(microseconds: 0),
                    inputChain: .zero, effectChain: .zero, recordDigest: .zero, horizon: .zero, anchors: [], cut: .rows,
                    counts: .init(), settings: Settings(),
                    tables: [
                        .init(
                            name: table, newFields: [], erasures: [],
                            files: [
                                .init(
                                    name: file, size: 1_500, digest: digest, rows: 1, firstKey: Key(1), lastKey: Key(1))
                            ])
                    ])
                try put(BlockStore.manifestName(.first, BlockNumber(block)), manifest.encoded(), isNeeded: true)
                previous = Digest(of: manifest.encoded())
                let claim = BlockStore.claimName(.first, BlockNumber(block), 0)
                try put(claim, Claim(node: "n", processStart: 1).encoded(), isNeeded: false)
            }
            try put(
                BlockStore.claimName(.first, BlockNumber(6), 0), Claim(node: "n", processStart: 1).encoded(),
                isNeeded: true)
            for block in 0..<UInt64(3) {
                for suffix in ["", ".idx"] {
                    try put(name(block, "lost").name + suffix, Bytes("lost \(block)\(suffix)"), isNeeded: false)
                }
            }
        }

        func image() throws -> [String: [UInt8]] {
            var image: [String: [UInt8]] = [:]
            for name in needed.keys + garbage { image["\(path)/\(name)"] = try FileSystem.read("\(path)/\(name)") }
            return image
        }

        /// What was written down was so two hours ago.
        func age() throws {
            for name in try open().objects.list("gc/") {
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -7200)], ofItemAtPath: "\(path)/\(name)")
            }
        }
    }

    @Test func aPowerCutInACollectionCostsNothingThatABlockNames() async throws {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("varve-gc-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        let storage = try Storage(place.path + "/store")
        let store = try storage.open()
        let recorder = DiskRecorder()
        var cut = PowerCut(try storage.image())
        DiskWatch.begin(under: storage.path, recorder)
        #expect(try await GarbageCollection(store).run().waiting.count == 6)
        try storage.age()
        let report = try await GarbageCollection(store).run()
        DiskWatch.end(under: storage.path)
        #expect(report.removed.count == 6 && report.waiting.isEmpty)
        for name in storage.garbage { #expect(try store.objects.size(of: name) == nil) }

        var images: [[String: [UInt8]]] = []
        for (index, event) in recorder.events.enumerated() {
            cut.take(event)
            for fate in PowerCut.fates(random: 5, seed: UInt64(index)) {
                let image = cut.image(fate)
                for (name, bytes) in storage.needed {
                    #expect(
                        image["\(storage.path)/\(name)"].map { Bytes($0) } == bytes,
                        "\(name) is lost, \(fate) after \(event.name)")
                }
                images.append(image)
            }
        }
        #expect(recorder.events.count > 12 && images.count > 100)
        // Some of these disks, mounted again: the next collections finish.
        for (number, image) in images.enumerated() where number % 23 == 0 {
            try await finish(storage, image, at: "\(place.path)/again\(number)")
        }
    }

    private func finish(_ storage: Storage, _ image: [String: [UInt8]], at path: String) async throws {
        for (name, bytes) in image {
            let file = path + name.dropFirst(storage.path.count)
            try FileManager.default.createDirectory(
                atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            FileManager.default.createFile(atPath: file, contents: Data(bytes))
        }
        let store = BlockStore(try DirectoryObjectStore(path: path, node: "gc", nonce: 1))
        _ = try await GarbageCollection(store, grace: .zero).run()
        for name in storage.garbage { #expect(try store.objects.size(of: name) == nil, "\(name) is still there") }
        for (name, bytes) in storage.needed { #expect(try store.objects.get(name) == bytes, "\(name)") }
    }
}
