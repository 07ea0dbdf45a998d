// The handles that code keeps and updates. All of them may be used from any thread at once.

import Synchronization

/// Only goes up. Starts at zero with the process.
package final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)

    package init() {}

    @inline(__always)
    package func increment(by amount: Int = 1) {
        precondition(amount >= 0, "a counter only goes up")
        count.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    package var value: UInt64 { count.load(ordering: .relaxed) }
}

/// Goes up and down.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)

    package init() {}

    package func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    package func set(_ value: Int) { set(Double(value)) }

    package func add(_ amount: Double) {
        var seen = bits.load(ordering: .relaxed)
        while true {
            let wanted = (Double(bitPattern: seen) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(
                expected: seen, desired: wanted, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }

    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// How often which sizes were seen. One short lock an observation; its state is consistent in itself.
package final class Histogram: Sendable {
    /// What a scrape sees. `counts` are of each bucket alone, the last one is the infinite bucket's.
    package struct State: Sendable {
        package var bounds: [Double]
        package var counts: [UInt64]
        package var sum: Double = 0

        package var count: UInt64 { counts.reduce(0, +) }
    }

    /// 100 µs to 30 s: from an in-memory submit to a query's default time limit.
    package static let secondsBuckets: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]

    private let locked: Mutex<State>

    package init(buckets: [Double]) {
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy { $0 < $1 }, "bucket bounds ascend")
        precondition(buckets.allSatisfy(\.isFinite), "the infinite bucket is there by itself")
        locked = Mutex(State(bounds: buckets, counts: Array(repeating: 0, count: buckets.count + 1)))
    }

    package func observe(_ value: Double) {
        // A value that is no number has no bucket and would spoil the sum for ever.
        guard !value.isNaN else { return }
        locked.withLock { state in
            var index = 0
            while index < state.bounds.count && value > state.bounds[index] { index += 1 }
            state.counts[index] += 1
            state.sum += value
        }
    }

    /// Observes seconds.
    package func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        observe(Double(seconds) + Double(attoseconds) * 1e-18)
    }

    package var state: State { locked.withLock { $0 } }
}
