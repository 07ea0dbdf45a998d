import RdKafka
import VarveLog
import VarveModel

/// What this process has read of a topic, and how it is read again.
extension PinnedRecords {
    mutating func note(_ records: RdKafkaRecords) {
        guard let first = records.places.first, let last = records.places.last else { return }
        note(first: first.offset, last: last.offset) { offset in
            Pin(records.record(offset == last.offset ? last : first))
        }
    }

    mutating func note(_ record: RdKafkaRecord) {
        note(first: record.offset, last: record.offset) { _ in Pin(record) }
    }

    /// Throws also when there is no such topic at the moment.
    func check(_ connection: KafkaConnection, _ topic: String) async throws(VarveError) -> Verdict {
        guard newest != nil else { return .notCheckable }
        guard try await connection.topic(topic) != nil else {
            throw KafkaFault.missing(topic, at: connection.servers)
        }
        return try await check(
            "topic \(topic)",
            range: { () async throws(VarveError) in try await connection.range(topic) },
            read: { (offset) async throws(VarveError) in
                try await connection.firstRecord(topic, offset..<offset + 1).map { Pin($0) }
            })
    }
}

extension PinnedRecords.Pin {
    init(_ record: RdKafkaRecord) {
        self.init(offset: record.offset, time: record.time.milliseconds, value: record.value)
    }
}
