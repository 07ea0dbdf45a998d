import RdKafka
import Synchronization
import VarveLog
import VarveModel

/// A limit of the topic that was lowered under the producer.
extension KafkaLog {
    /// What the broker found too large: was it the record, or the batch it came in?
    func judged(_ results: [AppendResult], _ records: [Bytes]) async -> [AppendResult] {
        guard let limit = await limitNow() else { return results }
        let judged = zip(results, records).map { result, record -> AppendResult in
            guard result.isOversize else { return result }
            guard record.count <= limit else { return .refused(oversize(record, limit)) }
            return .refused(
                VarveError(
                    .overloaded,
                    "max.message.bytes of topic \(topic) was lowered: a record of \(record.count) bytes went with others "
                        + "that together are more than it takes now; it was not written",
                    next: "send it again"))
        }
        await lower(to: limit)
        return judged
    }

    /// Bytes of a record that the topic takes now; nil when nobody may say.
    private func limitNow() async -> Int? {
        let found = try? await connection.admin.configuration(
            ofTopic: topic, withinMilliseconds: connection.settings.answerMilliseconds)
        guard let bytes = found?["max.message.bytes"].flatMap({ Int($0) }), bytes > 0 else { return nil }
        return max(0, min(bytes, messageBytesMax) - KafkaPreflight.envelopeBytes)
    }

    /// The next append makes a producer for the new limit; the present one ends when it has its reports.
    private func lower(to limit: Int) async {
        guard recordLimit.exchange(limit, ordering: .relaxed) > limit else { return }
        await takeAppender()?.close()
    }
}

extension AppendResult {
    var isOversize: Bool {
        if case .refused(let error) = self { error.code == .oversize } else { false }
    }
}
