/// One process's part of a cluster: opens log and storage, applies, publishes, answers.
///
/// `Node.start` returns when the node serves; `run()` runs until the task is cancelled. A node is *given* its log
/// providers, so it knows no kind of log by name. While the log or storage cannot be reached it is alive but not ready
/// and tries again; a refusal ends it with the error.

internal import Synchronization
internal import VarveCore
internal import VarveIO
internal import VarveIndexing
package import VarveLog
package import VarveModel
internal import VarveQuery
internal import VarveStorage
package import VarveTelemetry

public final class Node: Sendable {
    public let configuration: Configuration
    package let id: String
    package let metrics: MetricsRegistry
    let logger: Logger
    let provider: any LogProvider
    /// Other clusters that epochs may be on, by their names in the configuration.
    let clusters: [String: any LogProvider]
    /// Opens the store; a directory that is not mounted is asked for again and again.
    private let openStore: @Sendable () throws(VarveError) -> any ObjectStore
    let isDurableStore: Bool
    /// An operator's word that an empty storage shall be rebuilt from a complete log.
    let bootstrapFromLog: Bool
    package let instruments: NodeInstruments
    /// Runs what an embedding program asks in SQL.
    let queries = QueryEngine()
    let startedAt = ContinuousClock.now

    enum Phase: Sendable {
        /// Waiting for log or storage, with the newest reason.
        case starting(VarveError?)
        case running(Indexer, OpenedDatabase)
        case refused(VarveError)
    }

    let phase = Mutex(Phase.starting(nil))
    let background = Mutex<Task<Void, Never>?>(nil)
    /// Where the HTTP server listens, for other nodes' status.
    let address = Mutex<String?>(nil)
    /// Puts this node's own configuration file into the next commands that its status tells.
    let naming = Mutex<(@Sendable (String) -> String)?>(nil)
    /// What waits in storage to be collected, as far as this node has looked.
    let garbage = Mutex<GarbageStanding?>(nil)

    package init(
        _ configuration: Configuration, id: String, log provider: any LogProvider,
        clusters: [String: any LogProvider] = [:], logger: Logger, metrics: MetricsRegistry = MetricsRegistry(),
        bootstrapFromLog: Bool = false
    ) {
        self.configuration = configuration
        self.clusters = clusters
        self.id = id
        self.provider = provider
        openStore = Self.store(configuration, id)
        isDurableStore = configuration.storage != .inMemory
        self.logger = logger
        self.metrics = metrics
        self.bootstrapFromLog = bootstrapFromLog
        instruments = NodeInstruments(metrics)
        instruments.follow(self)
    }

    /// Opens and indexes until the task is cancelled. Throws what ends the node: a refusal at start, or that another process
    /// has taken its id; unreachable halves are waited for.
    public func run() async throws {
        while try await runOnce(), !Task.isCancelled {}
    }

    /// Returns true when the node is to go through its start again.
    private func runOnce() async throws -> Bool {
        let opened: OpenedDatabase
        do throws(VarveError) {
            opened = try await openPatiently()
        } catch {
            phase.withLock { $0 = .refused(error) }
            throw error
        }
        let settings = opened.settings
        if let warning = settingsWarning(settings) { logger.warning("\(warning)") }
        let isEmbedded = provider.isEphemeral && opened.log.reference.kind == .kafka
        let presence = Presence(
            store: opened.store, node: id, version: Self.version, address: address.withLock { $0 },
            wallClockMs: Self.wallClockMs(), configuredEpoch: configuredEpoch)
        var options = Indexer.Options(
            frozenBytesMax: UInt64(configuration.indexer.effectiveFrozenBytes),
            unadoptedBytesMax: isEmbedded ? Self.embeddedUnadoptedBytesMax : nil,
            logRetentionMs: opened.log.health.retention?.milliseconds,
            onAppend: { [histogram = instruments.appendSeconds] in histogram.observe($0) },
            keepEvidence: { [directory] in EvidenceKeeper.keep($0, in: directory) })
        options.breadcrumb = breadcrumb(of: opened.machine.database)
        options.beforeApplying = PlantedPoison.seam
        let indexer = Indexer(
            opened, presence: presence, isDurableStore: isDurableStore, options: options, logger: logger)
        phase.withLock { $0 = .running(indexer, opened) }
        async let _: Void = watchGarbage(opened.store)
        await indexer.run()
        logger.info("stopped at \(indexer.snapshot.position)")
        if let error = indexer.endedBy {
            phase.withLock { $0 = .refused(error) }
            throw error
        }
        return indexer.beginsAgain
    }

    /// Where this process says what it applies; nil when nothing outlives it, or when there is no room for that.
    private func breadcrumb(of database: DatabaseID) -> (any BreadcrumbKeeper)? {
        if case .inMemory = configuration.log { return nil }
        do throws(IOError) {
            return try BreadcrumbFile(in: directory, database: database, version: Self.version)
        } catch {
            logger.warning(
                "a record that ends the process would not be found: \(directory)/\(BreadcrumbFile.name): \(error)")
            return nil
        }
    }

    /// Scratch and evidence of this node alone.
    var directory: String {
        configuration.node.directory ?? Directory.join(FileSystem.temporaryDirectory, "varve-\(id)")
    }

