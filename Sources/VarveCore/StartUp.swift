/// The start-up table: what a node does with the epoch its configuration asserts, the epochs that storage records and
/// the logs that are there. docs/operations/epochs.md has it as a page.
///
/// A pure decision over facts. Some facts cost seconds (reading a log to its end, watching other nodes), so `decide`
/// names the one it still needs; whoever asks adds it and asks again. Whether the log that is then opened is the
/// recorded one, record by record, is proved after this.

package import VarveModel

package struct StartUp: Sendable {
    /// The configuration's word, nil when it has none.
    package var configuredEpoch: Epoch?
    /// Where the configuration's logs are.
    package var configured: LogPlace
    /// Names in the section `clusters` whose cluster is the one that the newest record names.
    package var knownClusters: Set<String> = []
    /// The log ends with a process: each start of it is a new epoch.
    package var isEphemeral = false
    package var database: DatabaseID?
    /// From epoch 0 on, their chain checked; empty when storage is.
    package var epochs: [EpochRecord]
    /// The newest block on the chain.
    package var newest: Manifest?

    /// The log of the newest recorded epoch, as its record names it.
    package var old: Finding?
    /// What stands where the configuration has the log of the epoch to begin.
    package var target: Finding?
    /// Other nodes, watched until each is known to be alive or not.
    package var peers: [Peer]?
    /// This node's own earlier process: it proves nothing by itself, and where it came to counts.
    package var own: Peer?
    /// Whether the old log takes another record, so that a seal can end it.
    package var writing: Writing?
    /// Missing things were looked for a second time.
    package var hasLookedAgain = false

    package init(
        configuredEpoch: Epoch?, configured: LogPlace, database: DatabaseID?, epochs: [EpochRecord], newest: Manifest?
    ) {
        self.configuredEpoch = configuredEpoch
        self.configured = configured
        self.database = database
        self.epochs = epochs
        self.newest = newest
    }

    /// What was found at a log's place.
    package enum Finding: Sendable, Equatable {
        case missing
        /// It does not answer, or no connection to it is configured.
        case unreachable(String)
        /// It is there and is not what it should be.
        case refuted(VarveError)
        case present(Contents)
    }

    package struct Contents: Sendable, Equatable {
        package var range: Range<Offset>
        /// The first record's genesis, when it is one.
        package var genesis: Genesis?
        /// What stands behind the newest position that storage holds; nil when it was not asked for.
        package var rest: Rest?

        package init(range: Range<Offset>, genesis: Genesis? = nil, rest: Rest? = nil) {
            self.range = range
            self.genesis = genesis
            self.rest = rest
        }

        /// Nothing was ever in it.
        package var isNew: Bool { range.upperBound == .zero }
    }

    /// The part of a log that no block covers.
    package struct Rest: Sendable, Equatable {
        /// Transactions and cancels.
        package var submissions: Int
        /// Of the last record.
        package var last: Position?
        package var seal: (position: Position, seal: Seal)?

        package init(submissions: Int = 0, last: Position? = nil, seal: (position: Position, seal: Seal)? = nil) {
            self.submissions = submissions
            self.last = last
            self.seal = seal
        }

        package static func == (a: Rest, b: Rest) -> Bool {
            a.submissions == b.submissions && a.last == b.last && a.seal?.position == b.seal?.position
                && a.seal?.seal == b.seal?.seal
        }
    }

    /// What the old log says to a record of ours.
    package enum Writing: Sendable, Equatable {
        case taken
        case refused(VarveError)
    }

    /// A node, as its heartbeat and watching it tell.
    package struct Peer: Sendable, Equatable {
        package var node: String
        package var epoch: Epoch
        package var isAlive: Bool
        /// The end it wrote when it was stopped in order, and E there.
        package var stopped: Position?
        package var effectChain: Bytes16

        package init(node: String, epoch: Epoch, isAlive: Bool, stopped: Position?, effectChain: Bytes16) {
            self.node = node
            self.epoch = epoch
            self.isAlive = isAlive
            self.stopped = stopped
            self.effectChain = effectChain
        }

        /// What an earlier process of the node that asks left behind.
        package init(own: Heartbeat) {
            self.init(
                node: own.node, epoch: own.epoch, isAlive: false, stopped: own.stopped, effectChain: own.effectChain)
        }

        package init(_ peer: Liveness.Peer) {
            var stopped: Position?
            if case .stopped(let position) = peer.verdict { stopped = position }
            self.init(
                node: peer.node, epoch: peer.heartbeat?.epoch ?? .first, isAlive: peer.verdict == .live,
                stopped: stopped, effectChain: peer.heartbeat?.effectChain ?? .zero)
        }
    }

    package enum Step: Sendable, Equatable {
        case decided(Decision)
        case look(Question)
    }

    package enum Question: Sendable, Equatable {
        /// The recorded log of the newest epoch, with what stands behind storage's newest position.
        case old
        /// The place of the epoch to begin.
        case target(Epoch)
        case peers
        /// A barrier is appended to the recorded log of the newest epoch. Asked last: nothing is written before a refusal.
        case writing
        /// After some seconds, the log that was missing, and storage.
        case again
    }

    package enum Decision: Sendable, Equatable {
        /// Storage is empty: the first start.
        case begin
        /// Go on with what storage records; a warning when the configuration lags behind.
        case follow(warning: String?)
        /// A new epoch: nothing is lost by it, or what is lost is the nature of the log.
        case bump(Bump)
        case refuse(VarveError)
    }

    /// How the epoch before a new one ends.
    package enum Way: Sendable, Equatable {
        /// By a seal: what any node writes before it counts, and whatever comes behind it counts for nobody. So it does not
        /// matter what happens between the proof and the end.
        case seal
        /// By the new epoch's record alone, where the old log takes no seal and every node says that nothing is in it.
        case declare
    }

    package struct Bump: Sendable, Equatable {
        package var epoch: Epoch
        package var way: Way
        /// Where the old epoch ends when it is declared; a seal stands at or behind it.
        package var end: ParentEnd
        /// As it stands in the epoch record: the same on every node.
        package var reason: String
        /// What proves that nothing is lost; for the log line.
        package var proof: String

        package init(epoch: Epoch, way: Way, end: ParentEnd, reason: String, proof: String) {
            self.epoch = epoch
            self.way = way
            self.end = end
            self.reason = reason
            self.proof = proof
        }
    }

    package static let byConfiguration = "by configuration"
    package static let byNature = "the log ended with its process"
    private static let planCommand = "varve epoch plan --config node.yaml"

    package func decide() -> Step {
        guard let current = epochs.last else {
            if let configuredEpoch, configuredEpoch != .first { return refuse(emptyStorage(configuredEpoch)) }
            return .decided(.begin)
        }
        if isEphemeral { return decideEphemeral(current) }
        let asserted = configuredEpoch ?? current.epoch
        if asserted < current.epoch {
            guard isLinked(asserted) else { return refuse(stale(asserted, current)) }
            guard isKnownPlace(current) else { return refuse(replacedPlace(current)) }
            return .decided(
                .follow(
                    warning:
                        "the configuration says epoch \(asserted), the database has moved to epoch \(current.epoch) "
                        + "(\(current.log.place)) and is followed; correct the section log: epoch: \(current.epoch)"))
        }
        if asserted == current.epoch {
            guard isKnownPlace(current) else { return refuse(replacedPlace(current)) }
            return .decided(.follow(warning: nil))
        }
        guard asserted == current.epoch.next else {
            return refuse(
                ahead(
                    "the configuration says epoch \(asserted), storage is in epoch \(current.epoch) (newest position "
                        + "\(newestPosition)): an epoch begins one behind another",
                    next: "set epoch: \(current.epoch) in the section log, or leave the line out"))
        }
        return decideBump(current, to: asserted)
    }

    // MARK: A new epoch by configuration

    private func decideBump(_ current: EpochRecord, to next: Epoch) -> Step {
        guard let old else { return .look(.old) }
        if case .present(let contents) = old, let rest = contents.rest, let seal = rest.seal {
            // Somebody migrated and nobody lived to record it: that migration is finished, no new epoch is begun.
            guard seal.seal.next == next else {
                return refuse(ahead("the log of epoch \(current.epoch) is sealed at \(seal.position)"))
            }
            return .decided(.follow(warning: nil))
        }
        guard let end = end(of: current) else {
            return refuse(
                ahead(
                    "the configuration says epoch \(next), but the end of the epoch before \(current.epoch) is not in a "
                        + "block yet (newest position \(newestPosition))"))
        }
        guard let target else { return .look(.target(next)) }
        switch target {
        case .unreachable(let reason):
            return refuse(VarveError(.logUnreachable, "the log of epoch \(next) does not answer: \(reason)"))
        case .refuted(let error): return refuse(error)
        case .missing: break
        case .present(let contents) where contents.isNew: break
        case .present(let contents):
            let isRead = if case .present = old { true } else { false }
            if let refusal = occupied(contents, next, current, isRead ? nil : end) { return refuse(refusal) }
        }
        guard let peers else { return .look(.peers) }
        let alive = peers.filter { $0.isAlive && $0.epoch == current.epoch }.map(\.node)
        guard alive.isEmpty else {
            return refuse(
                ahead(
                    "the configuration says epoch \(next), but epoch \(current.epoch) is in use: "
                        + "\(alive.joined(separator: ", ")) \(alive.count == 1 ? "is" : "are") alive",
                    next:
                        "stop all nodes, then start them with epoch: \(next); to move without a stop: varve epoch migrate"
                ))
        }
        let bump = Bump(epoch: next, way: .declare, end: end, reason: Self.byConfiguration, proof: "")
        return conclude(old, peers, current, bump)
    }

    /// Whether it is proved that nothing stands behind what storage holds.
    private func conclude(_ old: Finding, _ peers: [Peer], _ current: EpochRecord, _ bump: Bump) -> Step {
        var bump = bump
        if case .present(let contents) = old, let rest = contents.rest {
            guard rest.submissions == 0 else {
                return refuse(
                    ahead(
                        "the configuration says epoch \(bump.epoch), but the log of epoch \(current.epoch) holds "
                            + "\(rest.submissions) transactions behind storage's newest position \(newestPosition), up to "
                            + "\(rest.last ?? newestPosition)",
                        next: "start once with epoch: \(current.epoch) and varve blocks flush, or " + Self.planCommand))
            }
            guard let writing else { return .look(.writing) }
            if case .refused(let error) = writing, !areStopped(peers, of: current, before: bump.end) {
                return refuse(
                    ahead(
                        "the configuration says epoch \(bump.epoch), but the log of epoch \(current.epoch) "
                            + "(\(current.log.place)) takes no seal: \(error.code): \(error.message). It holds no transaction "
                            + "behind \(newestPosition), and that none comes cannot be ruled out"))
            }
            bump.way = writing == .taken ? .seal : .declare
            bump.proof =
                "the old log was read to its end and holds no transaction behind \(newestPosition)"
                + (bump.way == .seal ? "; it is sealed" : ", and every node of it was stopped in order")
            return .decided(.bump(bump))
        }
        if areStopped(peers, of: current, before: bump.end) {
            bump.proof =
                "every node of epoch \(current.epoch) was stopped in order with nothing behind \(newestPosition)"
            return .decided(.bump(bump))
        }
        switch old {
        case .missing:
            guard hasLookedAgain else { return .look(.again) }
            return refuse(Self.missing(current))
        case .unreachable(let reason):
            return refuse(
                ahead(
                    "the configuration says epoch \(bump.epoch), but the log of epoch \(current.epoch) "
                        + "(\(current.log.place)) cannot be read (\(reason)), so what stands in it behind storage's newest "
                        + "position \(newestPosition) is not known"))
        case .refuted(let error):
            return refuse(
                ahead(
                    "the configuration says epoch \(bump.epoch), but the log of epoch \(current.epoch) does not prove that "
                        + "nothing is lost behind storage's newest position \(newestPosition): \(error.code): "
                        + error.message))
        case .present: return .look(.old)
        }
    }

    /// Whether every node of the epoch said at its stop that it had applied nothing behind `end` that has an effect.
    private func areStopped(_ peers: [Peer], of current: EpochRecord, before end: ParentEnd) -> Bool {
        let witnesses = peers.filter { $0.epoch == current.epoch }
        let all = witnesses + [own].compactMap { $0 }.filter { $0.epoch == current.epoch }
        return !witnesses.isEmpty
            && all.allSatisfy { peer in
                peer.stopped.map { $0 <= end.position || peer.effectChain == end.effectChain } ?? false
            }
    }

    /// Why what stands at the new place cannot be the new epoch's log; nil when it is just that.
    /// - Parameter end: where the old epoch is declared to end; nil when a seal ends it.
    private func occupied(
        _ contents: Contents, _ next: Epoch, _ current: EpochRecord, _ end: ParentEnd?
    ) -> VarveError? {
        let place = configured.reference(of: next).place
        guard let genesis = contents.genesis, genesis.database == database, genesis.epoch == next else {
            return ahead(
                "the configuration says epoch \(next), but \(place) holds records up to \(contents.range.upperBound) that "
                    + "are not this database's; storage is at \(newestPosition)",
                next: "empty or rename that log, or name another")
        }
        guard genesis.parent?.genesis == current.log.genesis, genesis.parent?.end == end,
            genesis.began == (end == nil ? .sealed : .lost)
        else {
            let found = genesis.parent?.end.map { "\($0.position)" } ?? "a seal"
            return ahead(
                "the configuration says epoch \(next), but \(place) was begun behind \(found), "
                    + (end.map { "storage has gone on to \($0.position)" }
                        ?? "and the log of epoch \(current.epoch), which storage has up to \(newestPosition), is to be sealed"),
                next: "delete that log (nothing in it was ever acknowledged), or name another")
        }
        return nil
    }

    // MARK: A log that ends with its process

    private func decideEphemeral(_ current: EpochRecord) -> Step {
        let isSame = configured.reference(of: current.epoch).isSamePlace(as: current.log)
        guard isSame else { return beginEphemeral(current) }
        guard let old else { return .look(.old) }
        if case .missing = old { return beginEphemeral(current) }
        return .decided(.follow(warning: nil))
    }

    private func beginEphemeral(_ current: EpochRecord) -> Step {
        guard let next = current.epoch.next, let end = end(of: current) else {
            return refuse(ahead("epoch \(current.epoch) cannot be followed by another"))
        }
        guard let target else { return .look(.target(next)) }
        if case .present(let contents) = target, !contents.isNew,
            let refusal = occupied(contents, next, current, end)
        {
            return refuse(refusal)
        }
        return .decided(
            .bump(
                Bump(
                    epoch: next, way: .declare, end: end, reason: Self.byNature,
                    proof: "the log of epoch \(current.epoch) ended with its process; what was not in a block is lost"))
        )
    }

    // MARK: Pieces

    /// Where an epoch ends when nothing behind the newest block is taken over; nil while the state at its own beginning is
    /// not in a block.
    package func end(of current: EpochRecord) -> ParentEnd? {
        Self.end(of: current, newest: newest)
    }

    package static func end(of current: EpochRecord, newest: Manifest?) -> ParentEnd? {
        if let newest, newest.last.epoch == current.epoch { return ParentEnd(newest) }
        guard current.parentEnd?.block == newest?.number else { return nil }
        // Nothing of this epoch is kept: its successor goes on from where it began.
        return current.parentEnd
            ?? ParentEnd(
                position: Position(current.epoch, current.log.genesisOffset ?? .zero), inputChain: .zero,
                effectChain: .zero, block: nil, effectiveTime: 0, systemTime: Instant(microseconds: 0))
    }

    private var newestPosition: Position { newest?.last ?? epochs.last?.parentEnd?.position ?? .zero }

    /// Whether every epoch behind `epoch` began by a seal.
    private func isLinked(_ epoch: Epoch) -> Bool {
        epochs.allSatisfy { $0.epoch <= epoch || $0.began == .sealed }
    }

    /// Whether the configuration names the newest log, or one that was left for it by seals.
    private func isKnownPlace(_ current: EpochRecord) -> Bool {
        if let cluster = current.log.cluster, knownClusters.contains(cluster) { return true }
        if configured.reference(of: current.epoch).isSamePlace(as: current.log) { return true }
        guard configuredEpoch != current.epoch else { return false }
        return epochs.contains { record in
            configuredEpoch.map { record.epoch >= $0 } ?? true && isLinked(record.epoch)
                && configured.reference(of: record.epoch).isSamePlace(as: record.log)
        }
    }

    private func refuse(_ error: VarveError) -> Step { .decided(.refuse(error)) }

    private func ahead(_ what: String, next: String = planCommand) -> VarveError {
        VarveError(
            .epochAhead, "\(what). Nothing was changed. See docs/runbooks/epoch-mismatch.md", next: next)
    }

    private func emptyStorage(_ epoch: Epoch) -> VarveError {
        VarveError(
            .epochAhead,
            "the configuration says epoch \(epoch), storage is empty. Nothing was changed. "
                + "See docs/runbooks/epoch-mismatch.md",
            next: "check the path of the section storage; a new database begins with epoch 0")
    }

    private func stale(_ epoch: Epoch, _ current: EpochRecord) -> VarveError {
        VarveError(
            .epochStale,
            "the configuration says epoch \(epoch), storage is in epoch \(current.epoch), which began behind "
                + "\(current.parentEnd?.position ?? .zero) because the log before it was "
                + "\(current.began == .sealed ? "sealed: the database moved" : "lost or given up"). Nothing was changed. See "
                + "docs/runbooks/epoch-mismatch.md",
            next: "set epoch: \(current.epoch) in the section log, or leave the line out")
    }

    private func replacedPlace(_ current: EpochRecord) -> VarveError {
        VarveError(
            .logReplaced,
            "the configuration names \(configured.reference(of: current.epoch).place), storage belongs to "
                + "\(current.log.place). Nothing was written. See docs/runbooks/log-replaced.md",
            next: "correct the section log; to move to another log: varve epoch migrate, or with the old one lost: "
                + Self.planCommand)
    }

    package static func missing(_ record: EpochRecord) -> VarveError {
        VarveError(
            .logMissing,
            "the log of epoch \(record.epoch) (\(record.log.kind) \(record.log.topic)) is gone; it is never created anew. "
                + "Storage is whole and untouched. See docs/runbooks/log-lost.md",
            next: planCommand)
    }
}

