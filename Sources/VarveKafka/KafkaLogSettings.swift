/// What an operator says about a log on Kafka: the `log: !Kafka` section of the configuration.

public struct KafkaLogSettings: Sendable, Equatable {
    /// `host:port`, several with commas.
    public var bootstrapServers: String
    /// Epoch N lives in `<topic>-eN`.
    public var topic: String
    /// Whether initialising an epoch may make its topic.
    public var autoCreateTopic: Bool
    /// Copies of a topic that is made; nil is min(3, brokers).
    public var replicationFactor: Int?
    /// How long a broker may hold an empty fetch. A record that comes ends the wait.
    public var pollMilliseconds: Int
    /// Lets a topic pass whose settings may lose acknowledged records.
    public var allowWeakLog: Bool
    /// False: the embedded broker is taken for a Kafka that keeps its topics, and any of them for the same cluster.
    public var allowEphemeral: Bool?
    /// The longest time between two blocks: the log must keep records for several of these.
    public var flushMilliseconds: Int64
    /// What else the client is to be told: security above all.
    public var properties: KafkaProperties
    /// How old the last proof may be that the topic is still the one that was read, when more of it is read: neither
    /// producer nor reader notices one that was deleted and made anew.
    package var identityCheckMilliseconds = 2_000
    /// Longest wait for an answer to a question.
    package var answerMilliseconds = 5_000

    public init(
        bootstrapServers: String, topic: String, autoCreateTopic: Bool = true, replicationFactor: Int? = nil,
        pollMilliseconds: Int = 1_000, allowWeakLog: Bool = false, allowEphemeral: Bool? = nil,
        flushMilliseconds: Int64 = 4 * 3_600_000, properties: KafkaProperties = KafkaProperties()
    ) {
        self.bootstrapServers = bootstrapServers
        self.topic = topic
        self.autoCreateTopic = autoCreateTopic
        self.replicationFactor = replicationFactor
        self.pollMilliseconds = pollMilliseconds
        self.allowWeakLog = allowWeakLog
        self.allowEphemeral = allowEphemeral
        self.flushMilliseconds = flushMilliseconds
        self.properties = properties
    }
}
