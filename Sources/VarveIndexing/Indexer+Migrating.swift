/// A migration begins on this node, or another node's is answered: `Migrating` has the rules.

internal import Synchronization
package import VarveCore
internal import VarveLog
package import VarveModel
internal import VarveStorage
internal import VarveTelemetry

extension Indexer {
    package struct Migration: Sendable {
        package var epoch: Epoch
        package var log: LogReference
        /// nil for a rehearsal.
        package var seal: Position?

        package init(epoch: Epoch, log: LogReference, seal: Position?) {
            self.epoch = epoch
            self.log = log
            self.seal = seal
        }
    }

    /// As `Migrating.run`.
    package func migrate(
        topic: String?, cluster: String?, isRehearsal: Bool, until deadline: ContinuousClock.Instant
    ) async throws(VarveError) -> Migration {
        try checkAccepting()
        guard let current = epochRecords.last?.record, current.epoch == epoch, let next = epoch.next,
            let parent = current.log.genesis
        else { throw Migrating<Self>.unfit(["this node is still crossing into the newest epoch"]) }
        let isFirst = migrating.withLock { migrating in
            defer { migrating = true }
            return !migrating
        }
        guard isFirst else { throw Migrating<Self>.unfit(["a migration is under way on this node"]) }
        defer {
            migrating.withLock { $0 = false }
            presence.propose(nil)
        }
        let done = try await Migrating(current, next, parent, on: self).run(
            topic: topic, cluster: cluster, isRehearsal: isRehearsal, limit: deadline - .now)
        if let seal = done.seal {
            logger.info("migrated to \(done.log.place)", metadata: ["epoch": "\(next)", "seal": "\(seal)"])
        }
        return done
    }

    /// Answers another node's proposal, if there is a new one; true when something was answered.
    func answerProposals() async -> Bool {
        guard
            let (asking, proposal) = MigrationRules.unanswered(
                among: presence.peers, in: epoch, last: presence.confirmation)
        else { return false }
        let problem = await MigrationRules.problem(of: proposal, places, present: log)
        presence.confirm(Heartbeat.Confirmation(id: proposal.id, problem: problem))
        logger.info("\(asking) wants to move to \(proposal.log.place): \(problem ?? "this node can follow")")
        return true
    }
}

extension Indexer: MigratingNode {
    package var database: DatabaseID { state.withLock { $0.machine.database } }
    package var settings: Settings { state.withLock { $0.machine.settings } }

    package func logTime() async throws(VarveError) -> Int64 {
        try await barrier(until: .now + .seconds(30))
        return state.withLock { $0.machine.logTime }
    }

    package func announce(_ proposal: Heartbeat.Proposal?) async throws(VarveError) {
        presence.propose(proposal)
        try await announce()
        if let proposal {
            logger.info(
                "asks every node whether it can go on in \(proposal.log.place)",
                metadata: ["epoch": "\(proposal.epoch)"])
        }
    }

    package func lookAtPeers() async throws(VarveError) -> [Liveness.Peer] {
        let tick = now
        try await onDisk(presenceQueue) { () throws(VarveError) in try self.presence.look(now: tick) }
        return presence.peers
    }

    package func send(_ seal: Seal, within limit: Duration) async {
        try? await sendSeal(seal, until: .now + limit)
    }

    package func entered(_ epoch: Epoch) throws(VarveError) -> EpochRecord? {
        if let stopped { throw stopped }
        guard self.epoch >= epoch, isReady else { return nil }
        return epochRecords.first { $0.record.epoch == epoch }?.record
    }
}
