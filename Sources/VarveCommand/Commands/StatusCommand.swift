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
        let standings = await withTaskGroup(of: (Int, Standing).self) { group in
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
        if invocation[Parameters.json] {
            try surroundings.output.json(["nodes": .array(standings.map(json))])
        } else {
            try show(standings)
        }
        return standings.allSatisfy(isReady) ? .success : .unavailable
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
        var table = Table([
            .init("node"), .init("state"), .init("applied"), .init("input chain", .left), .init("effect chain", .left),
            .init("block", .right), .init("open rows", .right), .init("lag", .right), .init("rpo", .right),
            .init("url", .left),
        ])
        table.rows = standings.map(row)
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
        for standing in standings {
            switch standing.result {
            case .failure(let error): try surroundings.errors.line(Failure(error).line)
            case .success(let status):
                guard let problem = status.error else { continue }
                try surroundings.errors.line("\(status.node): \(Failure(problem.error).line)")
            }
        }
    }

    private func row(_ standing: Standing) -> [String] {
        guard case .success(let status) = standing.result else {
            return ["", "unreachable", "", "", "", "", "", "", "", standing.url]
        }
        return [
            status.node, status.state.rawValue, status.applied?.position.description ?? "",
            status.applied?.inputChain ?? "", status.applied?.effectChain ?? "",
            status.adopted?.block.description ?? "–", status.openBlock.map { Quantity.count($0.rows) } ?? "",
            status.lag.map { Quantity.count($0.records) } ?? "",
            status.rpo.map { Quantity.count($0.transactions) } ?? "", standing.url,
        ]
    }
}
