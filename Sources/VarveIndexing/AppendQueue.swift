/// What this node wants in the log, in order: many submitters, one appender, batches across the border to the log.
///
/// Bounded by records and bytes: a submitter beyond the bound is refused before anything was sent.

internal import Synchronization
internal import VarveLog
internal import VarveModel

final class AppendQueue: Sendable {
    struct Pending: Sendable {
        let id: Bytes16
        let bytes: Bytes
    }

    /// Records and bytes that may wait; a batch that is handed to the log is no longer counted.
    static let recordsMax = 65_536
    static let bytesMax = 128 * 1024 * 1024
    /// A batch handed to the log.
    static let batchRecordsMax = 8_192
    static let batchBytesMax = 8 * 1024 * 1024

    private struct State {
        var pending: [Pending] = []
        var bytes = 0
        var isClosed = false
        var sleeper: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// False when the queue is full or closed.
    func enqueue(_ item: Pending) -> Bool {
        let (accepted, sleeper) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard !state.isClosed, state.pending.count < Self.recordsMax, state.bytes < Self.bytesMax else {
                return (false, nil)
            }
            state.pending.append(item)
            state.bytes += item.bytes.count
            defer { state.sleeper = nil }
            return (true, state.sleeper)
        }
        sleeper?.resume()
        return accepted
    }

    /// The next batch, in order; waits for one. nil when the queue is closed and empty.
    func next() async -> [Pending]? {
        while true {
            let (batch, isClosed) = state.withLock { state -> ([Pending], Bool) in
                var count = 0
                var bytes = 0
                while count < state.pending.count, count < Self.batchRecordsMax {
                    bytes += state.pending[count].bytes.count
                    if count > 0 && bytes > Self.batchBytesMax { break }
                    count += 1
                }
                let batch: [Pending]
                if count == state.pending.count {
                    batch = state.pending
                    state.pending = []
                } else {
                    batch = Array(state.pending[..<count])
                    state.pending.removeFirst(count)
                }
                for item in batch { state.bytes -= item.bytes.count }
                return (batch, state.isClosed)
            }
            if !batch.isEmpty { return batch }
            if isClosed { return nil }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.pending.isEmpty || state.isClosed { return true }
                    state.sleeper = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
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
