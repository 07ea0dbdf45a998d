/// Making a node from its configuration: for programs that embed Varve, and for the program `varve`.

internal import Synchronization
public import VarveLog
public import VarveModel
internal import VarveStorage
public import VarveTelemetry

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

extension Node {
    /// A node that is not yet running: give `run()` a task group or a service group.
    /// - Parameters:
    ///   - log: the provider of a log that `VarveNode` does not know by itself (Kafka's comes from `VarveKafka`); nil for
    ///     the in-memory and local logs of the configuration.
    ///   - clusters: places that epochs may be on, by the names that nodes have for them.
    ///   - instantSource: stamps the log time of in-memory and local logs.
    ///   - logSink: where log lines go.
    public convenience init(
        _ configuration: Configuration, log: (any LogProvider)? = nil, clusters: [String: any LogProvider] = [:],
        instantSource: any InstantSource = SystemInstantSource(), logSink: any LogSink = SilentLogSink(),
        bootstrapFromLog: Bool = false
    ) throws(VarveError) {
        try configuration.validate()
        let id = configuration.node.id ?? Self.defaultID(configuration)
        let provider = if let log { log } else { try Self.provider(configuration, instantSource) }
        self.init(
            configuration, id: id, log: provider,
            clusters: clusters.merging(Self.directories(configuration, instantSource)) { given, _ in given },
            logger: Logger(
                label: id, level: configuration.logging.level, sink: logSink),
            bootstrapFromLog: bootstrapFromLog)
    }

    /// A node that runs in the background and serves when this returns; end it with `stop()`.
    public static func start(
        _ configuration: Configuration = Configuration(), log: (any LogProvider)? = nil,
        clusters: [String: any LogProvider] = [:], instantSource: any InstantSource = SystemInstantSource(),
        logSink: any LogSink = SilentLogSink()
    ) async throws(VarveError) -> Node {
        let node = try Node(configuration, log: log, clusters: clusters, instantSource: instantSource, logSink: logSink)
        node.runInBackground()
        do throws(VarveError) {
            try await node.waitUntilReady()
        } catch {
            await node.stop()
            throw error
        }
        return node
    }

    /// The one unstructured task: `start` hands out a node that outlives its caller's scope; `stop` ends it.
    package func runInBackground() {
        background.withLock { task in
            guard task == nil else { return }
            task = Task { try? await self.run() }
        }
    }

    /// Ends a node that `start` made: what is in flight is abandoned, the log is closed. Idempotent.
    public func stop() async {
        let task = background.withLock { $0 }
        task?.cancel()
        await task?.value
    }

    private static func provider(
        _ configuration: Configuration, _ instants: any InstantSource
    ) throws(VarveError) -> any LogProvider {
        switch configuration.log {
        case .inMemory: return MemoryLogProvider(instantSource: instants)
        case .local(let local):
            return LocalLogProvider(
                path: local.path, bufferSize: local.bufferSize, pollSleepDuration: local.pollSleepDuration,
                instantSource: instants)
        case .kafka:
            throw VarveError(
                .configInvalid, "a Kafka log needs its provider",
                next: "import VarveKafka and pass `log: KafkaLogProvider(…)`")
        }
    }

    /// Where a local log may go on, by name.
    package static func directories(
        _ configuration: Configuration, _ instants: any InstantSource = SystemInstantSource()
    ) -> [String: any LogProvider] {
        guard case .local(let local) = configuration.log else { return [:] }
        return local.directories.mapValues { path in
            LocalLogProvider(
                path: path, bufferSize: local.bufferSize, pollSleepDuration: local.pollSleepDuration,
                instantSource: instants)
        }
    }

    static func store(
        _ configuration: Configuration, _ id: String
    ) -> @Sendable () throws(VarveError) -> any ObjectStore {
        switch configuration.storage {
        case .inMemory: return { () throws(VarveError) in MemoryObjectStore() }
        case .local(let path):
            return { () throws(VarveError) in
                var generator = SystemRandomNumberGenerator()
                return try DirectoryObjectStore(path: path, node: id, nonce: generator.next())
            }
        }
    }

    /// Names this process among those with the same node id; nothing else is decided by it.
    static func wallClockMs() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }

    /// Host name and HTTP port, in the characters that an id may have.
    static func defaultID(_ configuration: Configuration) -> String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        let host = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let allowed = host.map { byte -> UInt8 in
            let isWord = (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            return isWord || byte == 0x2d || byte == 0x2e ? byte : 0x2d
        }
        let text = String(decoding: allowed, as: UTF8.self)
        return "\(text.isEmpty ? "node" : text)-\(configuration.http.port)"
    }
}
