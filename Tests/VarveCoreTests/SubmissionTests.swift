import Testing
import VarveCore
import VarveModel

/// Every rule of a submission, as inputs and the effects that follow.
@Suite struct SubmissionTests {
    let id = SubmissionID(high: 1, low: 2)
    let digest = Bytes16(high: 3, low: 4)
    let soon = Instant(microseconds: 60_000_000)
    let away = VarveError(.logUnreachable, "nobody answers. Nothing was written")

    func decision(_ outcome: Outcome = .committed, digest: Bytes16?) -> Decision {
        Decision(
            id: id, position: Position(.first, Offset(7)), systemTime: soon, effectiveTime: 1, outcome: outcome,
            requestDigest: digest, failure: nil, chainPrefix: 9)
    }

    /// One whose transaction has its place in the queue.
    func queued() -> Submission {
        var submission = Submission(id, .transaction(digest), looksUpFirst: false)
        #expect(submission.step(.begin) == .append)
        #expect(submission.step(.queued(expiresAt: soon)) == .wait)
        return submission
    }

    /// One whose transaction has no report and whose cancel has its place in the queue.
    func cancelling() -> Submission {
        var submission = queued()
        #expect(submission.step(.reported(.missing)) == .appendCancel)
        #expect(submission.step(.queued(expiresAt: nil)) == .wait)
        return submission
    }

    func code(_ effect: Submission.Effect) -> ErrorCode? {
        if case .fail(let error) = effect { error.code } else { nil }
    }

    @Test func aGivenIdIsLookedUpBeforeAnythingIsAppended() {
        var submission = Submission(id, .transaction(digest), looksUpFirst: true)
        #expect(submission.step(.begin) == .lookUp)
        var known = submission
        #expect(known.step(.lookedUp(decision(digest: digest))) == .answer(decision(digest: digest)))
        #expect(submission.step(.lookedUp(nil)) == .append)
    }

    @Test func theReadBackAnswersAndAReportDoesNot() {
        var submission = queued()
        #expect(submission.step(.reported(.stored)) == .wait)
        #expect(submission.step(.decided(decision(digest: digest))) == .answer(decision(digest: digest)))
        #expect(submission.step(.void) == .wait)
        #expect(submission.step(.ended(nil)) == .wait)
    }

