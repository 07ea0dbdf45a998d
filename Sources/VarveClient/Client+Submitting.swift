// Transactions: submit one, ask what became of one.

public import VarveModel
package import VarveWire

/// What became of a transaction.
public struct SubmittedTransaction: Sendable, Equatable {
    public let id: SubmissionID
    public let outcome: Outcome
    public let position: Position
    public let systemTime: Instant
    /// Given to a later read (`after`) on any node, that read sees this write.
    public let token: Token
    /// Why it was aborted.
    public let error: VarveError?
}

extension Client {
    /// Submits, and answers with the outcome. Sends the same id to further nodes until one answers.
    /// Throws `UNKNOWN_OUTCOME` with the id when none does and it may have been applied.
    @discardableResult
    public func submit(
        _ transaction: Transaction, id: SubmissionID? = nil, timeout: Duration = .seconds(10)
    ) async throws(VarveError) -> SubmittedTransaction {
        let request = SubmitRequest(transaction, id: id, timeout: timeout)
        let answer = try await submit(request)
        guard let decided = answer.decided else {
            throw VarveError(.internal, "an awaited submission was answered without an outcome")
        }
        return SubmittedTransaction(
            id: answer.id, outcome: decided.outcome, position: decided.position, systemTime: decided.systemTime,
            token: decided.token,
            error: decided.failure.map { VarveError($0.code, $0.detail, at: "/ops/\($0.operation)") })
    }

    /// The same for a whole request.
    package func submit(_ request: SubmitRequest) async throws(VarveError) -> TransactionAnswer {
        var request = request
        var random = SystemRandomNumberGenerator()
        let id = request.id ?? SubmissionID.random(using: &random)
        request.id = id
        let call = Call(
            method: "POST", target: "/v1/transactions", headers: [Call.json], body: try request.json(),
            timeout: request.timeout + options.answerTimeout)
        let reply: Reply
        do throws(CallFailure) {
            reply = try await perform(call)
        } catch {
            guard error.mayHaveArrived else { throw error.error }
            var unknown = VarveError(
                .unknownOutcome, "submission \(id) may have been applied: \(error.error.message)",
                next: "send it again with the id \(id): the first outcome is the answer")
            unknown.id = id
            unknown.expiresAt = error.error.expiresAt
            throw unknown
        }
        if let error = reply.error { throw error }
        return try TransactionAnswer(json: reply.json())
    }

    /// What is known of a submission; nil proves nothing. `resolve` decides it now, if need be by a cancel.
    package func transaction(_ id: SubmissionID, resolve: Bool = false) async throws(VarveError) -> TransactionAnswer? {
        do throws(VarveError) {
            let reply = try await get("/v1/transactions/\(id)" + queryText(resolve ? [("resolve", "true")] : []))
            return try TransactionAnswer(json: reply.json())
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    /// Decided submissions behind `since`, oldest first.
    package func transactions(since: Position = .zero, limit: Int = 100) async throws(VarveError) -> TransactionsAnswer
    {
        let query = [(name: "since", value: since.description), (name: "limit", value: String(limit))]
        return try TransactionsAnswer(json: try await get("/v1/transactions" + queryText(query)).json())
    }
}
