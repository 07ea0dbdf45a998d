import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveModel
import VarveStorage

/// What earlier processes left, held by the test.
private final class Keeper: BreadcrumbKeeper {
    let found: Breadcrumb
    private let state = Mutex(
        (
            told: [ClosedRange<Position>](), suspect: Breadcrumb.Suspect?.none, block: Breadcrumb.SuspectBlock?.none
        ))

    init(_ found: Breadcrumb) { self.found = found }

    var told: [ClosedRange<Position>] { state.withLock { $0.told } }
    var suspect: Breadcrumb.Suspect? { state.withLock { $0.suspect } }

    func begin(_ first: Position, _ last: Position) { state.withLock { $0.told.append(first...last) } }
    func end() {}
    func suspect(_ suspect: Breadcrumb.Suspect?) { state.withLock { $0.suspect = suspect } }
    func beginEncoding(_ block: BlockNumber) {}
    func endEncoding() {}
    func suspectBlock(_ suspect: Breadcrumb.SuspectBlock?) { state.withLock { $0.block = suspect } }
    var block: Breadcrumb.SuspectBlock? { state.withLock { $0.block } }
}

@Suite struct PoisonTests {
    private func at(_ offset: Int64) -> Position { Position(.first, Offset(offset)) }

    /// Records: genesis, a barrier, then the puts.
    @Test func aNodeThatStandsPublishesWhatWasCutBeforeAndGoesOnBehindOthersBlocks() async throws {
        let keeper = Keeper(Breadcrumb(suspect: Breadcrumb.Suspect(at(4), crashes: 2)))
        try await Nodes.run("sound", "sick", settings: Settings(rowsPerBlock: 2), breadcrumbs: ["sick": keeper]) {
            nodes in
            // Only the sick one can write.
            nodes.gate(0).refuse("", VarveError(.storageFull, "full"))
            for i in 0..<3 { try await nodes.put(0, i) }
            #expect(nodes[0].snapshot.position == at(4))
            try await until { nodes[1].stopped?.code == .poison }
            #expect(nodes[1].snapshot.position == at(3))
            #expect(nodes[1].stopped?.message.contains("0-4") == true)
            try await until { try nodes.blocks.manifest(.first, .first) != nil }
            try await until { nodes[1].standing.adopted?.number == .first }
            #expect(!nodes[1].beginsAgain)
            let refused = await #expect(throws: VarveError.self) { try await nodes.put(1, 9) }
            #expect(refused?.code == .poison)
            // The record is in an ordinary block, made by a node that could apply it.
            nodes.gate(0).allow()
            try await nodes.put(0, 3)
            try await until { nodes[1].beginsAgain }
            #expect(nodes[1].endedBy == nil)
        }
    }

    @Test func afterACrashRecordsAreAppliedOneByOneUntilWhatWasBeingAppliedIsPassed() async throws {
        let keeper = Keeper(Breadcrumb(applying: at(2)...at(5), suspect: Breadcrumb.Suspect(at(3), crashes: 1)))
        try await Nodes.run("a", breadcrumbs: ["a": keeper]) { nodes in
            for i in 0..<6 { try await nodes.put(0, i) }
            try await until { nodes[0].snapshot.position >= at(6) }
            for offset in Int64(2)...5 { #expect(keeper.told.contains(at(offset)...at(offset))) }
            #expect(nodes[0].stopped == nil)
            #expect(keeper.suspect == nil, "a record that was applied is no suspect")
        }
    }

    @Test func aBlockThatCannotBeEncodedHereIsLeftToAnotherNode() async throws {
        let keeper = Keeper(Breadcrumb(suspectBlock: Breadcrumb.SuspectBlock(.first, crashes: 3)))
        try await Nodes.run(
            "sick", settings: Settings(rowsPerBlock: 2), heartbeatMs: 100, breadcrumbs: ["sick": keeper]
        ) { nodes in
            for i in 0..<2 { try await nodes.put(0, i) }
            try await until { nodes[0].trouble?.code == .poison }
            // Not what a node says that stands before a record: nobody shall quarantine for this.
            try await until {
                let bytes = try nodes.store.get(BlockStore.heartbeatName("sick")) ?? Bytes()
                let heartbeat = try? Heartbeat.decode(bytes)
                return heartbeat?.trouble == "POISON:block" && heartbeat?.troubleCode == "POISON"
            }
            #expect(nodes[0].trouble?.message.contains("block 0 ended this node's process 3 times") == true)
            // It serves and takes more.
            try await nodes.put(0, 2)
            #expect(nodes[0].stopped == nil)
            #expect(try nodes.blocks.manifest(.first, .first) == nil)
            try await Nodes.run("sound", settings: Settings(rowsPerBlock: 2), over: nodes) { sound in
                try await until { try sound.blocks.manifest(.first, .first) != nil }
                try await until { nodes[0].standing.adopted?.number == .first && nodes[0].trouble == nil }
            }
            #expect(keeper.block == nil, "what stands in storage is no suspect")
        }
    }

    @Test func aNodeThatHasExecutedWhatStorageQuarantinesStops() async throws {
        try await Nodes.run("late", heartbeatMs: 100) { nodes in
            let decision = try await nodes.put(0, 1)
            let database = try #require(try nodes.blocks.readFormat()).database
            let manifest = Manifest(
                database: database, number: .first, previous: .zero, first: at(0), last: decision.position, logTime: 0,
                effectiveTime: 0, systemTime: Instant(microseconds: 0), inputChain: .zero, effectChain: .zero,
                recordDigest: .zero, horizon: .zero, anchors: [], cut: .quarantine, counts: .init(),
                settings: Settings(), tables: [])
            _ = try nodes.blocks.publishManifest(manifest)
            try await until { nodes[0].stopped?.code == .divergence }
            #expect(nodes[0].stopped?.message.contains("quarantines the record at \(decision.position)") == true)
        }
    }
}
