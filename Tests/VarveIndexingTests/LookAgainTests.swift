import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage

/// A refusal at start is made from what storage records when it is spoken, not from what it recorded seconds before.
@Suite struct LookAgainTests {
    private let places = InterruptedLogs()
    private let store = BlockStore(MemoryObjectStore())

    private func open(_ epoch: Int? = nil) async throws -> OpenedDatabase {
        let opened = try await Opening(
            provider: places, store: store, isDurableStore: true, configuredEpoch: epoch.flatMap { Epoch($0) },
            settings: Settings(), allowEphemeral: true, bootstrapFromLog: false, recheck: .milliseconds(1), node: "n"
        ).open()
        await opened.log.close()
        return opened
    }

    /// An operator's drop: what stood in the log of epoch 0 only is given up.
    private func drop(_ first: OpenedDatabase) async throws {
        let parent = first.epochs[0]
        let end = try #require(StartUp.end(of: parent.record, newest: nil))
        let start = EpochStart(
            database: first.machine.database, epoch: try #require(Epoch(1)), began: .lost, settings: Settings(),
            parent: Genesis.Parent(genesis: try #require(parent.record.log.genesis), end: end))
        let log = try await start.begin(at: places.base)
        _ = try store.publishEpochRecord(
            EpochRecord(
                epoch: start.epoch, parent: parent.digest, began: .lost, log: log, parentEnd: end, reason: "drop"))
    }

    private func begin() async throws -> OpenedDatabase {
        let opened = try await open()
        let log = try await places.open(.first)
        let payload = try Transaction.put(into: "t", ["_id": "a"]).encoded().payload
        let header = RecordHeader(
            type: .transaction,
            logTag: LogTag(
                database: opened.machine.database, genesis: try #require(opened.epochs[0].record.log.genesis)),
            id: SubmissionID(high: 1, low: 1))
        _ = await log.append([Record(header: header, payload: payload).encoded()])
        await log.close()
        return opened
    }

    @Test func aQuarantineThatComesWhileANodeStartsIsFollowed() async throws {
        let first = try await begin()
        #expect(try await open().machine.quarantined == nil)
        let poison = Position(.first, Offset(1))
        let skipped = Manifest(
            database: first.machine.database, number: .first, previous: first.epochs[0].digest,
            first: Position(.first, .zero), last: poison, logTime: 1, effectiveTime: 1,
            systemTime: Instant(microseconds: 1_000), inputChain: .zero, effectChain: .zero, recordDigest: .zero,
            horizon: .zero, anchors: [], cut: .quarantine, counts: .init(records: 2, transactions: 1),
            settings: Settings(), tables: [])
        let failures = Mutex<[any Error]>([])
        places.interruptOnce(.probing) {
            do {
                _ = try store.objects.putIfAbsent(BlockStore.manifestName(.first, .first), skipped.encoded())
            } catch { failures.withLock { $0.append(error) } }
        }
        #expect(try await open().machine.quarantined == poison)
        #expect(failures.withLock(\.count) == 0)
    }

    @Test func anEpochThatBeginsWhileItIsRefusedIsFollowed() async throws {
        let first = try await begin()
        let refused = await #expect(throws: VarveError.self) { try await open(1) }
        #expect(refused?.code == .epochAhead)
        #expect(refused?.message.contains("holds 1 transactions") == true)
        let failures = Mutex<[any Error]>([])
        places.interruptOnce(.probing) {
            do { try await drop(first) } catch { failures.withLock { $0.append(error) } }
        }
        let opened = try await open(1)
        #expect(failures.withLock(\.count) == 0)
        #expect(opened.epoch == Epoch(1))
        #expect(opened.epochs.map(\.record.reason) == ["", "drop"])
    }

    /// Others take a node's word for where it ended. It is taken back before the node answers anybody again, whether or not
    /// a heartbeat of its own is ever stored; without that it does not begin.
    @Test func theWordOfAnOrderlyStopIsTakenBackByWhoBeginsAgain() async throws {
        _ = try await begin()
        var stopped = Heartbeat(node: "n", processStart: 1)
        stopped.applied = Position(.first, Offset(1))
        stopped.stopped = stopped.applied
        let name = BlockStore.heartbeatName("n")
        try store.objects.overwrite(name, stopped.encoded())
        _ = try await open()
        let standing = try Heartbeat.decode(try #require(try store.objects.get(name)))
        #expect(standing.stopped == nil)
        #expect(standing.applied == stopped.applied)
    }

    @Test func aLogThatIsGivenUpWhileItIsFoundMissingIsNotMissed() async throws {
        let first = try await begin()
        places.lose(.first)
        let refused = await #expect(throws: VarveError.self) { try await open() }
        #expect(refused?.code == .logMissing)
        places.interruptOnce(.probing) { try? await drop(first) }
        #expect(try await open().epoch == Epoch(1))
    }
}
