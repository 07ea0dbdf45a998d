import Testing
import VarveLog
import VarveModel
import VarveTestSupport

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A process that is killed takes nothing back that it has acknowledged, and leaves nothing half.
@Suite(.enabled(if: Worker.program != nil, "the program VarveLogWorker is not beside the test program"))
struct CrashTests {
    /// Kills in one run, of both kinds together.
    private static let killsMin = 500
    private static let randomKills = 150

    @Test func `killed at every change that it makes, and at random: what was acknowledged is there`() async throws {
        var kills = 0
        let changes = try changesOfTheScript()
        for (index, change) in changes.enumerated() {
            for moment in ["before", "half", "after"] where moment != "half" || change == "write" {
                try await killAt(index + 1, moment, change)
                kills += 1
            }
        }
        #expect(
            Set(changes).isSuperset(of: ["create", "write", "truncate", "link", "unlink", "sync", "syncDirectory"]))
        var runs = 0
        while runs < Self.randomKills || kills < Self.killsMin {
            try await killAtRandom(runs: 10, seed: runs)
            runs += 10
            kills += 10
        }
        TestReport.note("crashes of the local log", "ran (\(kills) kills, \(kills - runs) of them at named points)")
        #expect(kills >= Self.killsMin)
    }

    private func changesOfTheScript() throws -> [String] {
        let scratch = try Scratch(inMemory: true)
        defer { scratch.remove() }
        var worker = try Worker("changes", scratch.path)
        return worker.finish().map { String($0) }
    }

    private func killAt(_ number: Int, _ moment: String, _ change: String) async throws {
        let scratch = try Scratch(inMemory: true)
        defer { scratch.remove() }
        var worker = try Worker("script", scratch.path, "\(number)", moment)
        let lines = worker.finish()
        let place = "\(moment) change \(number) (\(change))"
        #expect(lines.last != "end", "not killed \(place)")
        try await verify(lines, at: scratch.path, place)
    }

    /// One log whose writer is killed again and again.
    private func killAtRandom(runs: Int, seed: Int) async throws {
        let scratch = try Scratch(inMemory: true)
        defer { scratch.remove() }
        var lines: [Substring] = []
        for run in seed..<seed + runs {
            var worker = try Worker("append", scratch.path, "\(run)")
            let isAlive = worker.readLines(run % 7)
            #expect(isAlive, "the worker ended by itself")
            usleep(UInt32(run * 7919 % 4000))
            worker.kill()
            lines += worker.finish()
        }
        try await verify(lines, at: scratch.path, "at random, seed \(seed)")
    }

    /// Every line `offset text` is in the log there; everything in the log is whole; and the log goes on.
    private func verify(_ lines: [Substring], at path: String, _ place: String) async throws {
        let provider = LocalLogProvider(path: path)
        try await provider.create(.first)
        let log = try await provider.open(.first)
        let range = try await log.range()
        let found = try await contents(of: log)
        #expect(Int64(found.count) == range.upperBound.value - range.lowerBound.value, "a hole, killed \(place)")
        for (offset, text) in found where offset > 0 {
            #expect(text.hasSuffix(".") && text.contains(" number "), "half a record, killed \(place): \(text)")
        }
        #expect(Set(found.values).count == found.count, "a record twice, killed \(place)")
        for line in lines where line != "end" {
            let parts = line.split(separator: " ", maxSplits: 1)
            let offset = try #require(Int64(parts[0]), "\(line)")
            if offset < range.lowerBound.value { continue }
            #expect(found[offset] == String(parts[1]), "lost, killed \(place): \(line)")
        }
        if range.isEmpty { _ = await log.append([LogContract.genesis(.first)]) }
        let result = await log.append([Bytes("afterwards")])[0]
        #expect(result.offset == max(1, range.upperBound.value), "killed \(place): \(result)")
        await log.close()
    }

    private func contents(of log: any Log) async throws -> [Int64: String] {
        let range = try await log.range()
        var found: [Int64: String] = [:]
        guard !range.isEmpty else { return found }
        let tail = try await log.tail(from: range.lowerBound)
        while found[range.upperBound.value - 1] == nil, let batch = try await tail.next() {
            for entry in batch.entries { found[entry.offset.value] = entry.bytes.utf8 ?? "genesis" }
        }
        return found
    }

    @Test func `a full disk refuses the append, tears nothing, and heals without a restart`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        var worker = try Worker("full", scratch.path)
        let lines = worker.finish()
        #expect(lines == ["refused STORAGE_FULL after 34", "stored at 34", "read room again"])
        let log = try await LocalLogProvider(path: scratch.path).open(.first)
        #expect(try await log.range().upperBound == Offset(35))
        #expect(try await log.read(at: Offset(33))?.bytes.count == 30_000)
        await log.close()
    }

    @Test func `several processes read while one writes, each the same, across segments`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        var writer = try Worker("append", scratch.path, "0")
        let isWriting = writer.readLines(1)
        #expect(isWriting)
        var readers = try (0..<3).map { _ in try Worker("follow", scratch.path, "200") }
        let seen = readers.indices.map { readers[$0].finish() }
        writer.kill()
        let written = Set(writer.finish())
        #expect(seen[0].count == 199)
        #expect(seen[1] == seen[0] && seen[2] == seen[0])
        // What a kill kept the writer from saying may be there, too; what it said first is.
        #expect(seen[0].count { written.contains($0) } >= 150)
    }
}
