// A real server on a free port over a real node whose log and storage are in memory.

import Testing
import VarveAPI
import VarveHTTPClient
import VarveHTTPServer
import VarveLog
import VarveModel
import VarveNode
import VarveTelemetry

struct Served: Sendable {
    let node: Node
    let port: UInt16
    let client: HTTPClient
    /// What the node and its API wrote to the log.
    let logged: @Sendable () -> [String]

    struct Headers: Sendable {
        private let lines: [(name: String, value: String)]
        init(_ lines: [(name: String, value: String)]) { self.lines = lines }
        subscript(name: String) -> String? { lines.first { $0.name.lowercased() == name.lowercased() }?.value }
    }

    struct Answer: Sendable {
        let status: Int
        let headers: Headers
        let body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
        /// The body as a value; null when it is no JSON.
        var json: Value { (try? parseJSON(Bytes(body))) ?? .null }
        /// One value for each line.
        var lines: [Value] { text.split(separator: "\n").map { (try? parseJSON(String($0))) ?? .null } }
        var code: String? { json["code"]?.asText }
    }

    func ask(
        _ method: String, _ path: String, _ body: String? = nil, headers: [(name: String, value: String)] = []
    ) async throws -> Answer {
        try await ask(method, path, bytes: body.map { Array($0.utf8) }, headers: headers)
    }

    func ask(
        _ method: String, _ path: String, bytes: [UInt8]?, headers: [(name: String, value: String)] = []
    ) async throws -> Answer {
        var headers = headers
        if bytes != nil, !headers.contains(where: { $0.name == "Content-Type" }) {
            headers.append(("Content-Type", path.contains("/rows") ? "application/x-ndjson" : "application/json"))
        }
        let response = try await client.send(
            HTTPRequest(
                method, "http://127.0.0.1:\(port)\(path)", headers: headers, body: bytes.map { .bytes($0) } ?? .none))
        return Answer(status: response.status, headers: Headers(response.headers.all), body: response.body)
    }

    func get(_ path: String, headers: [(name: String, value: String)] = []) async throws -> Answer {
        try await ask("GET", path, headers: headers)
    }

    func post(_ path: String, _ body: String, headers: [(name: String, value: String)] = []) async throws -> Answer {
        try await ask("POST", path, body, headers: headers)
    }

    /// Submits and wants it committed; gives the token.
    @discardableResult
    func submit(_ ops: String) async throws -> String {
        let answer = try await post("/v1/transactions", #"{"ops":[\#(ops)]}"#)
        #expect(answer.json["status"] == "committed", "\(answer.text)")
        return answer.json["token"]?.asText ?? ""
    }

    @discardableResult
    func put(_ table: String, _ docs: String) async throws -> String {
        try await submit(#"{"put":{"table":"\#(table)","docs":[\#(docs)]}}"#)
    }

    /// To see that nothing was written.
    func transactionCount() async throws -> Int {
        try await get("/v1/transactions?limit=10000").json["transactions"]?.asArray?.count ?? -1
    }
}

/// A log that cannot be reached.
private struct AbsentLog: LogProvider {
    func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference { throw unreachable }
    func named(_ name: String) -> any LogProvider { self }
    func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence { throw unreachable }
    func open(_ epoch: Epoch) async throws(VarveError) -> any Log { throw unreachable }
    func create(_ epoch: Epoch) async throws(VarveError) { throw unreachable }
    var isEphemeral: Bool { false }
    var impliesEphemeral: Bool { false }
    var warnings: [String] { [] }
    private var unreachable: VarveError { VarveError(.logUnreachable, "no broker answers") }
}

func servingWithoutLog(_ body: @escaping @Sendable (Served) async throws -> Void) async throws {
    try await serving(log: AbsentLog(), waits: false, { _ in }, body)
}

func serving(
    log: any LogProvider = MemoryLogProvider(), waits: Bool = true, _ change: (inout Configuration) -> Void = { _ in },
    _ body: @escaping @Sendable (Served) async throws -> Void
) async throws {
    var configuration = Configuration()
    configuration.http = HTTPConfiguration(host: "127.0.0.1", port: 0)
    change(&configuration)
    let lines = LogRecorder()
    let logger = Logger(label: "test", sink: lines)
    let node = Node(
        configuration, id: "node-1", log: log, logger: logger)
    let server = API(node, logger: logger).makeServer()
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await node.run() }
        if waits { try await node.waitUntilReady() }
        try server.start()
        let served = Served(
            node: node, port: server.port, client: try HTTPClient(),
            logged: { lines.entries.map { "\($0.message) \($0.metadata)" } })
        let result: Result<Void, any Error>
        do { result = .success(try await body(served)) } catch { result = .failure(error) }
        await server.stop(grace: .zero)
        group.cancelAll()
        // A node that never started says so when it is stopped; that is not this test's matter.
        while let ended = await group.nextResult() { if waits { try ended.get() } }
        try result.get()
    }
}
