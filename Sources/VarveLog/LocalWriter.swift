/// Group commit: callers queue up, one thread takes everything that waits, writes it as one batch, syncs, answers.
///
/// Callers wait suspended, in line; at most `bufferSize` records and `batchBytesMax` bytes are taken at a time, so what
/// the writer holds is bounded whatever waits. While it syncs, the next batch gathers: the slower the disk, the larger the
/// batches.

import VarveIO
import VarveModel

final class LocalWriter: Sendable {
    static let batchBytesMax = 8 << 20
    /// How long after the last batch its durability is stated by a header of its own.
    static let headerDelayMilliseconds = 100

    typealias Answer = CheckedContinuation<[AppendResult], Never>

    struct Call: Sendable {
        let records: [Bytes]
        let answer: Answer
    }

    private struct Inbox: Sendable {
        var calls: [Call] = []
        var trims: [(below: Offset, done: CheckedContinuation<Void, Never>)] = []
        var closers: [CheckedContinuation<Void, Never>] = []
        var isClosing = false
        var hasEnded = false
    }

    private struct Work {
        var calls: [Call]
        var trims: [(below: Offset, done: CheckedContinuation<Void, Never>)]
        var isClosing: Bool
    }

    private let inbox = Monitor(Inbox())
    private let name: String
    private let bufferSize: Int

    init(name: String, bufferSize: Int) {
        self.name = name
        self.bufferSize = max(1, bufferSize)
    }

    // MARK: What tasks call

    func append(_ records: [Bytes]) async -> [AppendResult] {
        await withCheckedContinuation { answer in
            let isTaken = inbox.signal { inbox in
                guard !inbox.isClosing else { return false }
                inbox.calls.append(Call(records: records, answer: answer))
                return true
            }
            if !isTaken { answer.resume(returning: records.map { _ in .refused(.closed(name)) }) }
        }
    }

    func trim(below offset: Offset) async {
        await withCheckedContinuation { done in
            let isTaken = inbox.signal { inbox in
                guard !inbox.isClosing else { return false }
                inbox.trims.append((offset, done))
                return true
            }
            if !isTaken { done.resume() }
        }
    }

    /// Writes what waits, then ends the thread; returns when its files are closed.
    func close() async {
        await withCheckedContinuation { done in
            let hasEnded = inbox.signal { inbox in
                inbox.isClosing = true
                if !inbox.hasEnded { inbox.closers.append(done) }
                return inbox.hasEnded
            }
            if hasEnded { done.resume() }
        }
    }

    /// The same without waiting: for a log that nobody holds any more.
    func abandon() { inbox.signal { $0.isClosing = true } }

    // MARK: The thread

    func run(_ writer: consuming SegmentWriter, trim: (Offset) -> Void) {
        var line = Line(bufferSize: bufferSize, name: name)
        while true {
            let delay: Int? =
                !line.isEmpty ? 0 : writer.owesHeader && line.failure == nil ? Self.headerDelayMilliseconds : nil
            let work = inbox.wait(milliseconds: delay) { inbox -> Work? in
                guard !inbox.calls.isEmpty || !inbox.trims.isEmpty || inbox.isClosing else { return nil }
                defer {
                    inbox.calls.removeAll(keepingCapacity: true)
                    inbox.trims.removeAll()
                }
                return Work(calls: inbox.calls, trims: inbox.trims, isClosing: inbox.isClosing)
            }
            if let work {
                line.add(work.calls)
                for item in work.trims {
                    trim(item.below)
                    item.done.resume()
                }
            }
            if !line.isEmpty {
                line.commit(to: &writer)
            } else if work == nil || work?.isClosing == true {
                line.stateDurable(&writer)
                if work?.isClosing == true { return }
            }
        }
    }

    /// To be called when the thread's files are closed.
    func finish() {
        let closers = inbox.withLock { inbox in
            inbox.hasEnded = true
            defer { inbox.closers.removeAll() }
            return inbox.closers
        }
        for closer in closers { closer.resume() }
    }
}

