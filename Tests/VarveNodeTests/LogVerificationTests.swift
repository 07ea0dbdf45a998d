import Foundation
import Testing
import VarveLog
import VarveModel
import VarveStorage

@testable import VarveNode

/// What `varve log verify` says of a log as it should be, and of every way in which one may not be.
@Suite struct LogVerificationTests {
    /// A log as somebody else left it: each entry changed, or (nil) gone.
    private struct EditedLog: Log {
        let base: any Log
        let edit: @Sendable (LogEntry) -> LogEntry?
        var start: Offset?
        var end: Offset?

        var reference: LogReference { base.reference }
        var recordBytesMax: Int { base.recordBytesMax }
        func append(_ records: [Bytes]) async -> [AppendResult] { await base.append(records) }
        func range() async throws(VarveError) -> Range<Offset> {
            let range = try await base.range()
            return (start ?? range.lowerBound)..<(end ?? range.upperBound)
        }
        func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
            var at = offset
            while let entry = try await base.read(at: at) {
                if let edited = edit(entry) { return edited }
                at = entry.offset.next
            }
            return nil
        }
        func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
            EditedTail(base: try await base.tail(from: offset), edit: edit)
        }
        func purge() { base.purge() }
        func trim(below offset: Offset) async {}
        func close() async { await base.close() }
    }

    private struct EditedTail: LogTail {
        let base: any LogTail
        let edit: @Sendable (LogEntry) -> LogEntry?
        func next() async throws(VarveError) -> LogBatch? {
            try await base.next().map { LogBatch($0.entries.compactMap(edit)) }
        }
        func close() async { await base.close() }
    }

    /// Two blocks and a transaction behind them, in `path`.
    private func fill(_ path: String) async throws {
        let node = try await Node.start(configuration(path))
        for n in 0..<2 { try await node.submit(.put(into: "t", ["_id": .integer(Int64(n)), "n": .integer(Int64(n))])) }
        _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
        try await node.submit(.put(into: "t", ["_id": 0, "n": 7]))
        try await node.submit(Transaction([.patch(TableName("t"), [])]))
        _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
        try await node.submit(.put(into: "t", ["_id": 9]))
        await node.stop()
    }

    private func configuration(_ path: String, log: String = "log") -> Configuration {
        Configuration(
            log: .local(LocalLogConfiguration(path: "\(path)/\(log)")), storage: .local(path: "\(path)/storage"))
    }

    private func verify(
        _ path: String, log: String = "log", store: BlockStore?? = nil, start: Offset? = nil, end: Offset? = nil,
        _ edit: @escaping @Sendable (LogEntry) -> LogEntry? = { $0 }
    ) async throws -> LogVerification.Result {
        let base = try await LocalLogProvider(path: "\(path)/\(log)").openToRead(.first)
        let edited = EditedLog(base: base, edit: edit, start: start, end: end)
        let own = BlockStore(try DirectoryObjectStore(path: "\(path)/storage", node: "reader", nonce: 1))
        let result = try await LogVerification(edited, epoch: .first, store: store ?? own, recheck: .zero).run()
        await base.close()
        return result
    }

    /// Where the blocks end.
    private func ends(_ path: String) throws -> [Offset] {
        let store = BlockStore(try DirectoryObjectStore(path: "\(path)/storage", node: "reader", nonce: 1))
        let format = try #require(try store.readFormat())
        return try store.manifests(of: try store.epochRecords(), database: format.database).map(\.manifest.last.offset)
    }

    private func verdicts(_ result: LogVerification.Result) -> [LogVerification.Subject: LogVerification.Verdict] {
        Dictionary(uniqueKeysWithValues: result.findings.map { ($0.subject, $0.verdict) })
    }

    private func reason(_ subject: LogVerification.Subject, _ result: LogVerification.Result) -> String {
        result.findings.first { $0.subject == subject }?.reason ?? ""
    }

    @Test func aLogAsItWasWrittenIsProved() async throws {
        try await withScratch { path in
            try await fill(path)
            let result = try await verify(path)
            #expect(result.verdict == .proved, "\(result.findings)")
            #expect(reason(.inputChain, result).contains("blocks 0 to 1"))
            #expect(reason(.inputChain, result).contains("1 records behind it are in no block yet"))
            #expect(reason(.effectChain, result).contains("blocks 0 to 1 agree"))
        }
    }

    @Test func aLogThatLostItsBeginningToRetentionIsProvedFromABlockOn() async throws {
        try await withScratch { path in
            try await fill(path)
            let result = try await verify(path, start: Offset(2))
            #expect(result.verdict == .proved, "\(result.findings)")
            #expect(reason(.effectChain, result).contains("replayed from block 0"))
        }
    }

    @Test func withoutABlockInReachTheChainsAreNotCheckable() async throws {
        try await withScratch { path in
            try await fill(path)
            let newest = try await verify(path, start: try ends(path)[1])
            #expect(verdicts(newest)[.inputChain] == .notCheckable)
            #expect(newest.verdict == .notCheckable)
            let nothingRecorded = try await verify(path, store: .some(nil))
            #expect(
                verdicts(nothingRecorded) == [
                    .records: .proved, .identity: .notCheckable, .inputChain: .notCheckable,
                    .effectChain: .notCheckable,
                ])
        }
    }

    /// Red when a log beside its writer seems to end before the damage: LOG_BEHIND, and every checksum fits.
    @Test func aFlippedBitInTheFileIsDamageAndNoEndOfTheLog() async throws {
        try await withScratch { path in
            try await fill(path)
            let segment = URL(fileURLWithPath: "\(path)/log/e0000/0000000000000000.log")
            var bytes = [UInt8](try Data(contentsOf: segment))
            func number(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) } }
            // The first batch behind the genesis: a header of 48 bytes, then a record's frame of 8.
            var at = 64 + 48 + number(64 + 8)
            while number(at + 4) == 0 { at += 48 }
            let damaged = Position(.first, Offset(Int64(number(at + 16))))
            bytes[at + 48 + 8 + 30] ^= 1
            try Data(bytes).write(to: segment)
            let result = try await verify(path)
            #expect(verdicts(result)[.records] == .refuted)
            #expect(reason(.records, result).hasPrefix("LOG_CORRUPT: \(damaged): "), "\(result.findings)")
            #expect(reason(.identity, result).hasPrefix("LOG_CORRUPT"), "\(result.findings)")
            #expect(!result.findings.contains { $0.reason.contains("LOG_BEHIND") })
            #expect(result.verdict == .refuted)
        }
    }

    @Test func aDamagedRecordIsNamed() async throws {
        try await withScratch { path in
            try await fill(path)
            let result = try await verify(path) { entry in
                guard entry.offset.value == 2 else { return entry }
                var bytes = entry.bytes.array
                bytes[bytes.count - 1] ^= 1
                return LogEntry(offset: entry.offset, time: entry.time, bytes: Bytes(bytes))
            }
            #expect(verdicts(result)[.records] == .refuted)
            #expect(reason(.records, result).contains("0-2"))
            #expect(verdicts(result)[.inputChain] == .refuted)
            #expect(verdicts(result)[.effectChain] == .notCheckable)
        }
    }

    /// The bytes are the same; a copy of a topic has other times.
    @Test func anotherLogTimeIsAnotherLog() async throws {
        try await withScratch { path in
            try await fill(path)
            let result = try await verify(path) { entry in
                LogEntry(
                    offset: entry.offset, time: entry.time + (entry.offset.value == 1 ? 1 : 0), bytes: entry.bytes)
            }
            #expect(verdicts(result)[.records] == .proved)
            #expect(verdicts(result)[.inputChain] == .refuted)
            #expect(reason(.inputChain, result).contains("block 0"))
            #expect(verdicts(result)[.effectChain] == .refuted)
        }
    }

    @Test func aMissingRecordIsFound() async throws {
        try await withScratch { path in
            try await fill(path)
            let inside = try await verify(path) { $0.offset.value == 1 ? nil : $0 }
            #expect(verdicts(inside)[.inputChain] == .refuted)
            let cut = try ends(path)[0]
            let atTheCut = try await verify(path) { $0.offset == cut ? nil : $0 }
            #expect(verdicts(atTheCut)[.identity] == .refuted)
            #expect(reason(.inputChain, atTheCut).contains("has no record"))
        }
    }

    @Test func aLogThatEndsBeforeStorageOrBeginsBehindItIsRefuted() async throws {
        try await withScratch { path in
            try await fill(path)
            let end = try ends(path)[1]
            let short = try await verify(path, end: end) { $0.offset < end ? $0 : nil }
            #expect(verdicts(short)[.identity] == .refuted)
            #expect(reason(.identity, short).contains("LOG_BEHIND"))
            #expect(reason(.inputChain, short).contains("the log ends before"))
            let gone = end.next.next
            let late = try await verify(path, start: gone, end: gone) { _ in nil }
            #expect(reason(.identity, late).contains("LOG_GAP"), "\(late.findings)")
        }
    }

    @Test func anotherDatabasesLogIsRefuted() async throws {
        try await withScratch { path in
            try await fill(path)
            try FileManager.default.createDirectory(atPath: "\(path)/other", withIntermediateDirectories: true)
            try await fill("\(path)/other")
            try copyTree("\(path)/other/log", "\(path)/swapped")
            let result = try await verify(path, log: "swapped")
            #expect(verdicts(result)[.identity] == .refuted)
            #expect(reason(.identity, result).contains("LOG_REPLACED"))
            #expect(verdicts(result)[.inputChain] == .refuted)
        }
    }

    /// A block that another computed of the same records: H agrees, effects do not.
    @Test func otherEffectsOfTheSameRecordsAreRefuted() async throws {
        try await withScratch { path in
            try await fill(path)
            let objects = try DirectoryObjectStore(path: "\(path)/storage", node: "reader", nonce: 1)
            let store = BlockStore(objects)
            let format = try #require(try store.readFormat())
            let epochs = try store.epochRecords()
            var wrong = try store.manifests(of: epochs, database: format.database)[0].manifest
            wrong.effectChain = Bytes16(high: 1, low: 2)
            let copy = MemoryObjectStore()
            for name in ["FORMAT", BlockStore.epochName(.first)] {
                _ = try copy.putIfAbsent(name, try #require(try objects.get(name)))
            }
            _ = try copy.putIfAbsent(BlockStore.manifestName(.first, .first), wrong.encoded())
            let result = try await verify(path, store: BlockStore(copy))
            #expect(verdicts(result)[.inputChain] == .proved)
            #expect(verdicts(result)[.effectChain] == .refuted)
            #expect(reason(.effectChain, result).contains("other effects"))
        }
    }

    @Test func foreignRecordsAreCountedAndPartOfTheChain() async throws {
        try await withScratch { path in
            let log = LocalLogProvider(path: "\(path)/log")
            let node = try await Node.start(configuration(path))
            try await node.submit(.put(into: "t", ["_id": 1]))
            await node.stop()
            let writer = try await log.open(.first)
            _ = await writer.append([Bytes("nothing of ours")])
            await writer.close()
            let again = try await Node.start(configuration(path))
            _ = try await again.flush(awaitAdoption: true, timeout: .seconds(10))
            await again.stop()
            let result = try await verify(path)
            #expect(result.verdict == .proved, "\(result.findings)")
            #expect(reason(.records, result).contains("1 of them foreign"))
        }
    }
}
