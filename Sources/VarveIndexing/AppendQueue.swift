/// What this node wants in the log, in order: many submitters, one appender, batches across the border to the log.
///
/// Bounded by records and bytes: a submitter beyond the bound is refused before anything was sent. What is still here when
/// its submitter's time is up is taken back: then it certainly was not written.

internal import Synchronization
internal import VarveLog
internal import VarveModel

final class AppendQueue: Sendable {
    struct Pending: Sendable {
        /// Which of the waiters for an id the record's report concerns.
        let tag: UInt64
        /// Without its writer sequence, which it gets when it is handed to the log.
        let header: RecordHeader
        let payload: Bytes

        var id: Bytes16 { header.id }
        var type: RecordType { header.type }
        var size: Int { Record.headerBytes + payload.count }
    }

    /// A place in the queue.
    struct Ticket: Sendable { fileprivate let number: UInt64 }

    /// Records and bytes that may wait; a batch that is handed to the log is no longer counted.
    static let recordsMax = 65_536
    static let bytesMax = 128 * 1024 * 1024
    /// A batch handed to the log.
    static let batchRecordsMax = 8_192
    static let batchBytesMax = 8 * 1024 * 1024

    private struct State {
        /// Before everything else: cancels, and records that came back unsent. Bounded by what a batch had.
        var urgent: [Pending] = []
        var pending: [Pending] = []
        /// Numbers in `pending` that are no longer wanted; nearly always none.
        var takenBack: Set<UInt64> = []
        /// How many left `pending` so far: the number of its first.
        var handed: UInt64 = 0
        var bytes = 0
        var isClosed = false
        var sleeper: CheckedContinuation<Void, Never>?

        var isEmpty: Bool { pending.isEmpty && urgent.isEmpty }
    }

    private let state = Mutex(State())

    /// nil when the queue is full or closed.
    func enqueue(_ item: Pending) -> Ticket? {
        let (ticket, sleeper) = state.withLock { state -> (Ticket?, CheckedContinuation<Void, Never>?) in
            guard !state.isClosed, state.pending.count < Self.recordsMax, state.bytes < Self.bytesMax else {
                return (nil, nil)
            }
            let ticket = Ticket(number: state.handed + UInt64(state.pending.count))
            state.pending.append(item)
            state.bytes += item.size
            defer { state.sleeper = nil }
            return (ticket, state.sleeper)
        }
        sleeper?.resume()
        return ticket
    }

    /// Puts records before all others, bounds or not; false when the queue is closed.
    func enqueueUrgent(_ items: [Pending]) -> Bool {
        let (accepted, sleeper) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard !state.isClosed else { return (false, nil) }
            state.urgent += items
            defer { state.sleeper = nil }
            return (true, state.sleeper)
        }
        sleeper?.resume()
        return accepted
    }

    /// True when the record was still here: it will never be handed to the log.
    func takeBack(_ ticket: Ticket) -> Bool {
        state.withLock { state in
            ticket.number >= state.handed && ticket.number < state.handed + UInt64(state.pending.count)
                && state.takenBack.insert(ticket.number).inserted
        }
    }

    /// The next batch, in order; waits for one. nil when the queue is closed and empty.
    func next() async -> [Pending]? {
        while true {
            let (batch, isClosed) = state.withLock { state in (Self.take(&state), state.isClosed) }
            if !batch.isEmpty { return batch }
            if isClosed { return nil }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.isEmpty || state.isClosed { return true }
                    state.sleeper = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    private static func take(_ state: inout State) -> [Pending] {
        if !state.urgent.isEmpty {
            defer { state.urgent = [] }
            return state.urgent
        }
        var count = 0
        var bytes = 0
        while count < state.pending.count, count < batchRecordsMax {
            bytes += state.pending[count].size
            if count > 0 && bytes > batchBytesMax { break }
            count += 1
        }
        var batch: [Pending]
        if count == state.pending.count {
            batch = state.pending
            state.pending = []
        } else {
            batch = Array(state.pending[..<count])
            state.pending.removeFirst(count)
        }
        for item in batch { state.bytes -= item.size }
        if !state.takenBack.isEmpty {
            var wanted: [Pending] = []
            for (index, item) in batch.enumerated()
            where state.takenBack.remove(state.handed + UInt64(index)) == nil { wanted.append(item) }
            batch = wanted
        }
        state.handed += UInt64(count)
        return batch
    }

    func close() {
        let sleeper = state.withLock { state in
            state.isClosed = true
            defer { state.sleeper = nil }
            return state.sleeper
        }
        sleeper?.resume()
    }
}
