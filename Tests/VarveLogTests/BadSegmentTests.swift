import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

/// Files in a log's directory that are not what their name says.
@Suite struct BadSegmentTests {
    private func refusal(_ files: LogFiles) async throws -> ErrorCode? {
        await code { await (try files.open()).close() }
    }

    @Test func `an empty, zeroed, cut or foreign first segment is LOG_CORRUPT and stays as it is`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        try await files.write([["a", "b"]])
        let (bytes, _) = try files.batches()
        var later = bytes
        later[4] = 2
        for bad in [
            [], [UInt8](repeating: 0, count: bytes.count), Array(bytes[..<40]),
            Array("PK\u{3}\u{4} something else".utf8),
            [UInt8](repeating: 0xff, count: 4096), later,
        ] {
            try files.replaceSegment(bad)
            #expect(try await refusal(files) == .logCorrupt)
            #expect(try FileSystem.read(files.segment) == bad)
        }
    }

    @Test func `zeros over synced batches are LOG_CORRUPT when anything behind them shows that they were synced`()
        async throws
    {
        let files = try LogFiles()
        defer { files.remove() }
        try await files.write([["a", "b"], ["c"], ["d"]])
        let (bytes, batches) = try files.batches()
        for batch in batches.dropLast() {
            var zeroed = bytes
            zeroed.replaceSubrange(
                batch.start..<batch.end, with: [UInt8](repeating: 0, count: batch.end - batch.start))
            try files.replaceSegment(zeroed)
            #expect(try await refusal(files) == .logCorrupt)
        }
    }

    @Test func `a segment of another log, or under another's name, is LOG_CORRUPT`() async throws {
        let files = try LogFiles()
        let other = try LogFiles()
        defer {
            files.remove()
            other.remove()
        }
        try await files.write((0..<12).map { ["record \($0)"] }, segmentBytes: 300)
        let log = try await other.open(segmentBytes: 300)
        _ = await log.append([LogContract.genesis(.first, database: DatabaseID(high: 3, low: 3))])
        for number in 0..<12 { _ = await log.append([Bytes("record \(number)")]) }
        await log.close()
        let names = try Directory.list(files.directory).map(\.name).filter { $0.hasSuffix(".log") }
        try #require(names.count > 3)
        // On a slow machine headers stand between batches, and the other's segments begin elsewhere.
        let others = try Directory.list(other.directory).map(\.name).filter { $0.hasSuffix(".log") }
        try #require(others.count > 3)
        for (name, otherName) in [(names[1], others[1]), (names[2], others[2])] {
            let path = files.directory + "/" + name
            let own = try #require(try FileSystem.read(path))
            let foreign = try #require(try FileSystem.read(other.directory + "/" + otherName))
            let neighbour = try #require(try FileSystem.read(files.directory + "/" + names[0]))
            for bad in [foreign, neighbour] {
                try files.replaceSegment(bad, path: path)
                #expect(try await refusal(files) == .logCorrupt)
            }
            try files.replaceSegment(own, path: path)
        }
        #expect(try await refusal(files) == nil)
    }

    @Test func `files that are no segments are left alone`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        try await files.write([["a"]])
        let names = ["notes.txt", "0000000000000001.LOG", "00000000000000zz.log", "ffffffffffffffff.log", "1.log"]
        for name in names { _ = try File(files.directory + "/" + name, .createNew) }
        let log = try await files.open()
        #expect(try await texts(log) == ["genesis", "a"])
        await log.close()
        for name in names { #expect(try FileSystem.exists(files.directory + "/" + name)) }
    }

    /// Bytes changed, cut out, doubled, swapped: the log opens with a beginning of what was written, or says LOG_CORRUPT.
    @Test func `whatever is done to a segment's bytes, nothing wrong is ever read`() async throws {
        let scratch = try LogFiles(inMemory: true)
        defer { scratch.remove() }
        try await scratch.write([["a", "b"], ["c", "dd", "eee"], [String(repeating: "f", count: 900)], ["g"]])
        let (bytes, _) = try scratch.batches()
        let all = ["genesis", "a", "b", "c", "dd", "eee", String(repeating: "f", count: 900), "g"]
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func chance(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state >> 11) % bound
        }
        var outcomes = (opened: 0, refused: 0)
        for number in 0..<600 {
            var damaged = bytes
            for _ in 0...chance(3) {
                let from = chance(damaged.count)
                let to = min(damaged.count, from + 1 + chance(200))
                switch chance(5) {
                case 0: damaged[from] = UInt8(chance(256))
                case 1: damaged.removeSubrange(from..<to)
                case 2: damaged.insert(contentsOf: damaged[from..<to], at: chance(damaged.count))
                case 3: for byte in from..<to { damaged[byte] = 0 }
                default: damaged += (0..<chance(100)).map { _ in UInt8(chance(256)) }
                }
                if damaged.isEmpty { break }
            }
            try scratch.replaceSegment(damaged)
            do {
                let log = try await scratch.open()
                let found = try await texts(log)
                #expect(found == Array(all.prefix(found.count)), "input \(number)")
                outcomes.opened += 1
                await log.close()
            } catch let error as VarveError {
                #expect(error.code == .logCorrupt, "input \(number): \(error)")
                outcomes.refused += 1
            }
        }
        #expect(outcomes.opened > 50 && outcomes.refused > 50)
    }
}
