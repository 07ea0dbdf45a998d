import RdKafka
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct AppenderTests {
    @Test func recordsOfOneBatchGetRisingOffsetsAndAreReadBackInOrder() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        let tail = try cluster.tail()
        let texts = (0..<2_500).map { "record \($0)" }
        let reports = try await appender.append(texts.map(bytes))
        #expect(reports.map(\.offset) == (0..<2_500).map { Int64($0) })
        let read = await tail.records(2_500)
        #expect(read.map(\.value) == texts.map(bytes))
        #expect(read.map(\.offset) == (0..<2_500).map { Int64($0) })
        await tail.close()
        await appender.close()
    }

    @Test func theOrderOfSubmitCallsIsTheOrderInTheLog() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        let offsets = await withCheckedContinuation { continuation in
            let seen = Mutex<[Int64?]>([])
            for index in 0..<20_000 {
                do throws(RdKafkaError) {
                    try appender.submit([bytes("\(index)")]) { reports in
                        let all = seen.withLock { all in
                            all += reports.map(\.offset)
                            return all
                        }
                        if all.count == 20_000 { continuation.resume(returning: all) }
                    }
                } catch {
                    Issue.record(error)
                }
            }
        }
        #expect(offsets == (0..<20_000).map { Int64($0) })
        await appender.close()
    }

    @Test func anEmptyRecordAndAnEmptyBatchAreLegal() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        #expect(try await appender.append([]) == [])
        #expect(try await appender.append([[], bytes("x")]).map(\.offset) == [0, 1])
        let tail = try cluster.tail()
        #expect(await tail.records(2).map(\.value) == [[], bytes("x")])
        await tail.close()
        await appender.close()
    }

    @Test func oneRecordTooLargeIsRefusedAloneAndCertainly() async throws {
        let cluster = try Cluster()
        let appender = try Appender(cluster.settings, topic: cluster.topic, messageBytesMax: 10_000)
        let reports = try await appender.append([bytes("a"), Array(repeating: 1, count: 20_000), bytes("b")])
        #expect(reports[0].offset == 0)
        guard case .refused(let error) = reports[1] else {
            Issue.record("not refused: \(reports[1])")
            return
        }
        #expect(error.code == .messageSizeTooLarge)
        #expect(reports[2].offset == 1)
        await appender.close()
    }

    @Test func withoutABrokerAPurgeMakesOpenRecordsUnknownAndTheAppenderLivesOn() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        #expect(try await appender.append([bytes("before")]).map(\.offset) == [0])
        cluster.broker.setBroker(1, down: true)
        let pending = try appender.pending([bytes("lost")])
        appender.purge()
        guard case .unknown = await pending.reports[0] else {
            Issue.record("a purged record is not unknown")
            return
        }
        cluster.broker.setBroker(1, down: false)
        #expect(try await appender.append([bytes("after")])[0].offset != nil)
        await appender.close()
    }

    @Test func closingReportsEveryRecordAndThenRefuses() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        cluster.broker.setBroker(1, down: true)
        let pending = try appender.pending((0..<100).map { bytes("\($0)") })
        await appender.close(withinMilliseconds: 0)
        #expect(await pending.reports.count == 100)
        await appender.close()
        await #expect(throws: RdKafkaError.self) { try await appender.append([bytes("late")]) }
    }

    @Test func anAppendSurvivesABrokerThatGoesAwayAndComesBack() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        _ = try await appender.append([bytes("0")])
        cluster.broker.setBroker(1, down: true)
        let later = try appender.pending([bytes("1"), bytes("2")])
        cluster.broker.setBroker(1, down: false)
        #expect(await later.reports.map(\.offset) == [1, 2])
        await appender.close()
    }

    @Test func aMissingTopicIsNotCreated() async throws {
        let cluster = try Cluster()
        let admin = try Admin(cluster.settings)
        let appender = try Appender(cluster.settings, topic: "nowhere", messageBytesMax: 1_000_000)
        let pending = try appender.pending([bytes("x")])
        #expect(try await admin.topic("nowhere", withinMilliseconds: 5_000) == nil)
        await appender.close(withinMilliseconds: 0)
        #expect(await pending.reports.map(\.offset) == [nil])
        #expect(try await admin.topic("nowhere", withinMilliseconds: 5_000) == nil)
        await admin.close()
    }
}
