import RdKafka
import Synchronization
import VarveLog
import VarveModel

/// What tails tell of what they read, compared with what reports promised; doubts, proofs, and what follows when the topic
/// turns out to be another one.
extension KafkaLog {
    /// Notes what a tail has read and gives what the reader must know. Compares with what reports promised.
    func delivered(_ records: RdKafkaRecords) -> String? {
        state.withLock { state in
            state.identity.note(records)
            state.proof.note(records)
            if !state.expected.isEmpty {
                let values = Bytes(records.values)
                for place in records.places {
                    guard let promised = state.expected.removeValue(forKey: place.offset) else { continue }
                    if promised.record != values[place.range] {
                        doubt("offset \(place.offset) holds another record than the one reported there", &state)
                    }
                }
            }
            if let last = records.places.last { state.position = max(state.position, last.offset + 1) }
            defer { state.suspicion = nil }
            return state.suspicion
        }
    }

    func note(suspicion: String) {
        state.withLock { raise(suspicion, &$0) }
    }

    /// The suspicion that nobody was told of yet.
    func takeSuspicion() -> String? {
        state.withLock { state in
            defer { state.suspicion = nil }
            return state.suspicion
        }
    }

    func doubt(_ suspicion: String, _ state: inout State) {
        raise(suspicion, &state)
        state.doubts += 1
    }

    func raise(_ suspicion: String, _ state: inout State) {
        // The first says most; those that follow are usually of the same event.
        if state.suspicion == nil {
            state.suspicion = suspicion
            state.counters.suspicions += 1
        }
    }

    func forget(_ tail: KafkaLogTail) {
        state.withLock { state in
            state.tails[ObjectIdentifier(tail)] = nil
            if state.tails.isEmpty { state.expected = [:] }
        }
    }

    var identity: PinnedRecords { state.withLock { $0.identity } }
    var condemned: VarveError? { state.withLock { $0.condemned } }

    /// Reads the pinned records again if something did not fit. A cluster that does not answer leaves the suspicion to
    /// the reader.
    func settleDoubt() async {
        let (identity, doubts) = state.withLock { state in
            (state.doubts > state.settledDoubts ? state.identity : nil, state.doubts)
        }
        guard let identity else { return }
        await prove(identity)
        state.withLock { $0.settledDoubts = max($0.settledDoubts, doubts) }
    }

    /// The stamp of what a tail has taken: that of the last report when it is all of this handle's own, as promised.
    func stamp(of records: RdKafkaRecords) -> UInt64 {
        state.withLock { state in
            guard state.expected.count >= records.places.count else { return records.stamp }
            var stamp: UInt64 = 0
            for place in records.places {
                guard let promised = state.expected[place.offset] else { return records.stamp }
                stamp = max(stamp, promised.stamp)
            }
            return min(stamp, records.stamp)
        }
    }

    /// Reads the pinned records again; whether they are there.
    @discardableResult
    func prove(_ identity: PinnedRecords) async -> Bool {
        do throws(VarveError) {
            switch try await identity.check(connection, topic) {
            case .other(let error): condemn(error)
            case .notCheckable: state.withLock { $0.proved = .now }
            case .same:
                state.withLock { $0.proved = .now }
                return true
            }
        } catch {
            note(suspicion: "the log's identity cannot be checked: \(error.message)")
        }
        return false
    }

    /// The same when the last proof is old, before more of the log is read.
    func proveIfDue() async {
        let due = Duration.milliseconds(connection.settings.identityCheckMilliseconds)
        let identity = state.withLock { .now - $0.proved >= due ? $0.identity : nil }
        if let identity { await prove(identity) }
    }

    /// The topic is another one, or gone: no append is sent any more, open ones end as unknown, every tail throws.
    func condemn(_ error: VarveError) {
        let (tails, appender) = state.withLock { state in
            if state.condemned == nil { state.condemned = error }
            return (Array(state.tails.values), state.appender)
        }
        appender?.purge()
        for tail in tails { tail.interrupt() }
    }
}
