import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage

/// A node that begins an epoch by its configuration may stand still between the proof that nothing is lost and the end.
@Suite struct FenceTests {
    private let logs = InterruptedLogs()
    private let store = BlockStore(MemoryObjectStore())
    private let next = Epoch(1)!

    private func open(_ epoch: Int? = nil) async throws -> OpenedDatabase {
        let opened = try await Opening(
            provider: logs, store: store, isDurableStore: true, configuredEpoch: epoch.flatMap { Epoch($0) },
            settings: Settings(), allowEphemeral: true, bootstrapFromLog: false, recheck: .milliseconds(1), node: "n"
        ).open()
        await opened.log.close()
        return opened
    }

    /// As a node of epoch 0 would write it.
    private func write(_ id: UInt64, _ first: OpenedDatabase) async throws {
        let log = try await logs.base.open(.first)
        let header = RecordHeader(
            type: .transaction,
            logTag: LogTag(
                database: first.machine.database, genesis: try #require(first.epochs[0].record.log.genesis)),
            id: SubmissionID(high: 1, low: id))
        let payload = try Transaction.put(into: "t", ["_id": .integer(Int64(id))]).encoded().payload
        _ = await log.append([Record(header: header, payload: payload).encoded()])
        await log.close()
    }

    private func types(_ epoch: Epoch) async throws -> [RecordType] {
        let log = try await logs.base.open(epoch)
        var types: [RecordType] = []
        try await log.forEachBatch(from: .zero, to: try await log.range().upperBound) { entries throws(VarveError) in
            for case .record(let record) in entries.map({ Record.decode($0.bytes, tag: nil) }) {
                types.append(record.header.type)
            }
            return true
        }
        await log.close()
        return types
    }

    @Test func whatIsWrittenBetweenTheProofAndTheEndStandsBeforeTheSeal() async throws {
        let first = try await open()
        let failures = Mutex(0)
        logs.interruptOnce(.creating) {
            do { try await write(1, first) } catch { failures.withLock { $0 += 1 } }
        }
        // It is read to the seal, and the record follows from that.
        let opened = try await open(1)
        #expect(failures.withLock(\.self) == 0)
        #expect(opened.epoch == .first)
        #expect(try await types(.first) == [.genesis, .barrier, .transaction, .seal])
        #expect(try store.epochRecord(next) == nil)
        #expect(try await open(1).epoch == .first)
        #expect(try await types(.first).count { $0 == .seal } == 1)
    }

    @Test func aNodeThatBeganAgainBeforeTheEndIsDeclaredIsSeen() async throws {
        _ = try await open()
        logs.lose(.first)
        var heartbeat = Heartbeat(node: "m", processStart: 1)
        (heartbeat.applied, heartbeat.stopped) = (.zero, .zero)
        try store.objects.overwrite(BlockStore.heartbeatName("m"), heartbeat.encoded())
        let again = heartbeat
        // This node, too, ended in order the last time.
        var own = Heartbeat(node: "n", processStart: 1)
        (own.applied, own.stopped) = (.zero, .zero)
        try store.objects.overwrite(BlockStore.heartbeatName("n"), own.encoded())
        logs.interruptOnce(.creating) { [store] in
            var heartbeat = again
            heartbeat.stopped = nil
            try? store.objects.overwrite(BlockStore.heartbeatName("m"), heartbeat.encoded())
        }
        let refused = await #expect(throws: VarveError.self) { try await open(1) }
        #expect(refused?.code == .logMissing)
        #expect(try store.epochRecord(next) == nil)
        // Stopped in order again, it is the proof that it was.
        try store.objects.overwrite(BlockStore.heartbeatName("m"), heartbeat.encoded())
        #expect(try await open(1).epoch == next)
    }

    @Test func anEpochThatIsGivenUpWhileANodeStartsInItIsNotStartedIn() async throws {
        let first = try await open()
        let failures = Mutex(0)
        logs.interruptOnce(.probing) {
            do {
                let parent = first.epochs[0]
                let end = try #require(StartUp.end(of: parent.record, newest: nil))
                let start = EpochStart(
                    database: first.machine.database, epoch: next, began: .lost, settings: Settings(),
                    parent: Genesis.Parent(genesis: try #require(parent.record.log.genesis), end: end))
                let log = try await start.begin(at: logs.base)
                _ = try store.publishEpochRecord(
                    EpochRecord(
                        epoch: next, parent: parent.digest, began: .lost, log: log, parentEnd: end, reason: "drop"))
            } catch {
                failures.withLock { $0 += 1 }
            }
        }
        #expect(try await open().epoch == next)
        #expect(failures.withLock(\.self) == 0)
    }
}
