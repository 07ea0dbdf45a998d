// `varve sql`: a statement from the command line, or statements from standard input.

import VarveClient
import VarveModel
import VarveTerminal
import VarveWire

struct SQLCommand {
    let invocation: Invocation
    let surroundings: Surroundings
    private let waiting: Waiting

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
        waiting = Waiting(surroundings)
    }

    private var format: Format { invocation[Parameters.json] ? .json : invocation[Parameters.format] }

    func run() async throws -> ExitCode {
        guard format != .csv else { throw Failure.notSupported("--format csv") }
        let client = try invocation.client(waiting)
        if let statement = invocation[Parameters.statement] {
            try await ask(statement, client)
            return .success
        }
        if Terminal.isTerminal(surroundings.input) { return try await prompt(client) }
        let text = String(decoding: try InputFile.read("-", surroundings), as: UTF8.self)
        let statements = StatementSplitter.all(of: text)
        for statement in statements { try await ask(statement, client) }
        return .success
    }

    /// Line by line from a terminal; an error does not end it, Ctrl-D does.
    private func prompt(_ client: Client) async throws -> ExitCode {
        var splitter = StatementSplitter()
        while true {
            try surroundings.output.write(splitter.isEmpty ? "varve> " : "   ...> ")
            guard let line = readLine(strippingNewline: false) else { break }
            for statement in splitter.add(line) {
                do {
                    try await ask(statement, client)
                } catch let error as VarveError {
                    try surroundings.errors.line(Failure(error).line)
                }
            }
        }
        try surroundings.output.line()
        return .success
    }

    private func ask(_ statement: String, _ client: Client) async throws {
        let request = QueryRequest(
            statement, read: ReadParameters(asOf: invocation[Parameters.asOf], after: invocation[Parameters.after]))
        let output = surroundings.output
        switch format {
        case .ndjson:
            // Rows appear as they come, and say enough.
            try await client.queryLines(request) { try output.write($0) }
        case .json: try output.json(try await answer(request, client).json)
        case .table, .csv: try show(try await answer(request, client))
        }
    }

    private func answer(_ request: QueryRequest, _ client: Client) async throws -> QueryAnswer {
        try await waiting.during(invocation.awaited) { try await client.query(request) }
    }

    private func show(_ answer: QueryAnswer) throws {
        var table = Table(answer.columns.map { .init($0.name) })
        table.rows = answer.rows.map { $0.map(cell) }
        let palette = surroundings.palette
        try surroundings.output.write(table.render(width: surroundings.width, palette: palette))
        let rows = answer.rows.count == 1 ? "1 row" : "\(Quantity.count(answer.rows.count)) rows"
        let place = answer.end.asOf.map { "as of \($0)" } ?? "at \(answer.end.position)"
        let time = Quantity.time(.milliseconds(answer.end.elapsedMilliseconds))
        try surroundings.output.line(palette.dim("(\(rows) \(place), \(time))"))
    }
}
