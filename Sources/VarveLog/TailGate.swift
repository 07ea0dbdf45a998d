/// Where tails wait for a log's end to move.
///
/// A waiter looks at the end and registers under one lock, so no movement is missed. Continuations are resumed after the
/// lock is given back.

import Synchronization
import VarveModel

final class TailGate: Sendable {
    private typealias Waiter = CheckedContinuation<Void, Never>

    private struct State {
        var end: Offset
        var isClosed = false
        var isBroken = false
        var waiters: [ObjectIdentifier: Waiter] = [:]

        mutating func takeAll() -> [Waiter] {
            defer { waiters.removeAll(keepingCapacity: true) }
            return Array(waiters.values)
        }
    }

    private let state: Mutex<State>

    init(end: Offset) { state = Mutex(State(end: end)) }

    var isClosed: Bool { state.withLock(\.isClosed) }

    /// Says that everything below `end` can be read now.
    func advance(to end: Offset) {
        let woken = state.withLock { state in
            state.end = max(state.end, end)
            return state.takeAll()
        }
        for waiter in woken { waiter.resume() }
    }

    /// Lets every waiter go, now and later.
    func close() {
        let woken = state.withLock { state in
            state.isClosed = true
            return state.takeAll()
        }
        for waiter in woken { waiter.resume() }
    }

    /// Lets every waiter go, now and later, to be told what is wrong.
    func fail() {
        let woken = state.withLock { state in
            state.isBroken = true
            return state.takeAll()
        }
        for waiter in woken { waiter.resume() }
    }

    /// Lets one tail go.
    func release(_ tail: ObjectIdentifier) {
        state.withLock { $0.waiters.removeValue(forKey: tail) }?.resume()
    }

    /// Returns when the end is above `offset`, the gate is closed or broken, the tail is released or its task is cancelled.
    /// - Parameter isReleased: looked at after registering, so that a release that came before is not lost.
    func wait(_ tail: ObjectIdentifier, above offset: Offset, unless isReleased: () -> Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: Waiter) in
                let mustWait = state.withLock { state in
                    guard !state.isClosed, !state.isBroken, state.end <= offset else { return false }
                    state.waiters[tail] = waiter
                    return true
                }
                if !mustWait { return waiter.resume() }
                if Task.isCancelled || isReleased() { release(tail) }
            }
        } onCancel: {
            release(tail)
        }
    }
}
