/// What the oracle says of one record.

internal import VarveModel

extension Reference {
    struct Verdict: Equatable {
        var id: SubmissionID
        var position: Position
        var outcome: Outcome
        var requestDigest: Bytes16?
        var code: ErrorCode?
        var operation: Int?
        var systemTime: Int64
        var effectiveTime: Int64
    }

    /// What a record does, as its reader learns it.
    enum Meaning: Equatable {
        case decided(Verdict)
        case void(SubmissionID)
        case passed
        case foreign
        /// Of a later version, and not needed to go on.
        case skipped
    }

    struct After {
        var meaning: Meaning
        var inputChain: Digest
        var effectChain: Bytes16
        var effectiveTime: Int64
        var systemTime: Int64
        var horizon: Position
        /// The block that the record completes.
        var block: Manifest?
        /// The epoch ends here.
        var seal: Seal?
    }
}
