import Testing
import VarveCore
import VarveModel
import VarveRecovery
import VarveStorage

/// Blocks 0 to 2 of epoch 0, and what nodes said of them.
private struct Seen {
    let objects = MemoryObjectStore()
    let database = Bytes16(high: 1, low: 2)
    let epoch = EpochRecord(
        epoch: .first, parent: .zero, began: .initial,
        log: LogReference(kind: .memory, topic: "e0000", genesis: Bytes16(high: 3, low: 4), genesisOffset: .zero),
        parentEnd: nil, reason: "")
    var store: BlockStore { BlockStore(objects) }

    init() throws {
        _ = try store.publishFormat(StorageFormat(database: database))
        _ = try store.publishEpochRecord(epoch)
        var previous = Digest(of: epoch.encoded())
        for number in 0...2 {
            let manifest = manifest(number, previous: previous)
            _ = try store.publishManifest(manifest)
            previous = Digest(of: manifest.encoded())
        }
    }

    func at(_ offset: Int) -> Position { Position(.first, Offset(Int64(offset))) }

    func manifest(_ block: Int, previous: Digest, end: Int? = nil, chain: String = "") -> Manifest {
        Manifest(
            database: database, number: BlockNumber(UInt64(block)), previous: previous, first: at(block * 10),
            last: at(end ?? block * 10 + 9), logTime: 0, effectiveTime: 0, systemTime: Instant(microseconds: 0),
            inputChain: Digest(of: Bytes("\(chain)H\(block)")), effectChain: .zero, recordDigest: .zero,
            horizon: .zero, anchors: [], cut: .rows, counts: .init(), settings: Settings(), tables: [])
    }

    /// What a node says that has applied everything up to its newest block.
    func say(_ node: String, block: Int, _ change: (inout Heartbeat) -> Void = { _ in }) throws {
        var sign = Heartbeat(node: node, processStart: 1)
        let manifest = manifest(block, previous: .zero)
        sign.applied = manifest.last
        sign.inputChain = manifest.inputChain
        sign.adopted = .init(number: manifest.number, position: manifest.last)
        change(&sign)
        try objects.overwrite(BlockStore.heartbeatName(node), sign.encoded())
    }

    func replace(_ manifest: Manifest) throws {
        try remove(Int(manifest.number.value))
        _ = try store.publishManifest(manifest)
    }

    func remove(_ block: Int) throws {
        try objects.remove(BlockStore.manifestName(.first, BlockNumber(UInt64(block))))
    }

    func contradictions() throws -> [AdoptionEvidence.Contradiction] {
        try AdoptionEvidence(store).contradictions()
    }
}

@Suite("What nodes said that they had adopted")
struct AdoptionEvidenceTests {
    private let newest = "blocks/e0000/b0000000000000002.cbor"

    @Test("what stands as they saw it says nothing, nor what storage holds beyond")
    func whole() throws {
        let seen = try Seen()
        try seen.say("a", block: 2)
        try seen.say("b", block: 1)
        try seen.say("c", block: 2) { $0.applied = seen.at(400) }
        try seen.say("d", block: 0) { $0.adopted = nil }
        #expect(try seen.contradictions().isEmpty)
    }

    @Test("the newest manifest is missing: no chain tells, the nodes do")
    func missing() throws {
        let seen = try Seen()
        for node in ["b", "a"] { try seen.say(node, block: 2) }
        try seen.say("old", block: 1)
        try seen.remove(2)
        #expect(try StorageVerifier(seen.store).verify().blocks == 2)
        let found = try seen.contradictions()
        #expect(found.map(\.name) == [newest])
        #expect(found.first?.nodes == ["a", "b"])
        #expect(found.first?.reason == "it is missing: a node had adopted block 2, up to 0-29")
        #expect(found.first?.next.contains("varve log verify --config node.yaml") == true)
    }

    @Test("the newest manifest is another one that reads well")
    func another() throws {
        let seen = try Seen()
        try seen.say("a", block: 2)
        let previous = Digest(of: try #require(try seen.store.manifest(.first, BlockNumber(1))).manifest.encoded())
        try seen.replace(seen.manifest(2, previous: previous, end: 28))
        #expect(try StorageVerifier(seen.store).verify().blocks == 3)
        #expect(
            try seen.contradictions().map(\.reason) == [
                "it ends at 0-28, the block 2 that a node had adopted ends at 0-29"
            ])
        // The same end, after other records.
        try seen.replace(seen.manifest(2, previous: previous, chain: "other "))
        #expect(
            try seen.contradictions().map(\.reason) == [
                "it ends at 0-29 with other chains than those that a node had there"
            ])
        // A node that went on says chains of a later record, which do not compare.
        try seen.say("a", block: 2) { $0.applied = seen.at(40) }
        #expect(try seen.contradictions().isEmpty)
    }

    @Test("the newest epoch record is missing")
    func epochMissing() throws {
        let seen = try Seen()
        try seen.say("a", block: 2) { $0.epoch = Epoch(1)! }
        #expect(try seen.contradictions().map(\.name) == ["epochs/e0001.cbor"])
    }

    @Test("a block that a bump left out is no contradiction")
    func leftOut() throws {
        let seen = try Seen()
        try seen.say("a", block: 2)
        let end = try #require(try seen.store.manifest(.first, BlockNumber(1))).manifest
        _ = try seen.store.publishEpochRecord(
            EpochRecord(
                epoch: Epoch(1)!, parent: Digest(of: seen.epoch.encoded()), began: .lost, log: seen.epoch.log,
                parentEnd: ParentEnd(end), reason: "test"))
        try seen.remove(2)
        #expect(try seen.contradictions().isEmpty)
    }

    @Test("a torn sign says nothing")
    func torn() throws {
        let seen = try Seen()
        try seen.say("a", block: 2)
        try seen.remove(2)
        let name = BlockStore.heartbeatName("a")
        var bytes = try #require(try seen.objects.get(name)).array
        bytes[20] ^= 1
        try seen.objects.overwrite(name, Bytes(bytes))
        #expect(try seen.contradictions().isEmpty)
    }
}
