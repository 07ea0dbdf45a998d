// One socket: its descriptor, what it is waited for, and the exchange that goes on over it.
//
// Invariants: the descriptor is only touched under the lock, and is gone (-1) once the library has closed it. It is
// only ever shut down here, never closed: the library panics otherwise. Locks are taken in the order link, exchange.

import Glibc
import Synchronization

final class Link: Sendable {
    private struct State {
        var descriptor: Int32
        /// When a header must be complete; `never` while an exchange goes on.
        var deadline: UInt64
        /// From the request line to the end of the answer.
        var isBusy = false
        var exchange: Exchange?
    }

    private static let never = UInt64.max
    private let state: Mutex<State>

    init(descriptor: Int32, deadline: UInt64) {
        state = Mutex(State(descriptor: descriptor, deadline: deadline, exchange: nil))
    }

    /// A request line came: its header must follow soon.
    func requestBegan(headerDeadline: UInt64) {
        state.withLock {
            $0.isBusy = true
            $0.deadline = min($0.deadline, headerDeadline)
        }
    }

    func headerComplete() {
        state.withLock { $0.deadline = Self.never }
    }

    func admitted(_ exchange: Exchange) {
        state.withLock { $0.exchange = exchange }
    }

    /// The request is over; nothing announces the next header, so the wait for it counts from now.
    func requestEnded(nextDeadline: UInt64) {
        state.withLock {
            $0.isBusy = false
            $0.exchange = nil
            $0.deadline = nextDeadline
        }
    }

    func closed() {
        state.withLock { $0.descriptor = -1 }
    }

    func shutDownIfLate(_ now: UInt64) {
        state.withLock { if $0.deadline <= now { Self.shutDown($0) } }
    }

    /// No request is under way as far as we know.
    func shutDownIfIdle() {
        state.withLock { if !$0.isBusy { Self.shutDown($0) } }
    }

    /// Nothing more goes out.
    func cut() {
        state.withLock { Self.shutDown($0) }
    }

    /// Cuts whatever goes on.
    func abort() {
        let exchange = state.withLock {
            Self.shutDown($0)
            return $0.exchange
        }
        exchange?.abort()
    }

    /// The socket to look at, where a handler is at work on a request that was read to its end.
    func watched() -> Int32? {
        state.withLock { $0.exchange?.isWaitedFor == true ? $0.descriptor : nil }
    }

    /// The other side has closed `descriptor`; it is still ours if it is the same as before.
    func clientLeft(_ descriptor: Int32) {
        let exchange = state.withLock { $0.descriptor == descriptor ? $0.exchange : nil }
        if let exchange, exchange.isWaitedFor { exchange.clientLeft() }
    }

    private static func shutDown(_ state: State) {
        if state.descriptor >= 0 { shutdown(state.descriptor, Int32(SHUT_RDWR)) }
    }
}
