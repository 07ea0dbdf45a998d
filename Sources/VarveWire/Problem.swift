/// Every error as it travels: `application/problem+json` (RFC 9457), or an object inside a last line `{"error":{…}}`.

package import VarveModel

package struct Problem: Sendable, Equatable {
    package var status: Int
    package var title: String
    package var code: ErrorCode
    package var detail: String
    /// JSON pointer into the request.
    package var at: String?
    package var next: String?
    /// The page to follow, by its path in the documentation.
    package var runbook: String?
    /// Of a submission whose outcome is unknown.
    package var id: SubmissionID?
    package var expiresAt: Instant?
    /// Of a load's body, from 1.
    package var line: Int?

    package static let contentType = "application/problem+json"

    package init(_ error: VarveError, line: Int? = nil) {
        status = httpStatus(of: error.code)
        title = httpTitle(status)
        code = error.code
        detail = error.message
        at = error.at
        next = error.next
        runbook = VarveWire.runbook(of: error.code)
        id = error.id
        expiresAt = error.expiresAt
        self.line = line
    }

    /// What a client throws.
    package var error: VarveError {
        var error = VarveError(code, detail, next: next, at: at)
        error.id = id
        error.expiresAt = expiresAt
        return error
    }
}

extension Problem {
    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        status = try fields.count("status")
        title = try fields.optionalText("title") ?? httpTitle(status)
        code = ErrorCode(stored: try fields.text("code"))
        detail = try fields.optionalText("detail") ?? title
        at = try fields.optionalText("at")
        next = try fields.optionalText("next")
        runbook = try fields.optionalText("runbook")
        id = try fields.optionalID("id")
        expiresAt = try fields.optionalInstant("expiresAt")
        line = try fields.optionalCount("line")
    }

    package var json: Value {
        .fields([
            "title": .text(title), "status": .count(status), "code": .text(of: code), "detail": .text(detail),
            "at": at.map { .text($0) }, "next": next.map { .text($0) }, "runbook": runbook.map { .text($0) },
            "id": id.map { .text(of: $0) }, "expiresAt": expiresAt.map { .text(of: $0) },
            "line": line.map { .count($0) },
        ])
    }

    /// The last line of a stream that could not go on.
    package var lastLine: Value { .fields(["error": json]) }
}

/// The one table of codes and runbooks: the page or the section of one where an operator reads on. nil for faults of a
/// request alone, whose answer says all: docs/runbooks/requests.md has them for whoever writes a client.
package func runbook(of code: ErrorCode) -> String? {
    switch code {
    case .logBehind: "docs/runbooks/log-behind-storage.md"
    case .logGap: "docs/runbooks/log-gap.md"
    case .logReplaced: "docs/runbooks/log-replaced.md"
    case .logDiverged: "docs/runbooks/log-diverged.md"
    case .logMissing: "docs/runbooks/log-lost.md"
    case .logCorrupt: "docs/runbooks/log-corrupt.md"
    case .poison: "docs/runbooks/poison.md"
    case .logWeak, .logLocked, .logDenied, .logUnreachable: section("log-access", code)
    case .epochStale, .epochAhead: "docs/runbooks/epoch-mismatch.md"
    case .targetUnfit: section("migrate-topic", code)
    case .planStale: section("salvage-after-bump", code)
    case .storageFull: "docs/runbooks/storage-full.md"
    case .storageForeign, .storageMissing, .storageWeak, .storageDenied, .storageUnreachable,
        .blockCorrupt, .chainBroken, .ioFatal:
        section("storage-trouble", code)
    case .divergence: "docs/runbooks/divergence.md"
    case .unsupportedRecord, .configInvalid, .addressInUse, .nodeIDTaken, .notReady, .overloaded, .internal:
        section("node-trouble", code)
    case .unknownOutcome, .oversize, .idConflict, .conflict, .assertFailed, .alreadyExists, .historyToken,
        .flushTimeout:
        section("requests", code)
    default: nil
    }
}

/// A heading that is the code.
private func section(_ page: String, _ code: ErrorCode) -> String {
    "docs/runbooks/\(page).md#\(code.rawValue.lowercased())"
}

/// The one table of codes and statuses. A code that stops a node (of log, epoch or storage) is answered 503.
package func httpStatus(of code: ErrorCode) -> Int {
    switch code {
    case .badRequest, .sqlError: 400
    case .unauthenticated: 401
    case .readOnly: 403
    case .notFound: 404
    case .methodNotAllowed: 405
    case .notAcceptable: 406
    case .requestTimeout: 408
    case .idConflict, .historyToken, .conflict, .alreadyExists, .assertFailed, .targetUnfit, .planStale: 409
    case .oversize, .resultTooLarge: 413
    case .unsupportedMediaType: 415
    case .headersTooLarge: 431
    case .internal: 500
    case .unknownOutcome, .queryTimeout, .flushTimeout: 504
    default: 503
    }
}

package func httpTitle(_ status: Int) -> String {
    switch status {
    case 400: "Bad request"
    case 401: "Unauthenticated"
    case 403: "Forbidden"
    case 404: "Not found"
    case 405: "Method not allowed"
    case 406: "Not acceptable"
    case 408: "Request timeout"
    case 409: "Conflict"
    case 413: "Too large"
    case 415: "Unsupported media type"
    case 431: "Headers too large"
    case 500: "Internal error"
    case 503: "Unavailable"
    case 504: "Timeout"
    default: "Error"
    }
}
