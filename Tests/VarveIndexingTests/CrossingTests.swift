import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage

/// Moving to another log with nodes running, and what a node finds that was not there.
@Suite struct CrossingTests {
    let next = Epoch(1)!

    func migrate(_ nodes: Nodes, _ index: Int) async throws -> Indexer.Migration {
        try await nodes[index].migrate(
            topic: nil, cluster: nil, isRehearsal: false, until: .now + .seconds(30))
    }

    /// Numbers from `start` on through every node in turn, until told to stop; how many were committed.
    func load(_ nodes: Nodes, from start: Int, while goesOn: @Sendable () -> Bool) async throws -> Int {
        var number = start
        while goesOn() {
            let decision = try await nodes.put(number % nodes.all.count, number)
            #expect(decision.outcome == .committed)
            number += 1
        }
        return number - start
    }

    func ids(_ nodes: Nodes, _ index: Int) throws -> Int {
        try nodes[index].snapshot.count(TableName("t"), asOf: nodes[index].snapshot.position)
    }

    @Test func clientsOfThreeNodesSeeNoFailureWhileTheLogMoves() async throws {
        try await Nodes.run("a", "b", "c", settings: Settings(rowsPerBlock: 50), heartbeatMs: 200) {
            (nodes: Nodes) async throws in
            let moved = Flag()
            let counts = try await withThrowingTaskGroup(of: Int.self) { group in
                for lane in 0..<4 {
                    group.addTask { try await load(nodes, from: lane * 1_000_000) { !moved.isSet } }
                }
                try await Task.sleep(for: .milliseconds(100))
                let done = try await migrate(nodes, 1)
                #expect(done.epoch == next)
                try await Task.sleep(for: .milliseconds(100))
                moved.set()
                return try await group.reduce(0, +)
            }
            for i in 0..<3 { try await nodes[i].barrier(until: .now + .seconds(10)) }
            let standings = nodes.all.map(\.indexer.standing)
            #expect(nodes.all.allSatisfy { $0.indexer.epoch == next && $0.indexer.stopped == nil })
            for i in 0..<3 { #expect(try ids(nodes, i) == counts) }
            #expect(Set(nodes.all.map { $0.indexer.epochRecords.map(\.digest) }).count == 1)
            let newest = standings.map(\.token.position).max()
            for i in 0..<3 { #expect(await nodes[i].waitUntilApplied(newest!, until: .now + .seconds(10))) }
            #expect(Set(nodes.all.map { $0.indexer.standing.effectChain }).count == 1)
        }
    }

    /// An old expiry is in the old log's time, and the way over may have taken longer than it leaves.
    @Test func whatIsSentAgainBehindASealHasANewExpiryAndItsId() {
        let header = RecordHeader(
            type: .transaction, logTag: LogTag(raw: 1), id: SubmissionID(high: 1, low: 1), writer: 7,
            expiresAt: 5_000, observed: Position(.first, Offset(3)))
        let renewed = Crossing.renewed(header, tag: LogTag(raw: 2), writer: 8, effectiveTime: 100_000)
        #expect(renewed.logTag == LogTag(raw: 2))
        #expect(renewed.writer == 8)
        #expect(renewed.id == header.id)
        #expect(renewed.observed == header.observed)
        #expect(renewed.expiresAt == 160_000)
        #expect(Crossing.renewed(header, tag: LogTag(raw: 1), writer: 8, effectiveTime: 100_000) == header)
    }

    @Test func twoOperatorsAtOnceMoveItOnce() async throws {
        try await Nodes.run("a", "b", heartbeatMs: 200) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            async let one = migrate(nodes, 0)
            async let two = migrate(nodes, 1)
            let seals = try await [one.seal, two.seal]
            #expect(seals[0] == seals[1])
            #expect(nodes.all.allSatisfy { $0.indexer.epoch == next })
            try await nodes.put(1, 2)
        }
    }

    /// They want different logs: the first valid seal decides, and the other operator is told which log won.
    @Test func ofTwoOperatorsWithDifferentTargetsOneIsTold() async throws {
        let places: [String: any LogProvider] = ["x": MemoryLogProvider(), "y": MemoryLogProvider()]
        try await Nodes.run("a", "b", heartbeatMs: 200, clusters: places) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            let answers = await withTaskGroup(of: (String, Result<Indexer.Migration, any Error>).self) { group in
                for (index, cluster) in ["x", "y"].enumerated() {
                    group.addTask {
                        do {
                            return (
                                cluster,
                                .success(
                                    try await nodes[index].migrate(
                                        topic: nil, cluster: cluster, isRehearsal: false, until: .now + .seconds(30)))
                            )
                        } catch {
                            return (cluster, .failure(error))
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            let won = answers.filter { if case .success = $0.1 { true } else { false } }.map(\.0)
            #expect(won.count == 1)
            for case (let cluster, .failure(let error)) in answers {
                let error = try #require(error as? VarveError)
                #expect(error.code == .targetUnfit)
                #expect(error.message.contains("another migration was faster"), "\(error)")
                // Its target holds nothing that counts.
                let loser = try await #require(places[cluster]).open(next)
                #expect(try await loser.range().upperBound <= Offset(1))
            }
            try await until { nodes.all.allSatisfy { $0.indexer.epoch == next } }
            #expect(nodes.all.allSatisfy { $0.indexer.epochRecords.last?.record.log.cluster == won.first })
            #expect(try await nodes.put(0, 2).outcome == .committed)
            #expect(try await nodes.put(1, 3).outcome == .committed)
        }
    }

    @Test func aTargetThatIsNotEmptyChangesNothing() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            try await nodes.provider.create(next)
            let target = try await nodes.provider.open(next)
            _ = await target.append([Bytes([1, 2, 3])])
            for isRehearsal in [true, false] {
                do {
                    _ = try await nodes[0].migrate(
                        topic: nil, cluster: nil, isRehearsal: isRehearsal, until: .now + .seconds(10))
                    Issue.record("moved to a log that is not empty")
                } catch let error as VarveError {
                    #expect(error.code == .targetUnfit)
                }
            }
            #expect(nodes[0].epoch == .first)
            try await nodes.put(0, 2)
        }
    }

    /// A seal whose epoch nobody could record would stop all nodes: who cannot write to storage does not begin.
    @Test func aReadOnlyStorageRefusesTheMove() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            let readOnly = VarveError(.storageDenied, "storage is read-only")
            for prefix in ["nodes/", "epochs/", "blocks/", "tables/", "claims/"] {
                nodes.gate(0).refuse(prefix, readOnly)
            }
            let end = try await nodes[0].log.range().upperBound
            await #expect {
                _ = try await migrate(nodes, 0)
            } throws: { ($0 as? VarveError)?.code == .storageDenied }
            #expect(try nodes.blocks.epochRecord(next) == nil)
            #expect(nodes[0].epoch == .first)
            // Barriers came, no seal.
            let log = nodes[0].log
            var offset = end
            while let entry = try await log.read(at: offset) {
                guard case .record(let record) = Record.decode(entry.bytes, tag: nil) else { break }
                #expect(record.header.type != .seal)
                offset = entry.offset.next
            }
            nodes.gate(0).allow()
            _ = try await migrate(nodes, 0)
            #expect(nodes[0].epoch == next)
            try await nodes.put(0, 2)
        }
    }

    /// What stands behind the seal waits for storage; nothing is lost, and nobody is told that it failed.
    @Test func storageThatBecomesReadOnlyBehindTheSealIsWaitedFor() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            nodes.gate(0).refuse("epochs/", VarveError(.storageDenied, "storage is read-only"))
            let moving = Task { try await migrate(nodes, 0) }
            try await until { nodes[0].trouble?.code == .storageDenied }
            async let put = nodes.put(0, 2)
            #expect(nodes[0].epoch == .first)
            nodes.gate(0).allow()
            #expect(try await moving.value.epoch == next)
            #expect(try await put.position.epoch == next)
        }
    }

    @Test func aRehearsalMakesNothing() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            let plan = try await nodes[0].migrate(
                topic: nil, cluster: nil, isRehearsal: true, until: .now + .seconds(10))
            #expect(plan.seal == nil)
            #expect(try await nodes.provider.probe(next) == .missing)
            await #expect(throws: VarveError.self) {
                try await nodes[0].migrate(
                    topic: nil, cluster: "nowhere", isRehearsal: true, until: .now + .seconds(10))
            }
        }
    }

    @Test func aNodeThatWasDownThroughoutReadsTheOldLogToItsEndAndGoesOn() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            for i in 0..<5 { try await nodes.put(0, i) }
            // No block reaches storage before the late node starts.
            let gate = nodes.gate(0).hold(.put, "tables/")
            _ = try await migrate(nodes, 0)
            for i in 5..<10 { try await nodes.put(0, i) }
            try await Nodes.run("late", heartbeatMs: 200, over: nodes) { (late: Nodes) async throws in
                #expect(late[0].epoch == next)
                #expect(try ids(late, 0) == 10)
                #expect(late[0].standing.effectChain == nodes[0].standing.effectChain)
                try await late.put(0, 11)
            }
            gate.open()
            try await until { nodes[0].standing.adopted != nil }
            // And from the block that holds the end.
            try await Nodes.run("later", heartbeatMs: 200, over: nodes) { (late: Nodes) async throws in
                #expect(late[0].epoch == next)
                #expect(try ids(late, 0) == 11)
            }
        }
    }

    @Test func aSealThatNobodyLivedToRecordIsFollowed() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            let gate = nodes.gate(0).hold(.put, "epochs/e0001")
            let moving = Task { try? await migrate(nodes, 0) }
            await gate.wait()
            #expect(nodes[0].epoch == .first)
            // Another node finds the seal and finishes.
            try await Nodes.run("b", heartbeatMs: 200, over: nodes) { (other: Nodes) async throws in
                #expect(other[0].epoch == next)
                try await other.put(0, 2)
            }
            gate.open()
            _ = await moving.value
            try await until { nodes[0].epoch == next }
            try await until { try ids(nodes, 0) == 2 }
        }
    }

    @Test func theBlockThatEndsAnEpochComesAfterTheNextEpochsRecord() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            let gate = nodes.gate(0).hold(.put, "epochs/e0001")
            let moving = Task { try await migrate(nodes, 0) }
            await gate.wait()
            try await until { nodes[0].standing.frozen == 1 }
            try await Task.sleep(for: .milliseconds(100))
            #expect(try nodes.blocks.manifest(.first, .first) == nil)
            gate.open()
            _ = try await moving.value
            try await until { nodes[0].standing.adopted != nil }
            // Without that record storage is not whole, and nobody goes on in the ended epoch.
            let record = BlockStore.epochName(next)
            try nodes.store.remove(record)
            await #expect(throws: VarveError.self) {
                try await Nodes.run("b", heartbeatMs: 200, over: nodes) { _ in }
            }
        }
    }

    @Test func waitersForBarriersAndBlocksWaitOn() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            let gate = nodes.gate(0).hold(.put, "epochs/e0001")
            let moving = Task { try await migrate(nodes, 0) }
            await gate.wait()
            async let barrier = nodes[0].barrier(until: .now + .seconds(20))
            async let put = nodes.put(0, 2)
            async let flush = nodes[0].flush(until: .now + .seconds(20), awaitAdoption: true)
            try await Task.sleep(for: .milliseconds(100))
            gate.open()
            #expect(try await barrier.epoch == next)
            #expect(try await put.position.epoch == next)
            _ = try await flush
            _ = try await moving.value
        }
    }

    @Test func aBumpWhileANodeRunsStopsIt() async throws {
        try await Nodes.run("a", heartbeatMs: 200) { (nodes: Nodes) async throws in
            try await nodes.put(0, 1)
            let parent = try #require(nodes[0].epochRecords.last)
            var log = parent.record.log
            (log.genesis, log.genesisOffset) = (GenesisID(high: 9, low: 9), .zero)
            let end = StartUp.end(of: parent.record, newest: nil)
            _ = try nodes.blocks.publishEpochRecord(
                EpochRecord(
                    epoch: next, parent: parent.digest, began: .lost, log: log, parentEnd: end, reason: "drop: 1"))
            try await until { nodes[0].stopped != nil }
            #expect(nodes[0].stopped?.code == .epochStale)
        }
    }
}

/// Set once, seen by all.
final class Flag: Sendable {
    private let state = Mutex(false)
    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}
