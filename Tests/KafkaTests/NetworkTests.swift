import RdKafka
import Testing
import VarveKafka
import VarveLog
import VarveModel
import VarveTestSupport

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// A log over a network and a broker that are slow, still, cut or standing.
@Suite(.serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(5)))
struct NetworkTests {
    @Test func whateverTheNetworkDoesEachRecordIsThereOnceAndInOrder() async throws {
        let far = try await Clusters.proxied()
        let (_, provider) = try await Clusters.topic(at: far.proxied)
        let log = try await provider.open(.first)
        let tail = try await log.tail(from: .zero)
        let count = 400
        let reading = Task { try await tail.entries(count) }
        let writing = Task {
            var results: [AppendResult] = []
            for first in stride(from: 0, to: count, by: 10) {
                results += await log.append(records(first..<first + 10))
                try await Task.sleep(for: .milliseconds(25))
            }
            return results
        }
        for weather in [NetworkProxy.Weather.slow(milliseconds: 30), .still, .clear, .cut, .clear, .deaf, .cut, .clear]
        {
            far.proxy.become(weather)
            try await Task.sleep(for: .milliseconds(weather == .clear ? 150 : 400))
        }
        let results = try await writing.value
        let read = try await reading.value
        #expect(read.map(\.bytes) == records(0..<count))
        #expect(results.allSatisfy { if case .stored = $0 { true } else { false } })
        for (result, entry) in zip(results, read) {
            if let offset = result.offset { #expect(offset == entry.offset.value) }
        }
        #expect(try await log.range() == Offset(0)..<Offset(Int64(count)))
        await log.close()
    }

    /// Red when the list of `offsets_for_times` is read before the returned code: it says "no error" with offsets -1, -2.
    @Test func aBrokerThatStandsStillAnswersNothingRatherThanNonsense() async throws {
        let far = try await Clusters.proxied()
        let (_, provider) = try await Clusters.topic(at: far.direct)
        let log = try await provider.open(.first)
        _ = await log.append(records(0..<5))
        try far.broker.pause()
        #expect(await code { _ = try await log.range() } == .logUnreachable)
        #expect(await code { _ = try await log.read(at: Offset(2)) } == .logUnreachable)
        try far.broker.resume()
        #expect(try await log.range() == Offset(0)..<Offset(5))
        #expect(try await log.read(at: Offset(2))?.bytes == Bytes("record 2"))
        await log.close()
    }

    /// Red with `allow.auto.create.topics=true` in the client: asking makes the topic, and the log would be empty.
    @Test func askingForATopicDoesNotMakeIt() async throws {
        let far = try await Clusters.proxied()
        let provider = KafkaLogProvider(KafkaLogSettings(bootstrapServers: far.direct, topic: "nobody-made-this"))
        #expect(try await provider.probe(.first) == .missing)
        #expect(await code { _ = try await provider.open(.first) } == .logMissing)
        let settings = try RdKafkaSettings(bootstrapServers: far.direct)
        let appender = try Appender(settings, topic: "nobody-made-this-e0", messageBytesMax: 1_000_000)
        try appender.submit([[1]]) { _ in }
        let tail = try Tail(settings, topic: "nobody-made-this-e0", from: 0, messageBytesMax: 1_000_000)
        try await Task.sleep(for: .seconds(1))
        #expect(try await provider.probe(.first) == .missing)
        await tail.close()
        await appender.close(withinMilliseconds: 0)
    }

    /// Red with `isolation.level=read_committed`: own records wait for the stranger's transaction.
    @Test func anOpenTransactionOfAStrangerHoldsNobodyUp() async throws {
        let far = try await Clusters.proxied()
        let (topic, provider) = try await Clusters.topic(at: far.direct)
        let log = try await provider.open(.first)
        let tail = try await log.tail(from: .zero)
        try far.broker.run(
            "org.apache.kafka.tools.ProducerPerformance",
            [
                "--topic", topic, "--num-records", "40", "--record-size", "10", "--throughput", "2",
                "--transactional-id",
                "stranger", "--transaction-duration-ms", "60000", "--producer-props",
                "bootstrap.servers=\(far.direct)",
            ])
        var strangers = try await tail.entries(2)
        #expect(strangers.allSatisfy { $0.bytes.count == 10 })
        // The transaction is open: its records come one by one.
        guard let mine = await log.append([Bytes("mine")])[0].offset else {
            Issue.record("not stored")
            return
        }
        while !strangers.contains(where: { $0.bytes == Bytes("mine") }) { strangers += try await tail.entries(1) }
        #expect(strangers.first { $0.bytes == Bytes("mine") }?.offset == Offset(mine))
        // Read before the stranger was done.
        let end = try await log.range().upperBound
        #expect(end > Offset(mine) && end < Offset(41))
        await log.close()
    }

    /// Red with `check.crcs=false`: the damaged record is delivered as a good one.
    @Test func aByteThatFlippedOnTheBrokersDiskIsCorruptAndNotARecord() async throws {
        let far = try await Clusters.proxied()
        let (topic, provider) = try await Clusters.topic(at: far.direct)
        let log = try await provider.open(.first)
        for index in 0..<20 { _ = await log.append(records(index..<index + 1)) }
        await log.close()
        try await far.broker.stop()
        try flip("record 13", in: far.broker.partitionDirectory(of: topic))
        try await far.broker.start()
        let again = try await provider.open(.first)
        let tail = try await again.tail(from: .zero)
        var read: [Bytes] = []
        let seen = await code {
            while read.count < 20, let batch = try await tail.next() { read += batch.entries.map(\.bytes) }
        }
        #expect(seen == .logCorrupt)
        #expect(read == records(0..<read.count))
        #expect(read.count <= 13)
        await again.close()
    }
}
