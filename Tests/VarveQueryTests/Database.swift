import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage
import VarveTelemetry

@testable import VarveQuery

/// A whole database in memory: log, machine, blocks.
struct Database {
    let indexer: Indexer

    /// Runs `body` on a new database.
    static func run(
        settings: Settings = Settings(), _ body: @Sendable (Database) async throws -> Void
    ) async throws {
        let opened = try await Opening(
            provider: MemoryLogProvider(), store: BlockStore(MemoryObjectStore()), isDurableStore: false,
            configuredEpoch: nil, settings: settings, allowEphemeral: true, bootstrapFromLog: false
        ).open()
        let indexer = Indexer(
            opened, isDurableStore: false, options: Indexer.Options(frozenBytesMax: 1 << 30), logger: .disabled)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await indexer.run() }
            defer { group.cancelAll() }
            while !indexer.isReady { try await Task.sleep(for: .milliseconds(1)) }
            try await body(Database(indexer: indexer))
        }
    }

    @discardableResult
    func submit(_ transaction: Transaction) async throws -> Position {
        let (payload, digest) = transaction.encoded()
        let submitted = try await indexer.submit(
            payload: payload, requestDigest: digest, id: nil, expiryMs: 60_000, until: .now + .seconds(30),
            awaitOutcome: true)
        guard case .decided(let decision) = submitted else { throw VarveError(.internal, "not decided") }
        return decision.position
    }

    func flush() async throws {
        _ = try await indexer.flush(until: .now + .seconds(30), awaitAdoption: true)
    }

    func ask(
        _ sql: String, _ parameters: QueryParameters = .none, asOf: Position? = nil, format: QueryFormat = .json
    ) async throws(VarveError) -> Answer {
        try await VarveQueryTests.ask(
            SnapshotSource(indexer.snapshot, asOf: asOf), sql, parameters, format: format)
    }
}
