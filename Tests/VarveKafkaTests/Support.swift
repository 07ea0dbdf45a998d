import RdKafka
import VarveKafka
import VarveLog
import VarveModel

/// An embedded broker with the topics of two epochs, and a provider for it.
struct Embedded {
    let broker: EmbeddedBroker
    let provider: KafkaLogProvider

    init() throws {
        broker = try EmbeddedBroker()
        for epoch in 0..<2 { try broker.createTopic("log-e\(epoch)") }
        provider = KafkaLogProvider(KafkaLogSettings(bootstrapServers: broker.bootstrapServers, topic: "log"))
    }
}

func records(_ range: Range<Int>) -> [Bytes] { range.map { Bytes("record \($0)") } }

extension LogTail {
    func entries(_ count: Int) async throws(VarveError) -> [LogEntry] {
        var all: [LogEntry] = []
        while all.count < count, let batch = try await next() { all += batch.entries }
        return all
    }
}

extension AppendResult {
    var offset: Int64? {
        if case .stored(let offset, _) = self { return offset?.value }
        return nil
    }
    var refusal: ErrorCode? {
        if case .refused(let error) = self { return error.code }
        return nil
    }
    var isUnknown: Bool {
        if case .unknown = self { return true }
        return false
    }
}

/// The code that `body` throws, or nil.
func code(_ body: () async throws -> Void) async -> ErrorCode? {
    do {
        try await body()
        return nil
    } catch let error as VarveError {
        return error.code
    } catch {
        return nil
    }
}
