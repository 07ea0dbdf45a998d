import Synchronization
import VarveModel

/// Gives these instants in turn, the last for ever.
final class Clock: Sendable {
    private let left: Mutex<[Int64]>
    init(_ microseconds: [Int64]) { left = Mutex(microseconds) }
    func next() -> Instant {
        left.withLock { Instant(microseconds: $0.count > 1 ? $0.removeFirst() : $0[0]) }
    }
}
