import CRdKafka
import Dispatch
import Synchronization

/// Questions to a cluster, each with a deadline, on a handle that does nothing else (a question on a tailing handle waits
/// behind its fetch). One after the other, on a thread of its own.
///
/// Every failure to reach the cluster carries the text of the last error event as well: only that says why (a refused
/// connection, a wrong password, a certificate).
package final class Admin: Sendable {
    package struct Topic: Sendable, Hashable {
        package let partitions: Int
        /// Replicas of partition 0.
        package let replicas: Int
        package let brokers: Int
        /// Id of the broker that leads partition 0.
        package let leader: Int32

        package init(partitions: Int, replicas: Int, brokers: Int, leader: Int32 = 1) {
            self.partitions = partitions
            self.replicas = replicas
            self.brokers = brokers
            self.leader = leader
        }
    }

    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var next = 0
        var closed = false
        var lastError: RdKafkaError?
        /// Every broker was tried in vain since the last answer.
        var allBrokersDown = false
    }

    private let handle: Handle
    private let state = Mutex(State())
    private let work = DispatchSemaphore(value: 0)
    private let ended = Completion()

    /// - Parameter messageBytesMax: largest record that a read may meet.
    package init(_ settings: RdKafkaSettings, messageBytesMax: Int = 64 << 20) throws(RdKafkaError) {
        // A short fetch wait: after a read its last fetch is still out, and the next question would wait behind it.
        let handle = try Handle(
            RD_KAFKA_CONSUMER,
            settings.reader(messageBytesMax: messageBytesMax, fetchWaitMilliseconds: 5, endOfPartition: true))
        self.handle = handle
        do throws(RdKafkaError) {
            try WorkerThread.start("varve-ask") { [self] in run() }
        } catch {
            handle.destroy()
            throw error
        }
    }

    /// Asks with a handle of its own, which ends with `body`.
    package static func asking<R: Sendable>(
        _ servers: String, _ body: (Admin) async throws -> R
    ) async throws -> R {
        let admin = try Admin(RdKafkaSettings(bootstrapServers: servers))
        do {
            let result = try await body(admin)
            await admin.close()
            return result
        } catch {
            await admin.close()
            throw error
        }
    }

    /// Answers what was asked before, then ends the handle.
    package func close() async {
        shutDown()
        await ended.wait()
    }

    /// The same without waiting for it.
    package func shutDown() {
        let first = state.withLock { state in
            defer { state.closed = true }
            return !state.closed
        }
        if first { work.signal() }
    }

    /// What the handle last complained about: why a cluster cannot be reached.
    package var lastError: RdKafkaError? { state.withLock { $0.lastError } }

    // MARK: questions

    package func clusterID(withinMilliseconds limit: Int) async throws(RdKafkaError) -> String {
        try await ask(limit) { [self] handle, left throws(RdKafkaError) in
            while true {
                if let id = rd_kafka_clusterid(handle.pointer, min(left(), 200)) {
                    defer { rd_kafka_mem_free(handle.pointer, id) }
                    return String(cString: id)
                }
                // Who is not let in, or finds nobody at any address, need not wait for the deadline.
                takeEvents()
                let (error, nobody) = state.withLock { ($0.lastError, $0.allBrokersDown) }
                if let error, nobody || error.isDenial || error.code == .ssl { throw error }
                guard left() > 1 else { throw RdKafkaError(.timedOut) }
            }
        }
    }

    package func brokers(withinMilliseconds limit: Int) async throws(RdKafkaError) -> [Int32] {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            let metadata = try Metadata(handle, topic: nil, left())
            return metadata.brokers
        }
    }

    /// nil when there is no such topic. Never creates one.
    package func topic(_ name: String, withinMilliseconds limit: Int) async throws(RdKafkaError) -> Topic? {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            let topic = try handle.topic(name)
            defer { rd_kafka_topic_destroy(topic) }
            // Just after its creation a topic may have no leader yet.
            while true {
                let metadata = try Metadata(handle, topic: topic, left())
                switch metadata.topicError {
                case nil where metadata.partitions > 0 && metadata.leader >= 0:
                    return Topic(
                        partitions: metadata.partitions, replicas: metadata.replicas, brokers: metadata.brokers.count,
                        leader: metadata.leader)
                case let error? where error.isMissingTopic: return nil
                case let error? where error.isDenial || left() < 100: throw error
                case nil where left() < 100: throw RdKafkaError(.timedOut, "topic \(name) has no leader")
                default: pause(milliseconds: 50)
                }
            }
        }
    }

    /// First offset held and next offset to be given. The returned code is checked first: the elements of a failed call
    /// say "no error" with nonsense in them.
    package func range(of name: String, withinMilliseconds limit: Int) async throws(RdKafkaError) -> Range<Int64> {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            let start = try offset(handle, name, for: Int64(RD_KAFKA_OFFSET_BEGINNING), left)
            let end = try offset(handle, name, for: Int64(RD_KAFKA_OFFSET_END), left)
            return start..<max(start, end)
        }
    }

    /// Offset of the first record that is not older than `time`, in ms since 1970; nil when there is none. One question.
    package func firstOffset(
        of name: String, notBefore time: Int64, withinMilliseconds limit: Int
    ) async throws(RdKafkaError) -> Int64? {
        // Negative times have other meanings.
        guard time >= 0 else { return nil }
        return try await ask(limit) { handle, left throws(RdKafkaError) in
            let found = try answer(handle, name, for: time, left)
            return found < 0 ? nil : found
        }
    }

    /// Records with offsets in `range`, from its start, until there are `recordsMax` or `bytesMax` is passed. Ends early
    /// at the log's end; holes are no error.
    /// - Throws: `autoOffsetReset` when the log does not hold the range's start.
    package func read(
        _ name: String, _ range: Range<Int64>, recordsMax: Int = .max, bytesMax: Int = 4 << 20,
        withinMilliseconds limit: Int
    ) async throws(RdKafkaError) -> [RdKafkaRecord] {
        guard !range.isEmpty else { return [] }
        return try await ask(limit) { handle, left throws(RdKafkaError) in
            try shortRead(handle, name, range, recordsMax: recordsMax, bytesMax: bytesMax, left)
        }
    }

    // MARK: the thread

    private func run() {
        while true {
            _ = work.wait(timeout: .now() + .seconds(1))
            takeEvents()
            let (job, closed) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
                guard state.next < state.jobs.count else { return (nil, state.closed) }
                defer {
                    state.next += 1
                    if state.next == state.jobs.count { (state.jobs, state.next) = ([], 0) }
                }
                return (state.jobs[state.next], false)
            }
            if let job {
                job()
            } else if closed {
                break
            }
        }
        handle.destroy()
        ended.finish()
    }

    /// Runs `body` on the thread. `left()` is what remains of the deadline, in ms, at least 1.
    func ask<Answer: Sendable>(
        _ limit: Int,
        _ body: @escaping @Sendable (Handle, () -> Int32) throws(RdKafkaError) -> Answer
    ) async throws(RdKafkaError) -> Answer {
        let deadline = DispatchTime.now() + .milliseconds(limit)
        let result: Result<Answer, RdKafkaError> = await withCheckedContinuation { continuation in
            let job: @Sendable () -> Void = { [self] in
                let left = { () -> Int32 in
                    let now = DispatchTime.now().uptimeNanoseconds
                    guard deadline.uptimeNanoseconds > now else { return 1 }
                    return Int32(clamping: max(1, (deadline.uptimeNanoseconds - now) / 1_000_000))
                }
                do throws(RdKafkaError) {
                    let answer = try body(handle, left)
                    takeEvents()
                    state.withLock { state in
                        state.lastError = nil
                        state.allBrokersDown = false
                    }
                    continuation.resume(returning: .success(answer))
                } catch {
                    takeEvents()
                    continuation.resume(returning: .failure(explained(error)))
                }
            }
            let accepted = state.withLock { state in
                guard !state.closed else { return false }
                state.jobs.append(job)
                return true
            }
            if accepted {
                work.signal()
            } else {
                continuation.resume(returning: .failure(RdKafkaError(.destroyed, "the handle is closed")))
            }
        }
        return try result.get()
    }

    /// A failure to get through says why, when an error event told.
    private func explained(_ error: RdKafkaError) -> RdKafkaError {
        switch error.code {
        case .timedOut, .transport, .allBrokersDown, .unknownPartition:
            guard let last = lastError, last.code != .allBrokersDown else { return error }
            return last.isDenial ? last : RdKafkaError(error.code, last.message)
        default: return error
        }
    }

    private func takeEvents() {
        while let event = rd_kafka_queue_poll(handle.mainQueue, 0) {
            if let notice = handle.notice(from: event), notice.kind == .error {
                state.withLock { state in
                    if notice.error.code == .allBrokersDown { state.allBrokersDown = true }
                    // "All brokers are down" follows the event that says why, and must not hide it.
                    if notice.error.code != .allBrokersDown || state.lastError == nil { state.lastError = notice.error }
                }
            }
            rd_kafka_event_destroy(event)
        }
    }
}

