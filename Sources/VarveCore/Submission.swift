/// One submission, from the look-up of its id to its answer: a value without clock, log or tasks.
///
/// Whoever runs it carries the effects out and steps it with what came of them. The rules:
///
/// - **A record decides, a report does not.** `decided` answers in every phase, whichever of this submission's records
///   (or of another node's with the same id) decided it.
/// - **Refused means nothing was written.** Only a record that certainly is not in the log, and no other of this
///   submission's that may be, gives a refusal.
/// - **A record without a report** is waited for as `ReportPatience` says, then everything without a report is purged
///   (queue and in flight together), then a cancel is appended *once*: whichever of the two comes first in the log decides
///   on all nodes.
/// - **Void decides nothing**: the id is looked up and the record sent again, at most `roundsMax` times.
/// - **Unknown** is the answer only when time is up, or not even the cancel can be appended; it names id and expiry.
///
/// Invariants: at most one cancel is in the log for each void; after `answer` no effect follows.

package import VarveModel

package struct Submission: Sendable, Equatable {
    /// What a submission wants in the log.
    package enum Kind: Sendable, Equatable {
        /// A transaction with this request digest.
        case transaction(Bytes16)
        /// A cancel: the id is to be decided now.
        case cancel
    }

    package enum Input: Sendable, Equatable {
        case begin
        /// What own state and blocks hold of the id.
        case lookedUp(Decision?)
        /// The record has its place in the queue; until when it may be applied, nil for a cancel.
        case queued(expiresAt: Instant?)
        /// What the log says of the newest record.
        case reported(Report)
        /// Time went by since the newest record was handed to the log.
        case elapsed(milliseconds: Int64, tailLags: Bool)
        /// A record with this id was read back and applied.
        case decided(Decision)
        case void
        /// The client waits no longer, or the node goes no further, with what stopped it.
        case ended(VarveError?)
    }

    package enum Report: Sendable, Equatable {
        case stored
        /// Certainly not in the log; what this submission wants cannot be had now.
        case refused(VarveError)
        /// Certainly not in the log, because a purge came before it was sent: nothing speaks against sending it again.
        case withdrawn
        /// Nothing is certain.
        case missing
    }

    package enum Effect: Sendable, Equatable {
        /// Look the id up, step with `lookedUp`.
        case lookUp
        /// Append the transaction's record, made anew (`observed` is the state of the look-up); step with `queued`.
        case append
        /// Append a cancel of the id; step with `queued`.
        case appendCancel
        /// Give up everything without a report, queue and in flight together; reports follow.
        case purge
        /// Nothing to do until the next input.
        case wait
        case answer(Decision)
        case fail(VarveError)
    }

    private enum Phase: Equatable {
        case looking
        /// A record is queued or handed over, and has no report.
        case unreported(ReportPatience)
        /// Purged; the report comes.
        case purged
        /// Only the read-back is wanting.
        case awaiting
        case answered
    }

    /// Voids that are answered by sending again.
    package static let roundsMax = 8

    package let id: SubmissionID
    package let kind: Kind
    private var phase = Phase.looking
    private var round = 0
    /// A cancel is, or was, on its way: from here on only cancels are sent.
    private var isCancelling: Bool
    /// A record of this submission may be in the log, or may come, and may decide.
    private var mayBeWritten = false
    /// The same before the newest record was handed over.
    private var mayBeWrittenBefore = false
    /// Records of this submission that were handed over and are not known to be refused.
    private var records = 0
    /// The latest of what was queued.
    private var expiresAt: Instant?
    private let looksUpFirst: Bool

    /// - Parameter looksUpFirst: false for an id that was made just now, which nobody else can have used.
    package init(_ id: SubmissionID, _ kind: Kind, looksUpFirst: Bool) {
        self.id = id
        self.kind = kind
        self.looksUpFirst = looksUpFirst
        isCancelling = kind == .cancel
    }

    /// A submission that nobody waits for and that is in the log's hands: for its report alone.
    package init(unawaited id: SubmissionID, isCancel: Bool) {
        self.init(id, .cancel, looksUpFirst: false)
        isCancelling = isCancel
        phase = .unreported(ReportPatience())
    }

    package mutating func step(_ input: Input) -> Effect {
        if case .answered = phase { return .wait }
        switch input {
        case .begin: return looksUpFirst ? .lookUp : send()
        case .lookedUp(let decision?), .decided(let decision): return conclude(decision)
        case .lookedUp(nil): return send()
        case .queued(let expiresAt): return queued(expiresAt)
        case .reported(let report): return reported(report)
        case .elapsed(let milliseconds, let tailLags): return elapsed(milliseconds, tailLags)
        case .void: return void()
        case .ended(let reason): return ended(reason)
        }
    }

    /// The header of the cancel of a record without a report. It has seen no more than that record: its id may have been
    /// decided, and forgotten, since.
    package static func cancel(of header: RecordHeader) -> RecordHeader {
        RecordHeader(
            type: .cancel, logTag: header.logTag, id: header.id, writer: header.writer, observed: header.observed,
            inputChain: header.inputChain, effectChain: header.effectChain)
    }

    // MARK: the rules

    private func send() -> Effect { isCancelling ? .appendCancel : .append }

    private mutating func conclude(_ decision: Decision) -> Effect {
        phase = .answered
        // A cancel decided it: then any content is answered "cancelled".
        if case .transaction(let digest) = kind, let decided = decision.requestDigest, decided != digest {
            var error = VarveError(
                .idConflict,
                "the submission id \(id) was used for other content, decided at \(decision.position)",
                next: "use a new id for a new transaction")
            error.id = id
            return .fail(error)
        }
        return .answer(decision)
    }

    private mutating func queued(_ expiresAt: Instant?) -> Effect {
        if let expiresAt { self.expiresAt = max(self.expiresAt ?? expiresAt, expiresAt) }
        mayBeWrittenBefore = mayBeWritten
        mayBeWritten = true
        records += 1
        phase = .unreported(ReportPatience())
        return .wait
    }

    private mutating func reported(_ report: Report) -> Effect {
        switch report {
        case .stored:
            phase = .awaiting
            return .wait
        case .withdrawn:
            forgetNewest()
            return send()
        case .refused(let error):
            forgetNewest()
            return mayBeWritten ? fail(unknown("not even its cancellation is taken: \(error.message)")) : fail(error)
        case .missing:
            phase = .awaiting
            // Once: a cancel without a report is not cancelled again.
            if isCancelling { return .wait }
            isCancelling = true
            return .appendCancel
        }
    }

    /// The newest record is certainly not in the log; one before it, or the transaction before its cancel, still may be.
    private mutating func forgetNewest() {
        phase = .looking
        mayBeWritten = mayBeWrittenBefore
        records -= 1
    }

    private mutating func elapsed(_ milliseconds: Int64, _ tailLags: Bool) -> Effect {
        guard case .unreported(var patience) = phase else { return .wait }
        let isOver = patience.isOver(after: milliseconds, tailLags: tailLags)
        phase = isOver ? .purged : .unreported(patience)
        return isOver ? .purge : .wait
    }

    private mutating func void() -> Effect {
        round += 1
        // A record that a log wrote twice is void twice, and the second time may be told when a later one is in the log
        // already: only of one alone it is certain which was void.
        if records == 1 { mayBeWritten = false }
        guard round < Self.roundsMax else {
            return fail(unknown("its id was forgotten \(Self.roundsMax) times before its record came"))
        }
        phase = .looking
        return .lookUp
    }

    private mutating func ended(_ reason: VarveError?) -> Effect {
        if mayBeWritten { return fail(unknown(reason.map { "the node stopped: \($0.message)" })) }
        return fail(
            reason
                ?? VarveError(
                    .logUnreachable, "the log did not take the submission \(id) in time. Nothing was written",
                    next: "retry later"))
    }

    private mutating func fail(_ error: VarveError) -> Effect {
        phase = .answered
        return .fail(error)
    }

    private func unknown(_ why: String?) -> VarveError {
        let until = expiresAt.map { ": it may still be applied, until the log's time is \($0)" } ?? ""
        var error = VarveError(
            .unknownOutcome,
            "the submission \(id) was not read back in time\(until)" + (why.map { " (\($0))" } ?? ""),
            next: "GET /v1/transactions/\(id)?resolve=true")
        error.id = id
        error.expiresAt = expiresAt
        return error
    }
}

/// How long records without a report are waited for before they are purged.
///
/// Only time counts in which the own tail is known not to lag: while it does, or while nobody answers, the log is slow or
/// away, and records that wait for it will come.
package struct ReportPatience: Sendable, Equatable {
    package static let defaultMilliseconds: Int64 = 5_000

    private let limit: Int64
    private var counted: Int64 = 0

    package init(milliseconds: Int64 = defaultMilliseconds) { limit = milliseconds }

    /// Counts time; true once it is enough.
    package mutating func isOver(after milliseconds: Int64, tailLags: Bool) -> Bool {
        if tailLags {
            counted = 0
        } else {
            counted += milliseconds
        }
        return counted >= limit
    }
}
