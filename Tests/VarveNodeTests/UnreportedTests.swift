import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage
import VarveTelemetry

/// A log over another that owes reports, as a broker that goes away between append and acknowledgement does.
final class OwingLog: Log {
    /// What becomes of the records of one append.
    enum Fate: Sendable {
        case reported
        /// In the log, but the report comes only with a purge: as unknown.
        case storedUnreported
        /// The same of the first; the others were not sent when the purge came.
        case firstStoredUnreported
        /// Not in the log, and nobody knows.
        case lost
        /// Never taken and never reported, not even by a purge.
        case stuck
    }

    private struct State {
        var fates: [Fate] = []
        var owing: [CheckedContinuation<Void, Never>] = []
        var stuck: [CheckedContinuation<Void, Never>] = []
        var purges = 0
    }

    private let log: any Log
    private let state = Mutex(State())

    init(_ log: any Log) { self.log = log }

    /// For the next appends, in order; those behind are reported.
    func meet(_ fates: [Fate]) { state.withLock { $0.fates = fates } }
    var isOwing: Bool { state.withLock { !$0.owing.isEmpty } }
    var purges: Int { state.withLock { $0.purges } }

    func append(_ records: [Bytes]) async -> [AppendResult] {
        let fate = state.withLock { $0.fates.isEmpty ? .reported : $0.fates.removeFirst() }
        let nobodyKnows = VarveError(.logUnreachable, "no report came")
        switch fate {
        case .reported: return await log.append(records)
        case .storedUnreported, .lost:
            if fate == .storedUnreported { _ = await log.append(records) }
            await withCheckedContinuation { continuation in state.withLock { $0.owing.append(continuation) } }
            return Array(repeating: .unknown(nobodyKnows), count: records.count)
        case .firstStoredUnreported:
            _ = await log.append([records[0]])
            await withCheckedContinuation { continuation in state.withLock { $0.owing.append(continuation) } }
            return records.indices.map { $0 == 0 ? .unknown(nobodyKnows) : .refused(nobodyKnows) }
        case .stuck:
            await withCheckedContinuation { continuation in state.withLock { $0.stuck.append(continuation) } }
            return Array(repeating: .unknown(nobodyKnows), count: records.count)
        }
    }

    func purge() {
        let owing = state.withLock { state in
            state.purges += 1
            defer { state.owing = [] }
            return state.owing
        }
        for continuation in owing { continuation.resume() }
    }

    func close() async {
        purge()
        let stuck = state.withLock { state in
            defer { state.stuck = [] }
            return state.stuck
        }
        for continuation in stuck { continuation.resume() }
        await log.close()
    }

    var reference: LogReference { log.reference }
    var recordBytesMax: Int { log.recordBytesMax }
    func range() async throws(VarveError) -> Range<Offset> { try await log.range() }
    func read(at offset: Offset) async throws(VarveError) -> LogEntry? { try await log.read(at: offset) }
    func tail(from offset: Offset) async throws(VarveError) -> any LogTail { try await log.tail(from: offset) }
    func trim(below offset: Offset) async { await log.trim(below: offset) }
}

private final class OwingProvider: LogProvider {
    let memory = MemoryLogProvider()
    let opened = Mutex<OwingLog?>(nil)

    func open(_ epoch: Epoch) async throws(VarveError) -> any Log {
        let log = OwingLog(try await memory.open(epoch))
        opened.withLock { $0 = log }
        return log
    }

    func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference { try await memory.reference(epoch) }
    func named(_ name: String) -> any LogProvider { self }
    func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence { try await memory.probe(epoch) }
    func create(_ epoch: Epoch) async throws(VarveError) { try await memory.create(epoch) }
    var isEphemeral: Bool { true }
    var impliesEphemeral: Bool { true }
    var warnings: [String] { [] }
}

