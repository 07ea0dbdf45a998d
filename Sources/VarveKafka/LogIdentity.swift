import RdKafka
import VarveModel

/// What this process has read of a log: the earliest and the newest record. Enough to notice, when asked again, that the
/// topic is another one by now.
struct LogIdentity: Sendable {
    struct Pin: Sendable, Equatable {
        let offset: Int64
        let time: Int64
        let value: [UInt8]

        init(_ record: RdKafkaRecord) {
            offset = record.offset
            time = record.time.milliseconds
            value = record.value
        }
    }

    private(set) var earliest: Pin?
    private(set) var newest: Pin?

    mutating func note(_ records: RdKafkaRecords) {
        guard let first = records.places.first, let last = records.places.last else { return }
        if earliest.map({ first.offset < $0.offset }) ?? true { earliest = Pin(records.record(first)) }
        if newest.map({ last.offset >= $0.offset }) ?? true { newest = Pin(records.record(last)) }
    }

    mutating func note(_ record: RdKafkaRecord) {
        if earliest.map({ record.offset < $0.offset }) ?? true { earliest = Pin(record) }
        if newest.map({ record.offset >= $0.offset }) ?? true { newest = Pin(record) }
    }

    enum Verdict: Sendable {
        case same
        /// Nothing that was seen is still held: neither proved nor refuted.
        case notCheckable
        case other(VarveError)
    }

    /// Reads the pinned records again. Throws when the cluster does not answer or there is no such topic at the moment:
    /// then nothing is known.
    func check(_ connection: KafkaConnection, _ topic: String) async throws(VarveError) -> Verdict {
        guard let earliest, let newest else { return .notCheckable }
        guard try await connection.topic(topic) != nil else {
            throw KafkaFault.missing(topic, at: connection.servers)
        }
        let range = try await connection.range(topic)
        var proved = false
        for pin in earliest == newest ? [earliest] : [earliest, newest] where range.contains(pin.offset) {
            let found = try await connection.firstRecord(topic, pin.offset..<pin.offset + 1)
            guard found.map(Pin.init) == pin else {
                // Replaced wholly, or cut and written anew behind a common start.
                let code: ErrorCode = pin == earliest ? .logReplaced : .logDiverged
                return .other(
                    VarveError(
                        code,
                        "topic \(topic) holds another record at offset \(pin.offset) than the one read before: it was "
                            + (pin == earliest ? "deleted and made anew" : "cut and written anew")
                            + ". Everything in storage is safe",
                        next: "see docs/runbooks/log-\(pin == earliest ? "replaced" : "diverged").md"))
            }
            proved = true
        }
        if newest.offset >= range.upperBound {
            return .other(Self.behind(topic, end: range.upperBound, seen: newest.offset))
        }
        return proved ? .same : .notCheckable
    }

    static func behind(_ topic: String, end: Int64, seen: Int64) -> VarveError {
        VarveError(
            .logBehind,
            "topic \(topic) ends at offset \(end), offset \(seen) was read or asked for. Everything in storage is safe; "
                + "records after its end, if any, are not in this log",
            next: "see docs/runbooks/log-behind-storage.md")
    }
}
