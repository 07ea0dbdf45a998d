/// After an epoch has ended: what its log holds beyond its end, what of it the database knows, and applying the rest.
///
/// Nodes may run meanwhile: ids decide. A local log is held by its node, so that must be down.

package import VarveCore
internal import VarveIndexing
internal import VarveLog
package import VarveModel
internal import VarveStorage

package struct LateSalvage: Sendable {
    package struct Item: Sendable, Equatable {
        package var submission: EpochPlan.Submission
        /// What the database knows of the id; nil when nothing.
        package var decided: Decision?
    }

    let cold: ColdDatabase
    package let epoch: EpochRecord
    let end: ParentEnd
    private let next: EpochRecord

    /// - Parameter number: nil takes the newest epoch whose end was declared, else the one before the present.
    package init(_ cold: ColdDatabase, _ number: Epoch?) throws(VarveError) {
        self.cold = cold
        let records = cold.epochs.map(\.record)
        let chosen =
            number ?? records.last { $0.began == .lost }.flatMap { Epoch(Int($0.epoch.number) - 1) }
            ?? Epoch(records.count - 2)
        guard let chosen, Int(chosen.number) + 1 < records.count,
            let next = records.successor(of: chosen), let end = next.parentEnd
        else {
            throw VarveError(
                .badRequest, "epoch \(chosen?.description ?? "0") has not ended: there is nothing to salvage from it",
                next: "varve epoch status --config node.yaml")
        }
        epoch = records[Int(chosen.number)]
        self.next = next
        self.end = end
    }

    /// Every submission behind the epoch's end.
    package func list() async throws(VarveError) -> [Item] {
        let piece = try await withLog(epoch) { (log) async throws(VarveError) in try await beyond(log) }
        let state = try await withLog(cold.current) { (log) async throws(VarveError) in try await present(log) }
        let snapshot = Snapshot(state.machine, state.blocks)
        var items: [Item] = []
        for submission in piece {
            var known = state.machine.window[submission.id]
            if known == nil { known = try snapshot.decision(submission.id) }
            items.append(Item(submission: submission, decided: known))
        }
        return items
    }

    /// Applies those of which the database knows nothing.
    package func apply(
        _ items: [Item], progress: (Int) -> Void = { _ in }
    ) async throws(VarveError) -> Salvage.Applied {
        let wanted = items.filter { $0.decided == nil }.map(\.submission)
        return try await withLog(epoch) { (source) async throws(VarveError) in
            try await withLog(cold.current) { (target) async throws(VarveError) in
                var state = try await present(target)
                let from = try await target.range().upperBound
                return try await Salvage.apply(
                    wanted, from: source, of: epoch, database: cold.database, to: target, beginningAt: from, &state,
                    progress)
            }
        }
    }

    private func beyond(_ log: any Log) async throws(VarveError) -> [EpochPlan.Submission] {
        let range = try await log.range()
        let from = end.position.epoch == epoch.epoch ? end.position.offset.next : epoch.log.genesisOffset ?? .zero
        guard try await log.firstGenesis()?.id == epoch.log.genesis || range.lowerBound > .zero else {
            throw VarveError(
                .logReplaced,
                "\(epoch.log.place) does not begin with the genesis that storage recorded. Nothing was changed",
                next: "varve epoch status --config node.yaml")
        }
        let tag = LogTag(database: cold.database, genesis: epoch.log.genesis ?? .zero)
        var found: [EpochPlan.Submission] = []
        try await log.forEachBatch(from: max(from, range.lowerBound), to: range.upperBound) {
            (entries) throws(VarveError) in
            for entry in entries {
                guard case .record(let record) = Record.decode(entry.bytes, tag: tag),
                    record.header.type == .transaction || record.header.type == .cancel
                else { continue }
                found.append(
                    EpochPlan.Submission(
                        id: record.header.id, position: Position(epoch.epoch, entry.offset),
                        outcome: record.header.type == .cancel ? .cancelled : nil))
            }
            return true
        }
        return found
    }

    /// The state at the present log's end.
    private func present(_ log: any Log) async throws(VarveError) -> Replay {
        let proof = try await LogProof(
            log, cold.current, database: cold.database, newest: cold.loading.newest
        ).prove(mayAppend: false)
        guard cold.loading.current == cold.current else {
            throw VarveError(
                .epochAhead, "the end of epoch \(cold.loading.current.epoch) is in no block yet. Nothing was changed",
                next: "start the nodes; flush a block; then ask again")
        }
        let loaded = try cold.loading.load(settings: Settings(), genesis: proof.genesis)
        var replay = Replay(machine: loaded.machine, blocks: loaded.blocks)
        replay.poison = try PoisonAhead(cold.store, of: cold.current.epoch)
        try await log.forEachBatch(from: proof.next, to: try await log.range().upperBound) {
            (entries) throws(VarveError) in try replay.apply(entries)
        }
        try replay.requireWhole()
        return replay
    }

    private func withLog<R: Sendable>(
        _ record: EpochRecord, _ body: (any Log) async throws(VarveError) -> R
    ) async throws(VarveError) -> R {
        let log = record == cold.current ? try await cold.open(record) : try await cold.source(record)
        guard let log else { throw StartUp.missing(record) }
        do throws(VarveError) {
            let result = try await body(log)
            await log.close()
            return result
        } catch {
            await log.close()
            throw error
        }
    }
}
