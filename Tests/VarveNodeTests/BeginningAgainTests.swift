import Foundation
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage
import VarveTestSupport

@testable import VarveNode

/// What nodes find out about epochs while they run, with nobody who tells them.
@Suite struct BeginningAgainTests {
    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let path = "\(NSTemporaryDirectory())/varve-again-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    private func configuration(_ path: String, _ node: String) -> Configuration {
        Configuration(
            allowEphemeral: true, storage: .local(path: "\(path)/storage"), node: NodeConfiguration(id: node))
    }

    /// The old log was deleted, as one may after a migration, before this node had read it to its end.
    @Test func aNodeThatLostItsOldLogServesAgainWithoutARestart() async throws {
        try await withDirectory { (path: String) async throws in
            let shared = MemoryLogProvider()
            let view = SteeredLogProvider(shared)
            try await withNode(configuration(path, "a"), log: shared) { (a: Node) async throws in
                try await withNode(configuration(path, "b"), log: view) { (b: Node) async throws in
                    try await a.submit(.put(into: "t", ["_id": "before"]))
                    view.see(.first, .standingStill)
                    _ = try await a.migrate(topic: nil, cluster: nil, isRehearsal: false, timeout: .seconds(60))
                    let after = try await a.submit(.put(into: "t", ["_id": "after"]))
                    _ = try await a.flush(awaitAdoption: true, timeout: .seconds(30))
                    #expect(b.status().epoch == .first)
                    view.see(.first, .gone)
                    while b.status().epoch == .first || b.status().state != .ready {
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    let document = try await b.snapshot(after: after.token).get("t", id: "after")
                    #expect(document != nil)
                    #expect(try await b.submit(.put(into: "t", ["_id": "there"])).outcome == .committed)
                }
            }
        }
    }

    /// A fuller disk is left behind: the log goes on in another directory, and is found there whatever the configuration names.
    @Test func aLocalLogMovesToAnotherDirectory() async throws {
        try await withDirectory { (path: String) async throws in
            var configuration = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/old", directories: ["disk": "\(path)/new"])),
                storage: .local(path: "\(path)/storage"))
            try await withNode(configuration) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "old"]))
                let plan = try await node.migrate(topic: nil, cluster: "disk", isRehearsal: true, timeout: .seconds(9))
                #expect(plan.seal == nil && !FileManager.default.fileExists(atPath: "\(path)/new"))
                let unfit = await #expect(throws: VarveError.self) {
                    try await node.migrate(topic: "other", cluster: nil, isRehearsal: false, timeout: .seconds(9))
                }
                #expect(unfit?.code == .targetUnfit)
                _ = try await node.migrate(topic: nil, cluster: "disk", isRehearsal: false, timeout: .seconds(60))
                try await node.submit(.put(into: "t", ["_id": "new"]))
                #expect(FileManager.default.fileExists(atPath: "\(path)/new/e0001"))
                #expect(!FileManager.default.fileExists(atPath: "\(path)/old/e0001"))
            }
            try await withNode(configuration) { (node: Node) async throws in
                #expect(try await node.document("t", "new") != nil)
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            // The old disk goes; the new place is the configured one.
            try FileManager.default.removeItem(atPath: "\(path)/old")
            configuration.log = .local(LocalLogConfiguration(path: "\(path)/new"))
            try await withNode(configuration) { (node: Node) async throws in
                #expect(try await node.document("t", "old") != nil)
                #expect(try await node.document("t", "new") != nil)
                try await node.submit(.put(into: "t", ["_id": "newer"]))
            }
        }
    }

    @Test func aConfigurationThatIsBehindIsSaidInStatus() async throws {
        try await withDirectory { (path: String) async throws in
            let configuration = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/log", epoch: 0)),
                storage: .local(path: "\(path)/storage"))
            try await withNode(configuration) { (node: Node) async throws in
                #expect(node.status().warnings.isEmpty)
                _ = try await node.migrate(topic: nil, cluster: nil, isRehearsal: false, timeout: .seconds(60))
                #expect(node.status().warnings.contains { $0.contains("the configuration says epoch 0") })
            }
            try await withNode(configuration) { (node: Node) async throws in
                #expect(node.status().warnings.contains { $0.contains("is in epoch 1 and is followed") })
            }
        }
    }

    @Test func anotherNodesConfiguredEpochIsSeenInStatus() async throws {
        try await withDirectory { (path: String) async throws in
            let store = BlockStore(
                try DirectoryObjectStore(path: "\(path)/storage", node: "other", nonce: 1))
            var other = Heartbeat(node: "other", processStart: 1)
            other.configuredEpoch = Epoch(3)
            try store.objects.overwrite(BlockStore.heartbeatName("other"), other.encoded())
            var same = Heartbeat(node: "same", processStart: 1)
            same.configuredEpoch = .first
            try store.objects.overwrite(BlockStore.heartbeatName("same"), same.encoded())
            try await withNode(configuration(path, "own"), log: MemoryLogProvider()) { (node: Node) async throws in
                while node.peers().count < 2 { try await Task.sleep(for: .milliseconds(10)) }
                let said = node.status().warnings.filter { $0.contains("configuration says") }
                #expect(said == ["other's configuration says epoch 3, the database is in epoch 0 here"])
            }
        }
    }
}
