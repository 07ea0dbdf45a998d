/// The bookkeeping of an `Appender`: a value without threads or C in it.
///
/// Records are numbered from 0 in the order of submission; the number travels with the record and comes back with its
/// report. Batches complete in that same order, each exactly once, when all their records have a report.
/// Invariants: `done ≤ handed ≤ submitted`; `handed − done ≤ window`; cells hold the reports of `[done, handed)` only.
struct AppendWindow {
    typealias Completion = @Sendable ([AppendReport]) -> Void
    typealias Finished = (reports: [AppendReport], completion: Completion)

    private struct Batch {
        let records: [[UInt8]]
        let first: UInt64
        let completion: Completion
        var reports: [AppendReport] = []
        var end: UInt64 { first + UInt64(records.count) }
    }

    private let mask: UInt64
    private var cells: [AppendReport?]
    /// Batches not yet complete, oldest first; those before `head` are gone.
    private var batches: [Batch] = []
    private var head = 0
    /// The batch that `handed` is in.
    private var handing = 0
    private(set) var done: UInt64 = 0
    private(set) var handed: UInt64 = 0
    private(set) var submitted: UInt64 = 0
    /// Bytes submitted and not yet handed over.
    private(set) var waitingBytes = 0

    /// - Parameter size: most records without a report; a power of two.
    init(size: Int) {
        precondition(size > 0 && size & (size - 1) == 0, "the window is a power of two")
        mask = UInt64(size - 1)
        cells = Array(repeating: nil, count: size)
    }

    var isIdle: Bool { done == submitted }
    var inFlight: Int { Int(handed - done) }
    var waiting: Int { Int(submitted - handed) }

    mutating func submit(_ records: [[UInt8]], completion: @escaping Completion) {
        batches.append(Batch(records: records, first: submitted, completion: completion))
        submitted += UInt64(records.count)
        waitingBytes += records.reduce(0) { $0 + $1.count }
    }

    /// Gives the next record to `hand` as long as there is one and the window has room; `hand` answers whether it took
    /// it (a refusal at once counts as taken; its report must follow by `report`).
    mutating func handOver(_ hand: (_ number: UInt64, _ record: [UInt8]) -> HandOver) {
        while handed < submitted, handed - done <= mask {
            while batches[handing].end == handed { handing += 1 }
            let batch = batches[handing]
            let record = batch.records[Int(handed - batch.first)]
            let answer = hand(handed, record)
            if case .full = answer { return }
            if case .refused(let error) = answer { cells[Int(handed & mask)] = .refused(error) }
            handed += 1
            waitingBytes -= record.count
        }
    }

    enum HandOver {
        case taken
        case full
        case refused(RdKafkaError)
    }

    /// Notes the report of a record. A second report of the same record, or one of none of ours, is dropped.
    mutating func report(_ number: UInt64, _ report: AppendReport) {
        guard number >= done, number < handed, cells[Int(number & mask)] == nil else { return }
        cells[Int(number & mask)] = report
    }

    /// Ends everything that has no report yet: what was handed over is unknown, what was not is refused.
    mutating func abandon(_ error: RdKafkaError) {
        for number in done..<handed { report(number, .unknown(error)) }
        abandonWaiting(error)
    }

    /// Refuses what was never handed over: it is nowhere but here.
    mutating func abandonWaiting(_ error: RdKafkaError) {
        var finished: [Finished] = []
        while handed < submitted {
            handOver { _, _ in .refused(error) }
            finished += takeFinished()
        }
        leftOver += finished
    }

    private var leftOver: [Finished] = []

    /// Batches that have become complete, in order.
    mutating func takeFinished() -> [Finished] {
        var finished = leftOver
        leftOver = []
        while head < batches.count {
            while done < handed, done < batches[head].end, let report = cells[Int(done & mask)] {
                cells[Int(done & mask)] = nil
                batches[head].reports.append(report)
                done += 1
            }
            guard batches[head].end == done else { break }
            finished.append((batches[head].reports, batches[head].completion))
            head += 1
        }
        handing = max(handing, head)
        if head > 1_024 || head == batches.count {
            batches.removeFirst(head)
            handing -= head
            head = 0
        }
        return finished
    }
}
