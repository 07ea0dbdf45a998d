/// What an operator asks: where the node stands, which blocks and epochs there are, cut one now.

internal import Synchronization
package import VarveCore
package import VarveIndexing
internal import VarveLog
package import VarveModel
package import VarveStorage

package struct NodeStatus: Sendable {
    package enum State: String, Sendable {
        case starting
        case ready
        /// Serving, but something is wrong: blocks cannot be written, or the log does not answer.
        case degraded
        case stopped
    }

    package var node: String
    package var version: String
    package var database: DatabaseID?
    package var state: State
    package var error: VarveError?
    package var warnings: [String]
    package var epoch: Epoch?
    package var log: LogReference?
    package var isEmbedded: Bool
    /// How the log's identity was proved at start.
    package var identity: String?
    package var standing: Indexer.Standing?
    package var settings: Settings?
    package var configuredSettings: Settings
}

/// Another node, as its file in `nodes/` shows it.
package struct NodePeer: Sendable {
    package enum State: String, Sendable, CaseIterable {
        /// Not watched for long enough to say.
        case watching
        case live
        case silent
        case stopped
    }

    package var node: String
    package var state: State
    /// Since its file was last seen to change, or since this node first saw it.
    package var unchangedMs: Int64
    /// What it last said; nil while its file could not be read.
    package var heartbeat: Heartbeat?
}

package struct Health: Sendable {
    package var isStarted: Bool
    package var isAlive: Bool
    package var isReady: Bool
    package var error: VarveError?
}

package struct EpochInfo: Sendable {
    package var record: EpochRecord
    /// Where it ended: nil for the present one.
    package var end: Position?
    /// Transactions given up with its end; nil while it goes on, and when nobody can count them.
    package var unindexedLost: Int?
}

package struct FlushResult: Sendable {
    /// The block that was cut, or the newest one; nil when there is none at all.
    package var block: BlockNumber?
    package var position: Position
    package var isNoop: Bool
}

/// The replicated settings: what holds, and what this node's configuration would like.
package struct NodeSettings: Sendable {
    package var inForce: Settings
    package var configured: Settings
    package var position: Position
}

extension Node {
    /// This program's version, as `--version` and `status` say it.
    package static let version = "0.1.0"

    package func status() -> NodeStatus {
        var status = NodeStatus(
            node: id, version: Self.version, database: nil, state: .starting, error: nil, warnings: provider.warnings,
            epoch: nil, log: nil, isEmbedded: provider.impliesEphemeral, identity: nil, standing: nil, settings: nil,
            configuredSettings: initialSettings)
        switch phase.withLock({ $0 }) {
        case .starting(let reason): status.error = reason
        case .refused(let error):
            status.state = .stopped
            status.error = error
        case .running(let indexer, let opened):
            let standing = indexer.standing
            status.database = opened.machine.database
            let epoch = indexer.epoch
            status.epoch = epoch
            status.log = indexer.epochRecords.first { $0.record.epoch == epoch }?.record.log
            status.identity = opened.evidence
            status.standing = standing
            status.settings = standing.settings
            if let warning = settingsWarning(standing.settings) { status.warnings.append(warning) }
            status.warnings += epochWarnings(indexer)
            if let loss = opened.loss { status.warnings.append(loss) }
            status.error = standing.stopped ?? standing.trouble
            status.state =
                standing.stopped != nil
                ? .stopped : !standing.isReady ? .starting : standing.trouble != nil ? .degraded : .ready
        }
        if let naming = naming.withLock({ $0 }) {
            status.error = status.error.map { error in
                var error = error
                error.message = naming(error.message)
                error.next = error.next.map(naming)
                return error
            }
            status.warnings = status.warnings.map(naming)
        }
        return status
    }

