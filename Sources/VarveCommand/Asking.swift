// What commands that speak to nodes share.

import VarveClient
import VarveModel
import VarveTerminal

extension Invocation {
    /// A client of the nodes that --url names.
    func client(patience: Duration = .seconds(10), _ waiting: Waiting? = nil) throws(VarveError) -> Client {
        var options = ClientOptions(urls: self[Parameters.urls], token: self[Parameters.token], patience: patience)
        if let waiting { options.onWait = { reason in waiting.because(reason) } }
        return try Client(options)
    }
}

extension Invocation {
    /// What a read waits for.
    var awaited: String {
        self[Parameters.after].map { "the node to apply \($0.position), and its answer" } ?? "the node's answer"
    }
}

extension Output {
    /// A line of JSON.
    func json(_ value: Value) throws(OutputError) { try write(value.jsonBytes + [0x0a]) }
}

/// How a value stands in a cell of a table.
func cell(_ value: Value) -> String {
    switch value {
    case .null, .absent: "NULL"
    case .bool(let value): value ? "true" : "false"
    case .integer(let value): String(value)
    case .text(let text): text
    case .timestamp(let instant): instant.description
    case .double, .binary, .array, .object: value.json
    }
}
