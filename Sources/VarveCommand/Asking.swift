// What commands that speak to nodes share.

import VarveClient
import VarveModel
import VarveTerminal

extension Invocation {
    /// A client of the nodes that --url names.
    func client(patience: Duration = .seconds(10)) throws(VarveError) -> Client {
        try Client(ClientOptions(urls: self[Parameters.urls], token: self[Parameters.token], patience: patience))
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
