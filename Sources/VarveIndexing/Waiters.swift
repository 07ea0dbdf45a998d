/// Who waits for what: submissions for their decision, barriers and flushes for their passing, readers for a position,
/// flushers for an adoption. One lock, touched once per applied batch.

internal import Synchronization
internal import VarveCore
internal import VarveModel

/// A table of continuations by key, each with a deadline; every waiter is resumed exactly once.
final class Waiters<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Waiter {
        let number: UInt64
        let deadline: ContinuousClock.Instant
        let continuation: CheckedContinuation<Value?, Never>
    }

    private struct State {
        var byKey: [Key: [Waiter]] = [:]
        var nextNumber: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Waits until `resolve` is called for `key`; nil at the deadline or when the table is closed.
    /// - Parameter registered: runs once the wait is registered, before anything can be missed.
    func wait(
        for key: Key, until deadline: ContinuousClock.Instant, registered: () -> Void = {}
    ) async -> Value? {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                guard !state.isClosed else { return false }
                state.nextNumber += 1
                state.byKey[key, default: []].append(
                    Waiter(number: state.nextNumber, deadline: deadline, continuation: continuation))
                return true
            }
            if isOpen { registered() } else { continuation.resume(returning: nil) }
        }
    }

    func resolve(_ key: Key, _ value: Value) { resolve([(key, value)]) }

    func resolve(_ pairs: [(Key, Value)]) {
        var resumed: [(Waiter, Value)] = []
        state.withLock { state in
            guard !state.byKey.isEmpty else { return }
            for (key, value) in pairs {
                guard let waiters = state.byKey.removeValue(forKey: key) else { continue }
                for waiter in waiters { resumed.append((waiter, value)) }
            }
        }
        for (waiter, value) in resumed { waiter.continuation.resume(returning: value) }
    }

    /// Resumes those whose key fulfils a condition.
    func resolve(where isReached: (Key) -> Bool, _ value: Value) {
        var resumed: [Waiter] = []
        state.withLock { state in
            for key in state.byKey.keys where isReached(key) { resumed += state.byKey.removeValue(forKey: key) ?? [] }
        }
        for waiter in resumed { waiter.continuation.resume(returning: value) }
    }

    func isWaiting(for key: Key) -> Bool { state.withLock { $0.byKey[key] != nil } }

    /// Resumes those whose deadline has passed with nil.
    func expire(at now: ContinuousClock.Instant) {
        var expired: [Waiter] = []
        state.withLock { state in
            for (key, waiters) in state.byKey where waiters.contains(where: { $0.deadline <= now }) {
                expired += waiters.filter { $0.deadline <= now }
                let rest = waiters.filter { $0.deadline > now }
                state.byKey[key] = rest.isEmpty ? nil : rest
            }
        }
        for waiter in expired { waiter.continuation.resume(returning: nil) }
    }

    /// Resumes everyone with nil; whoever comes later does not wait.
    func close() {
        var all: [Waiter] = []
        state.withLock { state in
            state.isClosed = true
            all = state.byKey.values.flatMap { $0 }
            state.byKey = [:]
        }
        for waiter in all { waiter.continuation.resume(returning: nil) }
    }
}