/// The parts of a metadata answer that we use.
struct Metadata {
    let brokers: [Int32]
    private(set) var topicError: RdKafkaError?
    private(set) var partitions = 0
    private(set) var replicas = 0
    private(set) var leader: Int32 = -1

    init(_ handle: Handle, topic: OpaquePointer?, _ milliseconds: Int32) throws(RdKafkaError) {
        var answer: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle.pointer, 0, topic, &answer, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let answer else { throw RdKafkaError(code) }
        defer { rd_kafka_metadata_destroy(answer) }
        brokers = (0..<Int(answer.pointee.broker_cnt)).map { answer.pointee.brokers[$0].id }
        guard topic != nil else { return }
        guard answer.pointee.topic_cnt == 1 else { throw RdKafkaError(.unknownTopic) }
        let found = answer.pointee.topics[0]
        if found.err != RD_KAFKA_RESP_ERR_NO_ERROR { topicError = RdKafkaError(found.err) }
        partitions = Int(found.partition_cnt)
        if partitions > 0 {
            replicas = Int(found.partitions[0].replica_cnt)
            leader = found.partitions[0].leader
        }
    }
}

private func offset(
    _ handle: Handle, _ name: String, for time: Int64, _ left: () -> Int32
) throws(RdKafkaError) -> Int64 {
    let found = try answer(handle, name, for: time, left)
    guard found >= 0 else { throw RdKafkaError(.timedOut, "no offset in the answer") }
    return found
}

