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
        if invocation[Parameters.ready] { return try await checkReady(clients.map(\.client)) }
        guard invocation[Parameters.watch] else {
            let standings = await ask(clients)
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

    private func checkReady(_ clients: [Client]) async throws -> ExitCode {
        for client in clients {
            if let reason = await client.readiness() {
                throw Failure(Failure(reason).line, .unavailable)
            }
        }
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
                "url": .text(standing.url), "state": "unreachable",
                "error": ["code": .text(error.code.rawValue), "detail": .text(error.message)],
            ]
        }
    }

    private func show(_ standings: [Standing]) throws {
        if invocation[Parameters.json] {
            return try surroundings.output.json(["nodes": .array(standings.map(json))])
        }
        try surroundings.output.write(table(standings))
        for line in remarks(standings) { try surroundings.errors.line(line) }
    }

    /// Table and remarks together, for a screen that shows both.
    private func text(_ standings: [Standing]) -> String {
        let palette = surroundings.palette
        let marked = remarks(standings).map { palette.yellow($0) + "\n" }
        return table(standings) + marked.joined()
    }

    private func table(_ standings: [Standing]) -> String {
        var table = Table([
            .init("node"), .init("state"), .init("applied"), .init("lag", .right), .init("block", .right),
            .init("open rows", .right), .init("rpo", .right), .init("input chain", .left),
            .init("effect chain", .left), .init("url", .left),
        ])
        table.rows = standings.map(row)
        return table.render(width: surroundings.width, palette: surroundings.palette)
    }

    /// Errors and warnings, a line each.
    private func remarks(_ standings: [Standing]) -> [String] {
        standings.flatMap { standing -> [String] in
            switch standing.result {
            case .failure(let error): return [Failure(error).line]
            case .success(let status):
                let problems = status.error.map { ["\(status.node): \(Failure($0.error).line)"] } ?? []
                return problems + status.warnings.map { "\(status.node): warning: \($0)" }
            }
        }
    }

    private func row(_ standing: Standing) -> [String] {
        guard case .success(let status) = standing.result else {
            return ["–", "unreachable", "", "", "", "", "", "", "", standing.url]
        }
        return [
            status.node, status.state.rawValue, status.applied?.position.description ?? "–",
            status.lag.map { Quantity.count($0.records) } ?? "–", status.adopted?.block.description ?? "–",
            status.openBlock.map { Quantity.count($0.rows) } ?? "–", rpo(status),
            status.applied?.inputChain ?? "", status.applied?.effectChain ?? "", standing.url,
        ]
    }

    /// Transactions that only the log holds, and since when.
    private func rpo(_ status: StatusAnswer) -> String {
        guard let rpo = status.rpo else { return "–" }
        guard rpo.transactions > 0 else { return "0" }
        return "\(Quantity.count(rpo.transactions)) / \(Quantity.clock(.seconds(rpo.seconds)))"
    }
}
