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

    /// The same, and whether every broker was tried in vain since the last answer.
    var complaint: (error: RdKafkaError?, isFromAll: Bool) { state.withLock { ($0.lastError, $0.allBrokersDown) } }

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

    func takeEvents() {
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

/// Waits on the admin's thread.
func pause(milliseconds: Int) {
    _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(milliseconds))
}
