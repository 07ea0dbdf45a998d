/// Who waits for what: submissions for their decision, barriers and flushes for their passing, readers for a position,
/// flushers for an adoption. One lock, touched once per applied batch.

internal import Synchronization
internal import VarveCore
internal import VarveModel

/// A table of continuations by key, each with a deadline; every waiter is resumed exactly once.
final class Waiters<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Waiter {
        /// Tells waiters for the same key apart.
        let tag: UInt64
        let deadline: ContinuousClock.Instant
        let continuation: CheckedContinuation<Value?, Never>
    }

    /// Those who wait for one key: nearly always one, a submission's own maker, which costs no allocation.
    private struct Group {
        var first: Waiter
        var others: [Waiter] = []

        var all: [Waiter] { [first] + others }
    }

    private struct State {
        var byKey: [Key: Group] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Waits until `resolve` is called for `key`; nil at the deadline or when the table is closed.
    /// - Parameter registered: runs once the wait is registered, before anything can be missed.
    func wait(
        for key: Key, tag: UInt64 = 0, until deadline: ContinuousClock.Instant, registered: () -> Void = {}
    ) async -> Value? {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                guard !state.isClosed else { return false }
                let waiter = Waiter(tag: tag, deadline: deadline, continuation: continuation)
                if let earlier = state.byKey.updateValue(Group(first: waiter), forKey: key) {
                    state.byKey[key]?.others = earlier.all
                }
                return true
            }
            if isOpen { registered() } else { continuation.resume(returning: nil) }
        }
    }

    func resolve(_ key: Key, _ value: Value) { resolve([(key, value)]) }

    func resolve(_ pairs: [(Key, Value)]) {
        var resumed: [(waiter: Waiter, pair: Int)] = []
        state.withLock { state in
            guard !state.byKey.isEmpty else { return }
            resumed.reserveCapacity(pairs.count)
            for (i, pair) in pairs.enumerated() {
                guard let group = state.byKey.removeValue(forKey: pair.0) else { continue }
                resumed.append((group.first, i))
                for waiter in group.others { resumed.append((waiter, i)) }
            }
        }
        for (waiter, pair) in resumed { waiter.continuation.resume(returning: pairs[pair].1) }
    }

    /// Resumes the one waiter with this tag, the others wait on. False when there is none.
    @discardableResult
    func resolve(_ key: Key, tag: UInt64, _ value: Value) -> Bool {
        let waiter = state.withLock { state -> Waiter? in
            guard var waiters = state.byKey[key]?.all, let index = waiters.firstIndex(where: { $0.tag == tag }) else {
                return nil
            }
            let waiter = waiters.remove(at: index)
            state.byKey[key] = waiters.first.map { Group(first: $0, others: Array(waiters.dropFirst())) }
            return waiter
        }
        waiter?.continuation.resume(returning: value)
        return waiter != nil
    }

    /// Resumes those whose key fulfils a condition.
    func resolve(where isReached: (Key) -> Bool, _ value: Value) {
        var resumed: [Waiter] = []
        state.withLock { state in
            for key in state.byKey.keys where isReached(key) {
                if let group = state.byKey.removeValue(forKey: key) { resumed += group.all }
            }
        }
        for waiter in resumed { waiter.continuation.resume(returning: value) }
    }

    func isWaiting(for key: Key) -> Bool { state.withLock { $0.byKey[key] != nil } }

    /// Resumes those whose deadline has passed with nil.
    func expire(at now: ContinuousClock.Instant) {
        var expired: [Waiter] = []
        state.withLock { state in
            for (key, group) in state.byKey
            where group.first.deadline <= now || group.others.contains(where: { $0.deadline <= now }) {
                expired += group.all.filter { $0.deadline <= now }
                let rest = group.all.filter { $0.deadline > now }
                state.byKey[key] = rest.first.map { Group(first: $0, others: Array(rest.dropFirst())) }
            }
        }
        for waiter in expired { waiter.continuation.resume(returning: nil) }
    }

    /// Resumes everyone who waits now; whoever comes later waits.
    func resolveAll(_ value: Value) { resolve(where: { _ in true }, value) }

    /// Resumes everyone who waits now with nil; whoever comes later waits.
    func giveUp() { resumeAll(closing: false) }

    /// Resumes everyone with nil; whoever comes later does not wait.
    func close() { resumeAll(closing: true) }

    private func resumeAll(closing: Bool) {
        var all: [Waiter] = []
        state.withLock { state in
            state.isClosed = state.isClosed || closing
            all = state.byKey.values.flatMap(\.all)
            state.byKey = [:]
        }
        for waiter in all { waiter.continuation.resume(returning: nil) }
    }
}
