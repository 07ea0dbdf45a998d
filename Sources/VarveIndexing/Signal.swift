/// Wakes one waiting loop; a notification that comes early is kept.

internal import Synchronization

final class Signal: Sendable {
    private struct State {
        var isSet = false
        var isClosed = false
        var sleeper: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func notify() {
        let sleeper = state.withLock { state in
            defer { state.sleeper = nil }
            state.isSet = state.sleeper == nil
            return state.sleeper
        }
        sleeper?.resume()
    }

    func close() {
        state.withLock { $0.isClosed = true }
        notify()
    }

    /// Returns at the next notification, or at once if there was one since the last wait, or after `close`.
    func wait() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.isSet || state.isClosed {
                    state.isSet = false
                    return true
                }
                state.sleeper = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}
