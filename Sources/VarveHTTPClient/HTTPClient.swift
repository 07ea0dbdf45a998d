// HTTP requests over libcurl: any number at once, over kept connections, on one thread. Knows nothing of routes.

import Synchronization

/// Closed when the last reference to it goes; an answer that is being streamed holds one.
package final class HTTPClient: Sendable {
    private let engine: Engine

    /// `maxConnections` are kept for later requests; more are opened when they are needed at once.
    package init(maxConnections: Int = 256) throws(HTTPClientError) {
        engine = try Engine(maxConnections: maxConnections)
    }

    deinit {
        engine.submit(.stop)
    }

    /// Sends and waits for the whole answer, whatever its status.
    package func send(_ request: HTTPRequest) async throws(HTTPClientError) -> HTTPResponse {
        let transfer = Transfer(request, isStreamed: false)
        let pump = begin(transfer)
        await transfer.wait { _ in false }
        pump?.cancel()
        let (outcome, response) = transfer.state.withLock { state in
            let body = state.incoming
            state.incoming = []
            return (state.outcome, HTTPResponse(status: state.status, headers: state.headers, body: body))
        }
        guard let outcome else {
            engine.submit(.cancel(transfer))
            throw .cancelled
        }
        try outcome.get()
        return response
    }

    /// Sends and waits for the answer's head; its body is to be fetched piece by piece.
    package func open(_ request: HTTPRequest) async throws(HTTPClientError) -> HTTPAnswer {
        let transfer = Transfer(request, isStreamed: true)
        let pump = begin(transfer)
        let answer = HTTPAnswer(transfer: transfer, pump: pump, engine: engine, client: self)
        await transfer.wait { $0.isHeadComplete }
        let (outcome, isComplete) = transfer.state.withLock { ($0.outcome, $0.isHeadComplete) }
        if isComplete { return answer }
        if case .failure(let error) = outcome { throw error }
        throw .cancelled
    }

    private func begin(_ transfer: Transfer) -> Task<Void, Never>? {
        let engine = engine
        engine.submit(.start(transfer))
        guard case .stream(_, let source) = transfer.request.body else { return nil }
        return Task { await transfer.pump(source, engine) }
    }
}

/// An answer whose body is still coming. Dropping it breaks the transfer off.
package final class HTTPAnswer: Sendable {
    private let transfer: Transfer
    private let pump: Task<Void, Never>?
    private let engine: Engine
    private let client: HTTPClient

    init(transfer: Transfer, pump: Task<Void, Never>?, engine: Engine, client: HTTPClient) {
        self.transfer = transfer
        self.pump = pump
        self.engine = engine
        self.client = client
    }

    deinit {
        pump?.cancel()
        engine.submit(.cancel(transfer))
    }

    package var status: Int { transfer.state.withLock { $0.status } }
    package var headers: ResponseHeaders { transfer.state.withLock { $0.headers } }

    private enum Step {
        case piece([UInt8], isPaused: Bool)
        case over(Result<Void, HTTPClientError>)
        case wait
    }

    /// What has come since the last call, nil at the end of a whole answer. One caller at a time.
    ///
    /// The server is held back while pieces are not fetched.
    package func next() async throws(HTTPClientError) -> [UInt8]? {
        while true {
            let step: Step = transfer.state.withLock { state in
                if !state.incoming.isEmpty {
                    let piece = state.incoming
                    state.incoming = []
                    let isPaused = state.isReceivingPaused
                    state.isReceivingPaused = false
                    return .piece(piece, isPaused: isPaused)
                }
                return state.outcome.map { .over($0) } ?? .wait
            }
            switch step {
            case .piece(let piece, let isPaused):
                if isPaused { engine.submit(.goOn(transfer)) }
                return piece
            case .over(let outcome):
                try outcome.get()
                return nil
            case .wait:
                if Task.isCancelled {
                    engine.submit(.cancel(transfer))
                    throw .cancelled
                }
                await transfer.wait { !$0.incoming.isEmpty }
            }
        }
    }
}
