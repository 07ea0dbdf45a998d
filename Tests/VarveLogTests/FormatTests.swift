import Foundation
import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

/// Files of version 1, made by another program from docs/log-format.md: this version writes and reads them.
@Suite struct FormatTests {
    private struct Fixed: InstantSource {
        func now() -> Instant { Instant(microseconds: 1_700_000_000_000_123) }
    }

    private func fixture() throws -> [UInt8] {
        let url = try #require(
            Bundle.module.url(forResource: "local-segment", withExtension: "hex", subdirectory: "Fixtures/v1"))
        let text = try String(contentsOf: url, encoding: .utf8).filter { !$0.isWhitespace }
        return try #require(bytes(fromHex: text))
    }

    @Test func `a segment is written to the byte as the document says`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let provider = LocalLogProvider(path: files.scratch.path, instantSource: Fixed())
        try await provider.create(.first)
        let log = try await provider.open(.first)
        _ = await log.append([LogContract.genesis(.first), Bytes("one"), Bytes()])
        _ = await log.append([Bytes("two")])
        await log.close()
        let written = try #require(try FileSystem.read(files.segment))
        // A slow machine may have stated the first batch's durability before the second one: the same header twice.
        let (_, batches) = try files.batches()
        let between = batches[0].end..<batches[1].start
        #expect(between.isEmpty || between.count == 48)
        #expect(Array(written[..<between.lowerBound] + written[between.upperBound...]) == (try fixture()))
    }

    @Test func `a segment made by another program is read`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        try Directory.create(files.directory)
        try files.replaceSegment(try fixture())
        let log = try await files.open()
        #expect(try await log.range() == .zero..<Offset(4))
        let entries = try await log.tail(from: .zero).next()?.entries
        #expect(entries?.map(\.bytes) == [LogContract.genesis(.first), Bytes("one"), Bytes(), Bytes("two")])
        #expect(entries?.map(\.time) == [Int64](repeating: 1_700_000_000_000, count: 4))
        await log.close()
    }

    @Test func `a call larger than a batch is written in several, all of it`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let log = try await files.open()
        let large = Bytes([UInt8](repeating: 9, count: 3 << 20))
        let results = await log.append([LogContract.genesis(.first)] + [Bytes](repeating: large, count: 6))
        #expect(results.count == 7)
        await log.close()
        let (_, batches) = try files.batches()
        #expect(batches.allSatisfy { $0.end - $0.start < 9 << 20 })
        let again = try await files.open()
        #expect(try await again.range().upperBound == Offset(7))
        await again.close()
    }
}
