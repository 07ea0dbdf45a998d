// SIGTERM and SIGINT: the first one asks for an orderly end, the second one ends the process at once.

import Dispatch
import Glibc
import Synchronization

final class Interruption: Sendable {
    private struct State {
        var signal: Int32?
        var waiting: [CheckedContinuation<Int32, Never>] = []
    }

    private let state = Mutex(State())
    // Set once in `init` and kept alive with this; Dispatch's objects are safe to share and not marked so.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    /// Watches from now on; one for a process.
    init() {
        let queue = DispatchQueue(label: "varve.signals")
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: queue)
        }
        for (source, number) in zip(sources, [SIGTERM, SIGINT]) {
            source.setEventHandler { [weak self] in self?.arrived(number) }
            source.activate()
        }
    }

    var wasAsked: Bool { state.withLock { $0.signal != nil } }

    /// As if the signal had come.
    func request(_ number: Int32 = SIGTERM) {
        let waiting = state.withLock { state -> [CheckedContinuation<Int32, Never>] in
            guard state.signal == nil else { return [] }
            state.signal = number
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: number) }
    }

    /// Wakes who waits although nothing was asked: what they watched over is done.
    func dismiss() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: 0) }
    }

    /// Comes back with the signal.
    @discardableResult
    func wait() async -> Int32 {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Int32? in
                if state.signal == nil { state.waiting.append(continuation) }
                return state.signal
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    private func arrived(_ number: Int32) {
        if state.withLock({ $0.signal != nil }) { _exit(128 + number) }
        request(number)
    }
}