    /// Configurations that assert another epoch than the database is in: this node's, and those of nodes that live.
    private func epochWarnings(_ indexer: Indexer) -> [String] {
        let epoch = indexer.epoch
        var warnings: [String] = []
        if let configuredEpoch, configuredEpoch != epoch {
            warnings.append(
                "the configuration says epoch \(configuredEpoch), the database is in epoch \(epoch) and is followed; correct "
                    + "the section log: epoch: \(epoch)")
        }
        for peer in indexer.presence.peers where peer.verdict == .live || peer.verdict == .watching {
            guard let configured = peer.heartbeat?.configuredEpoch, configured != epoch else { continue }
            warnings.append(
                "\(peer.node)'s configuration says epoch \(configured), the database is in epoch \(epoch) here")
        }
        return warnings
    }

    package func health() -> Health {
        switch phase.withLock({ $0 }) {
        case .starting(let reason): return Health(isStarted: false, isAlive: true, isReady: false, error: reason)
        case .refused(let error): return Health(isStarted: false, isAlive: false, isReady: false, error: error)
        case .running(let indexer, _):
            let stopped = indexer.stopped
            return Health(
                isStarted: indexer.isReady || stopped != nil, isAlive: stopped == nil, isReady: indexer.isReady,
                error: stopped)
        }
    }

    /// The other nodes of this database, by id. None are seen before this node serves.
    package func peers() -> [NodePeer] {
        guard case .running(let indexer, _) = phase.withLock({ $0 }) else { return [] }
        return indexer.presence.peers.map { peer in
            let state: NodePeer.State =
                switch peer.verdict {
                case .watching: .watching
                case .live: .live
                case .silent: .silent
                case .stopped: .stopped
                }
            return NodePeer(
                node: peer.node, state: state, unchangedMs: peer.unchangedMs, heartbeat: peer.heartbeat)
        }
    }

    /// Adopted blocks, newest first, below `before`.
    package func blocks(limit: Int, before: BlockNumber?) throws(VarveError) -> [BlockStore.StoredManifest] {
        let blocks = try indexer().snapshot.blocks.blocks.reversed()
        return blocks.filter { block in before.map { block.manifest.number < $0 } ?? true }.prefix(limit)
            .map { BlockStore.StoredManifest($0.manifest) }
    }

    /// Every epoch, oldest first.
    package func epochs() throws(VarveError) -> [EpochInfo] {
        let epochs = try indexer().epochRecords
        return epochs.map { stored in
            let next = epochs.lazy.map(\.record).successor(of: stored.record.epoch)
            return EpochInfo(record: stored.record, end: next?.parentEnd?.position, unindexedLost: next?.unindexedLost)
        }
    }

    /// Moves the log: to another topic, to a cluster of the section `clusters`, with all nodes running.
    package func migrate(
        topic: String?, cluster: String?, isRehearsal: Bool, timeout: Duration
    ) async throws(VarveError) -> Indexer.Migration {
        try await indexer().migrate(
            topic: topic, cluster: cluster, isRehearsal: isRehearsal, until: .now + timeout)
    }

    /// Cuts the open block; with `awaitAdoption` answers when this node has adopted it.
    package func flush(awaitAdoption: Bool, timeout: Duration) async throws(VarveError) -> FlushResult {
        let flushed = try await indexer().flush(until: .now + timeout, awaitAdoption: awaitAdoption)
        return FlushResult(block: flushed.block, position: flushed.position, isNoop: flushed.isNoop)
    }

    package func settings() throws(VarveError) -> NodeSettings {
        let standing = try indexer().standing
        return NodeSettings(
            inForce: standing.settings, configured: initialSettings, position: standing.token.position)
    }

    /// Makes `settings` those of every node, by a settings record; answers when this node has read it back. Nothing is
    /// appended when they hold already.
    package func apply(_ settings: Settings, timeout: Duration) async throws(VarveError) -> NodeSettings {
        var found = try self.settings()
        guard found.inForce != settings else { return found }
        found.position = try await indexer().apply(settings, until: .now + timeout)
        found.inForce = settings
        return found
    }
}
