// What a node is told: which log, which storage, how to serve. Every key of the configuration file, as Swift values
// with the file's defaults, so a program that embeds Varve writes `Configuration()` and changes what it needs.
//
// A value made by `parse` has passed every rule; one made in code passes them in `validate`, which a node calls first.
// The keys, their texts and their limits are one table: `ConfigurationSchema`.

public import VarveTelemetry

/// One node's configuration; `Configuration()` is all defaults.
public struct Configuration: Sendable, Equatable {
    public var log: LogConfiguration
    /// Lets a log that dies with its process stand over storage that does not: every start is then a declared loss. nil: only
    /// the embedded broker's. `false`: not even that; it is taken for a Kafka that keeps what it was given.
    public var allowEphemeral: Bool?
    public var storage: StorageConfiguration
    public var indexer: IndexerConfiguration
    public var transactions: TransactionConfiguration
    public var http: HTTPConfiguration
    public var query: QueryConfiguration
    public var node: NodeConfiguration
    public var logging: LoggingConfiguration

    public init(
        log: LogConfiguration = .inMemory, allowEphemeral: Bool? = nil, storage: StorageConfiguration = .inMemory,
        indexer: IndexerConfiguration = .init(), transactions: TransactionConfiguration = .init(),
        http: HTTPConfiguration = .init(), query: QueryConfiguration = .init(), node: NodeConfiguration = .init(),
        logging: LoggingConfiguration = .init()
    ) {
        self.log = log
        self.allowEphemeral = allowEphemeral
        self.storage = storage
        self.indexer = indexer
        self.transactions = transactions
        self.http = http
        self.query = query
        self.node = node
        self.logging = logging
    }
}

/// `log:`, the one order of everything.
public enum LogConfiguration: Sendable, Equatable {
    case inMemory
    case local(LocalLogConfiguration)
    case kafka(KafkaLogConfiguration)

    /// The epoch the operator asserts; nil takes what storage records.
    public var epoch: Int? {
        switch self {
        case .inMemory: nil
        case .local(let local): local.epoch
        case .kafka(let kafka): kafka.epoch
        }
    }
}

/// `log: !Local`: a directory of one node.
public struct LocalLogConfiguration: Sendable, Equatable {
    public var path: String
    /// Entries that may wait to be read.
    public var bufferSize: Int
    public var pollSleepDuration: Duration
    public var epoch: Int?
    /// Kafka clusters that epochs may migrate to, by name.
    public var clusters: [String: KafkaClusterConfiguration]
    /// Other directories that epochs may migrate to, by name.
    public var directories: [String: String]

    public init(
        path: String, bufferSize: Int = 4096, pollSleepDuration: Duration = .milliseconds(100), epoch: Int? = nil,
        clusters: [String: KafkaClusterConfiguration] = [:], directories: [String: String] = [:]
    ) {
        self.clusters = clusters
        self.directories = directories
        self.path = path
        self.bufferSize = bufferSize
        self.pollSleepDuration = pollSleepDuration
        self.epoch = epoch
    }
}

/// `log: !Kafka`: one topic per epoch, shared by all nodes.
public struct KafkaLogConfiguration: Sendable, Equatable {
    /// `host:port`, several separated by commas.
    public var bootstrapServers: String
    /// Epoch N lives in `<topic>-e<N>`.
    public var topic: String
    public var autoCreateTopic: Bool
    /// Used when a topic is created; nil is min(3, brokers).
    public var replicationFactor: Int?
    public var pollDuration: Duration
    public var epoch: Int?
    /// Accepts a topic whose settings can lose acknowledged records.
    public var allowWeakLog: Bool
    /// A file of client properties in the syntax of `java.util.Properties`; overrides `propertiesMap`.
    public var propertiesFile: String?
    /// Client properties under Java's or librdkafka's names. Values may be secrets: never logged, never shown.
    public var propertiesMap: [String: String]
    /// Where relative paths in `propertiesMap` start; empty is the working directory.
    public var propertiesDirectory: String
    /// Other clusters that epochs may migrate to, by name.
    public var clusters: [String: KafkaClusterConfiguration]

    public init(
        bootstrapServers: String, topic: String, autoCreateTopic: Bool = true, replicationFactor: Int? = nil,
        pollDuration: Duration = .seconds(1), epoch: Int? = nil, allowWeakLog: Bool = false,
        propertiesFile: String? = nil, propertiesMap: [String: String] = [:], propertiesDirectory: String = "",
        clusters: [String: KafkaClusterConfiguration] = [:]
    ) {
        self.bootstrapServers = bootstrapServers
        self.topic = topic
        self.autoCreateTopic = autoCreateTopic
        self.replicationFactor = replicationFactor
        self.pollDuration = pollDuration
        self.epoch = epoch
        self.allowWeakLog = allowWeakLog
        self.propertiesFile = propertiesFile
        self.propertiesMap = propertiesMap
        self.propertiesDirectory = propertiesDirectory
        self.clusters = clusters
    }
}

