/// Where in the history a reader wants to be: a token to read one's own writes, a point in the past.

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

/// A point in the past: at a position, or at a time.
public enum AsOf: Sendable, Hashable, CustomStringConvertible {
    case position(Position)
    case instant(Instant)

    /// Reads `0-123` or an RFC 3339 instant.
    public init?(_ text: String) {
        if let position = Position(text) {
            self = .position(position)
        } else if let instant = Instant(text) {
            self = .instant(instant)
        } else {
            return nil
        }
    }

    public var description: String {
        switch self {
        case .position(let position): position.description
        case .instant(let instant): instant.description
        }
    }
}
