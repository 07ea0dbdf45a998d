import RdKafka
import Testing
import VarveModel
import VarveTestSupport

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// What an idempotent producer does to a naive client, on three brokers. Each test that names a setting or rule in its
/// comment was seen red without it; of the two that wait for both followers, the shorter one.
@Suite(.serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(5)))
struct ProducerTrapTests {
    /// Red with `message.timeout.ms` at 8000 instead of 0: records are in the log twice, behind later ones.
    ///
    /// `DefiniteAnswerTests` has a shorter one in the same seven seconds in which nodes are looked at.
    @Test(.enabled(if: isLong, "a longer run: VARVE_LONG_TESTS=1"))
    func bothFollowersStandStillAndEachRecordIsThereOnceAndInOrder() async throws {
        let cluster = try await Clusters.threeBrokers()
        let topic = try await Clusters.topic(at: cluster.bootstrapServers).name
        let leader = try await cluster.leader(of: topic)
        let ledger = try Ledger(cluster.bootstrapServers, topic)
        try await ledger.submit(perSecond: 20, seconds: 0.5)
        try await ledger.settle()
        let followers = cluster.brokers.filter { $0 !== leader }
        for follower in followers { try follower.pause() }
        try await ledger.submit(perSecond: 20, seconds: 11)
        #expect(ledger.reported.count < ledger.submitted)
        for follower in followers { try follower.resume() }
        try await ledger.submit(perSecond: 20, seconds: 0.5)
        try await ledger.settle()
        #expect(ledger.stored == ledger.submitted)
        #expect(try await ledger.check(cluster.bootstrapServers, topic).count == ledger.submitted)
        await ledger.close()
        try await cluster.waitForBrokers(3)
    }

    /// Red without idempotence, and with `acks=1`: then records are reported that too few copies have.
    @Test func aLeaderIsKilledAndAnotherOneStoppedAndEachRecordIsThereOnceAndInOrder() async throws {
        let cluster = try await Clusters.threeBrokers()
        let topic = try await Clusters.topic(at: cluster.bootstrapServers).name
        let leader = try await cluster.leader(of: topic)
        let ledger = try Ledger(cluster.bootstrapServers, topic)
        async let writing: Void = ledger.submit(perSecond: 500, seconds: 6)
        try await Task.sleep(for: .seconds(1))
        try await leader.kill()
        try await Task.sleep(for: .seconds(2))
        try await leader.start()
        try await cluster.waitForBrokers(3)
        let next = try await cluster.leader(of: topic)
        try await next.stop()
        try await writing
        try await ledger.settle()
        // Two copies are left, and now three are wanted: nothing is taken, nothing is lost.
        let admin = try Admin(RdKafkaSettings(bootstrapServers: cluster.bootstrapServers))
        try await admin.setConfiguration(
            ofTopic: topic, ["min.insync.replicas": "3", "message.timestamp.type": "LogAppendTime"],
            withinMilliseconds: 10_000)
        await admin.close()
        let before = ledger.submitted
        try ledger.submit(20)
        try await Task.sleep(for: .milliseconds(500))
        #expect(ledger.reported.count == before)
        try await next.start()
        try await cluster.waitForBrokers(3)
        try await ledger.settle()
        #expect(ledger.stored == ledger.submitted)
        #expect(try await ledger.check(cluster.bootstrapServers, topic).count == ledger.submitted)
        await ledger.close()
    }

    /// Red with more than one request in flight: the broker, just back, refuses the first, takes a later one, and the
    /// client reports the first as stored.
    @Test(.enabled(if: isLong, "a longer run: VARVE_LONG_TESTS=1")) func whatIsReportedAsStoredIsThere() async throws {
        let broker = try await Clusters.proxied().broker
        var ledgers: [(Ledger, String)] = []
        let admin = try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
        for _ in 0..<8 {
            let topic = "t-\(UInt32.random(in: 0 ... .max))"
            try await admin.createTopic(topic, replication: 1, withinMilliseconds: 10_000)
            // Every record a request of its own.
            ledgers.append((try Ledger(broker.bootstrapServers, topic, properties: ["batch.num.messages": "1"]), topic))
        }
        await admin.close()
        // Each has its producer id by then, and has written nothing.
        try await Task.sleep(for: .seconds(4))
        try await broker.kill()
        for (ledger, _) in ledgers { try ledger.submit(400) }
        try await broker.start()
        for (ledger, topic) in ledgers {
            try await ledger.settle()
            #expect(ledger.stored == 400)
            #expect(try await ledger.check(broker.bootstrapServers, topic).count == 400)
            await ledger.close()
        }
    }

    /// Red with a purge of the queue alone: what is in flight has no report for as long as the broker stands still.
    @Test func whatIsGivenUpIsThereAtMostOnceAndWhatComesAfterItToo() async throws {
        let broker = try await Clusters.proxied().broker
        let (topic, _) = try await Clusters.topic(at: broker.bootstrapServers)
        // The client takes a broker that is silent for a second for gone, and sends again what it still has in flight.
        let ledger = try Ledger(broker.bootstrapServers, topic, properties: ["socket.timeout.ms": "1000"])
        try ledger.submit(10)
        try await ledger.settle()
        try broker.pause()
        try await ledger.submit(perSecond: 200, seconds: 0.5)
        ledger.purge()
        try await ledger.settle(withinSeconds: 20)
        try await Task.sleep(for: .milliseconds(1_500))
        try ledger.submit(20)
        try broker.resume()
        try await ledger.settle()
        let unknown = ledger.reported.values.filter { if case .unknown = $0 { true } else { false } }.count
        #expect(unknown > 0)
        // Each record once at most, in order, and all that are reported as stored.
        #expect(try await ledger.check(broker.bootstrapServers, topic).count >= ledger.stored)
        await ledger.close()
    }

    /// The limit of a topic may be lowered under a producer that was made for a larger one.
    @Test func whatIsTooLargeForTheTopicIsRefusedDefinitely() async throws {
        let broker = try await Clusters.proxied().broker
        let admin = try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
        let topic = "t-\(UInt32.random(in: 0 ... .max))"
        try await admin.createTopic(
            topic, replication: 1, configuration: ["max.message.bytes": "2000"], withinMilliseconds: 10_000)
        await admin.close()
        let appender = try Appender(
            RdKafkaSettings(bootstrapServers: broker.bootstrapServers), topic: topic, messageBytesMax: 1_048_588)
        let small = try await appender.append([Array("small".utf8)])
        let large = try await appender.append([[UInt8](repeating: 65, count: 5_000)])
        let after = try await appender.append([Array("small".utf8)])
        await appender.close()
        guard case .stored(0?, _) = small[0], case .refused(let error) = large[0], case .stored(1?, _) = after[0] else {
            Issue.record("\(small) \(large) \(after)")
            return
        }
        #expect(error.code == .messageSizeTooLarge)
    }
}
