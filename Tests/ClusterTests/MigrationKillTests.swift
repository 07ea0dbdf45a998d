import Foundation
import Testing
import VarveClient
import VarveModel
import VarveTestSupport
import VarveWire

/// Node processes that die while their log moves: the one that was asked, and one that follows.
@Suite(.serialized, .timeLimit(.minutes(3))) struct MigrationKillTests {
    enum Killed: String, CaseIterable { case asked, following }

    private static let skip = KafkaAvailability.skipReason

    @Test(.disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), arguments: Killed.allCases)
    func whoIsKilledInTheCrossingComesBackAndNothingIsLostOrTwice(_ killed: Killed) async throws {
        let broker = try await KafkaBroker.shared()
        try await withScratch { directory in
            let sections = """
                log: !Kafka { bootstrapServers: "\(broker.bootstrapServers)", topic: varve-die-\(UUID().uuidString.prefix(8)) }
                storage: !Local { path: \(directory)/storage }
                """
            var nodes: [NodeProcess] = []
            for i in 1...3 { nodes.append(try NodeProcess("node-\(i)", in: directory, sections)) }
            for node in nodes { try node.start() }
            for node in nodes { try await node.waitUntilReady() }
            let all = nodes
            let load = CrashLoad(all)
            let victim = killed == .asked ? all[0] : all[2]
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await load.run() }
                group.addTask {
                    defer { load.end() }
                    // Its answer dies with the node, where that was asked.
                    async let moved = try? all[0].client.migrate(MigrateRequest())
                    try await Self.untilTheEpochIsRecorded(directory)
                    victim.kill()
                    _ = await moved
                    try await Task.sleep(for: .milliseconds(500))
                    try victim.start()
                    try await victim.waitUntilReady()
                }
                try await group.waitForAll()
            }
            let answers = try await settled(all)
            #expect(answers.allSatisfy { $0.epoch == Epoch(1) }, "\(answers.map(\.epoch))")
            #expect(Set(answers.map { $0.applied?.inputChain }).count == 1)
            #expect(Set(answers.map { $0.applied?.effectChain }).count == 1)
            for node in all { try await load.expectAll(on: node) }
            for node in all { #expect(node.stop() == 0) }
        }
    }

    /// The first thing that a crossing leaves; what comes next is opening the other log.
    private static func untilTheEpochIsRecorded(_ directory: String) async throws {
        for _ in 0..<12_000 {
            if FileManager.default.fileExists(atPath: "\(directory)/storage/epochs/e0001.cbor") { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw NodeFailure("the log did not move within a minute")
    }
}
