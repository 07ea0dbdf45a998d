import Synchronization

/// Something that happens once and that any number of tasks may wait for.
final class Completion: Sendable {
    private enum State {
        case waiting([CheckedContinuation<Void, Never>])
        case done
    }
    private let state = Mutex<State>(.waiting([]))

    func finish() {
        let waiting = state.withLock { state in
            defer { state = .done }
            if case .waiting(let all) = state { return all }
            return []
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let done = state.withLock { state in
                guard case .waiting(let all) = state else { return true }
                state = .waiting(all + [continuation])
                return false
            }
            if done { continuation.resume() }
        }
    }
}
