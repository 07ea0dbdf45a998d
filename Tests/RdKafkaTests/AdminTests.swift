import RdKafka
import Testing

@Suite(.timeLimit(.minutes(2))) struct AdminTests {
    @Test func theEmbeddedClusterIsKnownByItsIdAndItsBrokers() async throws {
        let broker = try EmbeddedBroker(brokers: 3)
        let admin = try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
        #expect(try await admin.clusterID(withinMilliseconds: 5_000).hasPrefix(EmbeddedBroker.clusterIDPrefix))
        #expect(try await admin.brokers(withinMilliseconds: 5_000).sorted() == [1, 2, 3])
        await admin.close()
    }

    @Test func aTopicIsFoundWithItsPartitionsAndAMissingOneIsNil() async throws {
        let cluster = try Cluster()
        try cluster.broker.createTopic(cluster.topic)
        let admin = try Admin(cluster.settings)
        #expect(try await admin.topic(cluster.topic, withinMilliseconds: 5_000)?.partitions == 1)
        for _ in 0..<3 { #expect(try await admin.topic("other", withinMilliseconds: 5_000) == nil) }
        await admin.close()
    }

    @Test func rangesAndShortReadsSayWhatIsThere() async throws {
        let cluster = try Cluster()
        let admin = try Admin(cluster.settings)
        let appender = try cluster.appender()
        #expect(try await admin.range(of: cluster.topic, withinMilliseconds: 5_000) == 0..<0)
        _ = try await appender.append((0..<20).map { bytes("\($0)") })
        #expect(try await admin.range(of: cluster.topic, withinMilliseconds: 5_000) == 0..<20)
        let some = try await admin.read(cluster.topic, 4..<7, withinMilliseconds: 5_000)
        #expect(some.map(\.value) == ["4", "5", "6"].map(bytes))
        #expect(try await admin.read(cluster.topic, 18..<40, withinMilliseconds: 5_000).map(\.offset) == [18, 19])
        #expect(try await admin.read(cluster.topic, 20..<21, withinMilliseconds: 5_000).isEmpty)
        await #expect {
            try await admin.read(cluster.topic, 30..<31, withinMilliseconds: 5_000)
        } throws: {
            ($0 as? RdKafkaError)?.code == .autoOffsetReset
        }
        // The handle is as good as before.
        #expect(try await admin.read(cluster.topic, 0..<1, withinMilliseconds: 5_000).map(\.offset) == [0])
        await appender.close()
        await admin.close()
    }

    @Test func anUnreachableClusterIsReportedWithTheReason() async throws {
        let admin = try Admin(RdKafkaSettings(bootstrapServers: "127.0.0.1:1"))
        await #expect {
            try await admin.range(of: "t", withinMilliseconds: 500)
        } throws: {
            let text = ($0 as? RdKafkaError)?.message ?? ""
            return text.contains("127.0.0.1:1") && text.contains("refused")
        }
        await admin.close()
    }

    @Test func aClosedHandleAnswers() async throws {
        let cluster = try Cluster()
        let admin = try Admin(cluster.settings)
        await admin.close()
        await admin.close()
        await #expect(throws: RdKafkaError.self) { try await admin.brokers(withinMilliseconds: 100) }
    }
}
