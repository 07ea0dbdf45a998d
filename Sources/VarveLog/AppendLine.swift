/// The append calls that wait, in order, and how far each has come.
///
/// A call may be larger than a batch; then its records go out in several. What is in flight is always a prefix of the
/// line, and is answered or given up before more is gathered.

import VarveModel

struct AppendLine: Sendable {
    typealias Answer = CheckedContinuation<[AppendResult], Never>

    private struct Call: Sendable {
        let records: [Bytes]
        let answer: Answer
        var results: [AppendResult] = []
        /// Records below this are in flight or have their result.
        var taken = 0
    }

    /// A call that is complete: resumed when no lock is held.
    struct Finished: Sendable {
        let answer: Answer
        let results: [AppendResult]

        func resume() { answer.resume(returning: results) }
    }

    /// What became of the batch that was gathered last.
    enum Verdict: Sendable {
        case stored(from: Offset, time: Int64)
        case refused(VarveError)
        case unknown(VarveError)
    }

    private var calls: [Call] = []

    var isEmpty: Bool { calls.isEmpty }
    var count: Int { calls.count }

    mutating func add(_ records: [Bytes], _ answer: Answer) { calls.append(Call(records: records, answer: answer)) }

    /// The next batch; at least one record unless all that wait are too large. It is in flight now.
    mutating func gather(records most: Int, bytes bytesMost: Int) -> [Bytes] {
        var batch: [Bytes] = []
        var bytes = 0
        for index in calls.indices {
            while calls[index].taken < calls[index].records.count {
                let record = calls[index].records[calls[index].taken]
                if record.count <= logRecordBytesMax {
                    let size = record.count + RecordFrame.overhead
                    let isFull = batch.count >= most || bytes + size > bytesMost
                    if isFull, !batch.isEmpty { return batch }
                    batch.append(record)
                    bytes += size
                }
                calls[index].taken += 1
            }
        }
        return batch
    }

    /// Gives the records in flight their results; returns the calls that are complete with them.
    mutating func answer(_ verdict: Verdict) -> [Finished] {
        var number: Int64 = 0
        var finished: [Finished] = []
        for index in calls.indices {
            let taken = calls[index].taken
            // Calls that came after a purge are not in this batch.
            guard taken > 0 else { break }
            for record in calls[index].records[calls[index].results.count..<taken] {
                calls[index].results.append(result(record, verdict, &number))
            }
            guard taken == calls[index].records.count else { break }
            finished.append(Finished(answer: calls[index].answer, results: calls[index].results))
        }
        calls.removeFirst(finished.count)
        return finished
    }

    /// Gives up all calls. What is in flight may get into the log; what still waits never will.
    mutating func purge(_ log: String) -> [Finished] {
        let unknown = Verdict.unknown(
            VarveError(.logUnreachable, "\(log) was still writing the record when it was given up; it may be there"))
        let refused = Verdict.refused(
            VarveError(.overloaded, "the record still waited for \(log) when it was given up; nothing was written"))
        var number: Int64 = 0
        defer { calls.removeAll() }
        return calls.map { call in
            var results = call.results
            for index in results.count..<call.records.count {
                results.append(result(call.records[index], index < call.taken ? unknown : refused, &number))
            }
            return Finished(answer: call.answer, results: results)
        }
    }

    private func result(_ record: Bytes, _ verdict: Verdict, _ number: inout Int64) -> AppendResult {
        if let error = VarveError.oversize(record) { return .refused(error) }
        switch verdict {
        case .stored(let first, let time):
            defer { number += 1 }
            return .stored(offset: Offset(first.value + number), time: time)
        case .refused(let error): return .refused(error)
        case .unknown(let error): return .unknown(error)
        }
    }
}
