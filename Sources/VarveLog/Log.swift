/// The contract of a log: one totally ordered, append-only sequence of records for one epoch.
///
/// Each sentence that promises something has a name in brackets; a check of `LogContract` (`VarveTestSupport`) or a test
/// that it names holds it, for every implementation.
///
/// **Order.** Every reader sees the same records at the same offsets in the same order, for ever [O1]. Offsets rise, may
/// have gaps and never repeat [O2]. The records of one `append` call keep their order; calls that one task makes one
/// after the other take effect in that order [O3].
///
/// **Durability.** `.stored` means durable as far as the implementation can promise: synced to disk (local), accepted by
/// the brokers that `acks=all` waits for (Kafka), in memory (in-memory); the next handle finds it [D1]. It is still only a
/// report: what *decides* is the record read back by a tail. Offset and time, where the report has them, are those that
/// a tail then shows [D2].
///
/// **Definiteness.** `.refused` means certainly not in the log and never will be [F1]. `.unknown` means nothing is
/// certain: the record is there, or comes later, or never; but never twice [F2].
///
/// **Ownership.** Bytes given and returned are immutable values: any bytes, kept as they are, none at all too [B1].
///
/// **Concurrency.** Every method may be called from any task at any time [C1]; tails are independent of each other: a slow
/// or closed one holds up no other [C2]. Cancelling a task that waits in `append` does not take the records back [C3].
///
/// **Back-pressure.** A log holds a bounded amount of what is appended and of what is read ahead: whoever appends waits
/// until there is room, a tail reads no further than it is asked [C4].
///
/// **Time.** A record's log time is in milliseconds since 1970, stamped by the log when it accepts the record, the same for
/// every reader [T1]. An in-process log's never goes back [T2]; a broker's clock may, and readers clamp it.

public import VarveModel

public protocol Log: Sendable {
    /// What this log is: kind, topic, cluster [V6]; `genesis` and its offset are filled in by who has read them.
    var reference: LogReference { get }

    /// Largest record in bytes that an append accepts: checked before anything is sent [A2].
    var recordBytesMax: Int { get }

    /// Appends records in order and waits until each has a definite report or is known to be unknown.
    /// One result for each record, in order; none for none [A1]. Never throws: a failure is a result.
    ///
    /// A record above `recordBytesMax` is refused (`OVERSIZE`), those beside it are not [A2]. After `close` everything is
    /// refused (`NOT_READY`) [A3]. A new local log takes nothing before its genesis (`LOG_MISSING`) [A4]. Other refusals:
    /// `STORAGE_FULL` and `IO_FATAL` (local) [A5]; `LOG_UNREACHABLE`, `LOG_DENIED`, `LOG_MISSING`, `LOG_REPLACED`,
    /// `OVERLOADED` (Kafka) [A6]; `READ_ONLY` when it was opened to be read [A7].
    func append(_ records: [Bytes]) async -> [AppendResult]

    /// Gives up everything that has no report yet, queue and in flight together: each such append returns soon, for each
    /// record with `.unknown` (`LOG_UNREACHABLE`) or, where it certainly is not in the log, `.refused` (`OVERLOADED`)
    /// [P1]. For a deadline above this layer. The log stays usable: what is appended afterwards comes behind what was
    /// given up [P2].
    func purge()

    /// First offset still held, and the next offset the log will give [R1]. Equal when nothing is held [R2].
    /// Throws `LOG_UNREACHABLE`, `LOG_MISSING`, `LOG_DENIED` [R3]; `NOT_READY` after `close`, as `read` and `tail` do [R4].
    func range() async throws(VarveError) -> Range<Offset>

    /// The record at `offset`, or the first one behind it; nil when the log holds none there or behind [R5]. Throws what
    /// `range` throws, and `LOG_CORRUPT` where that record is damaged: it skips none [R6].
    func read(at offset: Offset) async throws(VarveError) -> LogEntry?

    /// A reader that starts at `offset`, which may be the end [N1]. What the log no longer or not yet holds there is found by
    /// the tail's first `next`: `LOG_GAP` below the start [N2], `LOG_BEHIND` above the end [N3]. Throws what `range` throws, a
    /// log that is gone at the latest from the first `next` [N12].
    func tail(from offset: Offset) async throws(VarveError) -> any LogTail

    /// Says that every record below `offset` is in blocks. A local log may forget them, never the others; other logs do
    /// nothing [M1]. Never throws: what could not be forgotten is kept.
    func trim(below offset: Offset) async

    /// What the connection to the log went through, and how long records are kept. For metrics; asks nobody [H1].
    var health: LogHealth { get }

    /// Ends every tail of this handle [E1], waits for what is in flight: nothing of it comes into the log afterwards [E2];
    /// releases files and handles, so that the log can be opened again at once [E4]. Idempotent [E3].
    func close() async
}

