// `varve status`: where each node stands, or whether one serves.

import VarveClient
import VarveModel
import VarveTerminal
import VarveWire

struct StatusCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    private struct Standing {
        var url: String
        var result: Result<StatusAnswer, VarveError>
    }

    func run() async throws -> ExitCode {
        var clients: [(url: String, client: Client)] = []
        for url in invocation[Parameters.statusURLs] {
            // A health check does not wait: whoever asks asks again.
            let options = ClientOptions(
                urls: [url], token: invocation[Parameters.token], patience: .zero, answerTimeout: .seconds(5))
            clients.append((url, try Client(options)))
        }
        if invocation[Parameters.ready] { return try await checkReady(clients) }
        guard invocation[Parameters.watch] else {
            let asked = clients
            let names = clients.map(\.url).joined(separator: ", ")
            let standings = await Waiting(surroundings).during("an answer of \(names)") { await ask(asked) }
            try show(standings)
            return standings.allSatisfy(isReady) ? .success : .unavailable
        }
        let screen = Redrawing(surroundings)
        while true {
            let standings = await ask(clients)
            if invocation[Parameters.json] { try show(standings) } else { try screen.draw(text(standings)) }
            try await Task.sleep(for: Self.watchInterval)
        }
    }

    private static let watchInterval: Duration = .seconds(1)

    private func ask(_ clients: [(url: String, client: Client)]) async -> [Standing] {
        await withTaskGroup(of: (Int, Standing).self) { group in
            for (index, (url, client)) in clients.enumerated() {
                group.addTask {
                    do throws(VarveError) {
                        return (index, Standing(url: url, result: .success(try await client.status())))
                    } catch {
                        return (index, Standing(url: url, result: .failure(error)))
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private func checkReady(_ clients: [(url: String, client: Client)]) async throws -> ExitCode {
        for (url, client) in clients {
            guard let reason = await client.readiness() else { continue }
            if invocation[Parameters.json] {
                try surroundings.output.json(["ready": false, "url": .text(url), "error": Problem(reason).json])
            }
            throw Failure(Failure(reason).line, .unavailable)
        }
        if invocation[Parameters.json] { try surroundings.output.json(["ready": true]) }
        return .success
    }

    private func isReady(_ standing: Standing) -> Bool {
        guard case .success(let status) = standing.result else { return false }
        return status.state == .ready || status.state == .degraded
    }

    private func json(_ standing: Standing) -> Value {
        switch standing.result {
        case .success(let status):
            guard case .object(let fields) = status.json else { return status.json }
            return .object([Value.Field("url", .text(standing.url))] + fields)
        case .failure(let error):
            return [
                "url": .text(standing.url), "state": .text(state(error)),
                "error": ["code": .text(error.code.rawValue), "detail": .text(error.message)],
            ]
        }
    }

    private func show(_ standings: [Standing]) throws {
        if invocation[Parameters.json] {
            return try surroundings.output.json(["nodes": .array(standings.map(json))])
        }
        try surroundings.output.write(table(standings))
        for line in remarks(byNode(standings)) { try surroundings.errors.line(line) }
    }

    /// Table and remarks together, for a screen that shows both.
    private func text(_ standings: [Standing]) -> String {
        let palette = surroundings.palette
        let marked = remarks(byNode(standings)).map { palette.yellow($0) + "\n" }
        return table(standings) + marked.joined()
    }

    /// Errors and warnings, a line each.
    private func remarks(_ standings: [Standing]) -> [String] {
        standings.flatMap { standing -> [String] in
            switch standing.result {
            case .failure(let error): return [Failure(error).line]
            case .success(let status):
                let problems = status.error.map { ["\(status.node): \(line($0))"] } ?? []
                return problems + status.warnings.map { "\(status.node): warning: \($0)" }
            }
        }
    }

    /// With the runbook, where the words of the error do not name it.
    private func line(_ problem: Problem) -> String {
        let line = Failure(problem.error).line
        guard let runbook = problem.runbook, !line.contains(runbook) else { return line }
        return line + "; runbook: \(runbook)"
    }

    /// For people: by the nodes' names, and behind them, as they were given, those that did not tell theirs.
    private func byNode(_ standings: [Standing]) -> [Standing] {
        let told = standings.compactMap { standing in
            (try? standing.result.get()).map { (node: $0.node, standing: standing) }
        }
        let silent = standings.filter { (try? $0.result.get()) == nil }
        return told.sorted { ($0.node, $0.standing.url) < ($1.node, $1.standing.url) }.map(\.standing) + silent
    }

    /// Of a node that does not tell its status.
    private func state(_ error: VarveError) -> String { StatusTable.state(of: error) }

    private func table(_ standings: [Standing]) -> String {
        let rows = byNode(standings).map { StatusTable.Row(url: $0.url, result: $0.result) }
        let peers = PeerTable(standings.compactMap { try? $0.result.get() })
        return StatusTable(rows).render(width: surroundings.width, palette: surroundings.palette)
            + peers.render(width: surroundings.width, palette: surroundings.palette)
    }
}
