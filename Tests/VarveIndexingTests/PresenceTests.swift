import Testing
import VarveCore
import VarveIndexing
import VarveModel
import VarveStorage

@Suite struct PresenceTests {
    private func presence(_ store: MemoryObjectStore, _ node: String, at wallClockMs: Int64) -> Presence {
        Presence(store: BlockStore(store), node: node, version: "test", address: nil, wallClockMs: wallClockMs)
    }

    @Test func nodesSeeEachOtherLiveAndSilent() throws {
        let store = MemoryObjectStore()
        let (a, b) = (presence(store, "a", at: 1), presence(store, "b", at: 1))
        try a.beat { _ in }
        try b.beat { _ in }
        try a.look(now: 0)
        #expect(a.candidates == ["b"] && !a.isDecided)
        try b.beat { $0.epoch = .first }
        try a.look(now: 5_000)
        #expect(a.peers.first?.verdict == .live && a.isDecided)
        try a.look(now: 30_000)
        #expect(a.peers.first?.verdict == .silent(forMs: 25_000))
    }

    @Test func theEarlierOfTwoProcessesWithOneIdLearnsThatItIsTaken() throws {
        let store = MemoryObjectStore()
        let earlier = presence(store, "a", at: 2_000)
        try earlier.beat { _ in }
        // Its clock is behind, yet it comes later.
        let later = presence(store, "a", at: 1_000)
        try later.beat { $0.address = "http://other:8080" }
        let error = #expect(throws: VarveError.self) { try earlier.beat { _ in } }
        #expect(error?.code == .nodeIDTaken)
        #expect(error?.message.contains("http://other:8080") == true)
        try later.beat { _ in }
        #expect(later.peers.isEmpty)
    }

    @Test func aNodeWhoseIdWasTakenEnds() async throws {
        try await Nodes.run("a", heartbeatMs: 100) { nodes in
            try await until { try nodes.store.get("nodes/a.cbor") != nil }
            try presence(nodes.store, "a", at: 0).beat { _ in }
            try await until { nodes[0].endedBy != nil }
            #expect(nodes[0].endedBy?.code == .nodeIDTaken)
            #expect(nodes[0].stopped?.code == .nodeIDTaken)
        }
    }

    @Test func aHeartbeatSaysWhereTheNodeStandsAndACleanStopThatItStopped() async throws {
        let shared = Box<MemoryObjectStore>()
        try await Nodes.run("a", settings: Settings(rowsPerBlock: 1), heartbeatMs: 100) { nodes in
            shared.set(nodes.store)
            let decision = try await nodes.put(0, 1)
            try await until {
                guard let bytes = try nodes.store.get("nodes/a.cbor") else { return false }
                let heartbeat = try Heartbeat.decode(bytes)
                return heartbeat.applied == decision.position && heartbeat.adopted?.number == .first
            }
            let heartbeat = try Heartbeat.decode(try #require(try nodes.store.get("nodes/a.cbor")))
            let standing = nodes[0].standing
            #expect(heartbeat.inputChain == standing.inputChain && heartbeat.effectChain == standing.effectChain)
            #expect(heartbeat.settings == Heartbeat.digest(of: Settings(rowsPerBlock: 1)))
            #expect(heartbeat.stopped == nil && heartbeat.version == "test")
        }
        let last = try Heartbeat.decode(try #require(try shared.value?.get("nodes/a.cbor")))
        #expect(last.stopped == last.applied && last.stopped != nil)
    }
}

private final class Box<Value: Sendable>: Sendable {
    private let kept = Mutex<Value?>(nil)
    func set(_ value: Value) { kept.withLock { $0 = value } }
    var value: Value? { kept.withLock { $0 } }
}

import Synchronization
