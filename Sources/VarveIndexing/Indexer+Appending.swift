/// The appender: hands what waits to the log, batch by batch, and passes on what the log says of it.
///
/// A record without a report is not waited for for ever: once the own tail has been at the end of the log for as long as
/// `ReportPatience` says, everything without a report is purged at once, what was never sent goes again, and what may be in
/// the log is cancelled (`Submission`). Nothing of this costs anything while reports come. A log that asks this node to hold
/// back (a broker's quota) owes no reports for as long as it does: records wait, the queue fills, and beyond its bounds
/// submitters are refused.

internal import Synchronization
internal import VarveCore
internal import VarveLog
internal import VarveModel
internal import VarveTelemetry

extension Indexer {
    /// The batch in the log's hands.
    struct Handing: Sendable {
        var patience: ReportPatience
        var wasPurged = false
    }

    func appendLoop() async {
        await withTaskCancellationHandler {
            while let taken = await queue.next() {
                await waitForLogRoom()
                guard let log = await openLog() else { return refuse(taken) }
                let batch = renewed(taken)
                let began = ContinuousClock.now
                let results = await log.append(batch.map(numbered))
                let wasPurged = handing.withLock { handing in
                    defer { handing = nil }
                    return handing?.wasPurged ?? false
                }
                options.onAppend(ContinuousClock.now - began)
                take(results, of: batch, wasPurged: wasPurged)
            }
        } onCancel: {
            queue.close()
        }
    }

    /// The log to hand the next batch to, once its epoch is open; nil when the node ends. Crossing waits for what was
    /// handed over before.
    private func openLog() async -> (any Log)? {
        while !Task.isCancelled && !isOver {
            handing.withLock { $0 = Handing(patience: patience) }
            let (log, isOpen) = present.withLock { ($0.log, $0.isOpen) }
            if isOpen { return log }
            handing.withLock { $0 = nil }
            try? await Task.sleep(for: .milliseconds(1))
        }
        handing.withLock { $0 = nil }
        return nil
    }

    /// In the order of the log: a number that is wanting there tells every reader that something is wrong.
    private func numbered(_ item: AppendQueue.Pending) -> Bytes {
        var header = item.header
        header.writerSequence = sequence.wrappingAdd(1, ordering: .relaxed).newValue
        return Record(header: header, payload: item.payload).encoded()
    }

    private func take(_ results: [AppendResult], of batch: [AppendQueue.Pending], wasPurged: Bool) {
        var unsent: [AppendQueue.Pending] = []
        var missing = 0
        for (item, result) in zip(batch, results) {
            switch result {
            case .stored: counters.appended.add(1, ordering: .relaxed)
            case .refused(let error):
                if wasPurged && (error.code == .overloaded || error.code == .logUnreachable) {
                    unsent.append(item)
                } else {
                    report(.refused(error), of: item)
                }
            case .unknown(let error):
                missing += 1
                if missing == 1 {
                    logger.warning(
                        "records have no report and are being resolved",
                        metadata: ["first": "\(item.id)", "why": error.message])
                }
                report(.missing, of: item)
            }
        }
        // In their order, and before whatever was submitted after them.
        if !unsent.isEmpty, !queue.enqueueUrgent(unsent) { refuse(unsent) }
    }

    /// To whoever waits for it; a submission that nobody waits for is carried on here.
    private func report(_ report: Submission.Report, of item: AppendQueue.Pending) {
        guard !waiters.resolve(item.id, tag: item.tag, .reported(report)) else { return }
        guard item.type == .transaction || item.type == .cancel else { return }
        var submission = Submission(unawaited: item.id, isCancel: item.type == .cancel)
        guard case .appendCancel = submission.step(.reported(report)) else { return }
        // It has seen no more than the record it cancels: that one may have been decided, and forgotten, since.
        _ = queue.enqueueUrgent([makeCancel(of: item)])
    }

    /// What was never handed to the log.
    private func refuse(_ items: [AppendQueue.Pending]) {
        let error =
            stopped ?? VarveError(.notReady, "this node was stopped. Nothing was written", next: "use another node")
        for item in items { waiters.resolve(item.id, tag: item.tag, .reported(.refused(error))) }
    }

    /// An embedded broker forgets what it holds beyond a few megabytes: appends wait until blocks have caught up.
    private func waitForLogRoom() async {
        guard let most = options.unadoptedBytesMax else { return }
        while !Task.isCancelled && !isOver {
            guard published.withLock({ $0.unadoptedBytes }) > most else { return }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    // MARK: Records without a report

    private var patience: ReportPatience { ReportPatience(milliseconds: options.reportPatienceMs) }

    private static let reportTick = Duration.milliseconds(250)
    /// An answer of the log on where its end is says nothing of now when it is older than this.
    private static let endFreshness = Duration.milliseconds(2_500)

    /// Purges when the batch in the log's hands has waited long enough.
    func watchReports() async {
        var before = ContinuousClock.now
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.reportTick)
            let now = ContinuousClock.now
            let elapsed = (now - before).components
            before = now
            let lags = tailLags(now) || isHeldBack(now)
            let milliseconds = elapsed.seconds * 1_000 + elapsed.attoseconds / 1_000_000_000_000_000
            let isOver = handing.withLock { handing in
                guard handing?.patience.isOver(after: milliseconds, tailLags: lags) == true else { return false }
                handing = Handing(patience: patience, wasPurged: true)
                return true
            }
            guard isOver else { continue }
            logger.warning(
                "the log has not reported on records for \(options.reportPatienceMs) ms although it can be read: they are "
                    + "given up and resolved")
            log.purge()
        }
    }

    /// Whether the log reads nothing of this node's now because it sent more than it may.
    private func isHeldBack(_ now: ContinuousClock.Instant) -> Bool {
        guard handing.withLock({ $0 != nil }), let until = log.health.heldBackUntil else { return false }
        return now < until
    }

    /// Whether there may be more in the log than was applied; true when nobody knows.
    private func tailLags(_ now: ContinuousClock.Instant) -> Bool {
        published.withLock { published in
            guard let seen = published.endSeen, now - seen.at < Self.endFreshness else { return true }
            return published.next < seen.end
        }
    }
}
