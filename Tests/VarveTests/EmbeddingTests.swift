import Testing
import Varve

/// What an embedding program does with nothing but `import Varve`.
@Suite struct EmbeddingTests {
    @Test func aSnapshotStaysWhatItWasWhileTheNodeGoesOn() async throws {
        try await withNode { node in
            try await node.submit(.put(into: "users", ["_id": 7, "n": 1]))
            let snapshot = try await node.snapshot()
            try await node.submit(.delete(from: "users", 7))
            #expect(try snapshot.get("users", id: 7) == ["_id": 7, "n": 1])
            #expect(try await snapshot.query("SELECT n FROM users").map(\.values) == [[1]])
            #expect(try await node.snapshot().get("users", id: 7) == nil)
            #expect(try snapshot.get("users", id: "7") == nil)
        }
    }

    @Test func theNodeIsARowOfItsOwn() async throws {
        try await withNode { node in
            let token = try await node.submit(.put(into: "users", ["_id": 7])).token
            let rows = try await node.query("SELECT state, applied FROM varve.nodes").map(\.values)
            #expect(rows == [["this", .text("\(token.position)")]])
        }
    }

    @Test func historyIsNewestFirstAndADeletionIsAVersion() async throws {
        try await withNode { node in
            let first = try await node.submit(.put(into: "users", ["_id": "ada"]))
            let last = try await node.submit(.delete(from: "users", "ada"))
            let versions = try await node.snapshot().history("users", id: "ada")
            #expect(versions.map(\.position) == [last.position, first.position])
            #expect(versions.map(\.document) == [nil, ["_id": "ada"]])
            #expect(versions[1].systemTo == last.systemTime)
        }
    }

    @Test func parametersAreGivenByPositionOrByName() async throws {
        try await withNode { node in
            let outcome = try await node.submit(
                .put(into: "users", ["_id": "ada", "age": 36], ["_id": "bob", "age": 41]))
            let byName = try await node.query(
                "SELECT _id FROM users WHERE age > :age", parameters: ["age": 40], after: outcome.token)
            #expect(byName.map { $0["_id"] } == ["bob"])
            #expect(byName.columns.map(\.name) == ["_id"])
            #expect(byName.token.position == outcome.position)
            let byPosition = try await node.query("SELECT _id FROM users WHERE age < ?", parameters: [40])
            #expect(byPosition.map { $0[0] } == ["ada"])
        }
    }

    @Test func thePastIsAskedForByInstantToo() async throws {
        try await withNode { node in
            let first = try await node.submit(.put(into: "users", ["_id": "ada", "n": 1]))
            try await node.submit(.put(into: "users", ["_id": "ada", "n": 2]))
            let rows = try await node.query("SELECT n FROM users", asOf: .instant(first.systemTime))
            #expect(rows.map { $0["n"] } == [1])
        }
    }

    @Test func aQuestionThatCannotBeAnsweredSaysWhy() async throws {
        try await withNode { node in
            await #expect(throws: VarveError.self) { try await node.query("SELECT nonsense FROM nowhere") }
            do throws(VarveError) {
                _ = try await node.query("DELETE FROM users")
                Issue.record("a write got past a read-only query")
            } catch {
                #expect(error.code == .readOnly)
            }
        }
    }

    @Test func theLogTimeIsTheProgramsToGive() async throws {
        let node = try await Node.start(instantSource: FixedClock())
        let outcome = try await node.submit(.put(into: "users", ["_id": "ada"]))
        #expect(outcome.systemTime.description.hasPrefix("2001-09-09T01:46:40"))
        await node.stop()
    }

    private struct FixedClock: InstantSource {
        func now() -> Instant { Instant(microseconds: 1_000_000_000_000_000) }
    }

    private func withNode(_ body: (Node) async throws -> Void) async throws {
        let node = try await Node.start()
        do {
            try await body(node)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }
}
