/// The state a database starts from: what the newest block on the chain left behind, in the epoch whose log comes next.

package import VarveCore
package import VarveLog
package import VarveModel
package import VarveStorage

package struct DatabaseLoading: Sendable {
    package let store: BlockStore
    package let database: DatabaseID
    package let epochs: [BlockStore.StoredEpoch]
    package let history: [BlockStore.StoredManifest]
    /// Index of the epoch whose log is read next: the newest one that begins where the newest block ends, or the newest
    /// block's own.
    package let index: Int

    /// - Parameter epochs: those of `epochRecords`, at least one.
    package init(
        _ store: BlockStore, _ epochs: [BlockStore.StoredEpoch], database: DatabaseID
    ) throws(VarveError) {
        self.store = store
        self.database = database
        self.epochs = epochs
        history = try store.manifests(of: epochs, database: database)
        let newest = history.last?.manifest
        // Such a block is published after the next epoch's record.
        if let newest, newest.cut == .seal, epochs.last?.record.epoch == newest.last.epoch,
            let next = newest.last.epoch.next
        {
            throw VarveError(
                .chainBroken,
                "block \(newest.number) ends epoch \(newest.last.epoch) at \(newest.last), but \(BlockStore.epochName(next)) is "
                    + "missing; blocks and log are not affected",
                next: "restore it from a backup or another copy of the storage")
        }
        let own = newest.map { Int($0.last.epoch.number) } ?? 0
        // An epoch that names the newest block as its parent's last begins where that block ends.
        index = epochs.indices.last { $0 > own && epochs[$0].record.parentEnd?.block == newest?.number } ?? own
        if index > own, let newest, let end = epochs[own + 1].record.parentEnd {
            guard end.position >= newest.last,
                end.position != newest.last
                    || end.inputChain == newest.inputChain && end.effectChain == newest.effectChain
            else {
                throw VarveError(
                    .chainBroken,
                    "\(BlockStore.epochName(epochs[own + 1].record.epoch)) says that the epoch before it ended at "
                        + "\(end.position) with block \(newest.number), which ends at \(newest.last) with other chains",
                    next: "restore it from a backup or another copy of the storage")
            }
        }
    }

    package var newest: Manifest? { history.last?.manifest }
    package var current: EpochRecord { epochs[index].record }
    /// The record behind `current`, when the log to be read first is not the newest.
    package var successor: EpochRecord? { index + 1 < epochs.count ? epochs[index + 1].record : nil }

    /// - Parameters:
    ///   - settings: for a database without blocks whose genesis has expired.
    ///   - genesis: the epoch's, where its log still holds it.
    package func load(
        settings: Settings, genesis: LogEntry?
    ) throws(VarveError) -> (machine: NodeMachine, blocks: BlockSet) {
        let id = current.log.genesis ?? .zero
        guard let newest = history.last else {
            // The settings in force are the genesis's; the configuration only made them if this node made the genesis.
            var inForce = settings
            if let genesis, case .record(let record) = Record.decode(genesis.bytes, tag: nil),
                let content = try? Genesis.decode(record.payload)
            {
                inForce = content.settings
            }
            let machine = NodeMachine(
                database: database, genesis: id, settings: inForce, epochRecord: epochs[0].digest,
                epoch: current.epoch, parentEnd: current.parentEnd)
            return (machine, BlockSet())
        }
        var state = try RestoredState(after: history, newest, genesis: id, in: store)
        if current.epoch > newest.manifest.last.epoch, let end = current.parentEnd {
            for case .stopped(let error) in try state.machine.step(
                .enter(current.epoch, id, end), reading: state.blocks)
            {
                throw error
            }
        }
        return (state.machine, state.blocks)
    }
}
