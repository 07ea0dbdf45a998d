/// Moving to another log with all nodes running: the target is prepared and proved by every live node, then a seal ends the
/// epoch. Until the seal nothing has changed; from it on every node crosses by itself, whoever wrote it.

package import VarveCore
package import VarveLog
package import VarveModel
internal import VarveStorage

/// What a migration asks of the node that it begins on.
package protocol MigratingNode: Sendable {
    var log: any Log { get }
    var places: LogPlaces { get }
    var database: DatabaseID { get }
    var settings: Settings { get }
    /// The present log's time, by a record that was read back.
    func logTime() async throws(VarveError) -> Int64
    /// What this node's heartbeat says from now on, written at once.
    func announce(_ proposal: Heartbeat.Proposal?) async throws(VarveError)
    /// The other nodes, looked at now.
    func lookAtPeers() async throws(VarveError) -> [Liveness.Peer]
    /// Appends the seal, and returns when it was read back or nobody knows.
    func send(_ seal: Seal, within limit: Duration) async
    /// The record of an epoch, once this node has entered it and is ready; throws what stopped it.
    func entered(_ epoch: Epoch) throws(VarveError) -> EpochRecord?
}

package struct Migrating<Node: MigratingNode>: Sendable {
    let node: Node
    /// The epoch that would end.
    let current: EpochRecord
    let next: Epoch
    let parent: GenesisID

    package init(_ current: EpochRecord, _ next: Epoch, _ parent: GenesisID, on node: Node) {
        self.node = node
        self.current = current
        self.next = next
        self.parent = parent
    }

    /// - Parameters:
    ///   - topic: the target's name without the epoch; nil keeps the present one.
    ///   - cluster: a name in the section `clusters`; nil stays on the present cluster.
    ///   - limit: how long the seal is waited for.
    /// - Throws: `TARGET_UNFIT` with every reason, nothing changed; `UNKNOWN_OUTCOME` when the seal was appended and not read
    ///   back.
    package func run(
        topic: String?, cluster: String?, isRehearsal: Bool, limit: Duration
    ) async throws(VarveError) -> Indexer.Migration {
        let began = Means.elapsed
        let (provider, name) = try await target(topic, cluster)
        if isRehearsal { return try await rehearse(provider, name) }
        let before = try await node.logTime()
        var reference: LogReference
        do throws(VarveError) {
            let start = EpochStart(
                database: node.database, epoch: next, began: .sealed, settings: node.settings,
                parent: Genesis.Parent(genesis: parent))
            reference = try await start.begin(at: provider)
            reference.cluster = name
            try await judge(provider, reference, newerThan: before)
        } catch {
            throw error.code == .targetUnfit ? error : Self.unfit(["\(error.code): \(error.message)"])
        }
        if let done = try await confirm(reference) { return done }
        return try await seal(reference, limit - (Means.elapsed - began))
    }

    // MARK: The target

    private func target(_ topic: String?, _ cluster: String?) async throws(VarveError) -> (any LogProvider, String?) {
        if let topic, topic.utf8.isEmpty || topic.utf8.count > 240 {
            throw Self.unfit(["\"\(topic)\" is no name of a topic"])
        }
        let base = topic ?? current.log.base(of: current.epoch)
        let (provider, name) = try await place(cluster)
        let named = base.map { provider.named($0) } ?? provider
        // A kind without names would take the wish for one and not fulfil it.
        if topic != nil, let target = try? await named.reference(next), target.kind != .kafka {
            throw Self.unfit([
                "the target is no Kafka log and has no topic: its directory is named by the epoch; another directory is named in "
                    + "log.directories and chosen by --to-cluster"
            ])
        }
        return (named, name)
    }

    private func place(_ cluster: String?) async throws(VarveError) -> (any LogProvider, String?) {
        if let cluster {
            guard let provider = node.places.clusters[cluster] else {
                let known = node.places.clusters.keys.sorted().joined(separator: ", ")
                throw Self.unfit([
                    "this node's configuration has no \(cluster) in log.clusters or log.directories"
                        + (known.isEmpty ? "" : "; it has \(known)")
                ])
            }
            return (provider, cluster)
        }
        guard let provider = try await node.places.provider(for: current.log, of: current.epoch) else {
            throw Self.unfit(["the present cluster is not in this node's configuration"])
        }
        return (provider, current.log.cluster)
    }

    private func rehearse(
        _ provider: any LogProvider, _ cluster: String?
    ) async throws(VarveError) -> Indexer.Migration {
        var reference: LogReference
        do throws(VarveError) {
            reference = try await provider.reference(next)
            reference.cluster = cluster
            if try await provider.probe(next) == .present {
                let found = try await provider.open(next)
                let (range, first, limit) = (
                    try await found.range(), try await found.firstGenesis(), found.recordBytesMax
                )
                await found.close()
                var reasons: [String] = []
                if range.upperBound > .zero, first?.genesis.parent?.genesis != parent {
                    reasons.append("\(reference.topic) is not empty (its end is \(range.upperBound))")
                }
                if let reason = MigrationRules.limit(reference, limit, node.log) { reasons.append(reason) }
                guard reasons.isEmpty else { throw Self.unfit(reasons) }
            }
        } catch {
            throw error.code == .targetUnfit ? error : Self.unfit(["\(error.code): \(error.message)"])
        }
        return Indexer.Migration(epoch: next, log: reference, seal: nil)
    }

    /// What this node itself finds of the target, once its genesis is there.
    private func judge(
        _ provider: any LogProvider, _ reference: LogReference, newerThan before: Int64
    ) async throws(VarveError) {
        let log = try await provider.open(next)
        let limit = log.recordBytesMax
        let genesis = try? await log.read(at: reference.genesisOffset ?? .zero)
        await log.close()
        var reasons: [String] = []
        if let reason = MigrationRules.limit(reference, limit, node.log) { reasons.append(reason) }
        if let genesis, !MigrationRules.areClocksClose(genesis.time, before) {
            reasons.append(
                "the clock of \(reference.place) is not within 10 s of the present log's (\(genesis.time - before) ms), or its "
                    + "genesis is of an earlier attempt: delete that log")
        }
        guard reasons.isEmpty else { throw Self.unfit(reasons) }
    }

    // MARK: Other nodes

    /// Waits until every live node says that it can go there.
    /// - Returns: the migration, when another operator's to the same place has brought this node there meanwhile.
    private func confirm(_ reference: LogReference) async throws(VarveError) -> Indexer.Migration? {
        let proposal = Heartbeat.Proposal(id: Means.makeID(), epoch: next, log: reference)
        let deadline = Means.elapsed + MigrationRules.confirmationLimit
        try await node.announce(proposal)
        while true {
            // First: nodes that have crossed refuse to come along.
            if let done = try entered(reference) { return done }
            switch MigrationRules.standing(of: proposal, among: try await node.lookAtPeers()) {
            case .confirmed: return nil
            case .refused(let problems): throw Self.unfit(problems)
            case .waiting(let silent):
                guard Means.elapsed < deadline else {
                    throw Self.unfit([
                        "\(silent.joined(separator: ", ")) did not confirm that the target can be reached"
                    ])
                }
            }
            guard await Means.wait(.milliseconds(200)) else { throw Self.unfit(["interrupted"]) }
        }
    }

    // MARK: The seal

    private func seal(_ reference: LogReference, _ left: Duration) async throws(VarveError) -> Indexer.Migration {
        let limit = max(left, .seconds(10))
        let deadline = Means.elapsed + limit
        await node.send(Seal(next: next, log: reference), within: limit)
        while true {
            if let done = try entered(reference) { return done }
            guard Means.elapsed < deadline else {
                throw VarveError(
                    .unknownOutcome,
                    "the seal was appended and this node has not crossed yet. Once it is read, all nodes cross by themselves",
                    next: "varve epoch status --config node.yaml")
            }
            _ = await Means.wait(.milliseconds(5))
        }
    }

    /// Where this node has gone, whoever sent it there; nil while it is in the old epoch. Throws when that is another place.
    private func entered(_ reference: LogReference) throws(VarveError) -> Indexer.Migration? {
        guard let record = try node.entered(next), let end = record.parentEnd?.position else { return nil }
        guard record.log.genesis == reference.genesis else {
            throw Self.unfit([
                "another migration was faster: epoch \(record.epoch) goes on in \(record.log.place). "
                    + "\(reference.place) holds a genesis that nobody uses and may be deleted"
            ])
        }
        return Indexer.Migration(epoch: next, log: record.log, seal: end)
    }

    package static func unfit(_ reasons: [String]) -> VarveError {
        VarveError(
            .targetUnfit, reasons.joined(separator: "; ") + ". Nothing was changed",
            next: "see docs/operations/epochs.md, then varve epoch migrate --dry-run")
    }
}

