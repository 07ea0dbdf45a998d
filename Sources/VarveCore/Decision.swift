/// What became of one submission: a row of `varve.transactions`, and the answer to whoever asks for its id.

public import VarveModel

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

/// A place in a history: a position and the first 8 bytes of the input chain there. As text `0-13-9f2c41d07a6be853`.
public struct Token: Sendable, Hashable, CustomStringConvertible {
    public var position: Position
    /// nil in a bare position, which is taken without the check of history.
    public var chainPrefix: UInt64?

    public init(position: Position, chainPrefix: UInt64?) {
        self.position = position
        self.chainPrefix = chainPrefix
    }

    /// Reads a token, or a bare position.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, let position = Position("\(parts[0])-\(parts[1])") else {
            return nil
        }
        var prefix: UInt64?
        if parts.count == 3 {
            guard parts[2].utf8.count == 16, let bytes = VarveModel.bytes(fromHex: parts[2]) else { return nil }
            prefix = bytes.reduce(0) { $0 << 8 | UInt64($1) }
        }
        self.init(position: position, chainPrefix: prefix)
    }

    public var description: String {
        guard let chainPrefix else { return position.description }
        let digits = String(chainPrefix, radix: 16)
        return "\(position)-" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}
