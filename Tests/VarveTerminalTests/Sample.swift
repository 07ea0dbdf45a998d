import VarveTerminal

/// A program like ours, small enough to read.
enum Sample {
    enum Format: String, CaseIterable, Sendable { case table, json }

    static let file = Argument.required("file", .file, "NDJSON to load; '-' is standard input.")
    static let table = Option.required("table", .text, "T", short: "t", "Table to load into.")
    static let batch = Option.value("batch", .integer(1...100_000), "N", default: 1000, "Documents of one transaction.")
    static let id = Option.optional("id", .text, "FIELD", "Field that becomes _id.")
    static let again = Option.flag("again", "Load it once more.")
    static let url = Option.value(
        "url", .text, "U", default: "http://127.0.0.1:8080", environment: "VARVE_URL", "Node to ask.")
    static let urls = Option.repeated("url", .text, "U", environment: "VARVE_URL", "Nodes to ask.")
    static let token = Option.optional(
        "token", ValueType(expected: "visible characters") { $0.contains(" ") ? nil : $0 }, "TOKEN",
        environment: "VARVE_TOKEN",
        secret: true, "The node's token.")
    static let format = Option.value("format", .choice, "F", default: Format.table, "How to print.")
    static let statement = Argument.optional("statement", .text, "SQL; without it, standard input.")
    static let ids = Argument.repeated("id", .text, "Ids.")
    static let block = Argument.required("number", .integer(), "Block number.")
    static let config = Option.required("config", .file, "F", environment: "VARVE_CONFIG", "Configuration file.")
    static let asOf = Option.optional("as-of", .integer(-1_000_000...0), "X", "Seconds back.")

    static let program = Program(
        "varve", "An immutable database that is a log and a directory", version: "varve 0.1.0",
        commands: [
            Command(
                "load", "Load documents", section: "Data", parameters: [file, table, batch, id, again, url, token],
                examples: [Example("varve load users.ndjson --table users", "a file")]),
            Command("sql", "Ask a question", section: "Data", parameters: [statement, format, asOf, url]),
            Command("get", "Print documents", section: "Data", parameters: [ids]),
            Command("status", "Where nodes stand", parameters: [urls]),
            Command("verify", "Check everything", parameters: [config]),
            Command(
                "log", "Look at the log",
                commands: [Command("show", "Print records", parameters: [config]), Command("verify", "Check records")]),
            Command("blocks", "Look at blocks", commands: [Command("show", "Print a block", parameters: [block])]),
        ])

    static func run(_ words: String..., environment: [String: String] = [:]) throws -> Invocation {
        switch program.parse(words, environment: environment) {
        case .run(let invocation): return invocation
        case .print(let text): throw Unexpected(text: text)
        case .refused(let error): throw error
        }
    }

    static func printed(_ words: String...) throws -> String {
        guard case .print(let text) = program.parse(words) else { throw Unexpected(text: "nothing printed") }
        return text
    }

    struct Unexpected: Error { var text: String }
}
