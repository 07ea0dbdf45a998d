/// What a storage recorded of the log of one epoch: what a reading of that log is compared with.

internal import VarveModel
internal import VarveStorage

enum RecordedLog: Sendable {
    struct Facts: Sendable {
        var store: BlockStore
        var database: DatabaseID
        var epochs: [BlockStore.StoredEpoch]
        var genesis: GenesisID
        var genesisOffset: Offset
        /// Every manifest of every epoch, oldest first.
        var history: [BlockStore.StoredManifest]
    }

    case known(Facts)
    case elsewhere(LogReference, configured: LogReference)
    case unknown(String)

    /// The end of the newest block.
    var adopted: Position? {
        guard case .known(let facts) = self else { return nil }
        return facts.history.last?.manifest.last
    }
}
