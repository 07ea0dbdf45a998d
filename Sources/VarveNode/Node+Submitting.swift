/// Transactions: submit one, ask for one, list them.

package import VarveCore
internal import VarveIndexing
internal import VarveLog
public import VarveModel
internal import VarveTelemetry

public struct SubmitOptions: Sendable {
    /// The submission's id; one is made when absent. A retry with the same id and content is the same submission.
    public var id: SubmissionID?
    /// How long to wait for the outcome.
    public var timeout: Duration
    /// How long, in log time, it may still be applied; nil takes the configuration's.
    public var expiry: Duration?
    public var awaitOutcome: Bool
    /// Called when the record has its place in the queue: what is submitted after that comes behind it in the log.
    package var whenQueued: (@Sendable () -> Void)?

    public init(
        id: SubmissionID? = nil, timeout: Duration = .seconds(10), expiry: Duration? = nil, awaitOutcome: Bool = true
    ) {
        self.id = id
        self.timeout = timeout
        self.expiry = expiry
        self.awaitOutcome = awaitOutcome
    }
}

package enum SubmitResult: Sendable {
    case decided(Decision)
    case pending(id: SubmissionID, expiresAt: Instant)
}

/// What became of a transaction, as an embedding program sees it.
public struct TransactionOutcome: Sendable {
    public let id: SubmissionID
    public let outcome: Outcome
    public let position: Position
    public let systemTime: Instant
    /// Give it to a later read (`after:`) on any node to see this write.
    public let token: Token
    /// Why it was aborted.
    public let error: VarveError?
}

extension Node {
    /// Appends a transaction and waits until this node has applied it: the answer is an outcome, never "maybe", unless
    /// `UNKNOWN_OUTCOME` is thrown with the id to resolve.
    @discardableResult
    public func submit(_ transaction: Transaction, timeout: Duration = .seconds(10)) async throws(VarveError)
        -> TransactionOutcome
    {
        guard case .decided(let decision) = try await submit(transaction, SubmitOptions(timeout: timeout)) else {
            throw VarveError(.internal, "an awaited submission has no outcome")
        }
        return TransactionOutcome(
            id: decision.id, outcome: decision.outcome, position: decision.position, systemTime: decision.systemTime,
            token: decision.token,
            error: decision.failure.map { VarveError($0.code, $0.detail, at: "/ops/\($0.operation)") })
    }

    package func submit(_ transaction: Transaction, _ options: SubmitOptions) async throws(VarveError) -> SubmitResult {
        let began = ContinuousClock.now
        let (payload, digest) = transaction.encoded()
        let expiry = options.expiry ?? configuration.transactions.expiry
        let submitted = try await indexer().submit(
            payload: payload, requestDigest: digest, id: options.id, expiryMs: expiry.milliseconds,
            until: began + options.timeout, awaitOutcome: options.awaitOutcome, whenQueued: options.whenQueued)
        instruments.submitSeconds.observe(ContinuousClock.now - began)
        switch submitted {
        case .decided(let decision): return .decided(decision)
        case .pending(let id, let expiresAt): return .pending(id: id, expiresAt: expiresAt)
        }
    }

    /// Bytes that the encoding of a transaction may have (`Transaction.encoded`).
    package var transactionBytesMax: Int {
        get throws(VarveError) { try indexer().log.recordBytesMax - Record.headerBytes }
    }

    /// What is known of a submission; nil proves nothing. With `resolve`, a cancel decides it now.
    package func transaction(
        _ id: SubmissionID, resolve: Bool, timeout: Duration
    ) async throws(VarveError) -> SubmitResult? {
        let indexer = try indexer()
        if let decision = try indexer.lookUp(id) { return .decided(decision) }
        guard resolve else { return indexer.pending(id).map { .pending(id: id, expiresAt: $0) } }
        return .decided(try await indexer.resolve(id, until: .now + timeout))
    }

    /// Decided submissions behind `since`, oldest first, and where to go on from; nil at the end.
    package func transactions(
        since: Position, limit: Int
    ) throws(VarveError) -> (decisions: [Decision], next: Position?) {
        let list = try indexer().snapshot.decisions(after: since, limit: limit)
        return (list, list.count == limit ? list.last?.position : nil)
    }
}
