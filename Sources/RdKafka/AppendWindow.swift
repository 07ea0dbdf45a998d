/// The bookkeeping of an `Appender`: a value without threads or C in it.
///
/// Records are numbered from 0 in the order of submission; the number travels with the record and comes back with its
/// report. Batches complete in that same order, each exactly once, when all their records have a report.
/// Invariants: `done ≤ handed ≤ submitted`; `handed − done ≤ window`, until waiting ones are given up; early reports are
/// those of `(done, handed)` only.
struct AppendWindow {
    typealias Completion = @Sendable ([AppendReport]) -> Void
    typealias Finished = (reports: [AppendReport], completion: Completion)

    private struct Batch {
        let records: RdKafkaValues
        let first: UInt64
        let completion: Completion
        var reports: [AppendReport] = []
        var end: UInt64 { first + UInt64(records.count) }
    }

    private let size: UInt64
    /// Reports that came before those of earlier records: rare, for a broker answers in order.
    private var early: [UInt64: AppendReport] = [:]
    /// Batches not yet complete, oldest first; those before `head` are gone.
    private var batches: [Batch] = []
    private var head = 0
    /// The batch that `handed` is in.
    private var handing = 0
    /// The batch that `done` is in, or one before it.
    private var reporting = 0
    private(set) var done: UInt64 = 0
    private(set) var handed: UInt64 = 0
    private(set) var submitted: UInt64 = 0
    /// Bytes submitted and not yet handed over.
    private(set) var waitingBytes = 0

    /// - Parameter size: most records without a report.
    init(size: Int) {
        precondition(size > 0, "the window has room for one record")
        self.size = UInt64(size)
    }

    var isIdle: Bool { done == submitted }
    var inFlight: Int { Int(handed - done) }
    var waiting: Int { Int(submitted - handed) }

    mutating func submit(_ records: RdKafkaValues, completion: @escaping Completion) {
        batches.append(Batch(records: records, first: submitted, completion: completion))
        submitted += UInt64(records.count)
        waitingBytes += records.size
    }

    /// Records of one batch, to be handed over together.
    struct Run {
        /// The number of the first.
        let first: UInt64
        let records: RdKafkaValues
        /// Which of the batch's.
        let range: Range<Int>
    }

    /// One of a run that was refused at once.
    typealias Refusal = (index: Int, error: RdKafkaError)

    private static let runMax = 512

    /// Gives the next records to `hand` as long as there are any and the window has room. `hand` answers how many of the run
    /// it dealt with, those that it noted as refused among them; fewer than it was given means that it is full.
    mutating func handOver(_ hand: (_ run: Run, _ refusals: inout [Refusal]) -> Int) {
        var refusals: [Refusal] = []
        while handed < submitted, handed - done < size {
            while batches[handing].end == handed { handing += 1 }
            let room = Int(size - (handed - done))
            let start = Int(handed - batches[handing].first)
            let count = min(batches[handing].records.count - start, room, Self.runMax)
            let run = Run(first: handed, records: batches[handing].records, range: start..<start + count)
            let dealtWith = hand(run, &refusals)
            for refusal in refusals { early[handed + UInt64(refusal.index)] = .refused(refusal.error) }
            refusals.removeAll(keepingCapacity: true)
            handed += UInt64(dealtWith)
            waitingBytes -= run.records.size(start..<start + dealtWith)
            if dealtWith < count { return }
        }
    }

    /// Notes the report of a record. A second report of the same record, or one of none of ours, is dropped.
    mutating func report(_ number: UInt64, _ report: AppendReport) {
        guard number >= done, number < handed, early.isEmpty || early[number] == nil else { return }
        if number == done { place(report) } else { early[number] = report }
    }

    /// The report of the record `done`, which is then done.
    private mutating func place(_ report: AppendReport) {
        while batches[reporting].end == done { reporting += 1 }
        if done == batches[reporting].first {
            batches[reporting].reports.reserveCapacity(batches[reporting].records.count)
        }
        batches[reporting].reports.append(report)
        done += 1
    }

    /// Ends everything that has no report yet: what was handed over is unknown, what was not is refused.
    mutating func abandon(_ error: RdKafkaError) {
        for number in done..<handed { report(number, .unknown(error)) }
        abandonWaiting(error)
    }

    /// Refuses what was never handed over, however full the window is: it is nowhere but here.
    mutating func abandonWaiting(_ error: RdKafkaError) {
        for number in handed..<submitted { early[number] = .refused(error) }
        handed = submitted
        waitingBytes = 0
        while handing < batches.count, batches[handing].end <= handed { handing += 1 }
    }

    /// Batches that have become complete, in order.
    mutating func takeFinished() -> [Finished] {
        var finished: [Finished] = []
        while !early.isEmpty, let report = early.removeValue(forKey: done) { place(report) }
        while head < batches.count, batches[head].end <= done {
            finished.append((batches[head].reports, batches[head].completion))
            head += 1
        }
        handing = max(handing, head)
        reporting = max(reporting, head)
        if head > 1_024 || head == batches.count {
            batches.removeFirst(head)
            handing -= head
            reporting -= head
            head = 0
        }
        return finished
    }
}
