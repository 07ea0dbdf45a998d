import Synchronization
import VarveHTTPServer
import VarveModel
import VarveWire

/// A node that answers as it is told and remembers what it was asked.
final class StubNode: Sendable {
    struct Request: Sendable {
        var method: String
        var target: String
        var loadID: String?
        var authorization: String?
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
        var json: Value { (try? parseJSON(text)) ?? .null }
    }

    private let server: HTTPServer

    typealias Answer = @Sendable (Request, Int) -> Response

    /// `answer` is given the request and how many came before it.
    init(_ answer: @escaping Answer) throws {
        let requests = Box()
        server = HTTPServer(
            .init(host: "127.0.0.1"), admit: { _ in .collect(maxBytes: 64 << 20) },
            handler: { exchange in
                let request = Request(
                    method: exchange.head.method, target: exchange.head.rawTarget,
                    loadID: exchange.head.headers["Varve-Load-Id"],
                    authorization: exchange.head.headers["Authorization"], body: exchange.body)
                let before = requests.list.withLock { list in
                    list.append(request)
                    return list.count - 1
                }
                return answer(request, before)
            })
        self.requests = requests
        try server.start()
    }

    private final class Box: Sendable {
        let list = Mutex<[Request]>([])
    }

    private let requests: Box
    var asked: [Request] { requests.list.withLock { $0 } }
    var url: String { "http://127.0.0.1:\(server.port)" }
    func stop() async { await server.stop(grace: .zero) }

    /// An address where nobody listens.
    static func nobody() async throws -> String {
        let node = try StubNode { _, _ in Response(status: 200) }
        let url = node.url
        await node.stop()
        return url
    }
}

extension Response {
    static func json(_ status: Int, _ value: Value) -> Response {
        Response(status: status, headers: [("Content-Type", "application/json")], body: value.jsonBytes)
    }

    static func problem(_ code: ErrorCode, _ detail: String = "said the stub", line: Int? = nil) -> Response {
        let problem = Problem(VarveError(code, detail), line: line)
        return json(problem.status, problem.json)
    }

    static func committed(_ id: Value, _ offset: Int = 13) -> Response {
        json(200, .object([.init("id", id)] + outcome(offset)))
    }

    private static func outcome(_ offset: Int) -> [Value.Field] {
        [
            .init("status", "committed"), .init("position", .text("0-\(offset)")),
            .init("systemTime", "2026-11-21T10:00:00.000000Z"), .init("token", .text("0-\(offset)-9f2c41d07a6be853")),
        ]
    }

    /// One line for each batch of a load; with `fault` a last line that says so.
    static func loaded(_ request: StubNode.Request, batchRows: Int, fault: Problem? = nil) -> Response {
        let rows = request.body.split(separator: 0x0a).count
        var lines: [Value] = stride(from: 0, to: rows, by: batchRows).enumerated().map { number, start in
            .object(
                [
                    .init("batch", .integer(Int64(number))),
                    .init("rows", .integer(Int64(min(batchRows, rows - start)))),
                    .init("id", .text(String(repeating: "0", count: 32))),
                ] + outcome(number))
        }
        if let fault { lines = [fault.lastLine] }
        let body = Array(lines.map { $0.json + "\n" }.joined().utf8)
        return Response(status: 200, headers: [("Content-Type", "application/x-ndjson")], body: body)
    }
}

/// Starts stubs, runs the body, stops them.
func withStubs(
    _ answers: [StubNode.Answer], body: ([StubNode]) async throws -> Void
) async throws {
    let stubs = try answers.map { try StubNode($0) }
    do {
        try await body(stubs)
    } catch {
        for stub in stubs { await stub.stop() }
        throw error
    }
    for stub in stubs { await stub.stop() }
}