/// Records that the log owes a report on: each submission gets a definite answer, and the right one.
@Suite(.timeLimit(.minutes(1))) struct UnreportedTests {
    /// An indexer over a log that owes reports, with little patience.
    func withIndexer(_ body: (Indexer, OwingLog) async throws -> Void) async throws {
        let provider = OwingProvider()
        let opened = try await Opening(
            provider: provider, store: BlockStore(MemoryObjectStore()), isDurableStore: false, configuredEpoch: nil,
            settings: Settings(), allowEphemeral: true, bootstrapFromLog: true, recheck: .zero
        ).open()
        var options = Indexer.Options(frozenBytesMax: 1 << 30)
        options.reportPatienceMs = 1
        let log = try #require(provider.opened.withLock { $0 })
        let indexer = Indexer(
            opened, isDurableStore: false, options: options,
            logger: Logger(label: "t", level: .error, sink: SilentLogSink())
        )
        let run = Task { await indexer.run() }
        while !indexer.isReady { try await Task.sleep(for: .milliseconds(2)) }
        // After a quiet minute, as a fresh indexer has it, a barrier would come first.
        try await indexer.barrier(until: .now + .seconds(10))
        do {
            try await body(indexer, log)
        } catch {
            run.cancel()
            await run.value
            throw error
        }
        run.cancel()
        await run.value
    }

    func submit(
        _ name: String, to indexer: Indexer, id: SubmissionID? = nil, within seconds: Double = 30,
        awaitOutcome: Bool = true
    ) async throws -> Indexer.Submitted {
        let (payload, digest) = try Transaction.put(into: "t", ["_id": .text(name)]).encoded()
        return try await indexer.submit(
            payload: payload, requestDigest: digest, id: id, expiryMs: 60_000, until: .now + .seconds(seconds),
            awaitOutcome: awaitOutcome)
    }

    func decided(
        _ name: String, to indexer: Indexer, id: SubmissionID? = nil, within seconds: Double = 30
    ) async throws -> Decision {
        guard case .decided(let decision) = try await submit(name, to: indexer, id: id, within: seconds) else {
            throw VarveError(.internal, "pending")
        }
        return decision
    }

    func refusal(_ body: () async throws -> Void) async -> VarveError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? VarveError
        }
    }

    func rows(_ indexer: Indexer) throws -> Int {
        try indexer.snapshot.count(try TableName("t"), asOf: indexer.snapshot.position)
    }

    @Test func aRecordThatIsThereIsCommittedWhateverItsReport() async throws {
        try await withIndexer { (indexer: Indexer, log: OwingLog) async throws in
            log.meet([.storedUnreported])
            #expect(try await decided("a", to: indexer).outcome == .committed)
            #expect(try rows(indexer) == 1)
            // The purge comes all the same, and the cancel behind it changes nothing.
            while log.purges == 0 { try await Task.sleep(for: .milliseconds(5)) }
            try await indexer.barrier(until: .now + .seconds(10))
            #expect(try rows(indexer) == 1)
        }
    }

    @Test func aRecordThatIsNotThereIsCancelled() async throws {
        try await withIndexer { (indexer: Indexer, log: OwingLog) async throws in
            log.meet([.lost])
            let id = SubmissionID(high: 1, low: 1)
            #expect(try await decided("a", to: indexer, id: id).outcome == .cancelled)
            #expect(log.purges == 1)
            #expect(try await decided("a", to: indexer, id: id).outcome == .cancelled)
            #expect(try rows(indexer) == 0)
        }
    }

    @Test func whatWasSubmittedMeanwhileComesOutRightToo() async throws {
        try await withIndexer { (indexer: Indexer, log: OwingLog) async throws in
            log.meet([.lost])
            async let first = decided("first", to: indexer)
            while !log.isOwing { try await Task.sleep(for: .milliseconds(1)) }
            try await withThrowingTaskGroup(of: Outcome.self) { group in
                for i in 0..<200 { group.addTask { try await decided("\(i)", to: indexer).outcome } }
                for try await outcome in group { #expect(outcome == .committed) }
            }
            #expect(try await first.outcome == .cancelled)
            #expect(try rows(indexer) == 200)
        }
    }

    @Test func whatThePurgeCaughtUnsentIsSentAgainAndCommitted() async throws {
        try await withIndexer { (indexer: Indexer, log: OwingLog) async throws in
            log.meet([.storedUnreported, .firstStoredUnreported])
            async let first = decided("first", to: indexer)
            // It holds the queue up, so that the next append has many records.
            while !log.isOwing { try await Task.sleep(for: .milliseconds(1)) }
            try await withThrowingTaskGroup(of: Outcome.self) { group in
                for i in 0..<50 { group.addTask { try await decided("\(i)", to: indexer).outcome } }
                for try await outcome in group { #expect(outcome == .committed) }
            }
            #expect(try await first.outcome == .committed)
            #expect(try rows(indexer) == 51)
            #expect(log.purges == 2)
        }
    }

    @Test func aSubmissionThatNobodyAwaitsIsResolvedToo() async throws {
        try await withIndexer { (indexer: Indexer, log: OwingLog) async throws in
            log.meet([.lost])
            let id = SubmissionID(high: 1, low: 2)
            guard case .pending = try await submit("a", to: indexer, id: id, awaitOutcome: false) else {
                Issue.record("decided")
                return
            }
            while try indexer.lookUp(id) == nil { try await Task.sleep(for: .milliseconds(5)) }
            #expect(try indexer.lookUp(id)?.outcome == .cancelled)
        }
    }

    @Test func onlyWhenTheCancelIsNotTakenEitherIsTheOutcomeUnknownAndItResolvesLater() async throws {
        try await withIndexer { (indexer: Indexer, log: OwingLog) async throws in
            log.meet([.lost, .lost])
            let id = SubmissionID(high: 1, low: 3)
            let error = await refusal { _ = try await decided("a", to: indexer, id: id, within: 3) }
            #expect(error?.code == .unknownOutcome)
            #expect(error?.id == id)
            #expect(error?.expiresAt != nil)
            #expect(try await indexer.resolve(id, until: .now + .seconds(30)).outcome == .cancelled)
            #expect(try await decided("a", to: indexer, id: id).outcome == .cancelled)
        }
    }

    @Test func whatNeverLeftTheQueueIsRefusedDefinitely() async throws {
        try await withIndexer { (indexer: Indexer, log: OwingLog) async throws in
            log.meet([.stuck])
            async let first = refusal { _ = try await decided("a", to: indexer, within: 1) }
            try await Task.sleep(for: .milliseconds(300))
            let second = await refusal { _ = try await decided("b", to: indexer, within: 0.3) }
            #expect(second?.code == .logUnreachable)
            #expect(second?.message.contains("Nothing was written") == true)
            #expect(await first?.code == .unknownOutcome)
        }
    }
}
