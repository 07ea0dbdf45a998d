// The composition root: the only place that picks a log implementation. Everything below is given what it uses.

import VarveKafka
import VarveLog
import VarveModel
import VarveNode
import VarveStorage
import VarveTelemetry

enum Composition {
    /// A node as its configuration says, with the log that it names.
    static func node(
        _ configuration: Configuration, logSink: any LogSink, bootstrapFromLog: Bool
    ) throws(VarveError) -> Node {
        try Node(
            configuration, log: try logProvider(configuration, logSink), logSink: logSink,
            bootstrapFromLog: bootstrapFromLog)
    }

    /// Of the log that the configuration names.
    static func logProvider(
        _ configuration: Configuration, _ sink: any LogSink = SilentLogSink()
    ) throws(VarveError) -> any LogProvider {
        switch configuration.log {
        case .inMemory: MemoryLogProvider()
        case .local(let local):
            LocalLogProvider(
                path: local.path, bufferSize: local.bufferSize, pollSleepDuration: local.pollSleepDuration)
        case .kafka(let kafka):
            KafkaLogProvider(
                KafkaLogSettings(
                    bootstrapServers: kafka.bootstrapServers, topic: kafka.topic,
                    autoCreateTopic: kafka.autoCreateTopic, replicationFactor: kafka.replicationFactor,
                    pollMilliseconds: Int(kafka.pollDuration / .milliseconds(1)), allowWeakLog: kafka.allowWeakLog,
                    allowEphemeral: configuration.allowEphemeral,
                    flushMilliseconds: Int64(configuration.indexer.flushDuration / .milliseconds(1))),
                onNotice: notice(to: Logger(label: "kafka", level: configuration.logging.level, sink: sink)))
        }
    }

    /// What is stored where the configuration says, for commands that only read.
    static func blocks(_ configuration: Configuration) throws(VarveError) -> BlockStore {
        switch configuration.storage {
        case .inMemory:
            throw VarveError(
                .storageMissing, "the configuration's storage is in memory: with no node running there is none",
                next: "ask the node: --url")
        case .local(let path):
            var random = SystemRandomNumberGenerator()
            let reader = "reader-\(random.next() as UInt32)"
            return BlockStore(try DirectoryObjectStore(path: path, node: reader, nonce: random.next()))
        }
    }

    /// Brokers come and go; only a client that is of no more use is worth more than a debug line.
    private static func notice(to logger: Logger) -> @Sendable (KafkaNotice) -> Void {
        { notice in
            let level: LogLevel = notice.isFatal ? .warning : .debug
            logger.log(level, "\(notice.message)", metadata: notice.error.map { ["error": $0] } ?? [:])
        }
    }
}
