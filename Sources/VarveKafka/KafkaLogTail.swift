import RdKafka
import Synchronization
package import VarveLog
package import VarveModel

/// Reads a topic on and on: through brokers that go and come back, through fetches that fail their checksum (three times).
/// Ends with an error only when the log itself is not what it was, or may not be read.
package final class KafkaLogTail: LogTail {
    private struct State {
        /// The reader of librdkafka; made anew at `position` when it had to stop.
        var reader: Tail?
        var closed = false
    }

    private let log: KafkaLog
    private let state: Mutex<State>
    /// Next offset wanted. Touched by `next` alone, which has one caller at a time.
    private let position: Mutex<Int64>

    /// How often bytes that are no record are fetched again.
    private static let badFetchesMax = 3
    /// How long a topic must be missing before that is believed.
    private static let missingSeconds = 5

    init(_ log: KafkaLog, from offset: Int64) throws(VarveError) {
        self.log = log
        position = Mutex(offset)
        state = Mutex(State(reader: try Self.reader(log, offset)))
    }

    package func next() async throws(VarveError) -> LogBatch? {
        var badFetches = 0
        while true {
            let reader = state.withLock { $0.closed ? nil : $0.reader }
            let event = log.condemned == nil ? await reader?.next() : nil
            if let condemned = log.condemned { throw await finish(condemned) }
            guard let event else { return nil }
            switch event {
            case .records(let records):
                guard let last = records.places.last else { continue }
                await log.prove(after: log.stamp(of: records))
                await log.proveIfDue()
                if let condemned = log.condemned { throw await finish(condemned) }
                position.withLock { $0 = last.offset + 1 }
                let suspicion = log.delivered(records)
                await log.settleDoubt()
                if let condemned = log.condemned { throw await finish(condemned) }
                let values = Bytes(records.values)
                let entries = records.places.map {
                    LogEntry(offset: Offset($0.offset), time: $0.time.milliseconds, bytes: values[$0.range])
                }
                return LogBatch(entries, suspicion: suspicion)
            case .suspect(let error):
                log.note(suspicion: error.message)
                if error.isMissingTopic, let missing = await missing() {
                    log.condemn(missing)
                    throw await finish(missing)
                }
                // Not with the next records, which may be long in coming.
                if let suspicion = log.takeSuspicion() { return LogBatch([], suspicion: suspicion) }
            case .denied(let error):
                throw await finish(KafkaFault.denied(error, log.topic, at: log.connection.servers))
            case .outOfRange(let asked, let error):
                log.note(suspicion: error.message)
                if let fault = await outside(asked) { throw await finish(fault) }
                try await restart()
                if let suspicion = log.takeSuspicion() { return LogBatch([], suspicion: suspicion) }
            case .badMessage(let at, let error):
                badFetches += 1
                guard badFetches <= Self.badFetchesMax else { throw await finish(corrupt(at, error)) }
                position.withLock { $0 = at }
                try await restart()
            }
        }
    }

    package func close() async {
        let reader = state.withLock { state in
            state.closed = true
            defer { state.reader = nil }
            return state.reader
        }
        log.forget(self)
        await reader?.close()
    }

    /// Ends reading at once: the log is condemned, and `next` says why.
    func interrupt() {
        state.withLock { $0.reader }?.shutDown()
    }

    // MARK: what stopped it

    private func finish(_ error: VarveError) async -> VarveError {
        await close()
        return error
    }

    private static func reader(_ log: KafkaLog, _ offset: Int64) throws(VarveError) -> Tail {
        do throws(RdKafkaError) {
            return try Tail(
                log.connection.client, topic: log.topic, from: offset, messageBytesMax: log.messageBytesMax,
                fetchWaitMilliseconds: log.connection.fetchWaitMilliseconds,
                stamp: { [weak log] in log?.stamp ?? 0 }, onNotice: { [meter = log.meter] in meter.hear($0) })
        } catch {
            throw VarveError(.logUnreachable, "no Kafka reader can be made: \(error.message)")
        }
    }

    private func restart() async throws(VarveError) {
        let fresh = try Self.reader(log, position.withLock { $0 })
        let unused = state.withLock { state in
            if state.closed { return Optional(fresh) }
            defer { state.reader = fresh }
            return state.reader
        }
        await unused?.close()
    }

    /// nil when the topic is there after all, or when nobody waits any more.
    private func missing() async -> VarveError? {
        for pause in [0, Self.missingSeconds] {
            guard (try? await Task.sleep(for: .seconds(pause))) != nil, !state.withLock({ $0.closed }) else {
                return nil
            }
            do throws(VarveError) {
                if try await log.connection.topic(log.topic) != nil { return nil }
            } catch {
                // No answer is no proof.
                return nil
            }
        }
        return KafkaFault.missing(log.topic, at: log.connection.servers)
    }

    /// The broker says that `asked` is outside: below the start, above the end, or neither by now. Waits until the cluster
    /// answers; nil when reading may go on.
    private func outside(_ asked: Int64) async -> VarveError? {
        while !state.withLock({ $0.closed }), !Task.isCancelled {
            do throws(VarveError) {
                if case .other(let error) = try await log.identity.check(log.connection, log.topic) {
                    log.condemn(error)
                    return error
                }
                let range = try await log.connection.range(log.topic)
                if asked < range.lowerBound {
                    return VarveError(
                        .logGap,
                        "topic \(log.topic) starts at offset \(range.lowerBound), offset \(asked) was asked for: what is "
                            + "between has expired. Everything in storage is safe",
                        next: "see docs/runbooks/log-gap.md")
                }
                return asked > range.upperBound
                    ? PinnedRecords.behind("topic \(log.topic)", end: range.upperBound, seen: asked) : nil
            } catch  where error.code == .logUnreachable {
                guard (try? await Task.sleep(for: .milliseconds(200))) != nil else { return nil }
            } catch {
                return error
            }
        }
        return nil
    }

    private func corrupt(_ offset: Int64, _ error: RdKafkaError) -> VarveError {
        VarveError(
            .logCorrupt,
            "topic \(log.topic) holds damaged bytes at or behind offset \(offset), fetched \(Self.badFetchesMax + 1) times: "
                + "\(error.message). Everything below is safe",
            next: "see docs/runbooks/log-corrupt.md")
    }
}
