import Synchronization
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage
import VarveTelemetry

/// Several nodes of one database in this process: one log in memory, one store, a gate for each node.
final class Nodes: Sendable {
    struct One: Sendable {
        let name: String
        let indexer: Indexer
        let gate: GatedStore
    }

    let store: MemoryObjectStore
    let provider: MemoryLogProvider
    let all: [One]
    let evidence: Evidence

    final class Evidence: Sendable {
        private let kept = Mutex<[DivergenceEvidence]>([])
        func keep(_ new: DivergenceEvidence) { kept.withLock { $0.append(new) } }
        var all: [DivergenceEvidence] { kept.withLock { $0 } }
    }

    private init(_ store: MemoryObjectStore, _ provider: MemoryLogProvider, _ all: [One], _ evidence: Evidence) {
        self.store = store
        self.provider = provider
        self.all = all
        self.evidence = evidence
    }

    subscript(index: Int) -> Indexer { all[index].indexer }
    func gate(_ index: Int) -> GatedStore { all[index].gate }
    var blocks: BlockStore { BlockStore(store) }

    /// Runs `body` beside nodes of these names.
    /// - Parameters:
    ///   - views: what single nodes see of the shared log.
    ///   - clusters: where epochs may move to, by name.
    ///   - breadcrumbs: what earlier processes of single nodes left.
    static func run(
        _ names: String..., settings: Settings = Settings(), frozenBytesMax: UInt64 = 1 << 30,
        heartbeatMs: Int64 = 10_000, views: [String: @Sendable (MemoryLogProvider) -> any LogProvider] = [:],
        clusters: [String: any LogProvider] = [:], breadcrumbs: [String: any BreadcrumbKeeper] = [:],
        over earlier: Nodes? = nil, _ body: @Sendable (Nodes) async throws -> Void
    ) async throws {
        let (store, provider) = (earlier?.store ?? MemoryObjectStore(), earlier?.provider ?? MemoryLogProvider())
        let evidence = Evidence()
        var all: [One] = []
        for name in names {
            let gate = GatedStore(store)
            let opened = try await Opening(
                provider: views[name]?(provider) ?? provider, clusters: clusters, store: BlockStore(gate),
                isDurableStore: false,
                configuredEpoch: nil,
                settings: settings, allowEphemeral: true, bootstrapFromLog: false
            ).open()
            var options = Indexer.Options(
                frozenBytesMax: frozenBytesMax,
                keepEvidence: {
                    evidence.keep($0)
                    return "somewhere"
                })
            options.heartbeatMs = heartbeatMs
            options.breadcrumb = breadcrumbs[name]
            let presence = Presence(
                store: opened.store, node: name, version: "test", address: nil, wallClockMs: Int64(all.count + 1))
            all.append(
                One(
                    name: name,
                    indexer: Indexer(
                        opened, presence: presence, isDurableStore: false, options: options, logger: .disabled),
                    gate: gate))
        }
        let nodes = Nodes(store, provider, all, evidence)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for one in all { group.addTask { await one.indexer.run() } }
            defer { group.cancelAll() }
            for one in all { try await until { one.indexer.isReady } }
            try await body(nodes)
        }
    }

    /// Submits a transaction of one row and returns what was decided.
    @discardableResult
    func put(_ index: Int, _ id: Int, bytes: Int = 10) async throws -> Decision {
        let transaction = try Transaction.put(
            into: "t", ["_id": .integer(Int64(id)), "text": .text(String(repeating: "x", count: bytes))])
        let (payload, digest) = transaction.encoded()
        let submitted = try await self[index].submit(
            payload: payload, requestDigest: digest, id: nil, expiryMs: 60_000, until: .now + .seconds(30),
            awaitOutcome: true)
        guard case .decided(let decision) = submitted else { throw VarveError(.internal, "not decided") }
        return decision
    }

    /// Every adopted file's bytes, once.
    func publishedBytes() throws -> UInt64 {
        self[0].snapshot.blocks.blocks.flatMap { $0.manifest.tables.flatMap(\.files) }.reduce(0) { $0 + $1.size }
    }
}

/// Waits for something that comes by itself; a minute without it is a failure.
func until(_ condition: () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while try !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("waited for a minute", sourceLocation: sourceLocation)
            throw VarveError(.queryTimeout, "waited for a minute")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}
