import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveModel
import VarveStorage

@Suite struct PublishingTests {
    private func adopted(_ indexer: Indexer) -> UInt64? { indexer.standing.adopted?.number.value }

    @Test func threeNodesPublishAboutOneCopy() async throws {
        try await Nodes.run("a", "b", "c", settings: Settings(rowsPerBlock: 5)) { nodes in
            for i in 0..<20 { try await nodes.put(i % 3, i) }
            for i in 0..<3 { try await until { adopted(nodes[i]) == 3 } }
            let standings = nodes.all.map(\.indexer.standing)
            #expect(standings.reduce(0) { $0 + $1.published } == 4)
            #expect(standings.allSatisfy { $0.adoptedBlocks == 4 && $0.effectChain == standings[0].effectChain })
            #expect(try standings.reduce(0) { $0 + $1.bytesWritten } == nodes.publishedBytes())
            #expect(standings.reduce(0) { $0 + $1.claims.claimed } >= 4)
        }
    }

    /// To open a block file takes its SHA-256: whoever wrote it does so once, to read it back, and so does who adopts it.
    @Test func aFileIsCheckedOnceByEachNode() async throws {
        try await Nodes.run("a", "b", settings: Settings(rowsPerBlock: 2)) { nodes in
            for i in 0..<2 { try await nodes.put(0, i) }
            for i in 0..<2 { try await until { adopted(nodes[i]) == 0 } }
            let files = nodes[0].snapshot.blocks.blocks[0].manifest.tables.flatMap(\.files).map(\.name).sorted()
            #expect(files.count == 2)
            for i in 0..<2 { #expect(nodes.gate(i).opened.filter { $0.hasSuffix(".arrow") }.sorted() == files) }
        }
    }

    @Test func claimsGoWhenTheirBlockIsPublished() async throws {
        try await Nodes.run("a", settings: Settings(rowsPerBlock: 1)) { nodes in
            for i in 0..<3 { try await nodes.put(0, i) }
            try await until { adopted(nodes[0]) == 2 }
            try await until {
                try (0..<3).allSatisfy { try nodes.blocks.newestClaim(.first, BlockNumber($0)) == nil }
            }
        }
    }

    @Test(arguments: ["tables/", "blocks/"])
    func aPausedFlusherIsOvertakenAndHarmsNothingWhenItGoesOn(where prefix: String) async throws {
        try await Nodes.run("a", "b", settings: Settings(rowsPerBlock: 2)) { nodes in
            // Whichever claims is held: before its first file, or with all files written and the manifest not yet.
            let gates = (0..<2).map { nodes.gate($0).hold(.put, prefix) }
            try await nodes.put(0, 1)
            try await nodes.put(0, 2)
            try await until { try nodes.blocks.newestClaim(.first, .first) != nil }
            let owner = try Claim.decode(try #require(try nodes.blocks.newestClaim(.first, .first)).bytes).node
            let (zombie, other) = owner == "a" ? (0, 1) : (1, 0)
            await gates[zombie].wait()
            gates[other].open()
            try await until { adopted(nodes[other]) == 0 }
            #expect(nodes[other].standing.claims.overtaken == 1)
            let manifest = try nodes.store.get(BlockStore.manifestName(.first, .first))
            // Two blocks later the zombie goes on where it stood.
            for i in 3..<7 { try await nodes.put(other, i) }
            try await until { adopted(nodes[other]) == 2 }
            #expect(adopted(nodes[zombie]) == nil)
            gates[zombie].open()
            try await until { adopted(nodes[zombie]) == 2 }
            #expect(try nodes.store.get(BlockStore.manifestName(.first, .first)) == manifest)
            #expect(nodes.all.allSatisfy { $0.indexer.stopped == nil })
            #expect(nodes[zombie].standing.effectChain == nodes[other].standing.effectChain)
            #expect(nodes[zombie].standing.adopted == nodes[other].standing.adopted)
        }
    }

    @Test func ingestGoesOnWhileABlockIsWritten() async throws {
        try await Nodes.run("a", settings: Settings(rowsPerBlock: 100)) { nodes in
            let gate = nodes.gate(0).hold(.put, "tables/")
            for i in 0..<100 { try await nodes.put(0, i) }
            await gate.wait()
            for i in 100..<450 { try await nodes.put(0, i) }
            #expect(nodes[0].standing.frozen == 4 && adopted(nodes[0]) == nil)
            #expect(try nodes[0].snapshot.count(TableName("t"), asOf: nodes[0].snapshot.position) == 450)
            gate.open()
            try await until { adopted(nodes[0]) == 3 }
            #expect(try nodes[0].snapshot.count(TableName("t"), asOf: nodes[0].snapshot.position) == 450)
        }
    }

    @Test func frozenDataIsBoundedAndSubmissionsAreRefusedBeforeTheyAreAppended() async throws {
        let settings = Settings(bytesPerBlock: 10_000)
        try await Nodes.run("a", "b", settings: settings, frozenBytesMax: 30_000) { nodes in
            let gates = (0..<2).map { nodes.gate($0).hold(.put, "tables/") }
            var accepted = 0
            let refused = try await refusal {
                while accepted < 1_000 {
                    try await nodes.put(0, accepted, bytes: 1_000)
                    accepted += 1
                }
            }
            #expect(refused?.code == .overloaded)
            let standing = nodes[0].standing
            #expect(standing.frozenCounts.bytes <= 30_000 + 12_000)
            let end = standing.logEnd
            for _ in 0..<10 {
                #expect(try await refusal { try await nodes.put(0, 1, bytes: 1_000) }?.code == .overloaded)
            }
            #expect(try await refusal { try await nodes[0].barrier(until: .now + .seconds(1)) }?.code == .overloaded)
            #expect(
                try await refusal {
                    _ = try await nodes[0].flush(until: .now + .seconds(1), awaitAdoption: false)
                }?.code == .overloaded)
            #expect(nodes[0].standing.logEnd == end, "nothing was appended")
            for gate in gates { gate.open() }
            try await until { nodes[0].standing.frozen == 0 }
            try await nodes.put(0, accepted, bytes: 1_000)
        }
    }

    @Test func aNodeThatWaitsForRoomCanBeEnded() async throws {
        try await Nodes.run("a", settings: Settings(bytesPerBlock: 1_000), frozenBytesMax: 1_000) { nodes in
            nodes.gate(0).refuse("tables/", VarveError(.storageFull, "no room"))
            _ = try await refusal { for i in 0..<100 { try await nodes.put(0, i, bytes: 1_000) } }
            // It reads no further: what came into the log meanwhile waits there.
            try await until { nodes[0].trouble != nil }
        }
    }

    @Test func aFullStorageIsToldAndHealsByItself() async throws {
        try await Nodes.run("a", settings: Settings(rowsPerBlock: 1)) { nodes in
            let full = VarveError(.storageFull, "no room")
            for prefix in ["tables/", "claims/"] { nodes.gate(0).refuse(prefix, full) }
            try await nodes.put(0, 1)
            try await until { nodes[0].trouble?.code == .storageFull }
            try await nodes.put(0, 2)
            nodes.gate(0).allow()
            try await until { adopted(nodes[0]) == 1 && nodes[0].trouble == nil }
            #expect(nodes[0].standing.claims.without == 1)
        }
    }

    @Test func aDamagedFileIsNotAdoptedUntilItIsWhole() async throws {
        try await Nodes.run("a", "b", settings: Settings(rowsPerBlock: 1)) { nodes in
            let damage = Mutex(true)
            nodes.gate(1).changeOpened("tables/t/") { damage.withLock { $0 } }
            nodes.gate(1).refuse("claims/", VarveError(.storageUnreachable, "away"))
            try await nodes.put(0, 1)
            try await until { adopted(nodes[0]) == 0 }
            try await until { nodes[1].trouble?.code == .blockCorrupt }
            // What it computed itself is still there.
            #expect(try nodes[1].snapshot.count(TableName("t"), asOf: nodes[1].snapshot.position) == 1)
            #expect(adopted(nodes[1]) == nil && nodes[1].stopped == nil)
            damage.withLock { $0 = false }
            try await until { adopted(nodes[1]) == 0 && nodes[1].trouble == nil }
        }
    }

    /// Its SHA-256 was right when the block was adopted, and it was not opened since.
    @Test func aFileThatRotsAfterItsAdoptionIsNotRead() async throws {
        try await Nodes.run("a", "b", settings: Settings(rowsPerBlock: 1)) { nodes in
            try await nodes.put(0, 1)
            for i in 0..<2 { try await until { adopted(nodes[i]) == 0 } }
            for i in 0..<2 {
                let damage = Mutex(true)
                nodes.gate(i).changeOpened("tables/t/") { damage.withLock { $0 } }
                let snapshot = nodes[i].snapshot
                let refused = try await refusal { _ = try snapshot.count(TableName("t"), asOf: snapshot.position) }
                #expect(refused?.code == .blockCorrupt)
                damage.withLock { $0 = false }
                #expect(try snapshot.count(TableName("t"), asOf: snapshot.position) == 1)
            }
        }
    }

    @Test func nothingIsPublishedOverAFileWithOtherBytesUntilItIsMovedAway() async throws {
        try await Nodes.run("a", settings: Settings(rowsPerBlock: 1)) { nodes in
            nodes.gate(0).refuse("blocks/", VarveError(.storageUnreachable, "away"))
            try await nodes.put(0, 1)
            try await until { nodes[0].trouble?.code == .storageUnreachable }
            let name = try #require(try nodes.store.list("tables/t/").first { $0.hasSuffix(".arrow") })
            var bytes = try #require(try nodes.store.get(name)).array
            bytes[bytes.count / 2] ^= 1
            try nodes.store.remove(name)
            _ = try nodes.store.putIfAbsent(name, Bytes(bytes))
            nodes.gate(0).allow()
            try await until { nodes[0].trouble?.code == .blockCorrupt }
            #expect(try nodes.blocks.manifest(.first, .first) == nil && nodes[0].stopped == nil)
            try nodes.store.remove(name)
            try await until { adopted(nodes[0]) == 0 && nodes[0].trouble == nil }
        }
    }

    @Test func aRecordThatNeedsABlockThatCannotBeReadWaitsForIt() async throws {
        try await Nodes.run("a", "b", settings: Settings(rowsPerBlock: 1)) { nodes in
            try await nodes.put(0, 1)
            for i in 0..<2 { try await until { adopted(nodes[i]) == 0 } }
            let damage = Mutex(true)
            for i in 0..<2 { nodes.gate(i).changeOpened("tables/t/") { damage.withLock { $0 } } }
            let (payload, digest) = try Transaction.patch(in: "t", ["_id": .integer(1), "n": .integer(2)]).encoded()
            let patched = Task {
                try await nodes[0].submit(
                    payload: payload, requestDigest: digest, id: nil, expiryMs: 60_000, until: .now + .seconds(60),
                    awaitOutcome: true)
            }
            for i in 0..<2 { try await until { nodes[i].standing.trouble?.code == .blockCorrupt } }
            let end = nodes[1].standing.logEnd
            #expect(try await refusal { try await nodes.put(1, 2) }?.code == .blockCorrupt)
            #expect(nodes[1].standing.logEnd == end, "nothing was appended")
            damage.withLock { $0 = false }
            guard case .decided(let decision) = try await patched.value else {
                Issue.record("not decided")
                return
            }
            #expect(decision.outcome == .committed)
            for i in 0..<2 { try await until { nodes[i].standing.trouble == nil && adopted(nodes[i]) == 1 } }
            #expect(nodes[0].standing.effectChain == nodes[1].standing.effectChain)
        }
    }

    @Test func theHeartbeatNamesTheOldestBlocksThatAReaderHolds() async throws {
        try await Nodes.run("a", settings: Settings(rowsPerBlock: 1), heartbeatMs: 100) { nodes in
            func oldest() throws -> UInt64? {
                try nodes.store.get("nodes/a.cbor").flatMap { try Heartbeat.decode($0).oldestBlock?.value }
            }
            try await nodes.put(0, 1)
            try await until { try oldest() == 0 }
            var reader = Optional(nodes[0].snapshot)
            for i in 2..<4 { try await nodes.put(0, i) }
            try await until { adopted(nodes[0]) == 2 }
            let beat = try nodes.store.get("nodes/a.cbor")
            try await until { try nodes.store.get("nodes/a.cbor") != beat }
            #expect(try oldest() == 0)
            #expect(reader?.blocks.blocks.count == 1)
            reader = nil
            try await until { try oldest() == 2 }
        }
    }

    @Test func anotherBlockInStorageStopsTheNodeAndKeepsTheEvidence() async throws {
        try await Nodes.run("a", "b", settings: Settings(rowsPerBlock: 1)) { nodes in
            nodes.gate(1).change("blocks/") { bytes in
                guard var manifest = try? Manifest.decode(bytes) else { return bytes }
                manifest.effectChain = Bytes16(high: 6, low: 6)
                return manifest.encoded()
            }
            // Only the sound node may publish: the other one reads.
            nodes.gate(1).refuse("claims/", VarveError(.storageUnreachable, "away"))
            try await nodes.put(0, 1)
            try await until { nodes[1].stopped != nil }
            let stopped = try #require(nodes[1].stopped)
            #expect(stopped.code == .divergence)
            #expect(stopped.message.contains("Evidence is kept in somewhere"))
            let evidence = try #require(nodes.evidence.all.first)
            #expect(evidence.node == "b" && evidence.own.number == .first)
            #expect(evidence.published?.effectChain == Bytes16(high: 6, low: 6))
            #expect(nodes[0].stopped == nil)
        }
    }

    @Test func anEpochThatHasASuccessorIsNotPublishedInto() async throws {
        try await Nodes.run("a", settings: Settings(rowsPerBlock: 1)) { nodes in
            let gate = nodes.gate(0).hold(.put, "tables/")
            try await nodes.put(0, 1)
            await gate.wait()
            let first = try #require(try nodes.blocks.epochRecord(.first))
            var next = first.record
            next.epoch = Epoch(1)!
            next.parent = first.digest
            _ = try nodes.blocks.publishEpochRecord(next)
            gate.open()
            try await until { nodes[0].stopped != nil }
            #expect(nodes[0].stopped?.code == .epochStale)
            #expect(try nodes.blocks.manifest(.first, .first) == nil)
        }
    }

    /// What was thrown, when it was an error of ours.
    private func refusal(_ body: () async throws -> Void) async throws -> VarveError? {
        do {
            try await body()
            return nil
        } catch let error as VarveError {
            return error
        }
    }
}
