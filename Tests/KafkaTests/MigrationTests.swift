import Foundation
import RdKafka
import Synchronization
import Testing
import VarveIndexing
import VarveKafka
import VarveLog
import VarveModel
import VarveNode
import VarveTestSupport

private let skip = KafkaAvailability.skipReason

/// What clients saw: when each was acknowledged, and whether they shall end.
private final class Watch: Sendable {
    let acknowledged = Mutex<[ContinuousClock.Instant]>([])
    let isOver = Mutex(false)
}

/// Moving the log of three nodes while clients write: between topics, between clusters, and from a directory to Kafka.
@Suite(.timeLimit(.minutes(3))) struct MigrationTests {
    /// Topics of two epochs on an embedded broker, which makes none by request.
    private func embedded(_ base: String) throws -> EmbeddedBroker {
        let broker = try EmbeddedBroker()
        for epoch in 0..<2 { try broker.createTopic("\(base)-e\(epoch)") }
        return broker
    }

    private func settings(_ servers: String, _ topic: String) -> KafkaLogSettings {
        KafkaLogSettings(bootstrapServers: servers, topic: topic, replicationFactor: 1, allowWeakLog: true)
    }

    @Test func toAnotherTopicOfTheEmbeddedBroker() async throws {
        let broker = try embedded("log")
        defer { broker.close() }
        let gap = try await moveUnderLoad(settings(broker.bootstrapServers, "log"), [:], cluster: nil, topic: nil)
        print("longest gap, embedded: \(gap)")
    }

    @Test func toAnotherCluster() async throws {
        let (a, b) = (try embedded("log"), try embedded("log"))
        defer {
            a.close()
            b.close()
        }
        _ = try await moveUnderLoad(
            settings(a.bootstrapServers, "log"), ["b": settings(b.bootstrapServers, "log")], cluster: "b", topic: nil)
    }

    @Test(.disabled(if: skip != nil, "kafka skipped: \(skip ?? "")")) func toAnotherTopicOfARealKafka() async throws {
        let servers = try await KafkaBroker.shared().bootstrapServers
        let name = "move-\(UInt32.random(in: 0 ... .max))"
        for topic in [nil, "\(name)-renamed"] {
            let gap = try await moveUnderLoad(
                settings(servers, name + (topic == nil ? "" : "-b")), [:], cluster: nil, topic: topic)
            print("longest gap, real Kafka: \(gap)")
        }
    }

    @Test(.disabled(if: skip != nil, "kafka skipped: \(skip ?? "")")) func fromADirectoryToKafka() async throws {
        let name = "from-\(UInt32.random(in: 0 ... .max))"
        let clusters = ["k": KafkaLogProvider(settings(try await KafkaBroker.shared().bootstrapServers, name))]
        try await withDirectory { (path: String) async throws in
            let configuration = local(path)
            let node = try await Node.start(configuration, clusters: clusters)
            try await node.submit(.put(into: "t", ["_id": 1]))
            let moved = try await node.migrate(topic: nil, cluster: "k", isRehearsal: false, timeout: .seconds(60))
            #expect(moved.log.topic == "\(name)-e1")
            try await node.submit(.put(into: "t", ["_id": 2]))
            _ = try await node.flush(awaitAdoption: true, timeout: .seconds(30))
            await node.stop()
            // The configuration still names the directory.
            let again = try await Node.start(configuration, clusters: clusters)
            #expect(try await rows(again) == 2)
            try await again.submit(.put(into: "t", ["_id": 3]))
            await again.stop()
        }
    }

    @Test func aTargetForSmallerRecordsIsUnfit() async throws {
        let broker = try embedded("varve-log")
        defer { broker.close() }
        let clusters = ["k": KafkaLogProvider(settings(broker.bootstrapServers, "varve-log"))]
        try await withDirectory { (path: String) async throws in
            let node = try await Node.start(local(path), clusters: clusters)
            do {
                _ = try await node.migrate(topic: nil, cluster: "k", isRehearsal: false, timeout: .seconds(60))
                Issue.record("moved to where large records do not fit")
            } catch let error as VarveError {
                #expect(error.code == .targetUnfit)
                #expect(error.message.contains("takes records of"))
            }
            #expect(node.status().epoch == .first)
            try await node.submit(.put(into: "t", ["_id": 1]))
            await node.stop()
        }
    }

    private func local(_ path: String) -> Configuration {
        Configuration(
            log: .local(LocalLogConfiguration(path: "\(path)/log")), storage: .local(path: "\(path)/storage"))
    }

    /// Three nodes, four clients, one migration. Returns the longest time between two acknowledgements.
    private func moveUnderLoad(
        _ own: KafkaLogSettings, _ others: [String: KafkaLogSettings], cluster: String?, topic: String?
    ) async throws -> Duration {
        try await withDirectory { (path: String) async throws -> Duration in
            var nodes: [Node] = []
            for number in 0..<3 {
                var configuration = Configuration(
                    log: .kafka(
                        KafkaLogConfiguration(bootstrapServers: own.bootstrapServers, topic: own.topic)),
                    allowEphemeral: true, storage: .local(path: "\(path)/storage"))
                configuration.node.id = "node-\(number)"
                nodes.append(
                    try await Node.start(
                        configuration, log: KafkaLogProvider(own), clusters: others.mapValues { KafkaLogProvider($0) }))
            }
            let all = nodes
            let watch = Watch()
            let counts = try await withThrowingTaskGroup(of: Int.self) { group in
                for client in 0..<4 {
                    group.addTask {
                        var count = 0
                        while !watch.isOver.withLock({ $0 }) {
                            let id = client * 1_000_000 + count
                            let outcome = try await all[(client + count) % 3].submit(
                                .put(into: "t", ["_id": .integer(Int64(id))]))
                            #expect(outcome.outcome == .committed)
                            watch.acknowledged.withLock { $0.append(.now) }
                            count += 1
                        }
                        return count
                    }
                }
                let moved = try await all[1].migrate(
                    topic: topic, cluster: cluster, isRehearsal: false, timeout: .seconds(60))
                #expect(moved.epoch == Epoch(1))
                try await Task.sleep(for: .milliseconds(300))
                watch.isOver.withLock { $0 = true }
                return try await group.reduce(0, +)
            }
            for node in all {
                #expect(try await rows(node) == counts)
                #expect(node.status().epoch == Epoch(1))
            }
            let times = watch.acknowledged.withLock { $0.sorted() }
            for node in all { await node.stop() }
            return zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? .zero
        }
    }

    /// After everything that was acknowledged anywhere.
    private func rows(_ node: Node) async throws -> Int? {
        try await node.read(ReadOptions(isStrict: true)).tables().first { $0.name.text == "t" }?.rows
    }

    private func withDirectory<R>(_ body: (String) async throws -> R) async throws -> R {
        let path = "\(NSTemporaryDirectory())/varve-move-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(path)
    }
}
