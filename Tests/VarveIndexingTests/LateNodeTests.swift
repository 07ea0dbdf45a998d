import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage
import VarveTestSupport

/// A node that is not where the others are when the log moves: it sees the old log late, loses it, or writes behind its end.
@Suite struct LateNodeTests {
    private let next = Epoch(1)!

    /// Node `a` sees everything; of what `late` sees, the view says.
    private func run(_ body: @Sendable (Nodes, SteeredLogProvider) async throws -> Void) async throws {
        let view = Mutex<SteeredLogProvider?>(nil)
        try await Nodes.run(
            "a", "late", heartbeatMs: 200,
            views: [
                "late": { base in
                    let steered = SteeredLogProvider(base)
                    view.withLock { $0 = steered }
                    return steered
                }
            ]
        ) { (nodes: Nodes) async throws in
            try await body(nodes, try #require(view.withLock { $0 }))
        }
    }

    private func migrate(_ nodes: Nodes) async throws {
        _ = try await nodes[0].migrate(topic: nil, cluster: nil, isRehearsal: false, until: .now + .seconds(30))
    }

    private func rows(_ nodes: Nodes, _ index: Int) throws -> Int {
        try nodes[index].snapshot.count(TableName("t"), asOf: nodes[index].snapshot.position)
    }

    @Test func aNodeThatReadsTheSealLateCrossesByItself() async throws {
        try await run { nodes, view in
            for i in 0..<3 { try await nodes.put(0, i) }
            view.see(.first, .standingStill)
            try await migrate(nodes)
            try await nodes.put(0, 3)
            #expect(nodes[1].epoch == .first)
            // The record of the next epoch alone moves nobody.
            try await Task.sleep(for: .milliseconds(500))
            #expect(nodes[1].epoch == .first)
            view.see(.first, .whole)
            try await until { try nodes[1].epoch == next && rows(nodes, 1) == 4 }
            #expect(nodes[1].stopped == nil)
            #expect(nodes[1].standing.effectChain == nodes[0].standing.effectChain)
        }
    }

    @Test func aNodeWhoseOldLogIsGoneBeginsAgainOnceBlocksHoldItsEnd() async throws {
        try await run { nodes, view in
            for i in 0..<3 { try await nodes.put(0, i) }
            try await until { try rows(nodes, 1) == 3 }
            view.see(.first, .standingStill)
            // The block that ends the epoch is not in storage yet.
            let gate = nodes.gate(0).hold(.put, "tables/")
            let other = nodes.gate(1).hold(.put, "tables/")
            defer { other.open() }
            try await migrate(nodes)
            view.see(.first, .gone)
            try await until { nodes[1].stopped != nil }
            #expect(nodes[1].stopped?.code == .logMissing)
            try await Task.sleep(for: .milliseconds(600))
            #expect(!nodes[1].beginsAgain)
            gate.open()
            try await until { nodes[1].beginsAgain }
            #expect(nodes[1].endedBy == nil)
            // What goes through the start procedure then finds everything.
            try await nodes.put(0, 3)
            try await Nodes.run("late", heartbeatMs: 200, over: nodes) { (again: Nodes) async throws in
                #expect(again[0].epoch == next)
                try await until { try rows(again, 0) == 4 }
            }
        }
    }

    @Test func aNodeWhoseOldLogNeverAnswersAgainBeginsAgain() async throws {
        try await run { nodes, view in
            try await nodes.put(0, 0)
            view.see(.first, .standingStill)
            try await migrate(nodes)
            try await until { nodes[0].standing.adopted != nil }
            view.see(.first, .unreachable)
            try await until { nodes[1].beginsAgain }
        }
    }

    /// Its configuration still names the cluster that was left first, and the new one by its name.
    @Test func aNodeStartsWhereTheLogIsThoughTheClusterThatWasLeftIsGone() async throws {
        let places: [String: any LogProvider] = ["x": MemoryLogProvider()]
        try await Nodes.run("a", heartbeatMs: 200, clusters: places) { (nodes: Nodes) async throws in
            try await nodes.put(0, 0)
            _ = try await nodes[0].migrate(topic: nil, cluster: "x", isRehearsal: false, until: .now + .seconds(30))
            try await nodes.put(0, 1)
            try await until { nodes[0].standing.adopted != nil }
            let gone: @Sendable (MemoryLogProvider) -> any LogProvider = { base in
                let view = SteeredLogProvider(base)
                view.goAway()
                return view
            }
            try await Nodes.run("late", heartbeatMs: 200, views: ["late": gone], clusters: places, over: nodes) {
                (late: Nodes) async throws in
                #expect(late[0].epoch == next)
                try await until { try rows(late, 0) == 2 }
                #expect(try await late.put(0, 2).position.epoch == next)
            }
            // A log that is there, and nowhere else, is waited for.
            await #expect {
                try await Nodes.run("lost", heartbeatMs: 200, views: ["lost": gone], over: nodes) { _ in }
            } throws: { ($0 as? VarveError)?.code == .logUnreachable }
        }
    }