    @Test(arguments: [Outcome.committed, .aborted, .cancelled, .expired])
    func everyOutcomeIsAnAnswerAlsoBeforeAnyReport(outcome: Outcome) {
        var submission = queued()
        #expect(
            submission.step(.decided(decision(outcome, digest: digest))) == .answer(decision(outcome, digest: digest)))
    }

    @Test func anIdThatWasUsedForOtherContentIsAConflict() {
        var submission = queued()
        #expect(code(submission.step(.decided(decision(digest: Bytes16(high: 0, low: 0))))) == .idConflict)
        // Unless a cancel decided it: no content was ever applied.
        var cancelled = queued()
        #expect(
            cancelled.step(.decided(decision(.cancelled, digest: nil))) == .answer(decision(.cancelled, digest: nil)))
    }

    @Test func aRefusalBeforeAnythingMayBeWrittenIsDefinite() {
        var submission = queued()
        #expect(submission.step(.reported(.refused(away))) == .fail(away))
    }

    @Test func whatAPurgeCaughtUnsentIsSentAgain() {
        var submission = queued()
        #expect(submission.step(.reported(.withdrawn)) == .append)
        #expect(submission.step(.queued(expiresAt: soon)) == .wait)
        #expect(submission.step(.reported(.refused(away))) == .fail(away))
    }

    @Test func aRecordWithoutAReportIsCancelledOnce() {
        var submission = cancelling()
        #expect(submission.step(.reported(.missing)) == .wait)
        #expect(
            submission.step(.decided(decision(.cancelled, digest: nil))) == .answer(decision(.cancelled, digest: nil)))
    }

    @Test func whicheverComesFirstInTheLogDecides() {
        var submission = cancelling()
        #expect(submission.step(.reported(.stored)) == .wait)
        #expect(submission.step(.decided(decision(digest: digest))) == .answer(decision(digest: digest)))
    }

    @Test func aCancelThatWasNeverSentGoesAgain() {
        var submission = cancelling()
        #expect(submission.step(.reported(.withdrawn)) == .appendCancel)
    }

    @Test func whenNotEvenTheCancelIsTakenTheOutcomeIsUnknownWithIdAndExpiry() throws {
        var submission = cancelling()
        guard case .fail(let error) = submission.step(.reported(.refused(away))) else {
            Issue.record("no answer")
            return
        }
        #expect(error.code == .unknownOutcome)
        #expect(error.id == id)
        #expect(error.expiresAt == soon)
        #expect(error.next == "GET /v1/transactions/\(id)?resolve=true")
    }

    @Test func theEndOfTheWaitIsUnknownOnlyIfSomethingMayBeWritten() {
        var sent = queued()
        #expect(code(sent.step(.ended(nil))) == .unknownOutcome)
        var unsent = Submission(id, .transaction(digest), looksUpFirst: false)
        _ = unsent.step(.begin)
        #expect(code(unsent.step(.ended(nil))) == .logUnreachable)
        var stopped = Submission(id, .transaction(digest), looksUpFirst: false)
        _ = stopped.step(.begin)
        let replaced = VarveError(.logReplaced, "another log")
        #expect(stopped.step(.ended(replaced)) == .fail(replaced))
        var cancelled = cancelling()
        #expect(code(cancelled.step(.ended(nil))) == .unknownOutcome)
    }

    @Test func aVoidRecordIsLookedUpAndSentAgainAndNotForEver() {
        var submission = queued()
        for _ in 1..<Submission.roundsMax {
            #expect(submission.step(.reported(.stored)) == .wait)
            #expect(submission.step(.void) == .lookUp)
            #expect(submission.step(.lookedUp(nil)) == .append)
            #expect(submission.step(.queued(expiresAt: soon)) == .wait)
        }
        var unreported = submission
        #expect(submission.step(.reported(.stored)) == .wait)
        // A log may write a record twice: this may be the one before, and the newest is still to come.
        #expect(code(submission.step(.void)) == .unknownOutcome)
        #expect(code(unreported.step(.void)) == .unknownOutcome)
    }

    @Test func whatIsRefusedBehindAVoidIsCertainOnlyWhenNoOtherRecordMayDecide() {
        var submission = queued()
        _ = submission.step(.reported(.stored))
        #expect(submission.step(.void) == .lookUp)
        _ = submission.step(.lookedUp(nil))
        _ = submission.step(.queued(expiresAt: soon))
        var refused = submission
        // The only record before it was void.
        #expect(code(refused.step(.reported(.refused(VarveError(.logDenied, "no"))))) == .logDenied)
        // The first one once more, while the second is in the log and will decide.
        _ = submission.step(.reported(.stored))
        #expect(submission.step(.void) == .lookUp)
        _ = submission.step(.lookedUp(nil))
        _ = submission.step(.queued(expiresAt: soon))
        #expect(code(submission.step(.reported(.refused(VarveError(.logDenied, "no"))))) == .unknownOutcome)
    }

    @Test func aVoidCancelIsSentAgainAsACancel() {
        var submission = cancelling()
        #expect(submission.step(.void) == .lookUp)
        #expect(submission.step(.lookedUp(nil)) == .appendCancel)
        _ = submission.step(.queued(expiresAt: nil))
        for _ in 2..<Submission.roundsMax { _ = submission.step(.void) }
        #expect(code(submission.step(.void)) == .unknownOutcome)
    }

    @Test func resolvingLooksUpAndThenCancels() {
        var submission = Submission(id, .cancel, looksUpFirst: true)
        #expect(submission.step(.begin) == .lookUp)
        #expect(submission.step(.lookedUp(nil)) == .appendCancel)
        _ = submission.step(.queued(expiresAt: nil))
        var refused = submission
        #expect(refused.step(.reported(.refused(away))) == .fail(away))
        #expect(submission.step(.decided(decision(.committed, digest: digest))) == .answer(decision(digest: digest)))
    }

    @Test func aSubmissionThatNobodyWaitsForIsCancelledToo() {
        var submission = Submission(unawaited: id, isCancel: false)
        #expect(submission.step(.reported(.missing)) == .appendCancel)
        var cancel = Submission(unawaited: id, isCancel: true)
        #expect(cancel.step(.reported(.missing)) == .wait)
    }

    @Test func reportsArePurgedAfterFiveSecondsInWhichTheTailDidNotLag() {
        var submission = queued()
        for _ in 0..<4 { #expect(submission.step(.elapsed(milliseconds: 1_000, tailLags: false)) == .wait) }
        // A lagging tail says that the log is slow, not that the record is lost: the count begins anew.
        #expect(submission.step(.elapsed(milliseconds: 60_000, tailLags: true)) == .wait)
        for _ in 0..<4 { #expect(submission.step(.elapsed(milliseconds: 1_000, tailLags: false)) == .wait) }
        #expect(submission.step(.elapsed(milliseconds: 1_000, tailLags: false)) == .purge)
        #expect(submission.step(.elapsed(milliseconds: 60_000, tailLags: false)) == .wait)
        #expect(submission.step(.reported(.missing)) == .appendCancel)
    }

    @Test func aRecordWithAReportWaitsForItsReadBackAlone() {
        var submission = queued()
        #expect(submission.step(.reported(.stored)) == .wait)
        #expect(submission.step(.elapsed(milliseconds: 60_000, tailLags: false)) == .wait)
    }
}
