// A real Kafka of the drill's own: topics are deleted as an administrator would, and cut on the broker's disk.

import Glibc
import RdKafka
import VarveHarness
import VarveModel

final class KafkaDrillBroker: DrillBroker {
    let word = "kafka"
    private let broker: KafkaBroker
    private let topic: String

    private init(_ broker: KafkaBroker, topic: String) { (self.broker, self.topic) = (broker, topic) }

    static func start(_ kafka: KafkaAvailability, _ site: DrillSite, topic: String) async throws -> KafkaDrillBroker {
        let broker = try await KafkaBroker.formatted(kafka, stays: site.keeps)
        do {
            try await broker.start()
        } catch {
            // Java may be running, and stays behind where the site is kept.
            try? await broker.close()
            throw error
        }
        return KafkaDrillBroker(broker, topic: topic)
    }

    var servers: String { broker.bootstrapServers }

    var tools: [String: String] {
        [
            "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
            "kafka-get-offsets.sh": "org.apache.kafka.tools.GetOffsetShell",
        ].mapValues(broker.script)
    }

    func lose(_ epoch: Int) async throws -> String {
        try await delete("\(topic)-e\(epoch)")
        return "the topic \(topic)-e\(epoch) deleted"
    }

    func cut(_ epoch: Int, to offset: Int64) async throws -> String {
        let name = "\(topic)-e\(epoch)"
        try await broker.stop()
        let end = try broker.cut(name, to: offset)
        try await broker.start()
        return "on the stopped broker's disk \(name) cut off at offset \(end); the broker started again"
    }

    func replace(_ epoch: Int) async throws -> String {
        let name = "\(topic)-e\(epoch)"
        try await delete(name)
        try await Admin.asking(servers) { admin in
            try await admin.createTopic(
                name, replication: 1, configuration: ["message.timestamp.type": "LogAppendTime"],
                withinMilliseconds: 15_000)
        }
        try await TopicCopy.append(strangers, to: name, at: servers)
        return "the topic \(name) deleted and made anew, and another program has written to it"
    }

    func goDown() async throws -> String {
        try await broker.kill()
        return "the broker killed"
    }

    func comeBack() async throws -> String {
        try await broker.start()
        return "the broker started again"
    }

    var howToStop: [String] {
        (broker.processID.map { ["kill -9 \($0)"] } ?? []) + ["rm -r \(broker.directory)"]
    }

    func end() async { try? await broker.close() }

    private func delete(_ name: String) async throws {
        try await Admin.asking(servers) { admin in
            try await admin.deleteTopic(name, withinMilliseconds: 15_000)
            for _ in 0..<200 where try await admin.topic(name, withinMilliseconds: 5_000) != nil {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }
}