    /// Everything is prepared and confirmed, and the seal never comes into the log: nothing has changed, and whoever moves
    /// next takes over what is there.
    @Test func aSealThatIsNeverWrittenChangesNothing() async throws {
        try await run { nodes, view in
            try await nodes.put(0, 0)
            view.holdAppends(of: .seal)
            let moving = Task {
                try await nodes[1].migrate(
                    topic: nil, cluster: nil, isRehearsal: false, until: .now + .seconds(60))
            }
            try await until { view.heldCount > 0 }
            try await Task.sleep(for: .milliseconds(300))
            #expect(nodes.all.allSatisfy { $0.indexer.epoch == .first && $0.indexer.stopped == nil })
            #expect(try nodes.blocks.epochRecord(next) == nil)
            #expect(try await nodes.put(0, 1).position.epoch == .first)
            try await migrate(nodes)
            #expect(try await nodes.put(0, 2).position.epoch == next)
            // The one that comes now stands behind another, and is void.
            view.letAppendsGo()
            let moved = try await moving.value
            #expect(moved.log == nodes[0].epochRecords.last?.record.log)
            try await until { try rows(nodes, 1) == 3 }
            #expect(nodes[1].standing.effectChain == nodes[0].standing.effectChain)
        }
    }

    @Test func aTargetThatIsGoneBehindTheSealStopsTheNodeThatCannotCross() async throws {
        try await run { nodes, view in
            try await nodes.put(0, 0)
            try await until { try rows(nodes, 1) == 1 }
            view.see(.first, .standingStill)
            try await migrate(nodes)
            view.see(next, .gone)
            view.see(.first, .whole)
            try await until { nodes[1].stopped != nil }
            #expect(nodes[1].stopped?.code == .logMissing)
            #expect(nodes[1].stopped?.message.contains("epoch 1") == true)
            // Reads go on, writes are refused with the code; and it heals when the log is there again.
            #expect(try rows(nodes, 1) == 1)
            let refused = await #expect(throws: VarveError.self) { try await nodes.put(1, 1) }
            #expect(refused?.code == .logMissing)
            try await until { nodes[0].standing.adopted != nil }
            #expect(!nodes[1].beginsAgain)
            view.see(next, .whole)
            try await until { nodes[1].beginsAgain }
        }
    }

    /// The next log is gone as well: starting again would help nobody, and reads of what is applied go on.
    @Test func aNodeDoesNotBeginAgainWhereTheNextLogIsGoneToo() async throws {
        try await run { nodes, view in
            try await nodes.put(0, 0)
            try await until { try rows(nodes, 1) == 1 }
            view.see(.first, .standingStill)
            try await migrate(nodes)
            try await until { nodes[0].standing.adopted != nil }
            view.see(next, .gone)
            view.see(.first, .gone)
            try await until { nodes[1].stopped != nil }
            try await Task.sleep(for: .milliseconds(800))
            #expect(!nodes[1].beginsAgain)
            #expect(try rows(nodes, 1) == 1)
        }
    }

    @Test func aNodeWhoseLogIsLostWithoutASuccessorStaysWhereItIs() async throws {
        try await run { nodes, view in
            try await nodes.put(0, 0)
            view.see(.first, .gone)
            try await until { nodes[1].stopped != nil }
            try await Task.sleep(for: .milliseconds(600))
            #expect(!nodes[1].beginsAgain)
            #expect(nodes[1].stopped?.code == .logMissing)
        }
    }

    /// A submission whose record came to stand behind the seal, where it is void, is appended again with its id.
    @Test func whatCameBehindTheSealIsAppliedOnceInTheNextEpoch() async throws {
        try await run { nodes, view in
            try await nodes.put(0, 0)
            try await until { try rows(nodes, 1) == 1 }
            view.holdAppends()
            async let late = nodes.put(1, 1)
            try await until { view.heldCount == 1 }
            try await migrate(nodes)
            let end = try #require(nodes[0].epochRecords.last?.record.parentEnd?.position)
            view.letAppendsGo()
            let decision = try await late
            #expect(decision.outcome == .committed)
            #expect(decision.position.epoch == next)
            // It does stand in the old log, behind the end, under the same id.
            let old = try await nodes.provider.open(.first)
            var behind: [Bytes16] = []
            var offset = end.offset.next
            while let entry = try await old.read(at: offset) {
                if case .record(let record) = Record.decode(entry.bytes, tag: nil) { behind.append(record.header.id) }
                offset = entry.offset.next
            }
            #expect(behind.contains(decision.id))
            try await until { try rows(nodes, 0) == 2 && rows(nodes, 1) == 2 }
            #expect(nodes[0].standing.effectChain == nodes[1].standing.effectChain)
        }
    }
}
