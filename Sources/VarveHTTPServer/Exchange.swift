// One request and its answer, seen from both sides: a handler that awaits, and the library's thread that must not.
//
// Invariants:
// - One lock for everything. Every suspend and every resume of the connection happens under it, one resume for each
//   suspend, by the flag `isSuspended`: the library counts nothing, an early resume cancels the next suspend, a second
//   suspend corrupts its lists.
// - The connection is touched only while `connection` is set; the library's completion notice takes it away.
// - An answer is queued only after the whole body: in between the library takes none.
// - Both directions hold a bounded number of bytes (`highWaterBytes` and one piece).

import CVarveMicroHTTPD
import Synchronization
import VarveGzip

package final class Exchange: Sendable {
    package let head: Head
    let core: ServerCore
    /// Has this exchange too until the request is over.
    let link: Link
    let mode: Mode
    let state: Mutex<State>
    private let decoder: Mutex<BodyDecoder>

    enum Mode {
        case collect(maxBytes: Int, gzip: Bool)
        case stream(gzip: Bool)
    }

    /// `@unchecked`: the library's connection is used under the exchange's lock only.
    struct Connection: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    /// `@unchecked`: an answer has one owner at a time, and its counter is the library's and thread-safe.
    struct Prepared: @unchecked Sendable {
        let pointer: OpaquePointer
        let status: UInt32
    }

    struct State: ~Copyable {
        var connection: Connection?
        var isSuspended = false
        var task: Task<Void, Never>?
        /// The other side has closed, or the answer cannot be delivered any more.
        var isGone = false
        /// The server cuts this exchange.
        var isAborted = false

        var incoming: [UInt8] = []
        var isTooLarge = false
        /// What came after the handler had answered, or after the limit.
        var droppedBytes = 0
        var isBodyComplete = false
        var consumer: CheckedContinuation<Void, Never>?

        /// Ready, but not queued.
        var prepared: Prepared?
        var isAnswered = false
        var outgoing: [UInt8] = []
        /// How many of `outgoing` the library has taken.
        var taken = 0
        var outcome: Outcome?
        var producer: CheckedContinuation<Void, Never>?
    }

    /// How a streamed answer ended.
    enum Outcome { case complete, broken }

    /// Where a sender has to wait; the receiver takes all there is at once.
    static let highWaterBytes = 256 * 1024
    /// The rest of a body that is read and dropped so that the client gets to see the answer.
    static let droppedBytesMax = 64 << 20
    /// How much one call of `next()` gives of a decoded body, about.
    static let decodedStepBytes = 256 * 1024

    init(head: Head, mode: Mode, expectedBytes: Int, connection: OpaquePointer, link: Link, core: ServerCore) {
        self.head = head
        self.mode = mode
        self.link = link
        self.core = core
        var first = State(connection: Connection(pointer: connection))
        if case .collect = mode { first.incoming.reserveCapacity(expectedBytes) }
        state = Mutex(first)
        decoder = Mutex(BodyDecoder())
    }

    deinit {
        core.inFlight.subtract(1, ordering: .relaxed)
    }

    // MARK: - What a handler sees

    /// The whole body, where the request was admitted with `.collect`.
    package var body: [UInt8] {
        guard case .collect(_, let gzip) = mode else { return [] }
        return gzip ? decoder.withLock { $0.collected } : state.withLock { $0.incoming }
    }

    /// Nobody will see the answer. The handler's task is cancelled at the same time.
    package var isClientGone: Bool { state.withLock { $0.isGone } }

    /// The next piece of a body admitted with `.stream`, nil behind the last one. One caller at a time.
    ///
    /// The client is held back while pieces are not fetched. Throws `ExchangeError`, and `CancellationError` when the
    /// task that waits is cancelled.
    package func next() async throws -> [UInt8]? {
        guard case .stream(let gzip) = mode else { return nil }
        guard gzip else { return try await nextAsSent() }
        while true {
            do throws(GzipError) {
                if let piece = try decoder.withLock({ body throws(GzipError) in try body.step() }) { return piece }
            } catch {
                throw ExchangeError.badEncoding(error.description)
            }
            let sent = try await nextAsSent()
            do throws(GzipError) {
                guard let sent else {
                    try decoder.withLock { body throws(GzipError) in try body.finish() }
                    return nil
                }
                decoder.withLock { $0.feed(sent) }
            } catch {
                throw ExchangeError.badEncoding(error.description)
            }
        }
    }

    private enum Step {
        case piece([UInt8])
        case end, gone, wait
    }

    private func nextAsSent() async throws -> [UInt8]? {
        while true {
            let step: Step = state.withLock { state in
                if !state.incoming.isEmpty {
                    let piece = state.incoming
                    state.incoming = []
                    // Once the body is complete the connection waits for the answer, not for room.
                    if !state.isBodyComplete { state.resumeIfSuspended() }
                    return .piece(piece)
                }
                if state.isBodyComplete { return .end }
                return state.isGone ? .gone : .wait
            }
            switch step {
            case .piece(let piece): return piece
            case .end: return nil
            case .gone: throw ExchangeError.clientGone
            case .wait:
                try Task.checkCancellation()
                await park(.consumer) { $0.incoming.isEmpty && !$0.isBodyComplete && !$0.isGone }
            }
        }
    }

    // MARK: - The handler's task

    func run() async {
        if case .collect(let maxBytes, true) = mode, let fault = decodeCollected(maxBytes: maxBytes) {
            publish(core.faultResponse(fault, head))
            return
        }
        let response = await core.handler(self)
        guard case .writer(let write) = response.body, head.method != "HEAD" else {
            publish(response)
            return
        }
        guard head.version == .http11 else {
            publish(core.faultResponse(.needsHTTP11, head))
            return
        }
        guard let prepared = Answer.streamed(response, from: self) else {
            publish(core.faultResponse(.badAnswer, head))
            return
        }
        publish(prepared)
        do {
            try await write(ResponseWriter(exchange: self))
            end(.complete)
        } catch {
            end(.broken)
        }
    }

    private func decodeCollected(maxBytes: Int) -> Fault? {
        let packed = state.withLock { state in
            let packed = state.incoming
            state.incoming = []
            return packed
        }
        do throws(GzipError) {
            let plain = try GzipReader.inflate(packed, maxBytes: maxBytes)
            decoder.withLock { $0.collected = plain }
            return nil
        } catch {
            if case .tooLarge = error { return .bodyTooLarge(limit: maxBytes) }
            return .badEncoding(error.description)
        }
    }

    private func publish(_ response: Response) {
        let prepared =
            Answer.whole(response) ?? Answer.whole(core.faultResponse(.badAnswer, head))
            ?? Answer.whole(Fault.badAnswer.response)
        if let prepared { publish(prepared) } else { abort() }
    }

    private func publish(_ prepared: Prepared) {
        let isTooLate = state.withLock { state in
            state.isAnswered = true
            if state.connection == nil || state.isAborted { return true }
            state.prepared = prepared
            state.resumeIfSuspended()
            return false
        }
        if isTooLate { MHD_destroy_response(prepared.pointer) }
    }

    /// Hands over a piece of a streamed answer; comes back when there is room for the next.
    func write(_ bytes: [UInt8]) async throws {
        if bytes.isEmpty { return }
        let isFull = try state.withLock { state in
            if state.isGone { throw ExchangeError.clientGone }
            if state.outgoing.isEmpty { state.outgoing = bytes } else { state.outgoing += bytes }
            state.resumeIfSuspended()
            return state.pendingBytes >= Self.highWaterBytes
        }
        guard isFull else { return }
        while state.withLock({ $0.pendingBytes >= Self.highWaterBytes && !$0.isGone }) {
            try Task.checkCancellation()
            await park(.producer) { $0.pendingBytes >= Self.highWaterBytes && !$0.isGone }
        }
        if state.withLock({ $0.isGone }) { throw ExchangeError.clientGone }
    }

    private func end(_ outcome: Outcome) {
        state.withLock { state in
            state.outcome = outcome
            state.resumeIfSuspended()
        }
    }

    // MARK: - Waiting

    enum Side { case consumer, producer }

    /// Waits until the other side has woken us or the task is cancelled; may come back for nothing.
    private func park(_ side: Side, while mustWait: @Sendable (borrowing State) -> Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    // Under the lock: a cancellation that is not seen here finds the continuation.
                    if Task.isCancelled || !mustWait(state) { return true }
                    switch side {
                    case .consumer: state.consumer = continuation
                    case .producer: state.producer = continuation
                    }
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.take(side) }?.resume()
        }
    }
}

/// Where a writer puts a streamed answer.
package struct ResponseWriter: Sendable {
    let exchange: Exchange

    /// Sends `bytes` as a chunk or part of one; waits while the client reads more slowly than this writes.
    ///
    /// Throws `ExchangeError.clientGone` when nobody reads any more. Hand over some kilobytes at a time.
    package func write(_ bytes: [UInt8]) async throws {
        try await exchange.write(bytes)
    }

    package func write(_ text: String) async throws {
        try await exchange.write(Array(text.utf8))
    }
}

extension Exchange.State {
    var pendingBytes: Int { outgoing.count - taken }

    mutating func suspendOnce() {
        guard !isSuspended, let connection else { return }
        isSuspended = true
        MHD_suspend_connection(connection.pointer)
    }

    mutating func resumeIfSuspended() {
        guard isSuspended, let connection else { return }
        isSuspended = false
        MHD_resume_connection(connection.pointer)
    }

    mutating func take(_ side: Exchange.Side) -> CheckedContinuation<Void, Never>? {
        switch side {
        case .consumer: consumer.take()
        case .producer: producer.take()
        }
    }
}
