/// What became of one submission: a row of `varve.transactions`, and the answer to whoever asks for its id.

package import VarveModel

package struct Decision: Sendable, Equatable {
    package var id: SubmissionID
    /// Of the record that decided it.
    package var position: Position
    package var systemTime: Instant
    /// In ms; what the id window forgets by.
    package var effectiveTime: Int64
    package var outcome: Outcome
    /// nil when a cancel decided it: then any content is answered "cancelled".
    package var requestDigest: Bytes16?
    package var failure: Failure?
    /// First 8 bytes of H at the position, as a big-endian number: with the position, the token.
    package var chainPrefix: UInt64

    /// Why a transaction was aborted.
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

    package init(
        id: SubmissionID, position: Position, systemTime: Instant, effectiveTime: Int64, outcome: Outcome,
        requestDigest: Bytes16?, failure: Failure?, chainPrefix: UInt64
    ) {
        self.id = id
        self.position = position
        self.systemTime = systemTime
        self.effectiveTime = effectiveTime
        self.outcome = outcome
        self.requestDigest = requestDigest
        self.failure = failure
        self.chainPrefix = chainPrefix
    }

    package var token: Token { Token(position: position, chainPrefix: chainPrefix) }
}

extension PersistentTree where Key == Position, Value == Decision {
    /// The decision about an id at or before a position: looked for one by one, here, where the compiler knows the types.
    package func decision(_ id: SubmissionID, upTo horizon: Position) -> Decision? {
        var cursor = cursor()
        while let (position, decision) = cursor.current, position <= horizon {
            if decision.id == id { return decision }
            cursor.advance()
        }
        return nil
    }
}
