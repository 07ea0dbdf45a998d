/// A log in memory: what it holds ends with the process.
///
/// Handles of one provider and epoch share one journal, so several nodes of a process share one log. A handle's `close`
/// ends its own tails; the journal stays with the provider.

import Synchronization
public import VarveModel

final class MemoryJournal: Sendable {
    struct State {
        var entries: [LogEntry] = []
        var clock: LogClock
    }

    let name: String
    private let state: Mutex<State>
    /// One for each open handle: the end moves for all, closing is each handle's own.
    private let gates = Mutex<[ObjectIdentifier: TailGate]>([:])

    init(name: String, instants: any InstantSource) {
        self.name = name
        state = Mutex(State(clock: LogClock(instants)))
    }

    var end: Offset { state.withLock { Offset(Int64($0.entries.count)) } }

    func attach() -> TailGate {
        let gate = TailGate(end: end)
        gates.withLock { $0[ObjectIdentifier(gate)] = gate }
        gate.advance(to: end)
        return gate
    }

    func detach(_ gate: TailGate) { gates.withLock { $0[ObjectIdentifier(gate)] = nil } }

    func append(_ records: [Bytes]) -> [AppendResult] {
        let (results, end) = state.withLock { state in
            let time = state.clock.stamp()
            let results = records.map { record -> AppendResult in
                if let error = VarveError.oversize(record) { return .refused(error) }
                let offset = Offset(Int64(state.entries.count))
                state.entries.append(LogEntry(offset: offset, time: time, bytes: record))
                return .stored(offset: offset, time: time)
            }
            return (results, Offset(Int64(state.entries.count)))
        }
        for gate in gates.withLock({ Array($0.values) }) { gate.advance(to: end) }
        return results
    }

    /// Some entries from `offset` on, which is at most the end.
    func entries(from offset: Offset, most: Int = TailBounds.records) -> [LogEntry] {
        state.withLock { state in
            var taken = state.entries.dropFirst(Int(offset.value)).prefix(most)
            var bytes = 0
            for index in taken.indices {
                bytes += taken[index].bytes.count
                if bytes > TailBounds.bytes, index > taken.startIndex {
                    taken = taken[..<index]
                    break
                }
            }
            return Array(taken)
        }
    }
}

final class MemoryLog: Log, TailSource {
    let reference: LogReference
    let recordBytesMax = logRecordBytesMax
    private let journal: MemoryJournal
    private let gate: TailGate

    init(_ journal: MemoryJournal) {
        self.journal = journal
        reference = LogReference(kind: .memory, topic: journal.name)
        gate = journal.attach()
    }

    deinit { journal.detach(gate) }

    func append(_ records: [Bytes]) async -> [AppendResult] {
        gate.isClosed ? records.map { _ in .refused(.closed(name)) } : journal.append(records)
    }

    /// Nothing ever waits.
    func purge() {}

    func range() async throws(VarveError) -> Range<Offset> {
        try checkOpen()
        return .zero..<journal.end
    }

    func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        try checkOpen()
        return offset < journal.end ? journal.entries(from: offset, most: 1).first : nil
    }

    func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        try checkOpen()
        return SourceTail(self, from: offset)
    }

    func trim(below offset: Offset) async {}

    func close() async {
        gate.close()
        journal.detach(gate)
    }

    private var name: String { "the in-memory log \(journal.name)" }

    private func checkOpen() throws(VarveError) {
        if gate.isClosed { throw .closed(name) }
    }

    // MARK: TailSource

    func cursor(at offset: Offset) -> Offset { offset }

    func fetch(_ cursor: inout Offset) throws(VarveError) -> TailStep {
        if gate.isClosed { return .finished }
        let end = journal.end
        if let fault = VarveError.tailFault(at: cursor, in: .zero..<end, of: name) { throw fault }
        let entries = journal.entries(from: cursor)
        guard let last = entries.last else { return .wait(above: cursor) }
        cursor = last.offset.next
        return .entries(entries)
    }

    func wait(_ tail: ObjectIdentifier, above offset: Offset, unless isReleased: () -> Bool) async {
        await gate.wait(tail, above: offset, unless: isReleased)
    }

    func release(_ tail: ObjectIdentifier) { gate.release(tail) }
}

/// In-memory logs, one for each epoch, as long as this provider lives.
public final class MemoryLogProvider: LogProvider {
    private let instants: any InstantSource
    private let journals = Mutex<[Epoch: MemoryJournal]>([:])

    public init(instantSource: any InstantSource = SystemInstantSource()) { instants = instantSource }

    public let isEphemeral = true
    public let impliesEphemeral = false
    public var warnings: [String] { ["the log is in memory: what it holds ends with this process"] }

    public func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference {
        LogReference(kind: .memory, topic: LocalLayout.directory(of: epoch))
    }

    public func named(_ name: String) -> any LogProvider { self }

    public func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence {
        journals.withLock { $0[epoch] == nil ? .missing : .present }
    }

    public func open(_ epoch: Epoch) async throws(VarveError) -> any Log {
        guard let journal = journals.withLock({ $0[epoch] }) else {
            throw VarveError(.logMissing, "there is no in-memory log of epoch \(epoch)")
        }
        return MemoryLog(journal)
    }

    public func create(_ epoch: Epoch) async throws(VarveError) {
        journals.withLock { journals in
            guard journals[epoch] == nil else { return }
            journals[epoch] = MemoryJournal(name: LocalLayout.directory(of: epoch), instants: instants)
        }
    }
}
