/// Group commit: callers queue up, one thread takes what waits, writes it as one batch, syncs, answers.
///
/// At most `bufferSize` records and `batchBytesMax` bytes are in flight, that is taken from their callers and not yet
/// synced; whoever else appends waits suspended, in line, and nothing of its records is copied meanwhile. While a batch is
/// synced the next one gathers: the slower the disk, the larger the batches. Callers who were just answered are likely to
/// come again at once, each with one record more: before a batch of few is written the thread waits for as many as it
/// answered last, at most half the time that the last sync took.

import VarveIO
import VarveModel

final class LocalWriter: Sendable {
    static let batchBytesMax = 8 << 20
    /// How long after the last batch its durability is stated by a header of its own.
    static let headerDelayMilliseconds = 100
    private static let lingerMicrosecondsMax: Int64 = 1_000

    private struct Inbox: Sendable {
        var line = AppendLine()
        /// Fewer calls than this in line do not wake the thread.
        var wakesAt = 1
        var trims: [Trim] = []
        var closers: [CheckedContinuation<Void, Never>] = []
        var isClosing = false
        var hasEnded = false
    }

    private struct Trim: Sendable {
        let below: Offset
        let done: CheckedContinuation<Void, Never>
    }

    private struct Work {
        var batch: [Bytes]
        var trims: [Trim]
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
            let isTaken = inbox.change { inbox in
                guard !inbox.isClosing else { return (false, false) }
                inbox.line.add(records, answer)
                return (true, inbox.line.count >= inbox.wakesAt)
            }
            if !isTaken { answer.resume(returning: records.map { _ in .refused(.closed(name)) }) }
        }
    }

    /// Answers everything that waits or is being written, now.
    func purge() {
        for finished in inbox.withLock({ $0.line.purge(name) }) { finished.resume() }
    }

    func trim(below offset: Offset) async {
        await withCheckedContinuation { done in
            let isTaken = inbox.signal { inbox in
                guard !inbox.isClosing else { return false }
                inbox.trims.append(Trim(below: offset, done: done))
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
        // Set once the log is poisoned: nothing is written any more.
        var failure: VarveError?
        var answered = 0
        var lingerMicroseconds = 0
        while true {
            let delay =
                failure != nil
                ? nil : writer.owesHeader ? Self.headerDelayMilliseconds : LocalPlace.lookMilliseconds
            linger(for: answered, microseconds: lingerMicroseconds)
            let work = inbox.wait(milliseconds: delay) { inbox -> Work? in
                guard !inbox.line.isEmpty || !inbox.trims.isEmpty || inbox.isClosing else { return nil }
                defer { inbox.trims.removeAll() }
                return Work(
                    batch: inbox.line.gather(records: bufferSize, bytes: Self.batchBytesMax), trims: inbox.trims,
                    isClosing: inbox.isClosing && inbox.line.isEmpty)
            }
            for item in work?.trims ?? [] {
                Self.look(writer, &failure)
                // By path: what stands there may be another's.
                if failure == nil { trim(item.below) }
                item.done.resume()
            }
            if let work, !work.batch.isEmpty || !work.isClosing {
                let began = ContinuousClock.now
                let verdict = Self.commit(work.batch, to: &writer, &failure)
                lingerMicroseconds = Self.lingerMicroseconds(after: .now - began)
                let finished = inbox.withLock { $0.line.answer(verdict) }
                answered = finished.count
                for call in finished { call.resume() }
            } else {
                if writer.owesHeader {
                    Self.stateDurable(&writer, &failure)
                } else {
                    Self.look(writer, &failure)
                }
                if work?.isClosing == true {
                    if failure == nil { writer.cutZeros() }
                    return
                }
            }
        }
    }

    /// Waits for more calls when there are some, but fewer than `count`.
    private func linger(for count: Int, microseconds: Int) {
        guard count > 1, microseconds > 0 else { return }
        let mustWait = inbox.withLock { inbox in
            guard !inbox.line.isEmpty, inbox.line.count < count, !inbox.isClosing else { return false }
            inbox.wakesAt = count
            return true
        }
        guard mustWait else { return }
        inbox.wait(microseconds: microseconds) { inbox -> Void? in
            inbox.line.count >= inbox.wakesAt || inbox.line.isEmpty || inbox.isClosing || !inbox.trims.isEmpty
                ? () : nil
        }
        inbox.withLock { $0.wakesAt = 1 }
    }

    private static func lingerMicroseconds(after sync: Duration) -> Int {
        let microseconds = sync.components.seconds * 1_000_000 + sync.components.attoseconds / 1_000_000_000_000
        return Int(min(microseconds / 2, lingerMicrosecondsMax))
    }

    private static func commit(
        _ batch: [Bytes], to writer: inout SegmentWriter, _ failure: inout VarveError?
    ) -> AppendLine.Verdict {
        if let failure { return .refused(failure) }
        let first = writer.next
        do throws(SegmentWriter.Failure) {
            return .stored(from: first, time: try writer.write(batch))
        } catch {
            switch error {
            case .refused(let error):
                return .refused(error)
            case .fatal(let error):
                failure = error
                return .unknown(error)
            }
        }
    }

    private static func stateDurable(_ writer: inout SegmentWriter, _ failure: inout VarveError?) {
        guard failure == nil else { return }
        do throws(SegmentWriter.Failure) { try writer.writeHeader() } catch {
            // No room for a header harms nothing: the next batch states the same.
            if case .fatal(let error) = error { failure = error }
        }
    }

    private static func look(_ writer: borrowing SegmentWriter, _ failure: inout VarveError?) {
        guard failure == nil else { return }
        do throws(SegmentWriter.Failure) { try writer.requirePlace() } catch {
            if case .fatal(let error) = error { failure = error }
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
