import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct LocalLogTests {
    @Test func `a new log takes nothing before its genesis`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let log = try await files.open()
        guard case .refused(let error) = await log.append([Bytes("early")])[0] else {
            Issue.record("taken before the genesis")
            return
        }
        #expect(error.code == .logMissing)
        #expect(try await log.range().isEmpty)
        _ = await log.append([LogContract.genesis(.first), Bytes("second")])
        #expect(try await texts(log) == ["genesis", "second"])
        await log.close()
    }

    @Test func `offsets count records across segments and openings`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        try await files.write((0..<10).map { ["record \($0)"] }, segmentBytes: 300)
        for number in 10..<15 {
            let log = try await files.open(segmentBytes: 300)
            let result = await log.append([Bytes("record \(number)")])
            guard case .stored(let offset, _) = result[0] else {
                Issue.record("\(result)")
                return
            }
            #expect(offset == Offset(Int64(number) + 1))
            await log.close()
        }
        let log = try await files.open()
        #expect(try await texts(log) == ["genesis"] + (0..<15).map { "record \($0)" })
        await log.close()
    }

    @Test func `a second opener is told who holds the lock`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let log = try await files.open()
        let error = await #expect(throws: VarveError.self) { _ = try await files.open() }
        #expect(error?.code == .logLocked)
        #expect(error?.message.contains("process \(getpid())") == true)
        await log.close()
        await (try files.open()).close()
    }

    @Test func `a log that nobody holds any more frees its lock`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        _ = try await files.open()
        while true {
            do {
                await (try files.open()).close()
                break
            } catch let error as VarveError {
                #expect(error.code == .logLocked)
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    @Test func `trimming removes whole segments below, never the last, and reading there is LOG_GAP`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        try await files.write((0..<30).map { ["record \($0)"] }, segmentBytes: 400)
        let log = try await files.open(segmentBytes: 400)
        let before = try Directory.list(files.directory).filter { $0.name.hasSuffix(".log") }.count
        await log.trim(below: Offset(15))
        let start = try await log.range().lowerBound
        #expect(start > .zero && start <= Offset(15))
        #expect(try Directory.list(files.directory).filter { $0.name.hasSuffix(".log") }.count < before)
        let tail = try await log.tail(from: .zero)
        let error = await #expect(throws: VarveError.self) { _ = try await tail.next() }
        #expect(error?.code == .logGap)
        #expect(try await log.read(at: .zero)?.offset == start, "the first one behind it")
        await log.trim(below: Offset(1000))
        #expect(try Directory.list(files.directory).filter { $0.name.hasSuffix(".log") }.count == 1)
        await log.close()
        let again = try await files.open(segmentBytes: 400)
        #expect(try await again.range().upperBound == Offset(31))
        await again.close()
    }

    @Test func `a reader beside the writer sees what is durable, and more as it comes`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let log = try await files.open(segmentBytes: 500)
        let reader = try await files.provider().openToRead(.first)
        #expect(try await reader.range().isEmpty)
        let tail = try await reader.tail(from: .zero)
        let seen = Task {
            var seen = 0
            while seen < 41, let batch = try await tail.next() { seen += batch.entries.count }
            return seen
        }
        _ = await log.append([LogContract.genesis(.first)])
        for number in 0..<40 { _ = await log.append([Bytes("record \(number)")]) }
        #expect(try await seen.value == 41)
        #expect(try await texts(reader).last == "record 39")
        guard case .refused(let error) = await reader.append([Bytes("x")])[0] else {
            Issue.record("a reader has written")
            return
        }
        #expect(error.code == .readOnly)
        await log.close()
        await reader.close()
    }

    @Test func `a reader beside the writer that is overtaken by trimming finds LOG_GAP, and another goes on`()
        async throws
    {
        let files = try LogFiles()
        defer { files.remove() }
        try await files.write((0..<30).map { ["record \($0)"] }, segmentBytes: 400)
        let reader = try await files.provider().openToRead(.first)
        let slow = try await reader.tail(from: .zero)
        let first = try await slow.next()
        #expect(first?.entries.first?.offset == .zero && (first?.entries.count ?? 0) < 15)
        let log = try await files.open(segmentBytes: 400)
        await log.trim(below: Offset(25))
        #expect(await code { _ = try await slow.next() } == .logGap)
        let start = try await reader.range().lowerBound
        #expect(start > .zero)
        #expect(try await texts(reader, from: start).last == "record 29")
        await log.close()
        await reader.close()
    }

    @Test func `log time comes from the source given and never goes back`() async throws {
        struct Backwards: InstantSource {
            let clock: Clock
            func now() -> Instant { clock.next() }
        }
        let files = try LogFiles()
        defer { files.remove() }
        let times: [Int64] = [5_000_000, 7_000_900, 3_000_000, 9_000_000, 1]
        for log in [
            try await opened(MemoryLogProvider(instantSource: Backwards(clock: Clock(times)))),
            try await opened(
                LocalLogProvider(path: files.scratch.path, instantSource: Backwards(clock: Clock(times)))),
        ] {
            _ = await log.append([LogContract.genesis(.first)])
            for _ in 0..<4 { _ = await log.append([Bytes("x")]) }
            var found: [Int64?] = []
            for offset in 0..<5 { found.append(try await log.read(at: Offset(Int64(offset)))?.time) }
            #expect(found == [5000, 7000, 7000, 9000, 9000])
            await log.close()
        }
        let again = try await opened(
            LocalLogProvider(path: files.scratch.path, instantSource: Backwards(clock: Clock([2_000_000]))))
        _ = await again.append([Bytes("y")])
        #expect(try await again.read(at: Offset(5))?.time == 9000)
        await again.close()
    }

    private func opened(_ provider: some LogProvider) async throws -> any Log {
        try await provider.create(.first)
        return try await provider.open(.first)
    }
}
