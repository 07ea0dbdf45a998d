import Synchronization
import Testing
import VarveHTTPServer

/// A server for one test; stopped at its end.
func withServer(
    _ options: HTTPServer.Options = .init(),
    admit: @escaping @Sendable (Head) -> Admission = { _ in .collect(maxBytes: 1 << 20) },
    handler: @escaping @Sendable (Exchange) async -> Response = echo,
    _ body: (HTTPServer) async throws -> Void
) async throws {
    let server = HTTPServer(options, admit: admit, handler: handler)
    try server.start()
    do {
        try await body(server)
    } catch {
        await server.stop(grace: .zero)
        throw error
    }
    await server.stop(grace: .zero)
    #expect(server.connections == 0)
}

/// The same with the handler first.
func serving(
    _ options: HTTPServer.Options = .init(),
    admit: @escaping @Sendable (Head) -> Admission,
    _ handler: @escaping @Sendable (Exchange) async -> Response,
    _ body: (HTTPServer) async throws -> Void
) async throws {
    try await withServer(options, admit: admit, handler: handler, body)
}

func serving(
    _ handler: @escaping @Sendable (Exchange) async -> Response,
    _ body: (HTTPServer) async throws -> Void
) async throws {
    try await withServer(handler: handler, body)
}

/// Says what was asked: method, path, query, number of bytes of the body.
@Sendable func echo(_ exchange: Exchange) async -> Response {
    let head = exchange.head
    guard let path = head.pathSegments, let query = head.query else { return .text(400, "bad target") }
    let items = query.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
    return .text(200, "\(head.method) \(path) \(items) \(exchange.body.count)")
}

/// Waits for something that another thread brings about; fails the test when it does not.
func eventually(_ what: Comment, _ condition: () -> Bool) async throws {
    for _ in 0..<12_000 {
        if condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record(what)
}

/// A place for what handlers saw.
final class Seen<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}
