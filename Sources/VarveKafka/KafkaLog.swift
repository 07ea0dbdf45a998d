import RdKafka
import Synchronization
package import VarveLog
package import VarveModel

/// The contract of a log over one topic with one partition.
///
/// **Reports are checked.** When a record is handed over, what the tails have read so far is noted; a report below that, or
/// not above an earlier report, says that the topic is no longer the one that was read. A report above it is remembered
/// until a tail gets there and finds that very record, or another. Either way the pinned records are read again: refuted,
/// the log is *condemned*: appends are refused before anything is sent, tails throw; otherwise the suspicion travels to
/// the reader, with the next batch or at once in one without records.
///
/// **A fatal error** ends the producer. The next append makes another one, after the same check.
///
/// **A limit that was lowered** (`max.message.bytes`) under the producer refuses whole batches of it, small records with the
/// large. It is read again then, the producer is made anew with batches that fit, and what would have fitted alone is
/// refused with `OVERLOADED`: sent again, it is taken.
package final class KafkaLog: Log {
    struct State {
        var appender: Appender?
        /// Of the present appender.
        var highestReport: Int64 = -1
        /// Next offset that a tail will deliver; 0 while none has.
        var position: Int64 = 0
        /// With the stamp of its report.
        var expected: [Int64: (record: Bytes, stamp: UInt64)] = [:]
        var identity = PinnedRecords()
        var proof = LogProof()
        /// What is read one by one before the first tail is what the node starts from; later it may be what is in question.
        var hadTail = false
        /// For the reader, with the next batch.
        var suspicion: String?
        /// How often an offset or a record did not fit, and how many of these a check has covered: while it runs, nothing
        /// is reported and nothing is read.
        var doubts = 0
        var settledDoubts = 0
        /// When the pinned records were last found in their places.
        var proved = ContinuousClock.now
        var condemned: VarveError?
        var closed = false
        var tails: [ObjectIdentifier: KafkaLogTail] = [:]
        var counters = KafkaLogCounters()
    }

    package let reference: LogReference
    package var recordBytesMax: Int { recordLimit.load(ordering: .relaxed) }

    let connection: KafkaConnection
    let topic: String
    /// As it was when the log was opened: readers must take what was written then.
    let messageBytesMax: Int
    let recordLimit: Atomic<Int>
    let meter: KafkaLogMeter
    let state = Mutex(State())
    /// How many proofs have begun.
    let proofsBegun = Atomic<UInt64>(0)

    /// Most reports that are kept for comparison; beyond it they go unchecked.
    private static let expectedMax = 65_536

    init(
        _ connection: KafkaConnection, topic: String, _ preflight: KafkaPreflight,
        onNotice: @escaping @Sendable (KafkaNotice) -> Void
    ) throws(VarveError) {
        self.connection = connection
        self.topic = topic
        // The smaller of the topic's limit and of the operator's own.
        messageBytesMax = min(preflight.messageBytesMax, connection.client.messageBytesMax ?? .max)
        meter = KafkaLogMeter(
            retention: preflight.retentionMilliseconds.map { .milliseconds($0) }, onNotice: onNotice)
        recordLimit = Atomic(messageBytesMax - KafkaPreflight.envelopeBytes)
        reference = LogReference(kind: .kafka, clusterID: connection.recordedClusterID, topic: topic)
        let appender = try makeAppender()
        state.withLock { $0.appender = appender }
    }

    package var health: LogHealth { meter.health }

    package var counters: KafkaLogCounters { state.withLock { $0.counters } }

    // MARK: appending

    package func append(_ records: [Bytes]) async -> [AppendResult] {
        let limit = recordBytesMax
        // Nearly always all of them.
        let areAllAccepted = records.allSatisfy { $0.count <= limit }
        let accepted = areAllAccepted ? records : records.filter { $0.count <= limit }
        var results = accepted.isEmpty ? [] : await send(accepted)
        if results.contains(where: \.isOversize) { results = await judged(results, accepted) }
        await settleDoubt()
        if areAllAccepted { return results }
        var left = results[...]
        return records.map { record in
            record.count <= limit ? left.removeFirst() : .refused(oversize(record, limit))
        }
    }

    func oversize(_ record: Bytes, _ limit: Int) -> VarveError {
        VarveError(
            .oversize,
            "a record of \(record.count) bytes is more than the log takes (\(limit)); nothing was written",
            next: "smaller transactions, or a larger max.message.bytes of topic \(topic)")
    }

    /// A producer that may not write dies at once, and so does each that follows until the right is given: the first
    /// refusal is the answer.
    private static let producersMax = 3

    private func send(_ records: [Bytes]) async -> [AppendResult] {
        var last: RdKafkaError?
        var values = RdKafkaValues(count: records.count, size: records.reduce(0) { $0 + $1.count })
        for record in records {
            if values.isPacked { record.withUnsafeBytes { values.pack($0) } } else { values.add(record.array) }
        }
        let sent = values
        for _ in 0..<Self.producersMax {
            let appender: Appender
            do throws(VarveError) {
                appender = try await usableAppender()
            } catch {
                // Not sent, so certainly not there.
                return Array(repeating: .refused(error), count: records.count)
            }
            let outcome: Result<[AppendResult], RdKafkaError> = await withCheckedContinuation { continuation in
                do throws(RdKafkaError) {
                    let before = state.withLock { $0.position }
                    try appender.submit(sent) { [self] reports in
                        continuation.resume(returning: .success(take(reports, of: records, readBefore: before)))
                        proveEarly()
                    }
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            switch outcome {
            case .success(let results): return results
            case .failure(let error) where error.code == .fatal:
                last = appender.fatalError
                if last?.isDenial != true { note(suspicion: "the Kafka producer ended: \(error.message)") }
                await retire(appender)
            case .failure(let error) where error.code == .destroyed && !state.withLock({ $0.closed }):
                // Made anew meanwhile, for a lower limit.
                continue
            case .failure(let error):
                return Array(
                    repeating: .refused(KafkaFault.refused(error, topic, at: connection.servers)), count: records.count)
            }
        }
        let error = KafkaFault.refused(last ?? RdKafkaError(.fatal), topic, at: connection.servers)
        return Array(repeating: .refused(error), count: records.count)
    }

    /// On the appender's thread, batches in order: that is what makes "not above an earlier report" mean something.
    private func take(_ reports: [AppendReport], of records: [Bytes], readBefore: Int64) -> [AppendResult] {
        state.withLock { state in
            zip(reports, records).map { report, record in
                switch report {
                case .stored(let offset, let time):
                    if let offset { check(offset, record, readBefore: readBefore, &state) }
                    // The embedded broker's reports carry a time that is none.
                    let time = connection.isEmbedded ? nil : time?.milliseconds
                    return .stored(offset: offset.map { Offset($0) }, time: time)
                case .refused(let error):
                    return .refused(KafkaFault.refused(error, topic, at: connection.servers, bytes: record.count))
                case .unknown(let error):
                    return .unknown(KafkaFault.unknown(error, topic, at: connection.servers))
                }
            }
        }
    }

    /// What was reported is about to be read back: a proof that begins now is likely done by then.
    private func proveEarly() {
        guard !connection.isEmbedded, state.withLock({ !$0.expected.isEmpty && !$0.proof.isRunning }) else { return }
        let stamp = stamp
        Task { await prove(after: stamp) }
    }

    private func check(_ offset: Int64, _ record: Bytes, readBefore: Int64, _ state: inout State) {
        if offset < readBefore {
            doubt("a record was stored at offset \(offset), below \(readBefore), which was read before", &state)
        } else if offset <= state.highestReport {
            doubt("a record was stored at offset \(offset), after another at \(state.highestReport)", &state)
        } else if !state.tails.isEmpty, offset >= state.position, state.expected.count < Self.expectedMax {
            state.expected[offset] = (record, stamp)
        }
        state.highestReport = max(state.highestReport, offset)
    }

    // MARK: the producer

    private func makeAppender() throws(VarveError) -> Appender {
        do throws(RdKafkaError) {
            return try Appender(
                connection.client, topic: topic, messageBytesMax: recordBytesMax + KafkaPreflight.envelopeBytes,
                onNotice: { [meter] in meter.hear($0) })
        } catch {
            throw VarveError(.configInvalid, "no Kafka producer can be made: \(error.message)")
        }
    }

    /// The next append makes another one; the present one is the caller's to end.
    func takeAppender() -> Appender? {
        state.withLock { state in
            defer { state.appender = nil }
            return state.appender
        }
    }

    private func usableAppender() async throws(VarveError) -> Appender {
        let (appender, identity) = try state.withLock { state throws(VarveError) in
            if let condemned = state.condemned { throw condemned }
            if state.closed { throw Self.closedError }
            return (state.appender, state.identity)
        }
        if let appender { return appender }
        // The one before ended by a fatal error, which lost data may be behind: look first.
        if case .other(let error) = try await identity.check(connection, topic) {
            condemn(error)
            throw error
        }
        let made = try makeAppender()
        let (used, spare) = state.withLock { state -> (Appender?, Appender?) in
            if state.closed { return (nil, made) }
            if let first = state.appender { return (first, made) }
            state.appender = made
            state.highestReport = -1
            return (made, nil)
        }
        if let spare { await spare.close(withinMilliseconds: 0) }
        guard let used else { throw Self.closedError }
        return used
    }

    private func retire(_ appender: Appender) async {
        state.withLock { if $0.appender === appender { $0.appender = nil } }
        await appender.close(withinMilliseconds: 0)
    }

    /// Gives up everything that has no report yet (it becomes unknown): for a deadline above this layer.
    package func purge() {
        state.withLock { $0.appender }?.purge()
    }

    // MARK: reading

    package func range() async throws(VarveError) -> Range<Offset> {
        try requireOpen()
        let range = try await connection.range(topic)
        return Offset(range.lowerBound)..<Offset(range.upperBound)
    }

    package func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        try requireOpen()
        let range = try await connection.range(topic)
        let first = max(offset.value, range.lowerBound)
        guard first < range.upperBound else { return nil }
        let record = try await connection.firstRecord(topic, first..<range.upperBound)
        if let record {
            state.withLock { state in
                if !state.hadTail { state.identity.note(record) }
            }
        }
        return record.map(LogEntry.init)
    }

    package func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        try requireOpen()
        if let condemned { throw condemned }
        // It connects while the cluster is asked.
        let tail = try KafkaLogTail(self, from: offset.value)
        do throws(VarveError) {
            guard try await connection.topic(topic) != nil else {
                throw KafkaFault.missing(topic, at: connection.servers)
            }
        } catch {
            await tail.close()
            throw error
        }
        let closed = state.withLock { state in
            state.hadTail = true
            if !state.closed { state.tails[ObjectIdentifier(tail)] = tail }
            return state.closed
        }
        if closed { await tail.close() }
        return tail
    }

    private static let closedError = VarveError(.notReady, "the log is closed; nothing was written")

    private func requireOpen() throws(VarveError) {
        if state.withLock({ $0.closed }) { throw Self.closedError }
    }

    package func trim(below offset: Offset) async {}

    package func close() async {
        let (tails, appender) = state.withLock { state in
            state.closed = true
            defer {
                state.tails = [:]
                state.appender = nil
            }
            return (Array(state.tails.values), state.appender)
        }
        for tail in tails { await tail.close() }
        await appender?.close()
    }
}

/// What happened to a log's connection since it was opened.
package struct KafkaLogCounters: Sendable, Equatable {
    /// Events behind which another log in this one's place may hide: lost brokers, offsets that do not fit.
    package var suspicions = 0
}

extension LogEntry {
    init(_ record: RdKafkaRecord) {
        self.init(offset: Offset(record.offset), time: record.time.milliseconds, bytes: Bytes(record.value))
    }
}
