// An HTTP/1.1 server: an `async` handler over libmicrohttpd. Knows nothing of routes.
//
// Invariants: bodies and answers are streamed with back-pressure or bounded; nothing a client sends or leaves out can
// hold a connection for ever; a request whose framing is ambiguous is refused; after `stop` no thread, socket or
// connection is left.

import Synchronization

package final class HTTPServer: Sendable {
    package struct Options: Sendable {
        /// A name or a numeric address; `localhost` listens on both of its addresses.
        package var host = "127.0.0.1"
        /// 0 takes a free one; `HTTPServer.port` says which.
        package var port: UInt16 = 0
        /// Request line and headers.
        package var maxHeaderBytes = 16 * 1024
        /// From a connection's or request's beginning to the end of its header.
        package var headerTimeout = Duration.seconds(10)
        /// A sender or reader that makes no progress, a kept-alive connection without a request. Whole seconds.
        package var idleTimeout = Duration.seconds(60)
        package var maxConnections = 1024
        /// Handlers at work; what is more is `Fault.overloaded`.
        package var maxConcurrentRequests = 256
        /// Threads of the library. One is enough for what handlers can do; a second one gains little.
        package var threads = 1
        package var backlog: Int32 = 1024

        package init() {}

        package init(host: String, port: UInt16 = 0) {
            self.host = host
            self.port = port
        }
    }

    private let core: ServerCore
    private let doorkeeper = Mutex<Doorkeeper?>(nil)

    /// `admit` and `faults` are called on the library's thread and must not wait. `handler` is called in a task of its
    /// own, which is cancelled when the client goes away or the server stops.
    package init(
        _ options: Options = Options(),
        faults: @escaping @Sendable (Fault, Head?) -> Response = { fault, _ in fault.response },
        admit: @escaping @Sendable (Head) -> Admission,
        handler: @escaping @Sendable (Exchange) async -> Response
    ) {
        core = ServerCore(options, faultResponse: faults, admit: admit, handler: handler)
    }

    deinit {
        doorkeeper.withLock { $0 }?.requestStop(grace: .zero)
    }

    /// Listens when it comes back. A server starts once.
    package func start() throws(HTTPServerError) {
        try doorkeeper.withLock { doorkeeper throws(HTTPServerError) in
            if doorkeeper != nil { throw .alreadyStarted }
            let new = try Doorkeeper(core)
            try new.start()
            doorkeeper = new
        }
    }

    /// Where it listens; 0 before `start`.
    package var port: UInt16 { doorkeeper.withLock { $0?.port ?? 0 } }

    /// Takes no more connections, lets requests end for as long as `grace`, then cuts them; comes back when nothing is
    /// left of the server.
    package func stop(grace: Duration = .seconds(10)) async {
        guard let doorkeeper = doorkeeper.withLock({ $0 }) else { return }
        doorkeeper.requestStop(grace: grace)
        await doorkeeper.finished()
    }

    /// Starts, and serves until the task is cancelled; then stops.
    package func run(grace: Duration = .seconds(10)) async throws(HTTPServerError) {
        try start()
        guard let doorkeeper = doorkeeper.withLock({ $0 }) else { return }
        await withTaskCancellationHandler {
            await doorkeeper.finished()
        } onCancel: {
            doorkeeper.requestStop(grace: grace)
        }
    }

    /// Requests that are being handled now.
    package var requestsInFlight: Int { core.inFlight.load(ordering: .relaxed) }
    package var connections: Int { core.links.withLock { $0.count } }
}
