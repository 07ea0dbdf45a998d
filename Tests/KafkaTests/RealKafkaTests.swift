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
        #expect(await log.append([Bytes([UInt8](repeating: 0, count: large.count + 1))])[0].refusal == .oversize)
        await finish(log, admin, name)
    }

    @Test func aTopicThatIsNoLogIsRefused() async throws {
        let (provider, admin, name) = try await provider()
        try await admin.createTopic("\(name)-e0", replication: 1, withinMilliseconds: 10_000)
        let mixed = await code { _ = try await provider.open(.first) }
        #expect(mixed == .logWeak)
        try await admin.createTopic(
            "\(name)-e1", replication: 1,
            configuration: ["message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact"],
            withinMilliseconds: 10_000)
        #expect(await code { _ = try await provider.open(Epoch(1)!) } == .logWeak)
        for epoch in 0..<2 { try await admin.deleteTopic("\(name)-e\(epoch)", withinMilliseconds: 10_000) }
        await admin.close()
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
        let seen = await code { _ = try await tail.next() }
        #expect([.logReplaced, .logBehind].contains(seen))
        #expect(await log.append(records(11..<12))[0].refusal == seen)
        await finish(log, admin, name)
    }

    // MARK: support

    private func provider(
        _ name: String = "varve-\(UInt32.random(in: 0 ... .max))", checkMilliseconds: Int = 2_000
    ) async throws -> (KafkaLogProvider, Admin, String) {
        let broker = try await KafkaBroker.shared()
        var settings = KafkaLogSettings(bootstrapServers: broker.bootstrapServers, topic: name)
        settings.identityCheckMilliseconds = checkMilliseconds
        let admin = try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
        return (KafkaLogProvider(settings), admin, name)
    }

    private func openLog(checkMilliseconds: Int = 2_000) async throws -> (any Log, Admin, String) {
        let (provider, admin, name) = try await provider(checkMilliseconds: checkMilliseconds)
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

/// Tests that kill a broker: each starts its own.
@Suite(
    .serialized, .disabled(if: skipOwn != nil, "kafka skipped: \(skipOwn ?? "")"), .timeLimit(.minutes(5))
) struct KafkaOutageTests {
    @Test func aBrokerKilledAndStartedAgainHoldsEachRecordOnceAndInOrder() async throws {
        let broker = try await KafkaBroker.start()
        let provider = KafkaLogProvider(KafkaLogSettings(bootstrapServers: broker.bootstrapServers, topic: "log"))
        try await provider.create(.first)
        let log = try await provider.open(.first)
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
        // The producer and the tail are as good as new.
        #expect(await log.append(records(0..<1)).map(\.offset) == [Int64(count)])
        #expect(try await tail.entries(1).map(\.offset) == [Offset(Int64(count))])
        await log.close()
        try await broker.close()
    }

    @Test func aLogCutWhileTheBrokerWasDownIsBehind() async throws {
        let broker = try await KafkaBroker.start()
        let provider = KafkaLogProvider(KafkaLogSettings(bootstrapServers: broker.bootstrapServers, topic: "log"))
        try await provider.create(.first)
        let log = try await provider.open(.first)
        let tail = try await log.tail(from: .zero)
        for index in 0..<50 { _ = await log.append(records(index..<index + 1)) }
        _ = try await tail.entries(50)
        try await broker.kill()
        try truncateSegment(in: broker.partitionDirectory(of: "log-e0"), keeping: 0.5)
        try await broker.start()
        let seen = await code { while try await tail.next() != nil {} }
        #expect(seen == .logBehind)
        await log.close()
        try await broker.close()
    }
}