/// A topic just made may have a leader that does not know it yet: asked again for a moment.
private func answer(
    _ handle: Handle, _ name: String, for time: Int64, _ left: () -> Int32
) throws(RdKafkaError) -> Int64 {
    guard let list = rd_kafka_topic_partition_list_new(1) else { throw RdKafkaError(.invalidArgument, "out of memory") }
    defer { rd_kafka_topic_partition_list_destroy(list) }
    rd_kafka_topic_partition_list_add(list, name, 0)
    var triesLeft = 20
    while true {
        list.pointee.elems[0].offset = time
        list.pointee.elems[0].err = RD_KAFKA_RESP_ERR_NO_ERROR
        let code = rd_kafka_offsets_for_times(handle.pointer, list, left())
        let element = list.pointee.elems[0]
        // The call says it, or the element.
        let isLeaderless = [code, element.err].contains(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION)
        if isLeaderless, triesLeft > 0, left() > 100 {
            triesLeft -= 1
            pause(milliseconds: 50)
            continue
        }
        // Only the broker's own answers (positive codes) stand in the element; the client leaves "in progress" there.
        if element.err.rawValue > 0 { throw RdKafkaError(element.err) }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw RdKafkaError(code) }
        return element.offset
    }
}

private func shortRead(
    _ handle: Handle, _ name: String, _ range: Range<Int64>, recordsMax: Int, bytesMax: Int,
    _ left: () -> Int32
) throws(RdKafkaError) -> [RdKafkaRecord] {
    let topic = try handle.topic(name)
    let queue = rd_kafka_queue_new(handle.pointer)
    var started = false
    defer {
        if started { rd_kafka_consume_stop(topic, 0) }
        rd_kafka_queue_destroy(queue)
        rd_kafka_topic_destroy(topic)
    }
    guard rd_kafka_consume_start_queue(topic, 0, range.lowerBound, queue) == 0 else {
        throw RdKafkaError(rd_kafka_last_error())
    }
    started = true
    var records: [RdKafkaRecord] = []
    var bytes = 0
    while true {
        guard let message = rd_kafka_consume_queue(queue, left()) else {
            if left() > 1 { continue }
            throw RdKafkaError(.timedOut)
        }
        defer { rd_kafka_message_destroy(message) }
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            guard range.contains(message.pointee.offset) else { return records }
            records.append(RdKafkaRecord(message))
            bytes += message.pointee.len
            if records.count >= recordsMax || bytes > bytesMax || message.pointee.offset + 1 >= range.upperBound {
                return records
            }
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            return records
        case let code:
            throw RdKafkaError(code, rd_kafka_message_errstr(message).map { String(cString: $0) } ?? "")
        }
    }
}

/// Waits on the admin's thread.
func pause(milliseconds: Int) {
    _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(milliseconds))
}