/// What nodes tell each other before they move, and what lets them.
package enum MigrationRules {
    /// A live node that says nothing for so long is named.
    static let confirmationLimit = Duration.seconds(45)
    /// What a kind of log takes for its own framing: limits that differ by less are the same.
    private static let framingBytes = 64 * 1024
    /// The clocks of both logs may differ by this much.
    private static let clockMs: Int64 = 10_000

    enum Standing {
        case confirmed
        case refused([String])
        /// These have not answered: they may be dead, which is known after 25 s.
        case waiting([String])
    }

    static func standing(of proposal: Heartbeat.Proposal, among peers: [Liveness.Peer]) -> Standing {
        var (problems, silent): ([String], [String]) = ([], [])
        for peer in peers where peer.verdict == .live || peer.verdict == .watching {
            guard let answer = peer.heartbeat?.confirmation, answer.id == proposal.id else {
                silent.append(peer.node)
                continue
            }
            if let problem = answer.problem { problems.append("\(peer.node): \(problem)") }
        }
        guard problems.isEmpty else { return .refused(problems) }
        return silent.isEmpty ? .confirmed : .waiting(silent)
    }

    static func areClocksClose(_ target: Int64, _ present: Int64) -> Bool {
        target >= present - clockMs && target <= present + clockMs + 60_000
    }

    static func limit(_ reference: LogReference, _ limit: Int, _ present: any Log) -> String? {
        guard limit + framingBytes < present.recordBytesMax else { return nil }
        return "\(reference.topic) takes records of \(limit) bytes, the present log \(present.recordBytesMax)"
    }

    /// The proposal of another node that this one, in `epoch`, has not answered yet.
    package static func unanswered(
        among peers: [Liveness.Peer], in epoch: Epoch, last answer: Heartbeat.Confirmation?
    ) -> (node: String, proposal: Heartbeat.Proposal)? {
        for peer in peers where peer.verdict == .live || peer.verdict == .watching {
            guard let proposal = peer.heartbeat?.proposal, answer?.id != proposal.id, proposal.epoch == epoch.next
            else { continue }
            return (peer.node, proposal)
        }
        return nil
    }

    /// Why a node cannot follow; nil when it can.
    package static func problem(
        of proposal: Heartbeat.Proposal, _ places: LogPlaces, present: any Log
    ) async -> String? {
        do throws(VarveError) {
            guard let provider = try await places.provider(for: proposal.log, of: proposal.epoch) else {
                return "its configuration names no connection to \(proposal.log.place)"
            }
            let log = try await provider.open(proposal.epoch)
            let (limit, first) = (log.recordBytesMax, try? await log.firstGenesis())
            await log.close()
            if let first, first.id != proposal.log.genesis { return "it finds another genesis there" }
            return Self.limit(proposal.log, limit, present)
        } catch {
            return "\(error.code): \(error.message)"
        }
    }
}
