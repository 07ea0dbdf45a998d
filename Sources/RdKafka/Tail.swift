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
        case records([RdKafkaRecord])
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
    package static let batchRecordsMax = 1_024
    package static let batchesAheadMax = 4
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
    }

    private let handle: Handle
    // Used by the thread alone once it runs.
    private nonisolated(unsafe) let topic: OpaquePointer
    private nonisolated(unsafe) let queue: OpaquePointer
    private let state = Mutex(State())
    private let room = DispatchSemaphore(value: 0)
    private let ended = Completion()
    private let onNotice: @Sendable (RdKafkaNotice) -> Void

    /// - Parameters:
    ///   - from: first offset wanted; the end is legal.
    ///   - messageBytesMax: the topic's `max.message.bytes`.
    ///   - fetchWaitMilliseconds: how long the broker holds an empty fetch. A real one answers at once when a record
    ///     comes; the embedded one does not: give 5.
    ///   - onNotice: called on the tail's thread; must not block.
    package init(
        _ settings: RdKafkaSettings, topic name: String, from: Int64, messageBytesMax: Int,
        fetchWaitMilliseconds: Int = 500, onNotice: @escaping @Sendable (RdKafkaNotice) -> Void = { _ in }
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
        self.onNotice = onNotice
        queue = rd_kafka_queue_new(handle.pointer)
        do throws(RdKafkaError) {
            guard rd_kafka_consume_start_queue(topic, 0, from, queue) == 0 else {
                throw RdKafkaError(rd_kafka_last_error())
            }
            try WorkerThread.start { [self] in run(from: from) }
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
            state.bytesAhead -= Self.bytes(of: records)
            if state.threadWaits, state.hasRoom {
                state.threadWaits = false
                room.signal()
            }
        }
        return event
    }

    private static func bytes(of records: [RdKafkaRecord]) -> Int {
        records.reduce(0) { $0 + $1.value.count }
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
                state.bytesAhead += Self.bytes(of: records)
            }
            return nil
        }
        reader?.resume(returning: event)
    }

    // MARK: the thread

    private static let pollMilliseconds: Int32 = 100

    private func run(from: Int64) {
        var position = from
        withUnsafeTemporaryAllocation(
            of: UnsafeMutablePointer<rd_kafka_message_t>?.self, capacity: Self.batchRecordsMax
        ) { messages in
            while waitForRoom() {
                // A batch call with a timeout would wait the whole of it with records in hand.
                if let first = rd_kafka_consume_queue(queue, Self.pollMilliseconds) {
                    messages[0] = first
                    let rest = rd_kafka_consume_batch_queue(
                        queue, 0, messages.baseAddress! + 1, Self.batchRecordsMax - 1)
                    let count = 1 + max(0, rest)
                    serve(messages[..<count], &position)
                    for case .some(let message) in messages[..<count] { rd_kafka_message_destroy(message) }
                }
                serveEvents()
            }
        }
        tearDown()
        ended.finish()
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

    private func serve(
        _ messages: Slice<UnsafeMutableBufferPointer<UnsafeMutablePointer<rd_kafka_message_t>?>>,
        _ position: inout Int64
    ) {
        var records: [RdKafkaRecord] = []
        records.reserveCapacity(messages.count)
        func flush() {
            if !records.isEmpty { give(.records(records)) }
            records = []
        }
        for case .some(let message) in messages {
            let code = message.pointee.err
            if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                let record = RdKafkaRecord(message)
                position = record.offset + 1
                records.append(record)
                continue
            }
            flush()
            let text = rd_kafka_message_errstr(message).map { String(cString: $0) } ?? ""
            let error = RdKafkaError(code, text)
            switch error.code {
            case .partitionEOF: break
            case .autoOffsetReset, .offsetOutOfRange:
                return give(.outOfRange(asked: message.pointee.offset, error), last: true)
            case .badMessage:
                // What follows in the queue cannot be trusted: the parser of 2.0.2 runs wild after it.
                return give(.badMessage(position: position, error), last: true)
            case .topicAuthorizationFailed, .groupAuthorizationFailed: give(.denied(error))
            default: give(.suspect(error))
            }
        }
        flush()
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
