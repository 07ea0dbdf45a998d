import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage

@testable import VarveNode

/// A node in this process, ended with the scope.
@discardableResult
func withNode<R>(
    _ configuration: Configuration = Configuration(), log: (any LogProvider)? = nil,
    _ body: (Node) async throws -> R
) async throws -> R {
    let node = try await Node.start(configuration, log: log)
    do {
        let result = try await body(node)
        await node.stop()
        return result
    } catch {
        await node.stop()
        throw error
    }
}

extension Node {
    func document(_ table: String, _ id: String, asOf: AsOf? = nil) async throws -> Value? {
        let view = try await read(ReadOptions(asOf: asOf))
        guard let row = try view.get(try TableName(table), Key(id)!), let document = row.document else { return nil }
        return try Document(document).value()
    }

    func decided(_ transaction: Transaction, id: SubmissionID? = nil) async throws -> Decision {
        guard case .decided(let decision) = try await submit(transaction, SubmitOptions(id: id)) else {
            throw VarveError(.internal, "pending")
        }
        return decision
    }
}

@Suite struct NodeTests {
    @Test func whatWasSubmittedIsReadAtOnce() async throws {
        try await withNode { node in
            let outcome = try await node.submit(.put(into: "users", ["_id": "ada", "name": "Ada"]))
            #expect(outcome.outcome == .committed)
            #expect(try await node.document("users", "ada") == ["name": "Ada"])
        }
    }

    @Test func thePastStaysAsItWas() async throws {
        try await withNode { node in
            let first = try await node.submit(.put(into: "users", ["_id": "ada", "n": 1]))
            try await node.submit(.put(into: "users", ["_id": "ada", "n": 2]))
            try await node.submit(.delete(from: "users", "ada"))
            #expect(try await node.document("users", "ada") == nil)
            #expect(try await node.document("users", "ada", asOf: .position(first.position)) == ["n": 1])
            #expect(try await node.document("users", "ada", asOf: .position(.zero)) == nil)
            #expect(try await node.document("users", "ada", asOf: .instant(first.systemTime)) == ["n": 1])
            let view = try await node.read(ReadOptions())
            let versions = try view.history(try TableName("users"), Key("ada")!, limit: 10)
            #expect(versions.count == 3)
            #expect(versions[0].document == nil)
            #expect(versions[2].systemTo == versions[1].systemFrom)
        }
    }

    @Test func aRetryWithTheSameIdIsTheSameSubmissionAndOtherContentIsAConflict() async throws {
        try await withNode { node in
            let id = SubmissionID(high: 1, low: 1)
            let first = try await node.decided(.put(into: "t", ["_id": "a"]), id: id)
            #expect(try await node.decided(.put(into: "t", ["_id": "a"]), id: id) == first)
            await #expect(throws: VarveError.self) { try await node.decided(.put(into: "t", ["_id": "b"]), id: id) }
            #expect(try await node.document("t", "b") == nil)
        }
    }

    @Test func aThousandAtOnceAreAllAnsweredOnce() async throws {
        try await withNode { node in
            let positions = try await withThrowingTaskGroup(of: Position.self) { group in
                for i in 0..<1_000 {
                    group.addTask { try await node.submit(.put(into: "t", ["_id": .text("k\(i)"), "n": 1])).position }
                }
                return try await group.reduce(into: Set<Position>()) { $0.insert($1) }
            }
            #expect(positions.count == 1_000)
            let view = try await node.read(ReadOptions())
            #expect(try view.snapshot.count(try TableName("t"), asOf: view.position) == 1_000)
        }
    }

    @Test func aFlushWritesABlockAndReadsGoOnUnchanged() async throws {
        try await withNode { node in
            let first = try await node.submit(.put(into: "t", ["_id": "a", "n": 1, "x": [1, 2.5, nil]]))
            let flushed = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            #expect(flushed.block == .first)
            #expect(flushed.isNoop == false)
            #expect(node.status().standing?.adopted?.number == .first)
            #expect(try await node.document("t", "a") == ["n": 1, "x": [1, 2.5, nil]])
            try await node.submit(.patch(in: "t", ["_id": "a", "n": 2]))
            #expect(try await node.document("t", "a") == ["n": 2, "x": [1, 2.5, nil]])
            #expect(try await node.document("t", "a", asOf: .position(first.position))?["n"] == 1)
            #expect(try node.transactions(since: .zero, limit: 10).decisions.count == 2)
        }
    }

