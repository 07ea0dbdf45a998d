import RdKafka
import Testing
import VarveKafka
import VarveLog
import VarveModel
import VarveTestSupport

private let skip = KafkaAvailability.skipReason
private let skipOwn = KafkaAvailability.skipReasonForOwnBroker

/// What only a real broker can show, on one that all tests share.
@Suite(
    .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(5))
) struct RealKafkaTests {
    @Test func aTopicIsMadeOnceWithOurSettingsAndOpens() async throws {
        let (provider, admin, name) = try await provider()
        #expect(try await provider.probe(.first) == .missing)
        #expect(await code { _ = try await provider.open(.first) } == .logMissing)
        try await provider.create(.first)
        try await provider.create(.first)
        #expect(try await provider.probe(.first) == .present)
        #expect(!provider.isEphemeral)
        let found = try await admin.configuration(ofTopic: "\(name)-e0", withinMilliseconds: 10_000)
        #expect(found["message.timestamp.type"] == "LogAppendTime")
        #expect(found["cleanup.policy"] == "delete")
        #expect(found["max.message.bytes"] == "16777216")
        #expect(found["retention.ms"] == "604800000")
        #expect(found["unclean.leader.election.enable"] == "false")
        let log = try await provider.open(.first)
        #expect(log.recordBytesMax > 16_000_000)
        #expect(!provider.warnings.isEmpty)
        await log.close()
        try await admin.deleteTopic("\(name)-e0", withinMilliseconds: 10_000)
        await admin.close()
    }

    @Test func manyNodesMayMakeTheTopicAtOnce() async throws {
        let (provider, admin, name) = try await provider()
        let others = try await [self.provider(name).0, self.provider(name).0, self.provider(name).0]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for one in others + [provider] { group.addTask { try await one.create(.first) } }
            try await group.waitForAll()
        }
        #expect(try await provider.probe(.first) == .present)
        try await admin.deleteTopic("\(name)-e0", withinMilliseconds: 10_000)
        await admin.close()
    }

    @Test func recordsComeBackInOrderWithTheBrokersTimeWhichTheReportTellsToo() async throws {
        let (log, admin, name) = try await openLog()
        let tail = try await log.tail(from: .zero)
        let all = records(0..<3_000)
        let results = await log.append(all)
        let read = try await tail.entries(3_000)
        #expect(read.map(\.bytes) == all)
        #expect(
            results
                == read.map { AppendResult.stored(offset: $0.offset, time: $0.time) })
        #expect(read.allSatisfy { $0.time > 1_600_000_000_000 })
        #expect(try await log.range() == Offset(0)..<Offset(3_000))
        await finish(log, admin, name)
    }

    @Test func aLargeRecordMakesTheRoundAndOneByteTooManyIsRefused() async throws {
        let (log, admin, name) = try await openLog()
        let tail = try await log.tail(from: .zero)
        let large = Bytes((0..<log.recordBytesMax).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        #expect(await log.append([Bytes("before"), large, Bytes("after")]).map(\.offset) == [0, 1, 2])
        #expect(try await tail.entries(3)[1].bytes == large)
        let tooLarge = Bytes([UInt8](repeating: 0, count: large.count + 1))
        guard case .refused(let error) = await log.append([tooLarge])[0] else {
            Issue.record("a record above the limit was taken")
            return
        }
        #expect(error.code == .oversize)
        #expect(error.message.contains("\(large.count + 1) bytes") && error.message.contains("(\(large.count))"))
        // The limit was lowered since: only the broker can say so, and says it definitely.
        try await admin.setConfiguration(
            ofTopic: "\(name)-e0", ["max.message.bytes": "2000", "message.timestamp.type": "LogAppendTime"],
            withinMilliseconds: 10_000)
        let small = await log.append([Bytes([UInt8](repeating: 0, count: 5_000)), Bytes("fits")])
        guard case .refused(let lowered) = small[0] else {
            Issue.record("a record above the lowered limit was taken")
            return
        }
        #expect(lowered.code == .oversize && lowered.message.contains("5000 bytes"))
        #expect(try await log.range().upperBound.value <= 4)
        await finish(log, admin, name)
    }

    @Test func aLimitOfTheOperatorsOwnHoldsBelowTheTopics() async throws {
        let (log, admin, name) = try await openLog(["max.request.size": "10000"])
        #expect(log.recordBytesMax < 10_000)
        #expect(await log.append([Bytes([UInt8](repeating: 0, count: 10_000))])[0].refusal == .oversize)
        #expect(await log.append([Bytes([UInt8](repeating: 0, count: log.recordBytesMax))])[0].offset == 0)
        await finish(log, admin, name)
    }

    /// Each refusal with the nearest topic that must not be refused.
    @Test func aTopicThatIsNoLogIsRefusedAndOneThatJustIsOpens() async throws {
        let admin = try Admin(RdKafkaSettings(bootstrapServers: try await KafkaBroker.shared().bootstrapServers))
        let times = ["message.timestamp.type": "LogAppendTime"]
        // Four flush durations of 4 h are 16 h.
        let refused: [(Int, [String: String], String)] = [
            (2, times, "2 partitions"), (1, [:], "CreateTime"),
            (1, times.merging(["cleanup.policy": "compact"]) { $1 }, "cleanup.policy=compact"),
            (1, times.merging(["cleanup.policy": "compact,delete"]) { $1 }, "cleanup.policy"),
            (1, times.merging(["retention.ms": "57599000"]) { $1 }, "four times the flush duration"),
        ]
        let (provider, own, name) = try await provider()
        for (number, (partitions, settings, words)) in refused.enumerated() {
            let topic = "\(name)-e\(number)"
            try await admin.createTopic(
                topic, replication: 1, partitions: partitions, configuration: settings, withinMilliseconds: 10_000)
            let error = await #expect(throws: VarveError.self) { try await provider.open(Epoch(number)!) }
            #expect(error?.code == .logWeak && error?.message.contains(words) == true, "\(String(describing: error))")
            #expect(try await admin.range(of: topic, withinMilliseconds: 5_000) == 0..<0)
        }
        let healthy: [([String: String], [String])] = [
            (times, ["one broker"]),
            (times.merging(["retention.ms": "57600000"]) { $1 }, ["one broker", "less than 24 h"]),
            (times.merging(["retention.ms": "-1"]) { $1 }, ["one broker"]),
            (
                times.merging(["unclean.leader.election.enable": "true"]) { $1 },
                ["one broker", "unclean leader election"]
            ),
            (times.merging(["min.insync.replicas": "1"]) { $1 }, ["one broker"]),
        ]
        for (number, (settings, warnings)) in healthy.enumerated() {
            let epoch = Epoch(number + 100)!
            try await admin.createTopic(
                "\(name)-e\(epoch)", replication: 1, configuration: settings, withinMilliseconds: 10_000)
            try await provider.open(epoch).close()
            #expect(provider.warnings.count == warnings.count, "\(provider.warnings)")
            for words in warnings { #expect(provider.warnings.contains { $0.contains(words) }, "\(provider.warnings)") }
        }
        await own.close()
        await admin.close()
    }

    @Test func whatIsAllowedByAllowWeakLogIsWarnedOf() async throws {
        var settings = KafkaLogSettings(
            bootstrapServers: try await KafkaBroker.shared().bootstrapServers,
            topic: "weak-\(UInt32.random(in: 0 ... .max))")
        let admin = try Admin(RdKafkaSettings(bootstrapServers: settings.bootstrapServers))
        try await admin.createTopic(
            "\(settings.topic)-e0", replication: 1,
            configuration: ["message.timestamp.type": "LogAppendTime", "retention.ms": "3600000"],
            withinMilliseconds: 10_000)
        let strict = settings
        #expect(await code { _ = try await KafkaLogProvider(strict).open(.first) } == .logWeak)
        settings.allowWeakLog = true
        let lenient = KafkaLogProvider(settings)
        let log = try await lenient.open(.first)
        #expect(lenient.warnings.contains { $0.contains("allowed by allowWeakLog") })
        #expect(log.health.retention == .seconds(3600))
        await log.close()
        await admin.close()
    }

    @Test func aTopicIsMadeOnlyWhereThatIsAllowedAndPossible() async throws {
        let servers = try await KafkaBroker.shared().bootstrapServers
        let name = "making-\(UInt32.random(in: 0 ... .max))"
        var settings = KafkaLogSettings(bootstrapServers: servers, topic: name, autoCreateTopic: false)
        let closed = KafkaLogProvider(settings)
        let error = await #expect(throws: VarveError.self) { try await closed.create(.first) }
        #expect(error?.code == .logMissing && error?.message.contains("autoCreateTopic is false") == true)
        #expect(try await closed.probe(.first) == .missing)
        settings.autoCreateTopic = true
        settings.replicationFactor = 2
        let two = KafkaLogProvider(settings)
        #expect(await code { try await two.create(.first) } == .configInvalid)
        #expect(try await two.probe(.first) == .missing)
        settings.replicationFactor = 1
        let one = KafkaLogProvider(settings)
        try await one.create(.first)
        #expect(try await closed.probe(.first) == .present)
        // It is there: nothing is to be made, so nothing is refused.
        try await closed.create(.first)
    }

    /// A poll is held for as long as the operator says, and a record ends it.
    @Test func aLongPollDelaysNoRecord() async throws {
        let (log, admin, name) = try await openLog(pollMilliseconds: 60_000)
        let tail = try await log.tail(from: .zero)
        for index in 0..<5 {
            try await Task.sleep(for: .milliseconds(50))
            #expect(await log.append(records(index..<index + 1)).map(\.offset) == [Int64(index)])
            // The time limit of this suite is far below five polls.
            #expect(try await tail.entries(1).map(\.bytes) == records(index..<index + 1))
        }
        await finish(log, admin, name)
    }

    @Test func expiredRecordsAreAGapAndTheRangeSaysSo() async throws {
        let (log, admin, name) = try await openLog()
        _ = await log.append(records(0..<100))
        try await admin.deleteRecords("\(name)-e0", below: 70, withinMilliseconds: 10_000)
        #expect(try await log.range() == Offset(70)..<Offset(100))
        #expect(try await log.read(at: .zero)?.offset == Offset(70))
        let old = try await log.tail(from: Offset(10))
        #expect(await code { _ = try await old.next() } == .logGap)
        let start = try await log.tail(from: Offset(70))
        #expect(try await start.entries(30).map(\.bytes) == records(70..<100))
        try await admin.deleteRecords("\(name)-e0", below: 100, withinMilliseconds: 10_000)
        #expect(try await log.range() == Offset(100)..<Offset(100))
        let end = try await log.tail(from: Offset(100))
        #expect(await log.append(records(100..<101)).map(\.offset) == [100])
        #expect(try await end.entries(1).map(\.offset) == [Offset(100)])
        let beyond = try await log.tail(from: Offset(500))
        #expect(await code { _ = try await beyond.next() } == .logBehind)
        await finish(log, admin, name)
    }

    @Test func aTopicDeletedUnderneathIsMissing() async throws {
        let (log, admin, name) = try await openLog()
        let tail = try await log.tail(from: .zero)
        _ = await log.append(records(0..<3))
        _ = try await tail.entries(3)
        try await admin.deleteTopic("\(name)-e0", withinMilliseconds: 10_000)
        #expect(await code { while try await tail.next() != nil {} } == .logMissing)
        #expect(await code { _ = try await log.tail(from: .zero) } == .logMissing)
        #expect(await log.append(records(3..<4))[0].refusal == .logMissing)
        await log.close()
        await admin.close()
    }

    @Test func anAppendToADeletedTopicEnds() async throws {
        let (log, admin, name) = try await openLog()
        _ = await log.append(records(0..<3))
        try await admin.deleteTopic("\(name)-e0", withinMilliseconds: 10_000)
        for index in 0..<3 {
            #expect(await log.append(records(index..<index + 1))[0].offset == nil)
            try await Task.sleep(for: .milliseconds(400))
        }
        await log.close()
        await admin.close()
    }

    @Test(arguments: [0, 20]) func aTopicDeletedAndMadeAnewIsNoticedBeforeAnyOfItIsRead(refilled: Int) async throws {
        let (log, admin, name) = try await openLog(checkMilliseconds: 0)
        let tail = try await log.tail(from: .zero)
        _ = await log.append(records(0..<10))
        _ = try await tail.entries(10)
        try await recreate(name, admin, with: refilled)
        // The new topic is either shorter than what was read, or longer and with other records at those places.
        let results = await log.append(records(10..<11))
        #expect(results[0].offset == nil || results[0].offset == Int64(refilled))
        // Perhaps by way of a suspicion, which comes without records.
        let seen = await code {
            while let batch = try await tail.next() { #expect(batch.entries.isEmpty && batch.suspicion != nil) }
        }
        #expect([.logReplaced, .logBehind].contains(seen))
        #expect(await log.append(records(11..<12))[0].refusal == seen)
        await finish(log, admin, name)
    }

    // MARK: support

    private func provider(
        _ name: String = "varve-\(UInt32.random(in: 0 ... .max))", checkMilliseconds: Int = 2_000,
        pollMilliseconds: Int = 1_000, _ properties: [String: String] = [:]
    ) async throws -> (KafkaLogProvider, Admin, String) {
        let broker = try await KafkaBroker.shared()
        var settings = KafkaLogSettings(
            bootstrapServers: broker.bootstrapServers, topic: name, pollMilliseconds: pollMilliseconds,
            properties: properties.isEmpty
                ? KafkaProperties()
                : try KafkaProperties(map: properties, bootstrapServers: broker.bootstrapServers))
        settings.identityCheckMilliseconds = checkMilliseconds
        let admin = try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
        return (KafkaLogProvider(settings), admin, name)
    }

    private func openLog(
        _ properties: [String: String] = [:], checkMilliseconds: Int = 2_000, pollMilliseconds: Int = 1_000
    ) async throws -> (any Log, Admin, String) {
        let (provider, admin, name) = try await provider(
            checkMilliseconds: checkMilliseconds, pollMilliseconds: pollMilliseconds, properties)
        try await provider.create(.first)
        return (try await provider.open(.first), admin, name)
    }

    private func finish(_ log: any Log, _ admin: Admin, _ name: String) async {
        await log.close()
        try? await admin.deleteTopic("\(name)-e0", withinMilliseconds: 10_000)
        await admin.close()
    }

    private func recreate(_ name: String, _ admin: Admin, with count: Int) async throws {
        let other = try await provider(name).0
        try await admin.deleteTopic("\(name)-e0", withinMilliseconds: 10_000)
        try await other.create(.first)
        guard count > 0 else { return }
        let log = try await other.open(.first)
        _ = await log.append((0..<count).map { Bytes("other \($0)") })
        await log.close()
    }
}

/// Tests that kill a broker: one that may be killed.
@Suite(
    .serialized, .disabled(if: skipOwn != nil, "kafka skipped: \(skipOwn ?? "")"), .timeLimit(.minutes(5))
) struct KafkaOutageTests {
    @Test func aBrokerKilledAndStartedAgainHoldsEachRecordOnceAndInOrder() async throws {
        let broker = try await Clusters.proxied().broker
        let log = try await Clusters.topic(at: broker.bootstrapServers).provider.open(.first)
        let tail = try await log.tail(from: .zero)
        let count = 4_000
        let writer = Task {
            var results: [AppendResult] = []
            for index in stride(from: 0, to: count, by: 10) {
                results += await log.append(records(index..<index + 10))
            }
            return results
        }
        let reader = Task { try await tail.entries(count) }
        try await Task.sleep(for: .milliseconds(300))
        try await broker.kill()
        #expect(await code { _ = try await log.range() } == .logUnreachable)
        try await broker.start()
        let results = await writer.value
        let read = try await reader.value
        #expect(read.map(\.bytes) == records(0..<count))
        // Reports without a place are legal after an outage; those with one are right.
        for (result, entry) in zip(results, read) {
            if let offset = result.offset { #expect(offset == entry.offset.value) }
        }
        // Producer and tail each lost their connection at least once.
        for _ in 0..<100 where log.health.reconnects < 2 { try await Task.sleep(for: .milliseconds(50)) }
        #expect(log.health.reconnects >= 2)
        // The producer and the tail are as good as new.
        #expect(await log.append(records(0..<1)).map(\.offset) == [Int64(count)])
        #expect(try await tail.entries(1).map(\.offset) == [Offset(Int64(count))])
        await log.close()
    }

    @Test func aLogCutWhileTheBrokerWasDownIsBehind() async throws {
        let broker = try await Clusters.proxied().broker
        let (topic, provider) = try await Clusters.topic(at: broker.bootstrapServers)
        let log = try await provider.open(.first)
        let tail = try await log.tail(from: .zero)
        for index in 0..<50 { _ = await log.append(records(index..<index + 1)) }
        _ = try await tail.entries(50)
        try await broker.kill()
        try truncateSegment(in: broker.partitionDirectory(of: topic), keeping: 0.5)
        try await broker.start()
        let seen = await code { while try await tail.next() != nil {} }
        #expect(seen == .logBehind)
        await log.close()
    }
}
