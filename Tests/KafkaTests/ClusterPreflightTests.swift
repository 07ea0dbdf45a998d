import RdKafka
import Testing
import VarveKafka
import VarveLog
import VarveModel
import VarveTestSupport

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// What is refused of a topic only where there are several brokers, each beside the nearest one that must not be.
@Suite(
    .serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(5))
) struct ClusterPreflightTests {
    @Test func oneCopyIsRefusedWhereThereCouldBeMoreUnlessEachRecordIsSyncedOrItIsAllowed() async throws {
        let servers = try await settledCluster().bootstrapServers
        let settings = KafkaLogSettings(bootstrapServers: servers, topic: "copies-\(UInt32.random(in: 0 ... .max))")
        var lenient = settings
        lenient.allowWeakLog = true
        let admin = try Admin(RdKafkaSettings(bootstrapServers: servers))
        let provider = KafkaLogProvider(settings)
        let cases: [(copies: Int, inSync: String, synced: Bool, refused: String?)] = [
            (1, "1", false, "replication factor 1"), (1, "1", true, nil), (3, "1", false, "min.insync.replicas=1"),
            (3, "1", true, nil), (3, "2", false, nil), (2, "2", false, nil),
        ]
        for (number, (copies, inSync, synced, refused)) in cases.enumerated() {
            let epoch = Epoch(number)!
            var configuration = ["message.timestamp.type": "LogAppendTime", "min.insync.replicas": inSync]
            if synced { configuration["flush.messages"] = "1" }
            try await admin.createTopic(
                provider.topic(of: epoch), replication: copies, configuration: configuration, withinMilliseconds: 20_000
            )
            guard let refused else {
                try await onceKnown { try await provider.open(epoch) }.close()
                #expect(provider.warnings == [])
                continue
            }
            let error = await #expect(throws: VarveError.self) {
                try await onceKnown { try await provider.open(epoch) }
            }
            #expect(error?.code == .logWeak && error?.message.contains(refused) == true, "\(String(describing: error))")
            let allowed = KafkaLogProvider(lenient)
            try await onceKnown { try await allowed.open(epoch) }.close()
            #expect(allowed.warnings.count == 1 && allowed.warnings.first?.contains(refused) == true)
        }
        await admin.close()
    }

    @Test func aTopicIsMadeWithAsManyCopiesAsAskedForAndWithThreeByItself() async throws {
        let servers = try await settledCluster().bootstrapServers
        var settings = KafkaLogSettings(bootstrapServers: servers, topic: "made-\(UInt32.random(in: 0 ... .max))")
        let admin = try Admin(RdKafkaSettings(bootstrapServers: servers))
        for (number, (factor, copies, inSync)) in [(nil as Int?, 3, "2"), (2, 2, "2"), (1, 1, "1")].enumerated() {
            settings.replicationFactor = factor
            let provider = KafkaLogProvider(settings)
            let epoch = Epoch(number)!
            try await provider.create(epoch)
            let topic = provider.topic(of: epoch)
            let known = try await onceKnown {
                guard let topic = try await admin.topic(topic, withinMilliseconds: 10_000) else {
                    throw VarveError(.logMissing, "not yet")
                }
                return topic
            }
            #expect(known.replicas == copies)
            let found = try await onceKnown {
                try await admin.configuration(ofTopic: topic, withinMilliseconds: 10_000)
            }
            #expect(found["min.insync.replicas"] == inSync)
        }
        await admin.close()
    }

    /// A topic that was just made is unknown for a moment to the brokers that did not make it.
    private func onceKnown<R>(_ body: () async throws -> R) async throws -> R {
        for _ in 0..<200 {
            do { return try await body() } catch let error as VarveError where error.code == .logMissing {
            } catch let error as RdKafkaError where error.code == .unknownTopicOrPartition {}
            try await Task.sleep(for: .milliseconds(50))
        }
        return try await body()
    }

    /// With all its brokers, whatever tests before did to them.
    private func settledCluster() async throws -> KafkaCluster {
        let cluster = try await Clusters.threeBrokers()
        try await cluster.waitForBrokers(3)
        return cluster
    }
}
