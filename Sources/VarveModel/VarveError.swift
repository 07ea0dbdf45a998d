/// What went wrong, in words for a person and a code for programs.
///
/// The code decides the runbook; `message` says what failed, on what, why, and what is safe; `next` is the command to
/// run. Secrets never enter any of them.

public struct ErrorCode: Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String
    init(_ rawValue: String) { self.rawValue = rawValue }
    /// A code as it stands in a block or an answer.
    package init(stored rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    // Log
    public static let logBehind = ErrorCode("LOG_BEHIND")
    public static let logGap = ErrorCode("LOG_GAP")
    public static let logReplaced = ErrorCode("LOG_REPLACED")
    public static let logDiverged = ErrorCode("LOG_DIVERGED")
    public static let logCorrupt = ErrorCode("LOG_CORRUPT")
    public static let logMissing = ErrorCode("LOG_MISSING")
    public static let logWeak = ErrorCode("LOG_WEAK")
    public static let logLocked = ErrorCode("LOG_LOCKED")
    public static let logDenied = ErrorCode("LOG_DENIED")
    public static let logUnreachable = ErrorCode("LOG_UNREACHABLE")
    public static let unsupportedRecord = ErrorCode("UNSUPPORTED_RECORD")
    // Epoch
    public static let epochStale = ErrorCode("EPOCH_STALE")
    public static let epochAhead = ErrorCode("EPOCH_AHEAD")
    public static let targetUnfit = ErrorCode("TARGET_UNFIT")
    public static let planStale = ErrorCode("PLAN_STALE")
    public static let chainBroken = ErrorCode("CHAIN_BROKEN")
    // Storage
    public static let storageForeign = ErrorCode("STORAGE_FOREIGN")
    public static let storageMissing = ErrorCode("STORAGE_MISSING")
    public static let storageWeak = ErrorCode("STORAGE_WEAK")
    public static let storageFull = ErrorCode("STORAGE_FULL")
    public static let storageDenied = ErrorCode("STORAGE_DENIED")
    public static let storageUnreachable = ErrorCode("STORAGE_UNREACHABLE")
    public static let blockCorrupt = ErrorCode("BLOCK_CORRUPT")
    public static let ioFatal = ErrorCode("IO_FATAL")
    // Node
    public static let divergence = ErrorCode("DIVERGENCE")
    public static let poison = ErrorCode("POISON")
    public static let nodeIDTaken = ErrorCode("NODE_ID_TAKEN")
    public static let addressInUse = ErrorCode("ADDRESS_IN_USE")
    public static let configInvalid = ErrorCode("CONFIG_INVALID")
    public static let notReady = ErrorCode("NOT_READY")
    public static let overloaded = ErrorCode("OVERLOADED")
    public static let `internal` = ErrorCode("INTERNAL")
    // Transaction
    public static let oversize = ErrorCode("OVERSIZE")
    public static let idConflict = ErrorCode("ID_CONFLICT")
    public static let conflict = ErrorCode("CONFLICT")
    public static let assertFailed = ErrorCode("ASSERT_FAILED")
    public static let alreadyExists = ErrorCode("ALREADY_EXISTS")
    public static let unknownOutcome = ErrorCode("UNKNOWN_OUTCOME")
    public static let historyToken = ErrorCode("HISTORY_TOKEN")
    // Request
    public static let badRequest = ErrorCode("BAD_REQUEST")
    public static let sqlError = ErrorCode("SQL_ERROR")
    public static let unauthenticated = ErrorCode("UNAUTHENTICATED")
    public static let readOnly = ErrorCode("READ_ONLY")
    public static let notFound = ErrorCode("NOT_FOUND")
    public static let methodNotAllowed = ErrorCode("METHOD_NOT_ALLOWED")
    public static let notAcceptable = ErrorCode("NOT_ACCEPTABLE")
    public static let requestTimeout = ErrorCode("REQUEST_TIMEOUT")
    public static let resultTooLarge = ErrorCode("RESULT_TOO_LARGE")
    public static let unsupportedMediaType = ErrorCode("UNSUPPORTED_MEDIA_TYPE")
    public static let headersTooLarge = ErrorCode("HEADERS_TOO_LARGE")
    public static let queryTimeout = ErrorCode("QUERY_TIMEOUT")
    public static let flushTimeout = ErrorCode("FLUSH_TIMEOUT")
}

public struct VarveError: Error, Sendable, Equatable, CustomStringConvertible {
    public var code: ErrorCode
    /// What failed, on what, why, and what is safe. One line.
    public var message: String
    /// The command or change that comes next, if one is known.
    public var next: String?
    /// JSON pointer into the request, or `file:line key.path` of a configuration.
    public var at: String?
    /// The submission in question and until when it may still be applied, with `UNKNOWN_OUTCOME`.
    public var id: SubmissionID?
    public var expiresAt: Instant?

    public init(_ code: ErrorCode, _ message: String, next: String? = nil, at: String? = nil) {
        self.code = code
        self.message = message
        self.next = next
        self.at = at
    }

    public var description: String {
        var text = "\(code): \(message)"
        if let at { text += " (at \(at))" }
        if let next { text += "; next: \(next)" }
        return text
    }
}
