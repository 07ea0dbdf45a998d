/// Begins the next epoch without a seal: what the plan keeps is kept, what it gives up is stated in the record for ever.
///
/// In this order: the new log with its genesis; salvaged records; the epoch record, published once, which is the effect.
/// Broken off anywhere before the last, it is repeated by running it again: genesis and records are found and not written
/// twice.

package import VarveCore
internal import VarveIndexing
internal import VarveLog
package import VarveModel
internal import VarveStorage

package struct EpochBump: Sendable {
    let cold: ColdDatabase
    let plan: EpochPlan
    let way: EpochPlan.Way
    let acceptedLoss: String?
    /// For a database that has no block yet.
    let settings: Settings

    package init(
        _ cold: ColdDatabase, _ plan: EpochPlan, _ way: EpochPlan.Way, acceptedLoss: String?, settings: Settings
    ) {
        self.cold = cold
        self.plan = plan
        self.way = way
        self.acceptedLoss = acceptedLoss
        self.settings = settings
    }

    package struct Result: Sendable {
        package var record: EpochRecord
        package var salvaged: Int
        /// Submissions that came out differently in the new epoch than in the old one.
        package var differing: [EpochPlan.Submission]

        package init(record: EpochRecord, salvaged: Int, differing: [EpochPlan.Submission]) {
            self.record = record
            self.salvaged = salvaged
            self.differing = differing
        }
    }

    /// - Parameter progress: told how many records were salvaged so far.
    package func run(progress: (Int) -> Void = { _ in }) async throws(VarveError) -> Result {
        if let refusal = plan.refusal(way, acceptedLoss: acceptedLoss) { throw refusal }
        guard let next = plan.epoch.next, let parent = cold.epochs.last, let parentGenesis = plan.log.genesis else {
            throw VarveError(.epochAhead, "epoch \(plan.epoch) is the last there can be. Nothing was changed")
        }
        let end = plan.end(by: way)
        let start = EpochStart(
            database: cold.database, epoch: next, began: .lost,
            settings: cold.loading.newest?.settings ?? settings,
            parent: Genesis.Parent(genesis: parentGenesis, end: end))
        let reference: LogReference
        do throws(VarveError) {
            reference = try await start.begin(at: cold.places.primary)
        } catch {
            // What stands there may be in use by now.
            if error.code == .targetUnfit, let other = try cold.store.epochRecord(next)?.record { throw begun(other) }
            throw error
        }
        var salvaged = Salvage.Applied()
        if way == .salvage, !plan.submissions.isEmpty {
            salvaged = try await salvage(reference, next, end, progress)
        }
        if way == .drop { try await requireNothingSalvaged(reference, next) }
        try await requireNothingNew()
        let record = EpochRecord(
            epoch: next, parent: parent.digest, began: .lost, log: reference, parentEnd: end,
            reason: reason(salvaged))
        if case .different = try cold.store.publishEpochRecord(record) {
            throw begun(try cold.store.epochRecord(next)?.record, salvaged.count)
        }
        return Result(record: record, salvaged: salvaged.count, differing: salvaged.differing)
    }

    private func begun(_ other: EpochRecord?, _ salvaged: Int = 0) -> VarveError {
        VarveError(
            .planStale,
            (salvaged > 0 ? "\(salvaged) transactions were appended to the new log and count. But " : "")
                + "epoch \(other.map { "\($0.epoch)" } ?? "behind \(plan.epoch)") was begun by somebody else meanwhile: "
                + "\(other?.began.description ?? "otherwise"), behind "
                + "\(other?.parentEnd?.position.description ?? "?") (\(other?.reason ?? "")). That one counts",
            next: "varve epoch status --config node.yaml")
    }

    /// Making the plan and salvaging took their time, and this process may have stood still: a node that was started in the
    /// old epoch meanwhile has answered, and what it answered would be lost without a word.
    private func requireNothingNew() async throws(VarveError) {
        if let found = try await newRecords() { throw stale(found) }
        let newest = try cold.store.manifests(of: cold.epochs, database: cold.database).last?.manifest
        guard StartUp.end(of: cold.loading.current, newest: newest) == plan.safe else {
            throw stale("storage has gone on to \(newest?.last ?? .zero)")
        }
        for (node, bytes) in try cold.store.heartbeats() {
            guard let heartbeat = try? Heartbeat.decode(bytes), heartbeat.epoch >= cold.loading.current.epoch else {
                continue
            }
            let known = plan.peers.first { $0.node == node }
            guard known?.applied == heartbeat.applied, known?.wasStopped == (heartbeat.stopped != nil) else {
                throw stale("\(node) has run in epoch \(heartbeat.epoch) since")
            }
        }
    }

    /// Of the old log, as the plan says.
    private var damage: VarveError? {
        guard case .broken(_, let error) = plan.rest else { return nil }
        return error
    }

    /// What stands behind the piece of the old log that the plan knows.
    private func newRecords() async throws(VarveError) -> String? {
        switch plan.rest {
        case .none, .sealed: return nil
        case .whole, .broken: break
        }
        guard let log = try await cold.source(cold.current, damage) else { throw stale("the old log is gone") }
        do throws(VarveError) {
            let known = plan.recoverable
            let from = known.epoch == plan.epoch ? known.offset.next : cold.current.log.genesisOffset ?? .zero
            let range = try await log.range()
            let tag = LogTag(database: cold.database, genesis: cold.current.log.genesis ?? .zero)
            var found: Offset?
            try await log.forEachBatch(from: max(from, range.lowerBound), to: range.upperBound) {
                (entries) throws(VarveError) in
                // Of a damaged one the plan says that it is there.
                found =
                    entries.first { entry in
                        guard case .record(let record) = Record.decode(entry.bytes, tag: tag) else { return false }
                        return [.transaction, .cancel, .settings, .seal].contains(record.header.type)
                    }?.offset
                return found == nil
            }
            await log.close()
            return found.map { "the old log has gone on to \(Position(plan.epoch, $0))" }
        } catch {
            await log.close()
            throw error
        }
    }

    private func stale(_ what: String) -> VarveError {
        VarveError(
            .planStale, "\(what), behind what the plan was made from. No epoch was begun",
            next: "stop all nodes, then: varve epoch plan --config node.yaml")
    }

    /// A salvage that was broken off has left transactions in the new log: they would be applied, and the record would say
    /// that they are given up.
    private func requireNothingSalvaged(_ reference: LogReference, _ next: Epoch) async throws(VarveError) {
        let log = try await cold.places.primary.open(next)
        do throws(VarveError) {
            let tag = LogTag(database: cold.database, genesis: reference.genesis ?? .zero)
            var count = 0
            let from = (reference.genesisOffset ?? .zero).next
            try await log.forEachBatch(from: from, to: try await log.range().upperBound) {
                (entries) throws(VarveError) in
                count += entries.count { entry in
                    guard case .record(let record) = Record.decode(entry.bytes, tag: tag) else { return false }
                    return [.transaction, .cancel].contains(record.header.type)
                }
                return true
            }
            await log.close()
            guard count > 0 else { return }
            throw VarveError(
                .targetUnfit,
                "\(reference.place) holds \(count) transactions that an earlier salvage appended: they would be kept. No epoch "
                    + "was begun",
                next:
                    "complete it: varve epoch bump --salvage --config node.yaml; or delete that log, then give them up")
        } catch {
            await log.close()
            throw error
        }
    }

    /// What stands in the record: the way, and what is known to be lost by it.
    private func reason(_ salvaged: Salvage.Applied) -> String {
        let lost = plan.lost(by: way)
        var text = "\(way.rawValue): \(lost.submissions.count) transactions given up"
        // Nobody could read it: what stood there is not lost for sure, and not known either.
        switch plan.rest {
        case .none(let error): text = "\(way.rawValue): what stood there is not known (\(error.code))"
        case .broken(_, let error): text += ", what stood in the gap before is not known (\(error.code))"
        case .whole, .sealed: break
        }
        if let rewritten = plan.rewritten {
            text += ", what stood before at \(rewritten.position) is not known (LOG_DIVERGED)"
        }
        if lost.records > 0 { text += ", up to \(lost.records) records that nothing held" }
        if let acceptedLoss { text += ", plan \(acceptedLoss)" }
        return text
    }

    private func salvage(
        _ reference: LogReference, _ next: Epoch, _ end: ParentEnd, _ progress: (Int) -> Void
    ) async throws(VarveError) -> Salvage.Applied {
        guard let source = try await cold.source(cold.current, damage) else { throw StartUp.missing(cold.current) }
        do throws(VarveError) {
            let target = try await cold.places.primary.open(next)
            do throws(VarveError) {
                let loaded = try cold.loading.load(settings: settings, genesis: nil)
                var machine = loaded.machine
                for case .stopped(let error) in try machine.step(
                    .enter(next, reference.genesis ?? .zero, end), reading: loaded.blocks)
                {
                    throw error
                }
                var replay = Replay(machine: machine, blocks: loaded.blocks)
                let applied = try await Salvage.apply(
                    plan.submissions, from: source, of: cold.current, database: cold.database, to: target,
                    beginningAt: reference.genesisOffset ?? .zero, &replay, progress)
                await target.close()
                await source.close()
                return applied
            } catch {
                await target.close()
                throw error
            }
        } catch {
            await source.close()
            throw error
        }
    }
}
