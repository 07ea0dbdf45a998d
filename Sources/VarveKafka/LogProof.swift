import RdKafka
import Synchronization
import VarveLog
import VarveModel

/// Proof that what a tail has read came from the log that was read before: given after the reading, before anyone sees it.
///
/// A topic that is deleted and made anew under the feet of a node tells nobody. If it is refilled to just the length that was
/// read, the node's next record lands at the very offset that was due, is read back from there, and all fits: only another
/// look at an *older* record tells. So every batch that a tail takes bears a *stamp*, how many proofs had begun by then, and
/// is handed on only when a later one has succeeded. A batch of nothing but this handle's own records bears the stamp of their
/// reports instead: the proof begins with the report and runs while the records are being read back. One proof serves
/// everything that was taken before it began.
///
/// **What is asked**: `ReadAnchor`. One short question, no fetch, 0.3 ms; else the pinned records are read again.
///
/// The embedded broker has neither broker's times nor a way to delete a topic: there another log means another process, so a
/// lost connection, which is told before any record that follows it.
struct LogProof {
    private(set) var reads = ReadAnchor()
    var anchor: ReadAnchor.Mark? { reads.mark }
    /// The newest proof that succeeded; they are numbered from 1.
    private(set) var succeeded: UInt64 = 0
    private(set) var isRunning = false
    private var waiters: [CheckedContinuation<Turn, Never>] = []

    /// What whoever wants a proof does next.
    enum Turn: Sendable {
        case settled
        case make(UInt64)
        case lookAgain
    }

    /// Looks for an anchor in what was read and proved.
    mutating func note(_ records: RdKafkaRecords) {
        for place in records.places { note(place.offset, time: place.time.milliseconds) }
    }

    mutating func note(_ offset: Int64, time: Int64) { reads.note(offset, time: time) }

    mutating func replace(_ anchor: ReadAnchor.Mark?) { reads.replace(anchor) }

    mutating func begin() { isRunning = true }

    mutating func wait(_ continuation: CheckedContinuation<Turn, Never>) { waiters.append(continuation) }

    /// Returns who waits: all look again.
    mutating func end(_ number: UInt64) -> [CheckedContinuation<Turn, Never>] {
        isRunning = false
        succeeded = number
        defer { waiters = [] }
        return waiters
    }
}

extension KafkaLog {
    /// What a batch that is taken now bears.
    var stamp: UInt64 { proofsBegun.load(ordering: .acquiring) }

    /// Returns when a proof that began after `stamp` has succeeded, or has condemned the log, or could not be made: then the
    /// suspicion travels with the batch, and the reader waits until it is settled.
    func prove(after stamp: UInt64) async {
        guard !connection.isEmbedded else { return }
        while true {
            let turn = await withCheckedContinuation { (continuation: CheckedContinuation<LogProof.Turn, Never>) in
                let now: LogProof.Turn? = state.withLock { state in
                    if state.condemned != nil || state.closed || state.proof.succeeded > stamp { return .settled }
                    if state.proof.isRunning {
                        state.proof.wait(continuation)
                        return nil
                    }
                    state.proof.begin()
                    return .make(proofsBegun.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue)
                }
                if let now { continuation.resume(returning: now) }
            }
            switch turn {
            case .settled: return
            case .lookAgain: continue
            case .make(let number):
                await makeProof()
                for waiter in state.withLock({ $0.proof.end(number) }) { waiter.resume(returning: .lookAgain) }
            }
        }
    }

    private func makeProof() async {
        let (anchor, identity) = state.withLock { ($0.proof.anchor, $0.identity) }
        // Nothing was read: there is nothing that another log could differ in.
        guard let newest = identity.newest else { return }
        let outcome = await ReadAnchor.prove(
            anchor, newest: ReadAnchor.Mark(offset: newest.offset, time: newest.time),
            first: { await first(notBefore: $0) }, check: { await prove(identity) })
        state.withLock { state in
            switch outcome {
            case .proved: state.proved = .now
            case .checked(let found, _): state.proof.replace(found)
            }
        }
    }

    private func first(notBefore time: Int64) async -> Int64? {
        (try? await connection.firstOffset(topic, notBefore: time)) ?? nil
    }
}
