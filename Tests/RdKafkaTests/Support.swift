import RdKafka

/// An embedded broker with one topic, ended with the value.
struct Cluster {
    let broker: EmbeddedBroker
    let settings: RdKafkaSettings
    let topic = "t-e0"

    init() throws {
        broker = try EmbeddedBroker()
        try broker.createTopic(topic)
        settings = try RdKafkaSettings(bootstrapServers: broker.bootstrapServers)
    }

    func appender() throws -> Appender {
        try Appender(settings, topic: topic, messageBytesMax: 1_048_588)
    }

    func tail(from offset: Int64 = 0) throws -> Tail {
        try Tail(settings, topic: topic, from: offset, messageBytesMax: 1_048_588, fetchWaitMilliseconds: 5)
    }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

extension Tail {
    /// The next `count` records, whatever else the tail says.
    func records(_ count: Int) async -> [RdKafkaRecord] {
        var all: [RdKafkaRecord] = []
        while all.count < count, let event = await next() {
            if case .records(let records) = event { all += records.all }
        }
        return all
    }
}

extension AppendReport {
    var offset: Int64? {
        if case .stored(let offset, _) = self { return offset }
        return nil
    }
}

/// Records that were submitted: their reports come some time.
struct Pending {
    fileprivate let stream: AsyncStream<[AppendReport]>

    var reports: [AppendReport] {
        get async {
            var iterator = stream.makeAsyncIterator()
            return await iterator.next() ?? []
        }
    }
}

extension Appender {
    /// Submitted when this returns, whatever happens to it next.
    func pending(_ records: [[UInt8]]) throws -> Pending {
        let (stream, sink) = AsyncStream<[AppendReport]>.makeStream()
        try submit(records) {
            sink.yield($0)
            sink.finish()
        }
        return Pending(stream: stream)
    }
}