/// Where a configuration has its logs: one place for each epoch.
package struct LogPlace: Sendable, Equatable {
    package var kind: LogReference.Kind
    package var clusterID: String
    /// Kafka's topics are this and `-e<epoch>`; the other kinds name them by the epoch alone.
    package var base: String

    package init(kind: LogReference.Kind, clusterID: String = "", base: String = "") {
        self.kind = kind
        self.clusterID = clusterID
        self.base = base
    }

    /// - Parameter reference: as the provider names the log of `epoch`.
    package init(_ reference: LogReference, of epoch: Epoch) {
        self.init(kind: reference.kind, clusterID: reference.clusterID)
        if kind == .kafka { base = reference.base(of: epoch) ?? reference.topic }
    }

    package func reference(of epoch: Epoch) -> LogReference {
        let digits = String(epoch.number, radix: 16)
        let directory = "e" + String(repeating: "0", count: 4 - digits.count) + digits
        return LogReference(
            kind: kind, clusterID: clusterID, topic: kind == .kafka ? "\(base)-e\(epoch)" : directory)
    }
}

extension LogReference {
    /// For people: kind, topic, cluster.
    package var place: String { "\(kind) \(topic)" + (clusterID.isEmpty ? "" : " on cluster \(clusterID)") }

    /// The topic without the epoch's ending; nil when it has another.
    package func base(of epoch: Epoch) -> String? {
        let ending = "-e\(epoch)"
        return kind == .kafka && topic.hasSuffix(ending) ? String(topic.dropLast(ending.utf8.count)) : nil
    }
}

extension ParentEnd {
    /// The end that a block leaves behind.
    package init(_ manifest: Manifest) {
        self.init(
            position: manifest.last, inputChain: manifest.inputChain, effectChain: manifest.effectChain,
            block: manifest.number, effectiveTime: manifest.effectiveTime, systemTime: manifest.systemTime)
    }
}
