// A log on Kafka as the configuration names it, with the clusters that its epochs may move to.

import VarveKafka
import VarveLog
import VarveModel
import VarveNode
import VarveTelemetry

extension Composition {
    /// The log's settings and those of each named cluster, with all properties read, checked and translated.
    struct KafkaParts {
        var settings: KafkaLogSettings
        var clusters: [String: KafkaLogSettings]
        /// What an operator should know, in lines without a value.
        var warnings: [String]
    }

    /// Throws `CONFIG_INVALID` naming every property that cannot be used. Nothing is sent.
    static func kafkaParts(
        _ configuration: Configuration, _ kafka: KafkaLogConfiguration
    ) throws(VarveError) -> KafkaParts {
        let own = try properties(
            of: kafka.bootstrapServers, kafka.propertiesFile, kafka.propertiesMap, kafka.propertiesDirectory, at: "log")
        let settings = KafkaLogSettings(
            bootstrapServers: kafka.bootstrapServers, topic: kafka.topic, autoCreateTopic: kafka.autoCreateTopic,
            replicationFactor: kafka.replicationFactor, pollMilliseconds: Int(kafka.pollDuration / .milliseconds(1)),
            allowWeakLog: kafka.allowWeakLog, allowEphemeral: configuration.allowEphemeral,
            flushMilliseconds: Int64(configuration.indexer.flushDuration / .milliseconds(1)), properties: own)
        var parts = KafkaParts(settings: settings, clusters: [:], warnings: own.warnings)
        for (name, cluster) in kafka.clusters.sorted(by: { $0.key < $1.key }) {
            let place = "log.clusters.\(name)"
            let properties = try properties(
                of: cluster.bootstrapServers, cluster.propertiesFile, cluster.propertiesMap,
                cluster.propertiesDirectory, at: place)
            var other = settings
            other.bootstrapServers = cluster.bootstrapServers
            other.properties = properties
            parts.clusters[name] = other
            parts.warnings += properties.warnings.map { "\(place): \($0)" }
        }
        return parts
    }

    /// The name of a log that moves from a directory to Kafka, unless another is given.
    private static let defaultTopic = "varve-log"

    static func kafkaProvider(
        _ configuration: Configuration, _ kafka: KafkaLogConfiguration, _ sink: any LogSink
    ) throws(VarveError) -> KafkaLogProvider {
        let parts = try kafkaParts(configuration, kafka)
        let logger = Logger(label: "kafka", level: configuration.logging.level, sink: sink)
        for warning in parts.warnings { logger.warning("\(warning)") }
        return KafkaLogProvider(parts.settings, onNotice: notice(to: logger))
    }

    /// Providers of the other clusters that the configuration names, where epochs may move to.
    static func logClusters(
        _ configuration: Configuration, _ sink: any LogSink = SilentLogSink()
    ) throws(VarveError) -> [String: any LogProvider] {
        let kafka: KafkaLogConfiguration
        switch configuration.log {
        case .inMemory: return [:]
        case .kafka(let own): kafka = own
        // A local log has no topic that its clusters could go on with.
        case .local(let local):
            kafka = KafkaLogConfiguration(
                bootstrapServers: "", topic: defaultTopic, clusters: local.clusters)
        }
        guard !kafka.clusters.isEmpty else { return [:] }
        let logger = Logger(label: "kafka", level: configuration.logging.level, sink: sink)
        return try kafkaParts(configuration, kafka).clusters.mapValues { settings in
            KafkaLogProvider(settings, onNotice: notice(to: logger))
        }
    }

    private static func properties(
        of servers: String, _ file: String?, _ map: [String: String], _ directory: String, at place: String
    ) throws(VarveError) -> KafkaProperties {
        guard file != nil || !map.isEmpty else { return KafkaProperties() }
        do throws(VarveError) {
            return try KafkaProperties(map: map, directory: directory, file: file, bootstrapServers: servers)
        } catch {
            var error = error
            error.at = error.at ?? place
            throw error
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