    /// What the configuration asserts.
    var configuredEpoch: Epoch? { configuration.log.epoch.flatMap { Epoch($0) } }

    /// Told before `run()`, by whoever serves HTTP for this node.
    package func announce(address text: String) { address.withLock { $0 = text } }

    /// Told before `run()`, by whoever read the configuration from a file: how a text names that file.
    package func announce(naming text: @escaping @Sendable (String) -> String) { naming.withLock { $0 = text } }

    /// What an embedded broker may hold that no block covers: it forgets beyond about 5 MiB.
    static let embeddedUnadoptedBytesMax: UInt64 = 2 * 1024 * 1024

    private func openPatiently() async throws(VarveError) -> OpenedDatabase {
        var store: BlockStore?
        while true {
            do throws(VarveError) {
                // What kind of log it is, a provider may only know once it has been asked.
                let epoch = configuredEpoch ?? .first
                do throws(VarveError) {
                    _ = try await provider.probe(epoch)
                } catch {
                    // The log may have moved to another cluster: storage says so.
                    guard error.code == .logUnreachable, !clusters.isEmpty else { throw error }
                }
                let found = if let store { store } else { BlockStore(try openStore()) }
                store = found
                let opening = Opening(
                    provider: provider, clusters: clusters, store: found, isDurableStore: isDurableStore,
                    configuredEpoch: configuredEpoch, settings: initialSettings,
                    allowEphemeral: configuration.allowEphemeral == true || provider.impliesEphemeral,
                    bootstrapFromLog: !isDurableStore || bootstrapFromLog, node: id)
                let opened = try await opening.open()
                if let warning = opened.warning { logger.warning("\(warning)") }
                for warning in provider.warnings { logger.warning("\(warning)") }
                logger.info(
                    "log and storage belong together",
                    metadata: [
                        "log": opened.log.reference.topic, "epoch": "\(opened.epoch)", "proved by": opened.evidence,
                        "blocks": "\(opened.blocks.blocks.count)",
                    ])
                return opened
            } catch {
                let mayHeal: [ErrorCode] = [.logUnreachable, .storageUnreachable, .storageFull]
                guard mayHeal.contains(error.code) else { throw error }
                let isNew = phase.withLock { phase in
                    defer { phase = .starting(error) }
                    if case .starting(let last?) = phase { return last.code != error.code }
                    return true
                }
                if isNew { logger.warning("waiting: \(error)", metadata: ["code": error.code.rawValue]) }
                do {
                    try await Task.sleep(for: .seconds(1))
                } catch {
                    throw VarveError(.notReady, "stopped before log and storage could be used")
                }
            }
        }
    }

    /// What a new database begins with; an embedded broker forgets, so its blocks are small.
    var initialSettings: Settings {
        let indexer = configuration.indexer
        var settings = Settings(
            transactionsPerBlock: UInt64(indexer.transactionsPerBlock), rowsPerBlock: UInt64(indexer.rowsPerBlock),
            bytesPerBlock: UInt64(indexer.bytesPerBlock), flushDurationMs: UInt64(indexer.flushDuration.milliseconds))
        if provider.impliesEphemeral {
            settings.bytesPerBlock = min(settings.bytesPerBlock, 1024 * 1024)
            settings.transactionsPerBlock = min(settings.transactionsPerBlock, 10_000)
        }
        return settings
    }

    /// The settings stand in the log; a configuration that says otherwise is not followed, which nobody should have to
    /// find out by counting blocks.
    func settingsWarning(_ inForce: Settings) -> String? {
        Self.settingsWarning(inForce, configured: initialSettings)
    }

    /// nil when they agree.
    package static func settingsWarning(_ inForce: Settings, configured wanted: Settings) -> String? {
        let differences: [(name: String, inForce: UInt64, wanted: UInt64)] = [
            ("rowsPerBlock", inForce.rowsPerBlock, wanted.rowsPerBlock),
            ("transactionsPerBlock", inForce.transactionsPerBlock, wanted.transactionsPerBlock),
            ("bytesPerBlock", inForce.bytesPerBlock, wanted.bytesPerBlock),
            ("flushDuration in ms", inForce.flushDurationMs, wanted.flushDurationMs),
        ].filter { $0.1 != $0.2 }
        guard !differences.isEmpty else { return nil }
        let list = differences.map { "\($0.name) is \($0.inForce), configured \($0.wanted)" }
        return "the database's settings differ from this node's configuration and are followed: "
            + list.joined(separator: "; ") + " (varve settings show)"
    }

    /// The running indexer; throws `NOT_READY` or what the node waits for or was refused with.
    func indexer() throws(VarveError) -> Indexer {
        switch phase.withLock({ $0 }) {
        case .running(let indexer, _): return indexer
        case .refused(let error): throw error
        case .starting(let reason):
            throw reason ?? VarveError(.notReady, "this node is starting. Nothing was written", next: "retry later")
        }
    }

    /// Waits until the node serves; throws the refusal if it never will.
    package func waitUntilReady() async throws(VarveError) {
        while true {
            switch phase.withLock({ $0 }) {
            case .running(let indexer, _):
                if let stopped = indexer.stopped { throw stopped }
                if indexer.isReady { return }
            case .refused(let error): throw error
            case .starting: break
            }
            if Task.isCancelled { throw VarveError(.notReady, "cancelled before the node was ready") }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
