import Synchronization

/// Keeps the newest entries in memory, for tests and for whoever wants to show the last lines.
package final class LogRecorder: LogSink {
    private let limit: Int
    private let kept = Mutex<[LogLine]>([])

    /// At most `limit` entries; older ones go first.
    package init(limit: Int = 10_000) { self.limit = limit }

    package func write(_ entry: LogLine) {
        kept.withLock {
            if $0.count == limit { $0.removeFirst() }
            $0.append(entry)
        }
    }

    package var entries: [LogLine] { kept.withLock { $0 } }
}
