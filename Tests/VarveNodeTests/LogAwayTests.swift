import Testing
import VarveCore
import VarveLog
import VarveModel
import VarveStorage
import VarveTestSupport

@testable import VarveNode

/// What status says of a node whose log does not answer.
@Suite struct LogAwayTests {
    @Test(.timeLimit(.minutes(1))) func aNodeWhoseLogIsAwayIsDegradedAndReadyWhenItIsBack() async throws {
        let view = SteeredLogProvider(MemoryLogProvider())
        let configuration = Configuration(allowEphemeral: true, storage: .inMemory, node: NodeConfiguration(id: "a"))
        try await withNode(configuration, log: view) { (node: Node) async throws in
            try await node.submit(.put(into: "t", ["_id": "before"]))
            #expect(node.status().state == .ready && node.status().error == nil)
            view.see(.first, .unreachable)
            while node.status().state == .ready { try await Task.sleep(for: .milliseconds(20)) }
            #expect(node.status().state == .degraded)
            #expect(node.status().error?.code == .logUnreachable)
            // Reads of what is applied go on: whoever balances load need not turn away.
            #expect(node.health().isReady && node.health().isAlive)
            #expect(try await node.document("t", "before") != nil)
            view.see(.first, .whole)
            while node.status().state == .degraded { try await Task.sleep(for: .milliseconds(20)) }
            #expect(node.status().state == .ready && node.status().error == nil)
        }
    }
}
