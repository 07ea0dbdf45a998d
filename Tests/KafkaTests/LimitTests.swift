import RdKafka
import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveKafka
import VarveLog
import VarveModel
import VarveNode
import VarveTestSupport

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// What a broker allows less of than before: bytes of a record, bytes a second.
@Suite(.serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(3)))
struct LimitTests {
    /// Red when the producer keeps its batches: small records are refused with the large ones, for ever.
    @Test func aLimitLoweredUnderLoadRefusesWhatIsLargeAndTheRestFlowsOn() async throws {
        let servers = try await Clusters.proxied().direct
        let (topic, provider) = try await Clusters.topic(at: servers)
        let log = try await provider.open(.first)
        let isOver = Mutex(false)
        // Fifty records of a hundred bytes at a time: together more than the topic will take.
        let writing = Task {
            var outcomes: [(number: Int, result: AppendResult)] = []
            while !isOver.withLock({ $0 }) {
                let first = outcomes.count
                let batch = (first..<first + 50).map { Bytes("\($0) " + String(repeating: "x", count: 92)) }
                outcomes += zip(first..., await log.append(batch)).map { (number: $0, result: $1) }
            }
            return outcomes
        }
        try await Task.sleep(for: .milliseconds(200))
        let admin = try Admin(RdKafkaSettings(bootstrapServers: servers))
        try await admin.setConfiguration(
            ofTopic: topic, ["max.message.bytes": "3000", "message.timestamp.type": "LogAppendTime"],
            withinMilliseconds: 10_000)
        await admin.close()
        let large = Bytes([UInt8](repeating: 1, count: 5_000))
        // The first to be refused by the broker, the second by what was learned from that.
        for _ in 0..<2 {
            let refusal = await log.append([large])[0].refusal
            #expect(refusal == .oversize)
        }
        #expect(log.recordBytesMax < 3_000)
        try await Task.sleep(for: .milliseconds(300))
        isOver.withLock { $0 = true }
        let outcomes = await writing.value
        #expect(outcomes.suffix(50).allSatisfy { if case .stored = $0.result { true } else { false } })
        // What was refused can be sent again, and is not there.
        let refused = outcomes.filter { if case .refused = $0.result { true } else { false } }
        #expect(refused.allSatisfy { $0.result.refusal == .overloaded })
        let count = Int(try await log.range().upperBound.value)
        let tail = try await log.tail(from: .zero)
        let numbers = try await tail.entries(count).map { entry in
            entry.bytes.utf8.flatMap { Int($0.prefix { $0 != " " }) } ?? -1
        }
        #expect(numbers == outcomes.filter { if case .stored = $0.result { true } else { false } }.map(\.number))
        await log.close()
    }

    /// A quota answers each request at once and reads the next one seconds later: longer than reports are waited for.
    ///
    /// Red when the broker's wish is not heard: the record is given up and its id cancelled.
    @Test func aQuotaHoldsSubmissionsBackAndGivesNoneUp() async throws {
        let broker = try await Clusters.proxied().broker
        let database = try Database()
        defer { database.remove() }
        var settings = KafkaLogSettings(bootstrapServers: broker.bootstrapServers, topic: database.name)
        settings.properties = try KafkaProperties(
            map: ["client.id": database.name], bootstrapServers: broker.bootstrapServers)
        let configuration = Configuration(
            log: .kafka(KafkaLogConfiguration(bootstrapServers: broker.bootstrapServers, topic: database.name)),
            storage: .local(path: database.directory + "/storage"),
            node: NodeConfiguration(id: "a", directory: database.directory + "/a"))
        let node = try await Node.start(configuration, log: KafkaLogProvider(settings))
        _ = try await node.put("first")
        try await broker.limit(clientID: database.name, producerBytesPerSecond: 2_000)
        // 36 kB at 2 kB a second: the broker wants some eight seconds of silence.
        let large = String(repeating: "x", count: 36_000)
        for key in ["second", "third"] {
            let answer = try await node.submit(
                .put(into: "t", ["_id": .text(key), "text": .text(key == "second" ? large : "small")]),
                SubmitOptions(timeout: .seconds(40)))
            guard case .decided(let decision) = answer else {
                Issue.record("\(key) is undecided")
                return
            }
            #expect(decision.outcome == .committed)
        }
        #expect((node.status().standing?.logHealth.throttled ?? .zero) > .seconds(5))
        // Nothing was cancelled, nothing is there twice, and of all that is there this node had a report.
        let log = try await database.provider(broker.bootstrapServers).open(.first)
        let tail = try await log.tail(from: .zero)
        let headers = try await tail.entries(Int(try await log.range().upperBound.value)).compactMap { entry in
            if case .record(let record) = Record.decode(entry.bytes, tag: nil) { record.header } else { nil }
        }
        #expect(!headers.contains { $0.type == .cancel })
        #expect(headers.filter { $0.type == .transaction }.count == 3)
        let own = UInt64(headers.filter { $0.writer != 0 }.count)
        for _ in 0..<100 where node.status().standing?.appended != own {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(node.status().standing?.appended == own)
        await log.close()
        await node.stop()
    }
}
