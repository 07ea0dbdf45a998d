import RdKafka
import Testing
import VarveLog
import VarveModel
import VarveTestSupport

@testable import VarveKafka

/// The log over the embedded broker: what needs no real one.
@Suite(.timeLimit(.minutes(2))) struct KafkaLogTests {
    @Test func aNameThatDoesNotResolveIsNamedWithWhoseItIs() {
        func next(_ servers: String, _ message: String) -> String? {
            KafkaFault.question(RdKafkaError(.timedOut, message), "log", at: servers).next
        }
        let unresolved = "kafka-3:9092/3: Failed to resolve 'kafka-3:9092': Name or service not known"
        #expect(next("10.0.0.1:9092", unresolved)?.contains("kafka-3:9092: a broker advertises it") == true)
        #expect(next("kafka-3:9092", unresolved)?.contains("check the name and the node's network") == true)
        #expect(next("k:1", "Connection refused") == "check that a broker listens at k:1; the node goes on trying")
    }

    @Test func theEmbeddedBrokerIsKnownAndEachEpochHasItsTopic() async throws {
        let embedded = try Embedded()
        #expect(try await embedded.provider.probe(.first) == .present)
        #expect(try await embedded.provider.probe(Epoch(7)!) == .missing)
        #expect(embedded.provider.isEphemeral)
        let log = try await embedded.provider.open(Epoch(1)!)
        #expect(log.reference.kind == .kafka)
        #expect(log.reference.topic == "log-e1")
        #expect(log.reference.clusterID.hasPrefix("mockCluster"))
        #expect(embedded.provider.warnings.count == 1)
        await log.close()
    }

    @Test func appendedRecordsAreReadBackInOrderWithTheirOffsets() async throws {
        let embedded = try Embedded()
        let log = try await embedded.provider.open(.first)
        #expect(try await log.range() == Offset(0)..<Offset(0))
        let tail = try await log.tail(from: .zero)
        let all = records(0..<1_000)
        #expect(await log.append(all).map(\.offset) == (0..<1_000).map { Int64($0) })
        let read = try await tail.entries(1_000)
        #expect(read.map(\.bytes) == all)
        #expect(read.map(\.offset.value) == (0..<1_000).map { Int64($0) })
        #expect(try await log.range() == Offset(0)..<Offset(1_000))
        #expect(try await log.read(at: Offset(17))?.bytes == all[17])
        #expect(try await log.read(at: Offset(1_000)) == nil)
        await tail.close()
        await log.close()
    }

    @Test func twoHandlesSeeOneOrder() async throws {
        let embedded = try Embedded()
        let first = try await embedded.provider.open(.first)
        let second = try await embedded.provider.open(.first)
        async let a = first.append(records(0..<300))
        async let b = second.append(records(300..<600))
        _ = await (a, b)
        let left = try await first.tail(from: .zero)
        let right = try await second.tail(from: .zero)
        let read = try await left.entries(600)
        #expect(try await right.entries(600) == read)
        #expect(Set(read.map(\.bytes)).count == 600)
        await first.close()
        await second.close()
    }

    @Test func aRecordBeyondTheLimitIsRefusedBeforeItIsSentAndItsNeighboursAreStored() async throws {
        let embedded = try Embedded()
        let log = try await embedded.provider.open(.first)
        let large = Bytes([UInt8](repeating: 1, count: log.recordBytesMax + 1))
        let fits = Bytes([UInt8](repeating: 2, count: log.recordBytesMax))
        let results = await log.append([Bytes("a"), large, fits, Bytes("b")])
        #expect(results.map(\.offset) == [0, nil, 1, 2])
        #expect(results[1].refusal == .oversize)
        await log.close()
    }

    @Test func aTailBeyondTheEndIsBehindAndAtTheEndItWaits() async throws {
        let embedded = try Embedded()
        let log = try await embedded.provider.open(.first)
        _ = await log.append(records(0..<3))
        let beyond = try await log.tail(from: Offset(9))
        #expect(await code { _ = try await beyond.next() } == .logBehind)
        #expect(try await beyond.next() == nil)
        let end = try await log.tail(from: Offset(3))
        async let waiting = end.entries(1)
        _ = await log.append(records(3..<4))
        #expect(try await waiting.map(\.bytes) == records(3..<4))
        await log.close()
    }

    @Test func whatIsMissingIsSaidAndNothingIsMade() async throws {
        let embedded = try Embedded()
        let epoch = Epoch(5)!
        #expect(await code { _ = try await embedded.provider.open(epoch) } == .logMissing)
        #expect(await code { try await embedded.provider.create(epoch) } == .logMissing)
        #expect(try await embedded.provider.probe(epoch) == .missing)
        try await embedded.provider.create(.first)
    }

    @Test func anUnreachableBrokerIsNamedWithTheReason() async throws {
        let provider = KafkaLogProvider(KafkaLogSettings(bootstrapServers: "127.0.0.1:1", topic: "log"))
        do {
            _ = try await provider.open(.first)
            Issue.record("opened")
        } catch {
            #expect(error.code == .logUnreachable)
            #expect(error.message.contains("127.0.0.1:1") && error.message.contains("refused"))
        }
        // Nobody's answer is no absence.
        #expect(await code { _ = try await provider.probe(.first) } == .logUnreachable)
    }

    @Test func aBrokerThatGoesAwayRaisesASuspicionAtOnceAndLosesNothing() async throws {
        let embedded = try Embedded()
        let log = try await embedded.provider.open(.first)
        let tail = try await log.tail(from: .zero)
        _ = await log.append(records(0..<1))
        #expect(try await tail.next()?.suspicion == nil)
        async let waiting = tail.next()
        embedded.broker.setBroker(1, down: true)
        // Long before the next record.
        let empty = try #require(try await waiting)
        #expect(empty.entries.isEmpty)
        #expect(empty.suspicion != nil)
        async let later = log.append(records(1..<2))
        try await Task.sleep(for: .milliseconds(300))
        embedded.broker.setBroker(1, down: false)
        #expect(await later.map(\.offset) == [1])
        #expect(try await tail.entries(1).map(\.bytes) == records(1..<2))
        await log.close()
    }

    /// Another embedded broker in this one's place is another process: what is read of it comes after the suspicion.
    @Test func nothingThatComesOverANewConnectionIsReadBeforeTheLossOfTheOldOneIsTold() async throws {
        let embedded = try Embedded()
        let log = try await embedded.provider.open(.first)
        let tail = try await log.tail(from: .zero)
        _ = await log.append(records(0..<1))
        #expect(try await tail.entries(1).count == 1)
        for round in 1..<6 {
            embedded.broker.setBroker(1, down: true)
            async let report = log.append(records(round..<round + 1))
            embedded.broker.setBroker(1, down: false)
            var isSuspect = false
            var found = 0
            while found == 0, let batch = try await tail.next() {
                isSuspect = isSuspect || batch.suspicion != nil
                found = batch.entries.count
            }
            #expect(isSuspect, "round \(round)")
            _ = await report
        }
        await log.close()
    }

    @Test func aClosedLogEndsItsTailsAndRefusesAppends() async throws {
        let embedded = try Embedded()
        let log = try await embedded.provider.open(.first)
        let tail = try await log.tail(from: .zero)
        async let waiting = tail.next()
        await log.close()
        #expect(try await waiting == nil)
        #expect(await log.append(records(0..<1))[0].refusal == .notReady)
        await log.close()
    }

    @Test func whenTheReportedPlaceLiesBelowWhatWasReadTheLogIsCondemned() async throws {
        // Another cluster under the same address cannot be made here; another topic under the same name can: records that
        // were read are others when read again. The pins are fed with what the topic never held.
        let embedded = try Embedded()
        let log = try #require(try await embedded.provider.open(.first) as? KafkaLog)
        _ = await log.append(records(0..<5))
        let tail = try await log.tail(from: Offset(5))
        _ = log.delivered(record(3, "another record"))
        let results = await log.append(records(5..<6))
        #expect(results.map(\.offset) == [5])
        _ = log.delivered(record(20, "far ahead"))
        _ = await log.append(records(6..<7))
        #expect(await code { while try await tail.next() != nil {} } == .logReplaced)
        #expect(await log.append(records(7..<8))[0].refusal == .logReplaced)
        await log.close()
    }

    private func record(_ offset: Int64, _ text: String) -> RdKafkaRecords {
        RdKafkaRecords([
            RdKafkaRecord(offset: offset, time: RdKafkaTime(milliseconds: 0, isBrokers: true), value: Array(text.utf8))
        ])
    }
}
