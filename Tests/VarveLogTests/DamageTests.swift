import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

@Suite(.timeLimit(.minutes(2))) struct DamageTests {
    @Test func `cut anywhere in the last batch, the log opens with everything before it and goes on`() async throws {
        let files = try LogFiles(inMemory: true)
        defer { files.remove() }
        try await files.write([["a", "b"], ["c", "dd", "eee"]])
        let (bytes, batches) = try files.batches()
        let last = batches[2]
        for cut in last.start...last.end {
            try files.replaceSegment(Array(bytes[..<cut]))
            let log = try await files.open()
            let kept = cut == last.end ? ["genesis", "a", "b", "c", "dd", "eee"] : ["genesis", "a", "b"]
            #expect(try await texts(log) == kept, "cut at byte \(cut)")
            let result = await log.append([Bytes("next")])
            guard case .stored(let offset, _) = result[0] else {
                Issue.record("cut at byte \(cut): \(result)")
                return
            }
            #expect(offset == Offset(Int64(kept.count)))
            await log.close()
            let torn = try Directory.list(files.directory).filter { $0.name.hasSuffix(".torn") }
            if cut > last.start, cut < last.end {
                #expect(torn.map(\.name) == ["0000000000000000.log.\(last.start).torn"])
                // Zeros at its end say nothing: they are written ahead.
                let kept = bytes[last.start..<cut].reversed().drop { $0 == 0 }.reversed()
                #expect(try FileSystem.read(files.directory + "/" + torn[0].name) == Array(kept))
            } else {
                #expect(torn.isEmpty)
            }
        }
    }

    @Test func `any flipped bit below what is known to be synced is LOG_CORRUPT`() async throws {
        let files = try LogFiles(inMemory: true)
        defer { files.remove() }
        try await files.write([["a", "b"], ["c", "dd", "eee"]])
        let (bytes, batches) = try files.batches()
        for byte in 0..<batches[2].end {
            var damaged = bytes
            damaged[byte] ^= 1 << (byte % 8)
            try files.replaceSegment(damaged)
            let error = await #expect(throws: VarveError.self, "flipped in byte \(byte)") {
                await (try files.open()).close()
            }
            #expect(error?.code == .logCorrupt, "flipped in byte \(byte)")
            #expect(try FileSystem.read(files.segment) == damaged, "nothing is written to a damaged log")
        }
        for (batch, offset) in [(1, 1), (2, 3)] {
            var damaged = bytes
            damaged[batches[batch].start + 56] ^= 1
            try files.replaceSegment(damaged)
            let error = await #expect(throws: VarveError.self) { await (try files.open()).close() }
            #expect(error?.message.contains("at offset \(offset)") == true)
        }
    }

    /// Red when a follower waits at every batch that it cannot read, as for one that is being written.
    @Test func `who reads beside the writer is told LOG_CORRUPT where opening would say so, and waits at a torn tail`()
        async throws
    {
        let files = try LogFiles(inMemory: true)
        defer { files.remove() }
        try await files.write([["a", "b"], ["c", "dd", "eee"], ["f"], ["g"]])
        let (bytes, batches) = try files.batches()
        for (batch, kept) in [(1, ["genesis"]), (2, ["genesis", "a", "b"])] {
            var damaged = bytes
            damaged[batches[batch].start + 56] ^= 1
            try files.replaceSegment(damaged)
            let log = try await files.provider().openToRead(.first)
            #expect(try await texts(log) == kept)
            let end = Offset(Int64(kept.count))
            #expect(try await log.range().upperBound == end)
            let tail = try await log.tail(from: end)
            let error = await #expect(throws: VarveError.self) { _ = try await tail.next() }
            #expect(error?.code == .logCorrupt)
            #expect(error?.message.contains("at offset \(end)") == true)
            let read = await #expect(throws: VarveError.self) { _ = try await log.read(at: end) }
            #expect(read?.code == .logCorrupt, "no log that ends there")
            await log.close()
        }
        // The last batch is cut off: its writer may be in the middle of it. Once it is whole it is delivered.
        try files.replaceSegment(Array(bytes[..<(batches[4].end - 1)]))
        let log = try await files.provider().openToRead(.first)
        let tail = try await log.tail(from: .zero)
        var read: [Bytes] = []
        while read.count < 6, let batch = try await tail.next() { read += batch.entries.map(\.bytes) }
        let waiting = Task { try await tail.next() }
        try await Task.sleep(for: .milliseconds(50))
        try files.replaceSegment(bytes)
        read += try await waiting.value?.entries.map(\.bytes) ?? []
        while read.count < 8, let batch = try await tail.next() { read += batch.entries.map(\.bytes) }
        #expect(read.suffix(2) == [Bytes("f"), Bytes("g")])
        await log.close()
    }

    @Test func `a flipped bit that nothing proves to be synced is a torn tail`() async throws {
        let files = try LogFiles(inMemory: true)
        defer { files.remove() }
        try await files.write([["a", "b"], ["c", "dd", "eee"]])
        let (bytes, batches) = try files.batches()
        for byte in batches[2].start..<batches[2].end {
            var damaged = Array(bytes[..<batches[2].end])
            damaged[byte] ^= 1
            try files.replaceSegment(damaged)
            let log = try await files.open()
            #expect(try await texts(log) == ["genesis", "a", "b"])
            await log.close()
        }
        // The header of the close itself: nothing is behind it.
        var damaged = bytes
        damaged[damaged.count - 20] ^= 1
        try files.replaceSegment(damaged)
        let log = try await files.open()
        #expect(try await texts(log).count == 6)
        await log.close()
    }

    @Test func `a file that grew by zeros in a power cut is a torn tail`() async throws {
        let files = try LogFiles(inMemory: true)
        defer { files.remove() }
        try await files.write([["a"]])
        try files.replaceSegment(try #require(try FileSystem.read(files.segment)) + [UInt8](repeating: 0, count: 5000))
        let log = try await files.open()
        #expect(try await texts(log) == ["genesis", "a"])
        await log.close()
    }

    /// A document may hold a copy of another log's batches: their headers prove nothing here.
    @Test func `a header of another log inside a torn record proves nothing`() async throws {
        let other = try LogFiles()
        let files = try LogFiles(inMemory: true)
        defer {
            other.remove()
            files.remove()
        }
        let log = try await other.open()
        _ = await log.append([LogContract.genesis(.first, database: DatabaseID(high: 9, low: 9))])
        for number in 0..<5 { _ = await log.append([Bytes("\(number)")]) }
        await log.close()
        let copy = try #require(try FileSystem.read(other.segment))
        let mine = try await files.open()
        _ = await mine.append([LogContract.genesis(.first)])
        _ = await mine.append([Bytes(copy), Bytes("cut")])
        await mine.close()
        let (bytes, batches) = try files.batches()
        try files.replaceSegment(Array(bytes[..<(batches[1].end - 1)]))
        let again = try await files.open()
        #expect(try await texts(again) == ["genesis"])
        await again.close()
    }

    @Test func `damage in an earlier segment stops the reader there, it never skips`() async throws {
        let files = try LogFiles(inMemory: true)
        defer { files.remove() }
        try await files.write((0..<30).map { ["record \($0)"] }, segmentBytes: 400)
        let segments = try Directory.list(files.directory).map(\.name).filter { $0.hasSuffix(".log") }
        try #require(segments.count > 4)
        let path = files.directory + "/" + segments[2]
        var bytes = try #require(try FileSystem.read(path))
        bytes[64 + 60] ^= 4
        try files.replaceSegment(bytes, path: path)
        let log = try await files.open(segmentBytes: 400)
        let first = try #require(Int64(segments[2].prefix(16), radix: 16))
        let error = await #expect(throws: VarveError.self) { _ = try await texts(log) }
        #expect(error?.code == .logCorrupt)
        #expect(error?.message.contains("at offset \(first)") == true)
        #expect(try await log.read(at: Offset(first - 1)) != nil)
        await #expect(throws: VarveError.self) { _ = try await log.read(at: Offset(first)) }
        #expect(try await texts(log, from: Offset(25)).count == 6)
        await log.close()
    }

    @Test func `a missing segment is LOG_CORRUPT, not a hole`() async throws {
        let files = try LogFiles(inMemory: true)
        defer { files.remove() }
        try await files.write((0..<30).map { ["record \($0)"] }, segmentBytes: 400)
        let segments = try Directory.list(files.directory).map(\.name).filter { $0.hasSuffix(".log") }
        try FileSystem.remove(files.directory + "/" + segments[2])
        let log = try await files.open(segmentBytes: 400)
        let error = await #expect(throws: VarveError.self) { _ = try await texts(log) }
        #expect(error?.code == .logCorrupt)
        await log.close()
    }
}
