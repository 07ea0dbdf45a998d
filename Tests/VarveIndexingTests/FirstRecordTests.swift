import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage

/// What a log's end says and what a look shows need not be of one moment: another node's first record may come between.
@Suite struct FirstRecordTests {
    /// A log that shows its first record one look late.
    private final class Veiled: LogProvider, Log {
        let base = MemoryLogProvider()
        let log: any Log
        /// How often a look shows nothing, though another node's record is there by then.
        private let late: Mutex<Int>
        /// What another node appends between two looks.
        let others: [Bytes]

        init(late: Int = 0, others: [Bytes] = []) async throws {
            try await base.create(.first)
            log = try await base.open(.first)
            self.others = others
            self.late = Mutex(late)
        }

        // As a log.
        var reference: LogReference { log.reference }
        var recordBytesMax: Int { log.recordBytesMax }
        func append(_ records: [Bytes]) async -> [AppendResult] {
            // Lost, and nobody hears of it, while another node's comes through.
            guard others.isEmpty else { return records.map { _ in .unknown(VarveError(.logUnreachable, "no report")) } }
            return await log.append(records)
        }
        func purge() {}
        func range() async throws(VarveError) -> Range<Offset> { try await log.range() }
        func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
            let isLate = late.withLock { late in
                late -= 1
                return late >= 0
            }
            guard isLate else { return try await log.read(at: offset) }
            _ = await log.append(others)
            return nil
        }
        func tail(from offset: Offset) async throws(VarveError) -> any LogTail { try await log.tail(from: offset) }
        func trim(below offset: Offset) async {}
        func close() async {}

        // As the place of one.
        var isEphemeral: Bool { false }
        var impliesEphemeral: Bool { false }
        var warnings: [String] { [] }
        func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference { try await base.reference(epoch) }
        func named(_ name: String) -> any LogProvider { self }
        func open(_ epoch: Epoch) async throws(VarveError) -> any Log { self }
        func create(_ epoch: Epoch) async throws(VarveError) {}
        func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence {
            try await log.range().isEmpty ? .missing : .present
        }
    }

    private func genesis(_ database: DatabaseID, at place: any LogProvider) async throws -> Bytes {
        let content = Genesis(
            database: database, epoch: .first, log: try await place.reference(.first), began: .initial,
            settings: Settings())
        let header = RecordHeader(type: .genesis, logTag: .none, id: Bytes16(high: 7, low: 7))
        return Record(header: header, payload: content.encoded()).encoded()
    }

    /// Two nodes at a first start, and the other's genesis lands between this one's two looks.
    @Test func aGenesisThatComesBetweenTwoLooksIsTaken() async throws {
        let store = BlockStore(MemoryObjectStore())
        let database = DatabaseID(high: 3, low: 4)
        _ = try store.publishFormat(StorageFormat(database: database))
        let base = try await Veiled()
        let places = try await Veiled(late: 1, others: [try await genesis(database, at: base)])
        let opened = try await Opening(
            provider: places, store: store, isDurableStore: true, configuredEpoch: nil, settings: Settings(),
            allowEphemeral: true, bootstrapFromLog: false, recheck: .milliseconds(1), node: "n"
        ).open()
        #expect(opened.machine.database == database)
        #expect(opened.epochs.first?.record.log.genesis == Bytes16(high: 7, low: 7))
    }

    /// The same at the beginning of a later epoch.
    @Test func aTargetThatIsBegunBetweenTwoLooksIsTaken() async throws {
        let database = DatabaseID(high: 3, low: 4)
        let start = EpochStart(
            database: database, epoch: Epoch(1)!, began: .sealed, settings: Settings(),
            parent: Genesis.Parent(genesis: Bytes16(high: 7, low: 7), end: nil))
        let base = try await Veiled()
        let content = Genesis(
            database: database, epoch: start.epoch, log: base.reference, began: .sealed, settings: Settings(),
            parent: start.parent)
        let header = RecordHeader(type: .genesis, logTag: .none, id: Bytes16(high: 8, low: 8))
        let log = try await Veiled(
            late: 1, others: [Record(header: header, payload: content.encoded()).encoded()])
        #expect(try await start.begin(log as any Log).genesis == Bytes16(high: 8, low: 8))
    }
}