/// A cluster of `log.clusters`: how to connect to it.
public struct KafkaClusterConfiguration: Sendable, Equatable {
    public var bootstrapServers: String
    /// As of the log itself, which these do not inherit from.
    public var propertiesFile: String?
    public var propertiesMap: [String: String]
    public var propertiesDirectory: String

    public init(
        bootstrapServers: String, propertiesFile: String? = nil, propertiesMap: [String: String] = [:],
        propertiesDirectory: String = ""
    ) {
        self.bootstrapServers = bootstrapServers
        self.propertiesFile = propertiesFile
        self.propertiesMap = propertiesMap
        self.propertiesDirectory = propertiesDirectory
    }
}

/// `storage:`, where blocks are published.
public enum StorageConfiguration: Sendable, Equatable {
    case inMemory
    /// A directory that all nodes share.
    case local(path: String)
}

/// `indexer:`. The thresholds are what a *new* database starts with; an existing one follows its log.
public struct IndexerConfiguration: Sendable, Equatable {
    public var rowsPerBlock: Int
    public var transactionsPerBlock: Int
    public var bytesPerBlock: Int
    public var flushDuration: Duration
    /// nil is four times `bytesPerBlock`.
    public var frozenBytes: Int?

    public init(
        rowsPerBlock: Int = 102_400, transactionsPerBlock: Int = 100_000, bytesPerBlock: Int = 32 << 20,
        flushDuration: Duration = .seconds(4 * 3600), frozenBytes: Int? = nil
    ) {
        self.rowsPerBlock = rowsPerBlock
        self.transactionsPerBlock = transactionsPerBlock
        self.bytesPerBlock = bytesPerBlock
        self.flushDuration = flushDuration
        self.frozenBytes = frozenBytes
    }

    /// Bytes of cut but unpublished blocks above which a node stops consuming.
    public var effectiveFrozenBytes: Int { frozenBytes ?? (bytesPerBlock > .max / 4 ? .max : bytesPerBlock * 4) }
}

/// `transactions:`.
public struct TransactionConfiguration: Sendable, Equatable {
    /// How long a submission may still be applied, in log time, when the client says nothing.
    public var expiry: Duration

    public init(expiry: Duration = .seconds(60)) { self.expiry = expiry }
}

/// `http:`.
public struct HTTPConfiguration: Sendable, Equatable {
    public var host: String
    /// 0 takes a free one.
    public var port: Int
    /// A secret: never logged, never shown.
    public var token: String?
    public var maxBodyBytes: Int
    public var maxHeaderBytes: Int
    public var headerTimeout: Duration
    public var idleTimeout: Duration
    public var maxConnections: Int
    public var maxConcurrentRequests: Int
    public var maxResultBytes: Int

    public init(
        host: String = "localhost", port: Int = 8080, token: String? = nil, maxBodyBytes: Int = 16 << 20,
        maxHeaderBytes: Int = 16 << 10, headerTimeout: Duration = .seconds(10), idleTimeout: Duration = .seconds(60),
        maxConnections: Int = 1024, maxConcurrentRequests: Int = 256, maxResultBytes: Int = 256 << 20
    ) {
        self.host = host
        self.port = port
        self.token = token
        self.maxBodyBytes = maxBodyBytes
        self.maxHeaderBytes = maxHeaderBytes
        self.headerTimeout = headerTimeout
        self.idleTimeout = idleTimeout
        self.maxConnections = maxConnections
        self.maxConcurrentRequests = maxConcurrentRequests
        self.maxResultBytes = maxResultBytes
    }
}

/// `query:`.
public struct QueryConfiguration: Sendable, Equatable {
    /// When the client says nothing.
    public var timeout: Duration
    /// What a client may ask for.
    public var maxTimeout: Duration
    /// Bytes of one query's working memory.
    public var maxMemory: Int

    public init(timeout: Duration = .seconds(30), maxTimeout: Duration = .seconds(600), maxMemory: Int = 256 << 20) {
        self.timeout = timeout
        self.maxTimeout = maxTimeout
        self.maxMemory = maxMemory
    }
}

/// `node:`.
public struct NodeConfiguration: Sendable, Equatable {
    /// Unique in the cluster; nil is the host name and the HTTP port.
    public var id: String?
    /// Scratch of this node alone; nil is one in the system's temporary directory.
    public var directory: String?

    public init(id: String? = nil, directory: String? = nil) {
        self.id = id
        self.directory = directory
    }
}

/// `logging:`.
public struct LoggingConfiguration: Sendable, Equatable {
    public var level: LogLevel
    public var format: LogFormat

    public init(level: LogLevel = .info, format: LogFormat = .text) {
        self.level = level
        self.format = format
    }
}
