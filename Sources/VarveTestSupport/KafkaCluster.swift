package import VarveHarness
import RdKafka

/// Three brokers for tests, each also a controller, with small heaps: for what one broker cannot show (a leader that moves,
/// followers that stand still, too few replicas). Started once for a suite; brokers are numbered from 1.
package final class KafkaCluster: Sendable {
    package let brokers: [KafkaBroker]
    package var bootstrapServers: String { brokers.map(\.bootstrapServers).joined(separator: ",") }

    private init(_ brokers: [KafkaBroker]) { self.brokers = brokers }

    package static func start() async throws -> KafkaCluster {
        let ports = try freePorts(6)
        let voters = (0..<3).map { "\($0 + 1)@127.0.0.1:\(ports[2 * $0 + 1])" }.joined(separator: ",")
        let brokers = try await each(0..<3) { number in
            try await KafkaBroker.formatted(
                properties: [
                    "node.id": "\(number + 1)",
                    "controller.quorum.voters": voters,
                    // A follower that stands still is out of the set as soon as its session is over, and a new leader
                    // of the controllers is there as fast.
                    "controller.quorum.election.timeout.ms": "500",
                    "controller.quorum.fetch.timeout.ms": "1500",
                    "replica.lag.time.max.ms": "30000",
                    "num.network.threads": "1",
                    "num.io.threads": "2",
                    "background.threads": "1",
                ], ports: [ports[2 * number], ports[2 * number + 1]])
        }
        let cluster = KafkaCluster(brokers)
        // None of them serves before two are there.
        _ = try await each(brokers) { try await $0.start() }
        try await cluster.waitForBrokers(3)
        return cluster
    }

    package func close() async throws {
        for broker in brokers { try await broker.close() }
    }

    /// The broker that leads a topic's partition.
    package func leader(of topic: String) async throws -> KafkaBroker {
        try await Admin.asking(bootstrapServers) { admin in
            while true {
                let found = try? await admin.topic(topic, withinMilliseconds: 2_000)
                if let leader = found?.leader, leader > 0 { return self.brokers[Int(leader) - 1] }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Waits until a client sees that many.
    package func waitForBrokers(_ count: Int) async throws {
        try await Admin.asking(bootstrapServers) { admin in
            for _ in 0..<600 {
                if let found = try? await admin.brokers(withinMilliseconds: 1_000), found.count == count { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw KafkaFailure("the cluster has no \(count) brokers")
        }
    }
}

/// Does `body` for all at once; results in order.
private func each<Item: Sendable, R: Sendable>(
    _ items: some Collection<Item>, _ body: @escaping @Sendable (Item) async throws -> R
) async throws -> [R] {
    try await withThrowingTaskGroup(of: (Int, R).self) { group in
        for (index, item) in items.enumerated() { group.addTask { (index, try await body(item)) } }
        var all: [(Int, R)] = []
        for try await result in group { all.append(result) }
        return all.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
