import CRdKafka
import Dispatch
import Synchronization

/// Reads partition 0 of one topic from an offset on, on a thread of its own, by the legacy consumer: no group, no
/// coordinator, and it goes on by itself when a broker or a topic comes back.
///
/// What it does *not* tell: that a topic was deleted and made anew (unless that is shorter), and anything at all about a
/// topic that is missing or may not be read. Who needs to know asks `Admin`.
package final class Tail: Sendable {
    package enum Event: Sendable {
        /// At least one, offsets rising, perhaps with holes.
        case records(RdKafkaRecords)
        /// Something happened after which it may be another log: an error event, a broker that went away.
        case suspect(RdKafkaError)
        /// The right to read was withdrawn. The tail goes on by itself when it is given back.
        case denied(RdKafkaError)
        /// Last event: the log does not hold `asked`: it is below the start or above the end.
        case outOfRange(asked: Int64, RdKafkaError)
        /// Last event: bytes that are no record, or fail their checksum. `position` is the offset wanted next.
        case badMessage(position: Int64, RdKafkaError)
    }

    /// Bounds of what waits here for the reader, beside librdkafka's own queue of 16 MiB.
    package static let batchesAheadMax = 16
    package static let bytesAheadMax = 16 << 20

    private struct State {
        var events: [Event] = []
        var batchesAhead = 0
        var bytesAhead = 0
        var reader: CheckedContinuation<Event?, Never>?
        var threadWaits = false
        /// Set by `close` and by a last event; the thread leaves its loop.
        var closing = false
        /// No further event comes.
        var ended = false

        var hasRoom: Bool { batchesAhead < Tail.batchesAheadMax && bytesAhead < Tail.bytesAheadMax }
        /// A thread that waits is woken for more than one batch.
        var hasMuchRoom: Bool { batchesAhead <= Tail.batchesAheadMax / 2 && bytesAhead <= Tail.bytesAheadMax / 2 }
    }

    private let handle: Handle
    // Used by the thread alone once it runs.
    private nonisolated(unsafe) let topic: OpaquePointer
    private nonisolated(unsafe) let queue: OpaquePointer
    private let state = Mutex(State())
    private let room = DispatchSemaphore(value: 0)
    private let ended = Completion()
    private let stamp: @Sendable () -> UInt64
    private let onNotice: @Sendable (RdKafkaNotice) -> Void

    /// - Parameters:
    ///   - from: first offset wanted; the end is legal.
    ///   - messageBytesMax: the topic's `max.message.bytes`.
    ///   - fetchWaitMilliseconds: how long the broker holds an empty fetch. A real one answers at once when a record
    ///     comes; the embedded one does not: give 5.
    ///   - stamp: asked on the tail's thread for each batch, once its records are here; travels with it.
    ///   - onNotice: called on the tail's thread; must not block.
    package init(
        _ settings: RdKafkaSettings, topic name: String, from: Int64, messageBytesMax: Int,
        fetchWaitMilliseconds: Int = 500, stamp: @escaping @Sendable () -> UInt64 = { 0 },
        onNotice: @escaping @Sendable (RdKafkaNotice) -> Void = { _ in }
    ) throws(RdKafkaError) {
        let handle = try Handle(
            RD_KAFKA_CONSUMER,
            settings.reader(
                messageBytesMax: messageBytesMax, fetchWaitMilliseconds: fetchWaitMilliseconds, endOfPartition: false))
        do throws(RdKafkaError) {
            topic = try handle.topic(name)
        } catch {
            handle.destroy()
            throw error
        }
        self.handle = handle
        self.stamp = stamp
        self.onNotice = onNotice
        queue = rd_kafka_queue_new(handle.pointer)
        do throws(RdKafkaError) {
            guard rd_kafka_consume_start_queue(topic, 0, from, queue) == 0 else {
                throw RdKafkaError(rd_kafka_last_error())
            }
            try WorkerThread.start("varve-tail") { [self] in run(from: from) }
        } catch {
            tearDown()
            throw error
        }
    }

    /// The next event; nil after `close`, after the last event, and when the task is cancelled. One caller at a time.
    package func next() async -> Event? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now: Event?? = state.withLock { state in
                    precondition(state.reader == nil, "a tail has one reader at a time")
                    if state.events.isEmpty {
                        if state.ended || Task.isCancelled { return .some(nil) }
                        state.reader = continuation
                        return nil
                    }
                    return .some(take(&state))
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            let reader = state.withLock { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume(returning: nil)
        }
    }

    /// Ends the thread and the handle; what was read and not taken is dropped. Idempotent.
    package func close() async {
        shutDown()
        await ended.wait()
    }

    /// The same without waiting for the thread.
    package func shutDown() {
        let (reader, waits) = state.withLock { state in
            state.closing = true
            state.ended = true
            state.events = []
            defer {
                state.reader = nil
                state.threadWaits = false
            }
            return (state.reader, state.threadWaits)
        }
        reader?.resume(returning: nil)
        if waits { room.signal() }
    }

    // MARK: handing over

    private func take(_ state: inout State) -> Event {
        let event = state.events.removeFirst()
        if case .records(let records) = event {
            state.batchesAhead -= 1
            state.bytesAhead -= records.values.count
            if state.threadWaits, state.hasMuchRoom {
                state.threadWaits = false
                room.signal()
            }
        }
        return event
    }

    /// Gives records to the reader, or keeps them. With all room taken the call they came by ends here.
    private func give(_ records: RdKafkaRecords) {
        give(.records(records))
        if state.withLock({ $0.closing || !$0.hasRoom }) { rd_kafka_yield(handle.pointer) }
    }

    /// Gives an event to the reader, or keeps it. `last`: nothing follows.
    private func give(_ event: Event, last: Bool = false) {
        let reader = state.withLock { state -> CheckedContinuation<Event?, Never>? in
            guard !state.ended else { return nil }
            if last {
                state.closing = true
                state.ended = true
            }
            if let reader = state.reader {
                state.reader = nil
                return reader
            }
            state.events.append(event)
            if case .records(let records) = event {
                state.batchesAhead += 1
                state.bytesAhead += records.values.count
            }
            return nil
        }
        reader?.resume(returning: event)
    }

    // MARK: the thread

    private static let pollMilliseconds: Int32 = 100

    private func run(from: Int64) {
        var worker = Worker(tail: self, intake: Intake(from: from))
        withUnsafeMutablePointer(to: &worker) { worker in
            while waitForRoom() {
                // Takes what is in the queue under one lock; a batch call locks for each record.
                rd_kafka_consume_callback_queue(queue, Self.pollMilliseconds, Self.take, worker)
                worker.pointee.flush()
                serveEvents()
            }
        }
        tearDown()
        ended.finish()
    }

    /// Called by the thread itself, within its call above.
    private static let take:
        @Sendable @convention(c) (UnsafeMutablePointer<rd_kafka_message_t>?, UnsafeMutableRawPointer?)
            -> Void = { message, opaque in
                guard let message, let opaque else { return }
                opaque.assumingMemoryBound(to: Worker.self).pointee.take(message)
            }

    /// What the thread alone has.
    private struct Worker: ~Copyable {
        let tail: Tail
        var intake: Intake
        /// A last event was given: what is left in the queue is not to be looked at.
        var isDone = false

        /// A lost connection is told before what came over the next one.
        mutating func flush() {
            guard let records = intake.take(tail.stamp()) else { return }
            tail.serveEvents()
            tail.give(records)
        }

        mutating func take(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
            guard !isDone else { return }
            guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { return fail(message) }
            if !intake.hasRoom(for: message) { flush() }
            intake.add(message)
        }

        private mutating func fail(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
            flush()
            let text = rd_kafka_message_errstr(message).map { String(cString: $0) } ?? ""
            let error = RdKafkaError(message.pointee.err, text)
            switch error.code {
            case .partitionEOF: break
            case .autoOffsetReset, .offsetOutOfRange:
                isDone = true
                tail.give(.outOfRange(asked: message.pointee.offset, error), last: true)
            case .badMessage:
                // What follows in the queue cannot be trusted: the parser of 2.0.2 runs wild after it.
                isDone = true
                tail.give(.badMessage(position: intake.position, error), last: true)
            case .topicAuthorizationFailed, .groupAuthorizationFailed: tail.give(.denied(error))
            default: tail.give(.suspect(error))
            }
        }
    }

    private func waitForRoom() -> Bool {
        while true {
            let (closing, wait) = state.withLock { state in
                state.threadWaits = !state.closing && !state.hasRoom
                return (state.closing, state.threadWaits)
            }
            if closing { return false }
            if !wait { return true }
            _ = room.wait(timeout: .now() + .milliseconds(Int(Self.pollMilliseconds)))
            serveEvents()
        }
    }

    private func serveEvents() {
        while let event = rd_kafka_queue_poll(handle.mainQueue, 0) {
            if let notice = handle.notice(from: event) {
                onNotice(notice)
                switch notice.kind {
                case .error, .fatal: give(.suspect(notice.error))
                case .log, .news: break
                }
            }
            rd_kafka_event_destroy(event)
        }
    }

    private func tearDown() {
        rd_kafka_consume_stop(topic, 0)
        rd_kafka_topic_destroy(topic)
        rd_kafka_queue_destroy(queue)
        handle.destroy()
    }
}

extension RdKafkaRecord {
    /// Copies the value out: the message holds on to the whole fetch it came in.
    init(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        let value = UnsafeRawBufferPointer(start: message.pointee.payload, count: message.pointee.len)
        self.init(
            offset: message.pointee.offset,
            time: RdKafkaTime(of: message) ?? RdKafkaTime(milliseconds: 0, isBrokers: false),
            value: Array(value))
    }
}
