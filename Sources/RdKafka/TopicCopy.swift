import CRdKafka
import Synchronization

/// Puts records into a topic with the times they had elsewhere: what a copy of a broker's disk would hold. For drills and
/// tests; on a topic with LogAppendTime the broker's own times win.
package enum TopicCopy {
    /// In order, to partition 0; returns when all are acknowledged.
    package static func append(
        _ records: [RdKafkaRecord], to topic: String, at servers: String, withinMilliseconds limit: Int32 = 10_000
    ) async throws(RdKafkaError) {
        let settings = try RdKafkaSettings(bootstrapServers: servers)
        let handle = try Handle(RD_KAFKA_PRODUCER, settings.producer(messageBytesMax: 64 << 20))
        let outcome = Completion()
        let failure = Failure()
        do throws(RdKafkaError) {
            // Taking the reports blocks.
            try WorkerThread.start("varve-copy") {
                let error = append(records, to: topic, through: handle, limit)
                failure.error.withLock { $0 = error }
                handle.destroy()
                outcome.finish()
            }
        } catch {
            handle.destroy()
            throw error
        }
        await outcome.wait()
        if let error = failure.error.withLock({ $0 }) { throw error }
    }

    private final class Failure: Sendable {
        let error = Mutex<RdKafkaError?>(nil)
    }

    private static func append(
        _ records: [RdKafkaRecord], to topic: String, through handle: Handle, _ limit: Int32
    ) -> RdKafkaError? {
        for record in records {
            let code = record.value.withUnsafeBytes { bytes in
                varve_produce_at(handle.pointer, topic, bytes.baseAddress, bytes.count, record.time.milliseconds)
            }
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return RdKafkaError(code) }
        }
        // Reports come as events, and count as open until they are taken.
        for _ in 0..<max(1, limit / 50) where rd_kafka_outq_len(handle.pointer) > 0 {
            if let event = rd_kafka_queue_poll(handle.mainQueue, 50) { rd_kafka_event_destroy(event) }
        }
        return rd_kafka_outq_len(handle.pointer) == 0 ? nil : RdKafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT)
    }
}
