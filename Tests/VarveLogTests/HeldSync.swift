import Synchronization
import VarveIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Holds back syncs of segments, so that a test sees a log while one goes on; counts what is written and synced.
final class HeldSync: DiskWatcher {
    private struct State {
        var isHolding = false
        var isHeld = false
        var syncs = 0
        var writes = 0
        var arrival: CheckedContinuation<Void, Never>?
    }

    private let state = Monitor(State())

    var syncs: Int { state.withLock { $0.syncs } }
    /// Of batches, and of zeros ahead.
    var writes: Int { state.withLock { $0.writes } }

    /// The next sync waits.
    func hold() { state.withLock { $0.isHolding = true } }

    /// Returns when a sync waits.
    func arrived() async {
        await withCheckedContinuation { waiter in
            let isThere = state.withLock { state in
                if !state.isHeld { state.arrival = waiter }
                return state.isHeld
            }
            if isThere { waiter.resume() }
        }
    }

    func release() {
        state.signal { state in
            state.isHolding = false
            state.isHeld = false
        }
    }

    func before(_ change: DiskChange) {
        guard case .sync(let path) = change, path.hasSuffix(".log") else { return }
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.isHolding else { return nil }
            state.isHeld = true
            defer { state.arrival = nil }
            return state.arrival
        }
        waiter?.resume()
        state.wait { $0.isHolding ? nil : () }
    }

    func after(_ change: DiskChange) {
        guard change.path.hasSuffix(".log") else { return }
        state.withLock { state in
            if case .sync = change { state.syncs += 1 }
            if case .write = change { state.writes += 1 }
        }
    }
}
