import CRdKafka
import Dispatch
import Synchronization

/// Appends records to partition 0 of one topic through one idempotent producer handle.
///
/// The order of `submit` calls is the order of records in the log. Each record gets exactly one `AppendReport`; a batch's
/// reports come together, batches in order. Nothing is retried above librdkafka and nothing times out by itself: whoever
/// has a deadline calls `purge` (or `close`) and gets every open record as `unknown`.
///
/// After a fatal error the appender is dead: open records are unknown, further ones throw; make another one, once it is
/// known that the topic is still the same.
package final class Appender: Sendable {
    /// Most records without a report; more wait here, in order: what was never handed over is certainly not in the log.
    package static let windowRecordsMax = 16_384
    /// Most bytes that wait here for the window.
    package static let waitingBytesMax = 64 << 20

    private struct State {
        var window = AppendWindow(size: Appender.windowRecordsMax)
        var end: RdKafkaError?
        /// Why the handle is of no more use.
        var fatal: RdKafkaError?
        var closing: DispatchTime?
        var alive = true
        var roomWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let handle: Handle
    // Used under the lock of `state` and only while `alive`; librdkafka's topics may be used from any thread.
    private nonisolated(unsafe) let topic: OpaquePointer
    private let state = Mutex(State())
    private let ended = Completion()
    private let onNotice: @Sendable (RdKafkaNotice) -> Void

    /// - Parameters:
    ///   - messageBytesMax: the topic's `max.message.bytes`.
    ///   - onNotice: called on the appender's thread; must not block.
    package init(
        _ settings: RdKafkaSettings, topic name: String, messageBytesMax: Int,
        onNotice: @escaping @Sendable (RdKafkaNotice) -> Void = { _ in }
    ) throws(RdKafkaError) {
        let handle = try Handle(RD_KAFKA_PRODUCER, settings.producer(messageBytesMax: messageBytesMax))
        do throws(RdKafkaError) {
            topic = try handle.topic(name)
        } catch {
            handle.destroy()
            throw error
        }
        self.handle = handle
        self.onNotice = onNotice
        do throws(RdKafkaError) {
            try WorkerThread.start("varve-append") { [self] in run() }
        } catch {
            rd_kafka_topic_destroy(topic)
            handle.destroy()
            throw error
        }
    }

    /// Takes the records, in order, without waiting. `completion` gets one report for each, on the appender's thread
    /// (or on the caller's, when all were refused at once); it must not block.
    /// - Throws: `queueFull` when too much waits already; the fatal error or `destroyed` when there is no going on. Then
    ///   no record of the batch was taken.
    package func submit(
        _ records: RdKafkaValues, completion: @escaping @Sendable ([AppendReport]) -> Void
    ) throws(RdKafkaError) {
        let result: Result<[AppendWindow.Finished], RdKafkaError> = state.withLock { state in
            if let end = state.end { return .failure(end) }
            guard state.window.waitingBytes < Self.waitingBytesMax else { return .failure(RdKafkaError(.queueFull)) }
            state.window.submit(records, completion: completion)
            handOver(&state)
            return .success(state.window.takeFinished())
        }
        for finished in try result.get() { finished.completion(finished.reports) }
    }

    package func submit(
        _ records: [[UInt8]], completion: @escaping @Sendable ([AppendReport]) -> Void
    ) throws(RdKafkaError) {
        try submit(RdKafkaValues(records), completion: completion)
    }

    /// The same for a caller who waits: for room, then for the reports.
    package func append(_ records: [[UInt8]]) async throws(RdKafkaError) -> [AppendReport] {
        while true {
            let result: Result<[AppendReport], RdKafkaError> = await withCheckedContinuation { continuation in
                do throws(RdKafkaError) {
                    try submit(records) { continuation.resume(returning: .success($0)) }
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            switch result {
            case .success(let reports): return reports
            case .failure(let error) where error.code == .queueFull: await room()
            case .failure(let error): throw error
            }
        }
    }

    /// What ended it, if it did not end by being closed.
    package var fatalError: RdKafkaError? { state.withLock { $0.fatal } }

    /// Gives up everything open: their reports follow soon, as unknown. The queue and what is in flight go together;
    /// the queue alone would write the record in flight twice. The appender stays usable.
    package func purge() {
        let finished = state.withLock { state in
            guard state.alive else { return [AppendWindow.Finished]() }
            state.window.abandonWaiting(RdKafkaError(.purgedQueue))
            purgeHandle()
            return state.window.takeFinished()
        }
        for batch in finished { batch.completion(batch.reports) }
    }

    /// Takes no more records, waits for open reports up to `milliseconds`, gives up the rest as unknown, and ends the
    /// handle. Returns when its thread has ended; calling it again waits for the same end.
    package func close(withinMilliseconds milliseconds: Int = 5_000) async {
        state.withLock { state in
            guard state.alive else { return }
            state.end = state.end ?? RdKafkaError(.destroyed, "the appender is closed")
            let deadline = DispatchTime.now() + .milliseconds(milliseconds)
            state.closing = min(state.closing ?? deadline, deadline)
            rd_kafka_queue_yield(handle.mainQueue)
        }
        await ended.wait()
    }

    // MARK: handing over (under the lock)

    private func handOver(_ state: inout State) {
        guard state.alive else { return }
        var fatal: RdKafkaError?
        state.window.handOver { run, refusals in
            guard run.records.isPacked else { return produceEach(run, &refusals, &fatal) }
            return run.records.withPacked { bytes in
                withUnsafeTemporaryAllocation(of: rd_kafka_message_t.self, capacity: run.range.count) { messages in
                    produce(run, bytes, messages, &refusals, &fatal)
                }
            }
        }
        if let fatal { die(fatal, &state) }
    }

    /// One call for all: it reads the clock and finds the partition once. Returns how many were taken or refused; when the
    /// queue is full, none behind the first that found it so was taken.
    private func produce(
        _ run: AppendWindow.Run, _ bytes: UnsafeRawBufferPointer,
        _ messages: UnsafeMutableBufferPointer<rd_kafka_message_t>, _ refusals: inout [AppendWindow.Refusal],
        _ fatal: inout RdKafkaError?
    ) -> Int {
        messages.initialize(repeating: rd_kafka_message_t())
        for index in messages.indices {
            let range = run.records.place(run.range.lowerBound + index)
            messages[index].payload = UnsafeMutableRawPointer(mutating: bytes.baseAddress.map { $0 + range.lowerBound })
            messages[index].len = range.count
            messages[index]._private = UnsafeMutableRawPointer(bitPattern: UInt(run.first) + UInt(index) + 1)
        }
        let taken = rd_kafka_produce_batch(
            topic, 0, RD_KAFKA_MSG_F_COPY, messages.baseAddress, Int32(messages.count))
        if Int(taken) == messages.count { return messages.count }
        for index in messages.indices where messages[index].err != RD_KAFKA_RESP_ERR_NO_ERROR {
            guard refuse(index, messages[index].err, &refusals, &fatal) else { return index }
        }
        return messages.count
    }

    private func produceEach(
        _ run: AppendWindow.Run, _ refusals: inout [AppendWindow.Refusal], _ fatal: inout RdKafkaError?
    ) -> Int {
        for index in 0..<run.range.count {
            let code = run.records.withValue(run.range.lowerBound + index) { value in
                rd_kafka_produce(
                    topic, 0, RD_KAFKA_MSG_F_COPY, UnsafeMutableRawPointer(mutating: value.baseAddress), value.count,
                    nil, 0, UnsafeMutableRawPointer(bitPattern: UInt(run.first) + UInt(index) + 1))
            }
            guard code == 0 || refuse(index, rd_kafka_last_error(), &refusals, &fatal) else { return index }
        }
        return run.range.count
    }

    /// False: the queue is full.
    private func refuse(
        _ index: Int, _ code: rd_kafka_resp_err_t, _ refusals: inout [AppendWindow.Refusal],
        _ fatal: inout RdKafkaError?
    ) -> Bool {
        if code == RD_KAFKA_RESP_ERR__QUEUE_FULL { return false }
        if code == RD_KAFKA_RESP_ERR__FATAL { fatal = handle.fatalError() ?? RdKafkaError(code) }
        refusals.append((index, fatal ?? RdKafkaError(code)))
        return true
    }

    private func die(_ error: RdKafkaError, _ state: inout State) {
        guard state.end == nil else { return }
        state.end = RdKafkaError(.fatal, error.description)
        state.fatal = error
        state.window.abandonWaiting(error)
        purgeHandle()
    }

    private func purgeHandle() {
        rd_kafka_purge(handle.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
    }

    private func room() async {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state in
                if state.end != nil || state.window.waitingBytes < Self.waitingBytesMax { return true }
                state.roomWaiters.append(continuation)
                return false
            }
            if now { continuation.resume() }
        }
    }

    // MARK: the thread

    private static let pollMilliseconds: Int32 = 100
    /// How long purged records may take to be reported before the handle is ended without.
    private static let purgeMilliseconds = 2_000

    private func run() {
        var purgedAt: DispatchTime?
        while true {
            if let event = rd_kafka_queue_poll(handle.mainQueue, Self.pollMilliseconds) {
                serve(event)
                rd_kafka_event_destroy(event)
            } else {
                settle { handOver(&$0) }
            }
            let (closing, idle) = state.withLock { ($0.closing, $0.window.isIdle) }
            guard let closing else { continue }
            let now = DispatchTime.now()
            if idle { break }
            if let at = purgedAt {
                if now > at + .milliseconds(Self.purgeMilliseconds) { break }
            } else if now >= closing {
                purgedAt = now
                purge()
            }
        }
        settle { state in
            state.alive = false
            state.window.abandon(RdKafkaError(.destroyed, "the appender is closed"))
        }
        rd_kafka_topic_destroy(topic)
        handle.destroy()
        ended.finish()
    }

    private func serve(_ event: OpaquePointer) {
        if rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR {
            serveReports(event)
        } else if let notice = handle.notice(from: event) {
            if notice.kind == .fatal { settle { die(notice.error, &$0) } }
            onNotice(notice)
        }
    }

    private func serveReports(_ event: OpaquePointer) {
        withUnsafeTemporaryAllocation(of: UnsafePointer<rd_kafka_message_t>?.self, capacity: 512) { messages in
            while true {
                let count = rd_kafka_event_message_array(event, messages.baseAddress, messages.count)
                guard count > 0 else { return }
                settle { state in
                    for case .some(let message) in messages[..<count] {
                        state.window.report(
                            UInt64(UInt(bitPattern: message.pointee._private)) - 1, Self.report(message, state.fatal))
                    }
                    handOver(&state)
                }
            }
        }
    }

    private static func report(
        _ message: UnsafePointer<rd_kafka_message_t>, _ fatal: RdKafkaError?
    ) -> AppendReport {
        let code = message.pointee.err
        if code == RD_KAFKA_RESP_ERR_NO_ERROR {
            let offset = message.pointee.offset
            return .stored(offset: offset >= 0 ? offset : nil, time: RdKafkaTime(of: message))
        }
        let purged =
            code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT
        let certain = rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED
        // Without the right to write the handle gets no producer id, and without one nothing leaves its queue.
        if let fatal, fatal.isDenial, certain, code == RD_KAFKA_RESP_ERR__PURGE_QUEUE { return .refused(fatal) }
        return certain && !purged ? .refused(RdKafkaError(code)) : .unknown(RdKafkaError(code))
    }

    /// Changes the state, then, without the lock, tells those whom the change completed or made room for.
    private func settle(_ change: (inout State) -> Void) {
        let (finished, waiters) = state.withLock { state in
            change(&state)
            var waiters: [CheckedContinuation<Void, Never>] = []
            if state.end != nil || state.window.waitingBytes < Self.waitingBytesMax {
                swap(&waiters, &state.roomWaiters)
            }
            return (state.window.takeFinished(), waiters)
        }
        for batch in finished { batch.completion(batch.reports) }
        for waiter in waiters { waiter.resume() }
    }
}

extension RdKafkaTime {
    init?(of message: UnsafePointer<rd_kafka_message_t>) {
        var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let milliseconds = rd_kafka_message_timestamp(message, &type)
        guard type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE, milliseconds >= 0 else { return nil }
        self.init(milliseconds: milliseconds, isBrokers: type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME)
    }
}
