/// The tail of a log that lives in this process: asks its source for what is at hand, and waits at the end.

import Synchronization
import VarveModel

/// What a tail needs of its log.
protocol TailSource: Sendable {
    associatedtype Cursor: Sendable
    /// A cursor at `offset`, whether the log holds it or not.
    func cursor(at offset: Offset) -> Cursor
    /// Entries from the cursor on, and moves it behind them.
    func fetch(_ cursor: inout Cursor) throws(VarveError) -> TailStep
    /// Waits until there may be entries at or above `offset`.
    func wait(_ tail: ObjectIdentifier, above offset: Offset, unless isReleased: () -> Bool) async
    func release(_ tail: ObjectIdentifier)
}

enum TailStep {
    /// At least one.
    case entries([LogEntry])
    /// Nothing at or above this offset yet.
    case wait(above: Offset)
    /// The log was closed.
    case finished
}

/// Bound of one delivered batch, in records and in bytes (one larger record alone is a batch).
enum TailBounds {
    static let records = 8192
    static let bytes = 4 << 20
}

final class SourceTail<Source: TailSource>: LogTail {
    private let source: Source
    private let isFinished = Mutex(false)
    // One caller of `next` at a time, so holding the lock while reading delays nobody.
    private let cursor: Mutex<Source.Cursor>

    init(_ source: Source, from offset: Offset) {
        self.source = source
        cursor = Mutex(source.cursor(at: offset))
    }

    deinit { source.release(ObjectIdentifier(self)) }

    func next() async throws(VarveError) -> LogBatch? {
        while true {
            if Task.isCancelled || isFinished.withLock({ $0 }) { return nil }
            switch try step() {
            case .entries(let entries):
                return LogBatch(entries)
            case .finished:
                isFinished.withLock { $0 = true }
                return nil
            case .wait(let offset):
                await source.wait(ObjectIdentifier(self), above: offset) { isFinished.withLock { $0 } }
            }
        }
    }

    private func step() throws(VarveError) -> TailStep {
        let result = cursor.withLock { cursor -> Result<TailStep, VarveError> in
            do throws(VarveError) { return .success(try source.fetch(&cursor)) } catch { return .failure(error) }
        }
        if case .failure = result { isFinished.withLock { $0 = true } }
        return try result.get()
    }

    func close() async {
        isFinished.withLock { $0 = true }
        source.release(ObjectIdentifier(self))
    }
}

extension VarveError {
    /// What a tail at `offset` finds in a log that holds `range`; nil when all is well.
    static func tailFault(at offset: Offset, in range: Range<Offset>, of log: String) -> VarveError? {
        if offset < range.lowerBound {
            return VarveError(
                .logGap, "\(log) starts at offset \(range.lowerBound); offset \(offset) is no longer there")
        }
        if offset > range.upperBound {
            return VarveError(.logBehind, "\(log) ends at offset \(range.upperBound), below offset \(offset)")
        }
        return nil
    }

    static func closed(_ log: String) -> VarveError { VarveError(.notReady, "\(log) was closed by this process") }
}
