/// What is known of one record that was handed to an `Appender`. Exactly one comes for each record.
package enum AppendReport: Sendable, Hashable {
    /// The broker says it has it. `offset` is nil when it only said that it had it before. Believe it when the record
    /// was read back: a broker that lost data, or another topic of the same name, says this too.
    case stored(offset: Int64?, time: RdKafkaTime?)
    /// It is not in the log and never will be.
    case refused(RdKafkaError)
    /// It may be in the log, now or later.
    case unknown(RdKafkaError)
}

/// A record's time, in ms since 1970, and whose clock it came from.
package struct RdKafkaTime: Sendable, Hashable {
    package let milliseconds: Int64
    /// True: the broker's (`LogAppendTime`). False: the producer's.
    package let isBrokers: Bool

    package init(milliseconds: Int64, isBrokers: Bool) {
        self.milliseconds = milliseconds
        self.isBrokers = isBrokers
    }
}

/// One record as it was read. A null value reads as empty.
package struct RdKafkaRecord: Sendable, Hashable {
    package let offset: Int64
    package let time: RdKafkaTime
    package let value: [UInt8]

    package init(offset: Int64, time: RdKafkaTime, value: [UInt8]) {
        self.offset = offset
        self.time = time
        self.value = value
    }
}
