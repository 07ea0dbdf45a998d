import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

/// What a local log has in its hands while a sync goes on.
@Suite struct InFlightTests {
    /// A log with its genesis, whose syncs can be held.
    private func log(_ files: LogFiles, bufferSize: Int) async throws -> (any Log, HeldSync) {
        let held = HeldSync()
        DiskWatch.begin(under: files.scratch.path, held)
        let provider = LocalLogProvider(path: files.scratch.path, bufferSize: bufferSize)
        try await provider.create(.first)
        let log = try await provider.open(.first)
        _ = await log.append([LogContract.genesis(.first)])
        return (log, held)
    }

    private func records(_ count: Int) -> [Bytes] { (0..<count).map { Bytes("record \($0)") } }

    @Test func `at most bufferSize records are in flight, the others wait in line`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let (log, held) = try await log(files, bufferSize: 4)
        held.hold()
        async let results = log.append(records(10))
        await held.arrived()
        let inFlight = try files.batches().batches
        #expect(inFlight.count == 2, "the genesis and one batch")
        let size = inFlight[1].end - inFlight[1].start
        #expect(size == 48 + 4 * (8 + 8), "a batch of four")
        held.release()
        let offsets = await results.map(\.offset)
        #expect(offsets == (1...10).map { $0 })
        await log.close()
        let sizes = try files.batches().batches.dropFirst().map { $0.end - $0.start - 48 }
        #expect(sizes == [64, 64, 32])
        DiskWatch.end(under: files.scratch.path)
    }

    @Test func `only what is synced is delivered`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let (log, held) = try await log(files, bufferSize: 100)
        let reader = try await LocalLogProvider(path: files.scratch.path).openToRead(.first)
        held.hold()
        async let results = log.append(records(3))
        await held.arrived()
        for log in [log, reader] {
            #expect(try await log.range().upperBound <= Offset(1))
            #expect(try await log.read(at: Offset(1)) == nil)
        }
        held.release()
        _ = await results
        #expect(try await log.range().upperBound == Offset(4))
        await log.close()
        await reader.close()
        DiskWatch.end(under: files.scratch.path)
    }

    @Test func `purge answers while the disk hangs: unknown what is being written, refused what waits`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let (log, held) = try await log(files, bufferSize: 4)
        held.hold()
        async let answer = log.append(records(10))
        await held.arrived()
        log.purge()
        let results = await answer
        #expect(results.map(\.isUnknown) == (0..<10).map { $0 < 4 })
        #expect(results.map(\.refusal) == (0..<10).map { $0 < 4 ? nil : .overloaded })
        held.release()
        #expect(await log.append([Bytes("behind")])[0].offset == 5)
        #expect(try await texts(log) == ["genesis"] + (0..<4).map { "record \($0)" } + ["behind"])
        await log.close()
        DiskWatch.end(under: files.scratch.path)
    }

    @Test func `a thousand records of one call are one sync, and callers that come during one share the next`()
        async throws
    {
        let files = try LogFiles()
        defer { files.remove() }
        let (log, held) = try await log(files, bufferSize: 4096)
        let before = held.syncs
        _ = await log.append(records(1000))
        // On a slow machine a header of its own has stated before that the genesis is durable.
        #expect((before + 1...before + 2).contains(held.syncs))
        held.hold()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = await log.append([Bytes("first")]) }
            await held.arrived()
            for number in 0..<63 { group.addTask { _ = await log.append([Bytes("\(number)")]) } }
            for _ in 0..<200 { await Task.yield() }
            held.release()
        }
        // All but those whose tasks had not even begun by then share one.
        #expect(held.syncs < before + 40)
        await log.close()
        DiskWatch.end(under: files.scratch.path)
    }

    @Test func `small batches grow the file once in a while, and a closed log has no zeros`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let (log, _) = try await log(files, bufferSize: 4)
        _ = await log.append([Bytes("first")])
        let size = try #require(try FileSystem.size(of: files.segment))
        for number in 0..<50 { _ = await log.append([Bytes("\(number)")]) }
        #expect(try FileSystem.size(of: files.segment) == size)
        #expect(try await texts(log).count == 52)
        await log.close()
        let bytes = try #require(try FileSystem.read(files.segment))
        let last = try #require(try files.batches().batches.last)
        #expect(bytes.count == last.end + 48, "nothing behind the header that states the last batch's durability")
        DiskWatch.end(under: files.scratch.path)
    }

    /// Two readers beside the writer: one looks again after a millisecond, one after an hour.
    @Test func `a reader beside the writer sleeps as long as pollSleepDuration, not longer and not shorter`()
        async throws
    {
        let files = try LogFiles()
        defer { files.remove() }
        let log = try await files.open()
        _ = await log.append([LogContract.genesis(.first)])
        await log.close()
        func tail(_ sleep: Duration) async throws -> any LogTail {
            let provider = LocalLogProvider(path: files.scratch.path, pollSleepDuration: sleep)
            let tail = try await provider.openToRead(.first).tail(from: .zero)
            #expect(try await tail.next()?.entries.count == 1)
            return tail
        }
        let slowTail = try await tail(.seconds(3600))
        let quickTail = try await tail(.milliseconds(1))
        let slow = Task { try await slowTail.next() }
        let quick = Task { try await quickTail.next()?.entries.first?.bytes }
        // The slow one has looked, found nothing, and sleeps.
        for _ in 0..<100 { await Task.yield() }
        let again = try await files.open()
        _ = await again.append([Bytes("new")])
        await again.close()
        #expect(try await quick.value == Bytes("new"))
        slow.cancel()
        #expect(try await slow.value == nil, "it slept until it was cancelled")
    }
}