    @Test func aFlushOfNothingIsANoop() async throws {
        try await withNode { node in
            try await node.submit(.put(into: "t", ["_id": "a"]))
            _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            let again = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            #expect(again.isNoop)
            #expect(again.block == .first)
        }
    }

    @Test func anEraseLeavesNothingOfTheKeyAtAnyTime() async throws {
        try await withNode { node in
            let first = try await node.submit(.put(into: "t", ["_id": "eve", "n": 1]))
            _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            try await node.submit(.erase(from: "t", "eve"))
            for flush in [false, true] {
                if flush { _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10)) }
                #expect(try await node.document("t", "eve") == nil)
                #expect(try await node.document("t", "eve", asOf: .position(first.position)) == nil)
                let view = try await node.read(ReadOptions())
                #expect(try view.history(try TableName("t"), Key("eve")!, limit: 10).isEmpty)
                #expect(try view.snapshot.count(try TableName("t"), asOf: view.position) == 0)
            }
            try await node.submit(.put(into: "t", ["_id": "eve", "n": 2]))
            #expect(try await node.document("t", "eve") == ["n": 2])
        }
    }

    @Test func aScanMergesMemoryAndBlocksAndTheNewestWins() async throws {
        try await withNode { node in
            for round in 0..<3 {
                for i in stride(from: round, to: 30, by: round + 1) {
                    try await node.submit(.put(into: "t", ["_id": .text("k\(i)"), "round": .integer(Int64(round))]))
                }
                if round < 2 { _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10)) }
            }
            try await node.submit(.delete(from: "t", "k0", "k7"))
            let view = try await node.read(ReadOptions())
            var cursor = try view.snapshot.scan(try TableName("t"), asOf: view.position)
            var seen: [String] = []
            while try cursor.next() { seen.append(cursor.current!.key.description) }
            #expect(seen == seen.sorted())
            #expect(seen.count == 28)
            #expect(try await node.document("t", "k8")?["round"] == 2)
            #expect(try await node.document("t", "k9")?["round"] == 1)
            #expect(try await node.document("t", "k10")?["round"] == 0)
        }
    }

    @Test func aTooLargeTransactionIsRefusedBeforeAnythingIsWritten() async throws {
        try await withNode { node in
            let before = node.status().standing?.logEnd
            let text = Value.text(String(repeating: "x", count: 40 << 20))
            let error = await #expect(throws: VarveError.self) {
                try await node.submit(.put(into: "t", ["_id": "a", "x": text]))
            }
            #expect(error?.code == .oversize)
            #expect(node.status().standing?.logEnd == before)
        }
    }

    @Test func aResolvedIdIsCancelledAndStaysSo() async throws {
        try await withNode { node in
            let id = SubmissionID(high: 4, low: 4)
            guard case .decided(let decision)? = try await node.transaction(id, resolve: true, timeout: .seconds(5))
            else {
                Issue.record("nothing was decided")
                return
            }
            #expect(decision.outcome == .cancelled)
            #expect(try await node.decided(.put(into: "t", ["_id": "a"]), id: id).outcome == .cancelled)
            #expect(try await node.document("t", "a") == nil)
        }
    }

    @Test func aTokenOfAnotherHistoryIsRefused() async throws {
        try await withNode { node in
            let outcome = try await node.submit(.put(into: "t", ["_id": "a"]))
            _ = try await node.read(ReadOptions(after: outcome.token))
            var foreign = outcome.token
            foreign.chainPrefix! ^= 1
            let error = await #expect(throws: VarveError.self) { try await node.read(ReadOptions(after: foreign)) }
            #expect(error?.code == .historyToken)
        }
    }

    @Test func thresholdsCutBlocksWithoutBeingAsked() async throws {
        var configuration = Configuration()
        configuration.indexer.rowsPerBlock = 10
        try await withNode(configuration) { node in
            for i in 0..<35 { try await node.submit(.put(into: "t", ["_id": .integer(Int64(i))])) }
            while node.status().standing?.adopted?.number != BlockNumber(2) {
                try await Task.sleep(for: .milliseconds(5))
            }
            let view = try await node.read(ReadOptions())
            #expect(try view.snapshot.count(try TableName("t"), asOf: view.position) == 35)
        }
    }
}
