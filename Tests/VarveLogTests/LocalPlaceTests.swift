import Foundation
import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

/// A local log's directory taken from under the process that writes it: nothing more is acknowledged. Who is told nothing
/// waits for ever, so the time limit is a check, too.
@Suite(.timeLimit(.minutes(2))) struct LocalPlaceTests {
    enum Change: CaseIterable {
        case removed
        case movedAway
        case exchangedForACopy
        case lockRemoved
        case segmentExchangedForACopy

        var code: ErrorCode {
            switch self {
            case .removed, .movedAway, .lockRemoved: .logMissing
            case .exchangedForACopy, .segmentExchangedForACopy: .logReplaced
            }
        }

        func make(_ files: LogFiles) throws {
            let (log, copy, old) = (files.directory, files.scratch.path + "/copy", files.scratch.path + "/old")
            let manager = FileManager.default
            switch self {
            case .removed: try manager.removeItem(atPath: log)
            case .movedAway: try manager.moveItem(atPath: log, toPath: old)
            case .exchangedForACopy:
                try manager.copyItem(atPath: log, toPath: copy)
                try manager.moveItem(atPath: log, toPath: old)
                try manager.moveItem(atPath: copy, toPath: log)
            case .lockRemoved: try manager.removeItem(atPath: log + "/lock")
            case .segmentExchangedForACopy:
                try manager.copyItem(atPath: files.segment, toPath: copy)
                try manager.removeItem(atPath: files.segment)
                try manager.moveItem(atPath: copy, toPath: files.segment)
            }
        }
    }

    /// Red when the writer does not look at its path between a sync and the answer: each was `.stored`.
    @Test(arguments: Change.allCases)
    func `nothing is acknowledged once the path leads elsewhere`(_ change: Change) async throws {
        let files = try LogFiles(inMemory: true)
        defer { try? FileManager.default.removeItem(atPath: files.scratch.path) }
        let log = try await files.open()
        _ = await log.append([LogContract.genesis(.first), Bytes("before")])
        let tail = try await log.tail(from: .zero)
        var read = 0
        while read < 2, let batch = try await tail.next() { read += batch.entries.count }
        let waiting = Task { () async -> ErrorCode? in
            do { return try await tail.next().map { _ in .internal } } catch { return (error as? VarveError)?.code }
        }
        try change.make(files)

        for _ in 0..<2 {
            let error: VarveError
            switch await log.append([Bytes("after")])[0] {
            case .stored:
                Issue.record("acknowledged")
                return
            case .unknown(let why), .refused(let why): error = why
            }
            #expect(error.code == change.code)
            #expect(error.next?.contains(change.code == .logMissing ? "log-lost.md" : "log-replaced.md") == true)
        }
        guard case .refused = await log.append([Bytes("later")])[0] else {
            Issue.record("a log that is gone is closed for writing")
            return
        }
        #expect(await waiting.value == change.code, "who waits for more is told")
        let error = await #expect(throws: VarveError.self) { try await log.tail(from: .zero).next() }
        #expect(error?.code == change.code)
        await log.close()
    }

    /// Red when a lock is taken for the path: both acknowledged at the same offset.
    @Test func `of two writers at one path only the one whose files stand there acknowledges`() async throws {
        let files = try LogFiles(inMemory: true)
        defer { try? FileManager.default.removeItem(atPath: files.scratch.path) }
        let first = try await files.open()
        _ = await first.append([LogContract.genesis(.first), Bytes("both have it")])
        try Change.exchangedForACopy.make(files)
        let second = try await files.provider().open(.first)
        guard case .stored(let offset, _) = await second.append([Bytes("second")])[0] else {
            Issue.record("the log that stands there takes records")
            return
        }
        #expect(offset == Offset(2))
        if case .stored = await first.append([Bytes("first")])[0] { Issue.record("both acknowledged at one offset") }
        #expect(try await texts(second) == ["genesis", "both have it", "second"])
        // Its clean-up does not touch the other's files either.
        await first.trim(below: Offset(2))
        await first.close()
        await second.close()
        let again = try await files.open()
        #expect(try await texts(again) == ["genesis", "both have it", "second"])
        await again.close()
    }

    @Test func `a log with nothing to write finds out by itself`() async throws {
        let files = try LogFiles(inMemory: true)
        defer { try? FileManager.default.removeItem(atPath: files.scratch.path) }
        let log = try await files.open()
        _ = await log.append([LogContract.genesis(.first)])
        let tail = try await log.tail(from: Offset(1))
        try Change.removed.make(files)
        let error = await #expect(throws: VarveError.self) { try await tail.next() }
        #expect(error?.code == .logMissing)
        await log.close()
    }

    @Test(arguments: [Change.removed, .movedAway, .exchangedForACopy])
    func `who reads beside the writer is told, too`(_ change: Change) async throws {
        let files = try LogFiles(inMemory: true)
        defer { try? FileManager.default.removeItem(atPath: files.scratch.path) }
        try await files.write([["a"]])
        let log = try await files.provider().openToRead(.first)
        #expect(try await texts(log) == ["genesis", "a"])
        let tail = try await log.tail(from: Offset(2))
        try change.make(files)
        let error = await #expect(throws: VarveError.self) { try await tail.next() }
        #expect(error?.code == change.code)
        await log.close()
    }
}
