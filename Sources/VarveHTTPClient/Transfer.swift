// One request and its answer, between the task that waits and the engine's thread.
//
// Invariants: everything shared lies under one lock; `outcome` is set once, by the engine's thread; both directions
// hold a bounded number of bytes. The library's handle is the engine's alone.

import CVarveCurl
import Glibc
import Synchronization

final class Transfer: Sendable {
    let request: HTTPRequest
    /// Pieces are handed on as they come; else the answer is collected.
    let isStreamed: Bool
    let state: Mutex<State>

    struct State: ~Copyable {
        var status = 0
        var headers = ResponseHeaders()
        var isHeadComplete = false
        var incoming: [UInt8] = []
        var isReceivingPaused = false
        var receiver: CheckedContinuation<Void, Never>?
        var outcome: Result<Void, HTTPClientError>?
        /// Why we broke it off ourselves; goes before the library's reason.
        var ownFault: HTTPClientError?

        var outgoing: [UInt8] = []
        var taken = 0
        var isSourceEnded = false
        var isSendingPaused = false
        var source: CheckedContinuation<Void, Never>?
    }

    /// Where a side has to wait.
    static let highWaterBytes = 256 * 1024

    init(_ request: HTTPRequest, isStreamed: Bool) {
        self.request = request
        self.isStreamed = isStreamed
        state = Mutex(State())
    }

    // MARK: - The engine's thread

    /// A header line, with its line break.
    func receivedHeader(_ line: UnsafeBufferPointer<UInt8>) {
        let waiting: CheckedContinuation<Void, Never>? = state.withLock { state in
            // What follows the head are trailers.
            if state.isHeadComplete { return nil }
            if line.starts(with: "HTTP/".utf8) {
                // The next head, after one of status 1xx.
                state.headers = ResponseHeaders()
                let digits = line.drop { $0 != 0x20 }.dropFirst().prefix(3)
                state.status = digits.reduce(0) { $0 * 10 + Int($1 &- 0x30) }
                return nil
            }
            if line.count > 2 {
                state.headers.block += line
                return nil
            }
            guard state.status >= 200 else { return nil }
            state.isHeadComplete = true
            return isStreamed ? state.receiver.take() : nil
        }
        waiting?.resume()
    }

    /// A piece of the answer: how much of it was taken, or that the library shall wait.
    func received(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var waiting: CheckedContinuation<Void, Never>?
        let result: Int = state.withLock { state in
            if isStreamed {
                if state.incoming.count >= Self.highWaterBytes {
                    state.isReceivingPaused = true
                    return varve_curl_write_pause
                }
            } else if state.incoming.count + bytes.count > request.maxAnswerBytes {
                state.ownFault = .answerTooLarge(limit: request.maxAnswerBytes)
                return 0
            }
            state.incoming.append(contentsOf: bytes)
            if isStreamed { waiting = state.receiver.take() }
            return bytes.count
        }
        waiting?.resume()
        return result
    }

    /// More of the request's body.
    func send(into buffer: UnsafeMutablePointer<CChar>, _ room: Int) -> Int {
        var waiting: CheckedContinuation<Void, Never>?
        let result: Int = state.withLock { state in
            if state.ownFault != nil { return varve_curl_read_abort }
            let count = min(state.outgoing.count - state.taken, room)
            if count == 0 {
                if state.isSourceEnded { return 0 }
                state.isSendingPaused = true
                return varve_curl_read_pause
            }
            state.outgoing.withUnsafeBytes { _ = memcpy(buffer, $0.baseAddress! + state.taken, count) }
            state.taken += count
            if state.taken == state.outgoing.count {
                state.outgoing = []
                state.taken = 0
                waiting = state.source.take()
            }
            return count
        }
        waiting?.resume()
        return result
    }

    func ended(_ outcome: Result<Void, HTTPClientError>) {
        let (receiver, source) = state.withLock { state in
            if state.outcome == nil { state.outcome = state.ownFault.map { .failure($0) } ?? outcome }
            state.isHeadComplete = state.isHeadComplete || state.status >= 200
            return (state.receiver.take(), state.source.take())
        }
        receiver?.resume()
        source?.resume()
    }

    // MARK: - The waiting task

    /// Comes back when `isReady` holds, the transfer is over, or the task is cancelled.
    func wait(_ isReady: @Sendable (borrowing State) -> Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goOn = state.withLock { state in
                    // Under the lock: a cancellation that is not seen here finds the continuation.
                    if Task.isCancelled || state.outcome != nil || isReady(state) { return true }
                    state.receiver = continuation
                    return false
                }
                if goOn { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.receiver.take() }?.resume()
        }
    }

    /// Feeds the body from its source until it ends, the transfer is over, or the task is cancelled.
    func pump(_ next: @Sendable () async throws -> [UInt8]?, _ engine: Engine) async {
        do {
            while let piece = try await next() {
                if piece.isEmpty { continue }
                let isOver = offer(piece, engine)
                if isOver { return }
                await waitForRoom()
                if Task.isCancelled { return }
            }
            wakeSender(engine) { $0.isSourceEnded = true }
        } catch {
            wakeSender(engine) { $0.ownFault = .bodyFailed("\(error)") }
        }
    }

    private func offer(_ piece: [UInt8], _ engine: Engine) -> Bool {
        wakeSender(engine) { state in
            if state.outgoing.isEmpty { state.outgoing = piece } else { state.outgoing += piece }
        }
        return state.withLock { $0.outcome != nil }
    }

    private func wakeSender(_ engine: Engine, _ change: (inout State) -> Void) {
        let wasPaused = state.withLock { state in
            change(&state)
            let wasPaused = state.isSendingPaused
            state.isSendingPaused = false
            return wasPaused
        }
        if wasPaused { engine.submit(.goOn(self)) }
    }

    private func waitForRoom() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goOn = state.withLock { state in
                    let pending = state.outgoing.count - state.taken
                    if Task.isCancelled || state.outcome != nil || pending < Self.highWaterBytes { return true }
                    state.source = continuation
                    return false
                }
                if goOn { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.source.take() }?.resume()
        }
    }
}
