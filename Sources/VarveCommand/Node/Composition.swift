// The composition root: the only place that picks a log implementation. Everything below is given what it uses.

import VarveCore
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
            configuration, log: try logProvider(configuration, logSink),
            clusters: try logClusters(configuration, logSink), logSink: logSink,
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
        case .kafka(let kafka): try kafkaProvider(configuration, kafka, sink)
        }
    }

    /// How a command that is no node opens a log.
    enum Access {
        /// As a node would: a local log's torn tail is cut off and kept aside. Held by a node, or damaged, it is read
        /// beside it.
        case mended
        /// Without touching anything, whoever holds it.
        case beside
    }

    /// The log of one epoch, for commands that read it.
    /// - Parameters:
    ///   - reference: which one it is, where storage or a seal says so: it may be on another cluster of the configuration.
    ///   - note: told why a local log could not be opened as a node would.
    static func log(
        _ configuration: Configuration, _ epoch: Epoch, _ access: Access, at reference: LogReference? = nil,
        note: (VarveError) -> Void
    ) async throws(VarveError) -> any Log {
        let provider: any LogProvider
        if let reference {
            // Two directories of local logs have no id that would tell them apart, so it is asked for, too.
            guard let named = try await logPlaces(configuration).provider(for: reference, of: epoch),
                try await named.probe(epoch) == .present
            else {
                throw VarveError(
                    .logUnreachable,
                    "epoch \(epoch) is in \(reference.place), and the configuration names no place where that is",
                    next:
                        "name it in the section log, or under clusters or directories there, then: varve log follow --from "
                        + "\(Position(epoch, reference.genesisOffset ?? .zero)) --config node.yaml")
            }
            provider = named
        } else {
            provider = try logProvider(configuration)
        }
        switch configuration.log {
        case .inMemory:
            throw VarveError(
                .logMissing, "the configuration's log is in memory: with no node running there is none",
                next: "ask the node: --url")
        case .kafka: return try await provider.open(epoch)
        case .local:
            guard let local = provider as? LocalLogProvider else { return try await provider.open(epoch) }
            if case .mended = access {
                do throws(VarveError) {
                    return try await local.open(epoch)
                } catch {
                    guard error.code == .logLocked || error.code == .logCorrupt else { throw error }
                    note(error)
                }
            }
            return try await local.openToRead(epoch)
        }
    }

    /// Every place that the configuration names for logs.
    static func logPlaces(_ configuration: Configuration) throws(VarveError) -> LogPlaces {
        LogPlaces(
            try logProvider(configuration),
            clusters: try logClusters(configuration).merging(Node.directories(configuration)) { given, _ in given })
    }

    /// What a new database would begin with.
    static func settings(_ configuration: Configuration) -> Settings {
        let indexer = configuration.indexer
        return Settings(
            transactionsPerBlock: UInt64(indexer.transactionsPerBlock), rowsPerBlock: UInt64(indexer.rowsPerBlock),
            bytesPerBlock: UInt64(indexer.bytesPerBlock),
            flushDurationMs: UInt64(indexer.flushDuration / .milliseconds(1)))
    }

    /// What is stored where the configuration says, for commands beside the nodes: opening would make a directory that is
    /// not there, and they make nothing.
    /// - Parameters:
    ///   - isReader: the command changes nothing, so the storage may be one that cannot be written.
    ///   - needsRoom: false for a command that a full disk must not stop, since it makes room or says what is there.
    static func blocks(
        _ configuration: Configuration, isReader: Bool = false, needsRoom: Bool = true
    ) throws(VarveError) -> BlockStore {
        switch configuration.storage {
        case .inMemory:
            throw VarveError(
                .storageMissing, "the configuration's storage is in memory: with no node running there is none",
                next: "ask the node: --url")
        case .local(let path):
            guard !DirectoryObjectStore.lacksDatabase(at: path) else {
                throw VarveError(
                    .storageMissing, "the storage holds no database yet: \(path). Nothing was changed",
                    next: "check storage.path, and that it is mounted")
            }
            if isReader { return BlockStore(try DirectoryObjectStore(reading: path)) }
            var random = SystemRandomNumberGenerator()
            let reader = "reader-\(random.next() as UInt32)"
            return BlockStore(
                try try DirectoryObjectStore(path: path, node: reader, nonce: random.next(), needsRoom: needsRoom))
        }
    }
}
