/// What is asked of SQL, and what comes back.

public import VarveModel

/// Values for the marks of a statement.
public enum QueryParameters: Sendable {
    case none
    /// By position: as many as the statement has marks.
    case positional([Value])
    /// By name, without the mark (`:n`, `@n`, `$n` are all `n`).
    case named([Value.Field])
}

/// Bounds of one query.
public struct QueryLimits: Sendable {
    /// Bytes that one value may have, and that a join's hash may take.
    public var memoryBytesMax: Int
    /// Bytes of the whole answer; beyond it `RESULT_TOO_LARGE`.
    public var resultBytesMax: Int

    public init(memoryBytesMax: Int = 256 << 20, resultBytesMax: Int = 256 << 20) {
        self.memoryBytesMax = memoryBytesMax
        self.resultBytesMax = resultBytesMax
    }
}

/// How rows are handed over.
public enum QueryFormat: Sendable {
    /// JSON arrays separated by commas, to stand inside `"rows":[…]`.
    case json
    /// One JSON object a line.
    case ndjson
    /// Values, for an embedding program.
    case values
}

public struct QueryColumn: Sendable, Hashable {
    public let name: String
    public let type: Kind

    /// What the values of a column are; `any` where there are or may be several kinds.
    public enum Kind: String, Sendable {
        case integer, real, text, blob, timestamp, boolean, any
    }

    public init(name: String, type: Kind) {
        self.name = name
        self.type = type
    }
}

/// Some rows of an answer, in order.
public struct QueryBatch: Sendable {
    public enum Content: Sendable {
        case bytes([UInt8])
        case rows([[Value]])
    }

    public let rowCount: Int
    public let content: Content

    /// The text of `json` and `ndjson`; empty for `values`.
    public var bytes: [UInt8] {
        if case .bytes(let bytes) = content { bytes } else { [] }
    }

    /// The rows of `values`; empty for texts.
    public var rows: [[Value]] {
        if case .rows(let rows) = content { rows } else { [] }
    }
}

package struct QueryRequest: Sendable {
    package var sql: String
    package var parameters: QueryParameters
    package var format: QueryFormat
    /// From here on the query ends with `QUERY_TIMEOUT`.
    package var deadline: ContinuousClock.Instant
    package var limits: QueryLimits

    package init(
        sql: String, parameters: QueryParameters = .none, format: QueryFormat = .json,
        deadline: ContinuousClock.Instant, limits: QueryLimits = QueryLimits()
    ) {
        self.sql = sql
        self.parameters = parameters
        self.format = format
        self.deadline = deadline
        self.limits = limits
    }
}
