/// What became of a submission: the answer to a POST, to a look-up by id, and a line of the list of transactions.

package import VarveModel

package struct TransactionAnswer: Sendable, Equatable {
    package var id: SubmissionID
    package var state: State

    package enum State: Sendable, Equatable {
        case decided(Decided)
        /// Nothing is decided yet; after `expiresAt` it can no longer be applied.
        case pending(expiresAt: Instant)
    }

    /// What a record of the log decided.
    package struct Decided: Sendable, Equatable {
        package var outcome: Outcome
        package var position: Position
        package var systemTime: Instant
        package var token: Token
        /// Of an aborted transaction.
        package var failure: Failure?

        package init(
            outcome: Outcome, position: Position, systemTime: Instant, token: Token, failure: Failure? = nil
        ) {
            self.outcome = outcome
            self.position = position
            self.systemTime = systemTime
            self.token = token
            self.failure = failure
        }
    }

    package struct Failure: Sendable, Equatable {
        package var code: ErrorCode
        /// Index of the operation that failed.
        package var operation: Int
        package var detail: String

        package init(code: ErrorCode, operation: Int, detail: String) {
            self.code = code
            self.operation = operation
            self.detail = detail
        }
    }

    package init(id: SubmissionID, _ state: State) {
        self.id = id
        self.state = state
    }

    /// `committed`, `aborted`, `cancelled`, `expired` or `pending`.
    package var status: String {
        switch state {
        case .decided(let decided): decided.outcome.description
        case .pending: "pending"
        }
    }

    package var decided: Decided? { if case .decided(let decided) = state { decided } else { nil } }
}

extension TransactionAnswer {
    package init(json: Value) throws(VarveError) {
        let fields = try WireFields(json, .answer)
        try self.init(fields)
    }

    init(_ source: WireFields) throws(VarveError) {
        var fields = source
        let id = try fields.id("id")
        let status = try fields.text("status")
        if status == "pending" {
            self.init(id: id, .pending(expiresAt: try fields.instant("expiresAt")))
            return
        }
        guard let outcome = Outcome(name: status) else { throw fields.fault("\"\(status)\" is no outcome", "status") }
        let position = try fields.position("position")
        var failure: Failure?
        if var error = try fields.optionalObject("error") {
            failure = Failure(
                code: ErrorCode(stored: try error.text("code")), operation: try error.count("op"),
                detail: try error.text("detail"))
        }
        self.init(
            id: id,
            .decided(
                Decided(
                    outcome: outcome, position: position, systemTime: try fields.instant("systemTime"),
                    token: try fields.optionalToken("token") ?? Token(position: position, chainPrefix: nil),
                    failure: failure)))
    }

    /// The same text as `json`'s, without a tree: the answer to most requests.
    package func write(to writer: inout JSONWriter) {
        writer.raw(#"{"id":""#)
        writer.raw(id.description)
        writer.raw(#"","status":""#)
        writer.raw(status)
        switch state {
        case .pending(let expiresAt):
            writer.raw(#"","expiresAt":""#)
            writer.raw(expiresAt.description)
        case .decided(let decided):
            writer.raw(#"","position":""#)
            writer.raw(decided.position.description)
            writer.raw(#"","systemTime":""#)
            writer.raw(decided.systemTime.description)
            writer.raw(#"","token":""#)
            writer.raw(decided.token.description)
            if let failure = decided.failure {
                writer.raw(#"","error":"#)
                writer.value(failure.json)
                writer.raw("}")
                return
            }
        }
        writer.raw(#""}"#)
    }

    package var json: Value { .object(jsonFields) }

    var jsonFields: [Value.Field] {
        var fields = [Value.Field("id", .text(of: id)), Value.Field("status", .text(status))]
        switch state {
        case .pending(let expiresAt): fields.append(.init("expiresAt", .text(of: expiresAt)))
        case .decided(let decided):
            fields.append(.init("position", .text(of: decided.position)))
            fields.append(.init("systemTime", .text(of: decided.systemTime)))
            fields.append(.init("token", .text(of: decided.token)))
            if let failure = decided.failure {
                fields.append(.init("error", failure.json))
            }
        }
        return fields
    }
}

extension TransactionAnswer.Failure {
    var json: Value {
        .fields(["code": .text(of: code), "op": .count(operation), "detail": .text(detail)])
    }
}

/// `GET /v1/transactions`: decided submissions, oldest first, and where to go on.
package struct TransactionsAnswer: Sendable, Equatable {
    package var transactions: [TransactionAnswer]
    /// To be given as `since` next time.
    package var next: Position

    package init(transactions: [TransactionAnswer], next: Position) {
        self.transactions = transactions
        self.next = next
    }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        next = try fields.position("next")
        transactions = []
        for entry in try fields.objects("transactions") { transactions.append(try TransactionAnswer(entry)) }
    }

    package var json: Value {
        .fields(["transactions": .array(transactions.map(\.json)), "next": .text(of: next)])
    }

    /// Most transactions of one answer.
    package static let limitMax = 10_000
    package static let limitDefault = 100
}