extension Log {
    /// A log in this process or on its disk has no connection, and keeps what no block has.
    public var health: LogHealth { LogHealth() }
}

/// How a log that is elsewhere fares.
public struct LogHealth: Sendable, Equatable {
    /// How long a record is kept; nil when for ever, or when that is not known.
    public var retention: Duration?
    /// Connections to the log that were lost since it was opened; they are made again by themselves.
    public var reconnects: UInt64 = 0
    /// How long the log asked this process to hold back, in all.
    public var throttled: Duration = .zero
    /// Until when it does, as far as that is known; what was handed to it waits that long for a report.
    package var heldBackUntil: ContinuousClock.Instant?

    public init(retention: Duration? = nil, reconnects: UInt64 = 0, throttled: Duration = .zero) {
        self.retention = retention
        self.reconnects = reconnects
        self.throttled = throttled
    }
}

public enum AppendResult: Sendable, Equatable {
    /// In the log; offset and log time in ms where the log reports them.
    case stored(offset: Offset?, time: Int64?)
    /// Certainly not in the log, and never will be.
    case refused(VarveError)
    /// May be in the log now or later: only a record decides.
    case unknown(VarveError)
}

/// One entry of the log as it is stored.
public struct LogEntry: Sendable, Equatable {
    public let offset: Offset
    /// Milliseconds since 1970, as stored.
    public let time: Int64
    public let bytes: Bytes

    public init(offset: Offset, time: Int64, bytes: Bytes) {
        self.offset = offset
        self.time = time
        self.bytes = bytes
    }
}

public protocol LogTail: Sendable {
    /// The next records in order, at least one and as many as are at hand (bounded by some megabytes) [N4]: waits until
    /// there is one [N5]; a batch with a suspicion may be empty [N13]. Returns nil after `close` or when the task is
    /// cancelled, and a cancelled call loses nothing [N6]. Only durable records are delivered [N7].
    ///
    /// Throws `LOG_GAP`, `LOG_BEHIND`, `LOG_CORRUPT`, `LOG_REPLACED`, `LOG_MISSING`, `LOG_DENIED` [N8]; while a broker is
    /// away it waits [N9]. After a throw the tail is finished [N10]. One caller at a time.
    func next() async throws(VarveError) -> LogBatch?

    /// Ends a waiting `next`. Idempotent [N11].
    func close() async
}

public struct LogBatch: Sendable {
    public let entries: [LogEntry]
    /// Something happened that may mean another log in this one's place (reconnect, error event): whoever reads must
    /// prove the log's identity again before it acknowledges anything. The reason, for the log line. It is told before
    /// any record that came afterwards [N13].
    public let suspicion: String?

    public init(_ entries: [LogEntry], suspicion: String? = nil) {
        self.entries = entries
        self.suspicion = suspicion
    }
}

/// Opens, probes and initialises logs of one kind. The program gives a node its providers: the only place that knows
/// which kinds exist is the composition root.
public protocol LogProvider: Sendable {
    /// How this provider names the log of an epoch, which need not exist: kind, cluster id, topic. The same value as
    /// `Log.reference` of that log [V6]. Throws `LOG_UNREACHABLE` while a cluster's id is not known.
    func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference

    /// Logs of another name in the same place: Kafka's topics `<name>-e<N>`. Itself, for a kind without names [V7].
    func named(_ name: String) -> any LogProvider

    /// What stands at this epoch's place: without creating anything [V1]. Throws `LOG_UNREACHABLE` where nobody answers,
    /// `LOG_DENIED` where it may not look [V8]: neither is an absence.
    func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence

    /// Opens the log of an epoch. Throws `LOG_MISSING` when there is none; never creates [V2]. `LOG_LOCKED` when the kind
    /// allows one handle only and it is taken [V3]. Epochs are logs of their own [V4].
    func open(_ epoch: Epoch) async throws(VarveError) -> any Log

    /// Creates the place of an epoch's log if it is not there (a topic, a directory), ready for its genesis. Many nodes
    /// may do so at once: that it exists already is success [V5]. Throws `LOG_UNREACHABLE`, `LOG_DENIED`; `LOG_MISSING`
    /// where it is not allowed or not able to make one, `CONFIG_INVALID` where it cannot be as configured [V9].
    func create(_ epoch: Epoch) async throws(VarveError)

    /// Whether what this log holds ends with the process (in-memory, embedded broker) [K1].
    var isEphemeral: Bool { get }

    /// Whether that is the log's nature and needs no `allowEphemeral` (embedded broker: development and the demo).
    var impliesEphemeral: Bool { get }

    /// Things an operator should know (one broker only, weak settings): shown in the log, status and metrics [K2].
    var warnings: [String] { get }
}

public enum LogPresence: Sendable, Equatable {
    case missing
    case present
}
