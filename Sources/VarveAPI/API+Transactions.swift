/// Transactions: submit one, ask for one, list them.

import VarveCore
import VarveHTTPServer
import VarveIndexing
import VarveModel
import VarveNode
import VarveWire

extension TransactionAnswer {
    init(_ decision: Decision) {
        self.init(
            id: decision.id,
            .decided(
                Decided(
                    outcome: decision.outcome, position: decision.position, systemTime: decision.systemTime,
                    token: decision.token,
                    failure: decision.failure.map {
                        Failure(code: $0.code, operation: $0.operation, detail: $0.detail)
                    })))
    }

    init(_ result: SubmitResult) {
        switch result {
        case .decided(let decision): self.init(decision)
        case .pending(let id, let expiresAt): self.init(id: id, .pending(expiresAt: expiresAt))
        }
    }
}

extension API {
    func submit(_ exchange: Exchange) async throws(VarveError) -> Response {
        let request = try SubmitRequest(json: exchange.body)
        let result = try await node.submit(
            request.transaction,
            SubmitOptions(
                id: request.id, timeout: request.timeout, expiry: request.expiry,
                awaitOutcome: request.awaitsOutcome))
        if case .pending = result { return answer(result, status: 202) }
        return answer(result, status: 200)
    }

    private func answer(_ result: SubmitResult, status: Int) -> Response {
        var writer = JSONWriter(reservingCapacity: 256)
        TransactionAnswer(result).write(to: &writer)
        return .json(status: status, writer.bytes)
    }

    func transaction(_ text: String, _ parameters: Parameters) async throws(VarveError) -> Response {
        guard let id = SubmissionID(hex: text) else {
            throw VarveError(.badRequest, "a transaction's id has 32 hexadecimal digits", at: "/v1/transactions/{id}")
        }
        let timeout = try parameters.timeout() ?? SubmitRequest.timeoutDefault
        let read = try ReadParameters(query: parameters.pairs)
        if read.after != nil { _ = try await node.read(ReadOptions(after: read.after, timeout: timeout)) }
        let resolve = try parameters.flag("resolve")
        guard let result = try await node.transaction(id, resolve: resolve, timeout: timeout) else {
            throw VarveError(
                .notFound, "nothing is known here of the submission \(id), which proves nothing",
                next: "GET /v1/transactions/\(id)?resolve=true decides it now")
        }
        return answer(result, status: 200)
    }

    func transactions(_ parameters: Parameters) async throws(VarveError) -> Response {
        var since = Position.zero
        if let text = parameters["since"] {
            guard let position = Position(text) else {
                throw VarveError(.badRequest, "since must be a position like 0-123", at: "?since")
            }
            since = position
        }
        let limit =
            try parameters.integer("limit", 1...TransactionsAnswer.limitMax) ?? TransactionsAnswer.limitDefault
        let view = try await view(parameters)
        let decisions = try view.snapshot.decisions(after: since, limit: limit)
            .prefix { $0.position <= view.readPosition }
        let answer = TransactionsAnswer(
            transactions: decisions.map { TransactionAnswer($0) }, next: decisions.last?.position ?? since)
        return .json(answer.json, view.headers)
    }
}