/// The calls that wait, in order, and how far each has come.
private struct Line {
    private struct Waiting {
        let call: LocalWriter.Call
        var results: [AppendResult] = []
    }

    private let bufferSize: Int
    private let name: String
    private var waiting: [Waiting] = []
    private var batch: [Bytes] = []
    /// Set once the log is poisoned: nothing is written any more.
    private(set) var failure: VarveError?

    init(bufferSize: Int, name: String) {
        self.bufferSize = bufferSize
        self.name = name
    }

    var isEmpty: Bool { waiting.isEmpty }

    mutating func add(_ calls: [LocalWriter.Call]) { for call in calls { waiting.append(Waiting(call: call)) } }

    /// Writes the next batch and answers the calls that are complete with it.
    mutating func commit(to writer: inout SegmentWriter) {
        let first = writer.next
        let verdict: Verdict
        let taken: Taken
        if let failure {
            taken = Taken(calls: waiting.count, lastRecords: waiting.last?.call.records.count ?? 0)
            verdict = .refused(failure)
        } else {
            taken = gather()
            do throws(SegmentWriter.Failure) {
                verdict = .stored(from: first, time: try writer.write(batch))
            } catch {
                switch error {
                case .refused(let error):
                    verdict = .refused(error)
                case .fatal(let error):
                    failure = error
                    verdict = .unknown(error)
                }
            }
            batch.removeAll(keepingCapacity: true)
        }
        answer(taken, verdict)
    }

    mutating func stateDurable(_ writer: inout SegmentWriter) {
        guard failure == nil else { return }
        do throws(SegmentWriter.Failure) { try writer.writeHeader() } catch {
            // No room for a header harms nothing: the next batch states the same.
            if case .fatal(let error) = error { failure = error }
        }
    }

    private enum Verdict {
        case stored(from: Offset, time: Int64)
        case refused(VarveError)
        case unknown(VarveError)
    }

    /// All records of the first `calls` calls but the last, of which the records below `lastRecords` are in the batch.
    private struct Taken {
        var calls = 0
        var lastRecords = 0
    }

    private mutating func gather() -> Taken {
        var taken = Taken()
        var bytes = 0
        for index in waiting.indices {
            let records = waiting[index].call.records
            taken = Taken(calls: index + 1, lastRecords: waiting[index].results.count)
            while taken.lastRecords < records.count {
                let record = records[taken.lastRecords]
                if record.count <= logRecordBytesMax {
                    let size = record.count + RecordFrame.overhead
                    let isFull = batch.count >= bufferSize || bytes + size > LocalWriter.batchBytesMax
                    if isFull, !batch.isEmpty { return taken }
                    batch.append(record)
                    bytes += size
                }
                taken.lastRecords += 1
            }
        }
        return taken
    }

    private mutating func answer(_ taken: Taken, _ verdict: Verdict) {
        var number: Int64 = 0
        var complete = 0
        for index in 0..<taken.calls {
            let records = waiting[index].call.records
            let end = index + 1 == taken.calls ? taken.lastRecords : records.count
            waiting[index].results.reserveCapacity(records.count)
            while waiting[index].results.count < end {
                let result: AppendResult
                if let error = VarveError.oversize(records[waiting[index].results.count]) {
                    result = .refused(error)
                } else {
                    switch verdict {
                    case .stored(let first, let time):
                        result = .stored(offset: Offset(first.value + number), time: time)
                        number += 1
                    case .refused(let error): result = .refused(error)
                    case .unknown(let error): result = .unknown(error)
                    }
                }
                waiting[index].results.append(result)
            }
            if end == records.count {
                waiting[index].call.answer.resume(returning: waiting[index].results)
                complete += 1
            }
        }
        waiting.removeFirst(complete)
    }
}
