/// The simulated log as the contract of a log, as far as the proof of its identity asks it.
///
/// The proof is `async`, for real logs wait. This one never does, so the whole of it runs at once, on the thread that asks.

import Synchronization
package import VarveLog
package import VarveModel

struct ProofLog: Log {
    let entries: [SimulatedLog.Entry?]
    let held: Range<Int64>
    let reference: LogReference

    init(_ log: SimulatedLog, _ reference: LogReference) {
        entries = log.entries
        held = log.readable
        self.reference = reference
    }

    var recordBytesMax: Int { 1 << 20 }
    func append(_ records: [Bytes]) async -> [AppendResult] {
        records.map { _ in .refused(VarveError(.logDenied, "this log is only read")) }
    }
    func purge() {}
    func range() async throws(VarveError) -> Range<Offset> { Offset(held.lowerBound)..<Offset(held.upperBound) }
    func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        var value = max(offset.value, held.lowerBound)
        while value < held.upperBound {
            if let entry = entries[Int(value)] {
                return LogEntry(offset: Offset(value), time: entry.time, bytes: entry.bytes)
            }
            value += 1
        }
        return nil
    }
    func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        throw VarveError(.logDenied, "this log has no tail")
    }
    func trim(below offset: Offset) async {}
    func close() async {}
}

/// Runs what never waits; nil if it did wait.
func runAtOnce<R: Sendable>(_ body: @escaping @Sendable () async -> R) -> R? {
    let result = Outcome<R>()
    // The task's first and only job is run while it is being enqueued.
    withExtendedLifetime(HereExecutor()) { executor in
        _ = Task(executorPreference: executor) {
            let found = await body()
            result.value.withLock { $0 = found }
        }
    }
    return result.value.withLock { $0 }
}

private final class Outcome<R: Sendable>: Sendable {
    let value = Mutex<R?>(nil)
}

private final class HereExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) { job.runSynchronously(on: asUnownedTaskExecutor()) }
}
