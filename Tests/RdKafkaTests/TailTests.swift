import RdKafka
import Testing

@Suite(.timeLimit(.minutes(2))) struct TailTests {
    @Test func aTailStartsAnywhereUpToTheEndAndWaitsThere() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        _ = try await appender.append((0..<10).map { bytes("\($0)") })
        let middle = try cluster.tail(from: 7)
        #expect(await middle.records(3).map(\.offset) == [7, 8, 9])
        let end = try cluster.tail(from: 10)
        async let next = end.records(1)
        _ = try await appender.append([bytes("new")])
        #expect(await next.map(\.value) == [bytes("new")])
        for tail in [middle, end] { await tail.close() }
        await appender.close()
    }

    @Test func beyondTheEndIsSaidOnceAndEndsTheTail() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        _ = try await appender.append([bytes("only")])
        let tail = try cluster.tail(from: 5)
        var asked: Int64?
        while let event = await tail.next() {
            if case .outOfRange(let offset, _) = event { asked = offset }
        }
        #expect(asked == 5)
        #expect(await tail.next() == nil)
        await tail.close()
        await appender.close()
    }

    @Test func aSlowReaderGetsEverythingThoughLittleWaitsForIt() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        let tail = try cluster.tail()
        let count = 12_000
        _ = try await appender.append((0..<count).map { bytes("\($0)") })
        // The thread runs into its bound here: more batches are at hand than may wait.
        try await Task.sleep(for: .milliseconds(200))
        let read = await tail.records(count)
        #expect(read.map(\.offset) == (0..<count).map { Int64($0) })
        await tail.close()
        await appender.close()
    }

    @Test func aBrokerThatComesBackIsSuspectAndThenReadOn() async throws {
        let cluster = try Cluster()
        let appender = try cluster.appender()
        let tail = try cluster.tail()
        _ = try await appender.append([bytes("0")])
        #expect(await tail.records(1).count == 1)
        cluster.broker.setBroker(1, down: true)
        guard case .suspect = await tail.next() else {
            Issue.record("a lost broker is not suspect")
            return
        }
        cluster.broker.setBroker(1, down: false)
        _ = try await appender.append([bytes("1")])
        #expect(await tail.records(1).map(\.offset) == [1])
        await tail.close()
        await appender.close()
    }

    @Test func closeAndCancellationEndAWaitingReader() async throws {
        let cluster = try Cluster()
        let closed = try cluster.tail()
        async let waiting = closed.next()
        await Task.yield()
        await closed.close()
        #expect(await waiting == nil)
        let cancelled = try cluster.tail()
        let task = Task { await cancelled.next() == nil }
        task.cancel()
        #expect(await task.value)
        await cancelled.close()
    }
}
