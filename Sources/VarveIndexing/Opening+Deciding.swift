/// Gathers what the start-up table asks for, and begins the epoch that it decides on.

internal import VarveCore
internal import VarveLog
internal import VarveModel
internal import VarveStorage

extension Opening {
    /// Asks the table, and looks for each fact it needs.
    func decide(_ epochs: [BlockStore.StoredEpoch]) async throws(VarveError) -> StartUp.Decision {
        // Storage in memory was made from the log a moment ago: there is nothing to assert.
        let asserted = isDurableStore ? configuredEpoch : nil
        let database = try store.readFormat()?.database
        let isEphemeral = isDurableStore && provider.isEphemeral
        // All manifests are read when the state is loaded. Here only where an epoch may begin: the first, where there are none;
        // the table asks for the newest.
        let mayBegin = isEphemeral || epochs.last.map { $0.record.epoch < asserted ?? .first } ?? true
        var newest: Manifest?
        if mayBegin, let database { newest = try store.manifests(of: epochs, database: database).last?.manifest }
        var startUp = StartUp(
            configuredEpoch: asserted, configured: try await configuredPlace(epochs.last?.record),
            database: database, epochs: epochs.map(\.record),
            newest: newest)
        startUp.isEphemeral = isEphemeral
        if let current = epochs.last?.record, let cluster = current.log.cluster,
            let named = places.clusters[cluster],
            try await named.reference(current.epoch).isSameCluster(as: current.log)
        {
            startUp.knownClusters = [cluster]
        }
        while true {
            switch startUp.decide() {
            case .decided(let decision): return decision
            case .look(.old): startUp.old = await lookAtOld(startUp)
            case .look(.target(let epoch)): startUp.target = await lookAtTarget(epoch)
            case .look(.peers):
                startUp.peers = try await watchPeers()
                startUp.own = try ownLast()
            case .look(.writing): startUp.writing = try await tryWriting(startUp)
            case .look(.again):
                await pause()
                startUp.old = await lookAtOld(startUp)
                startUp.hasLookedAgain = true
            }
        }
    }

    /// Where the configuration has its logs. When the cluster that it names does not answer, and storage says that the log has
    /// moved to one that it names too, that one: the cluster that was left may be gone for good.
    private func configuredPlace(_ current: EpochRecord?) async throws(VarveError) -> LogPlace {
        do throws(VarveError) {
            return LogPlace(try await provider.reference(.first), of: .first)
        } catch {
            guard error.code == .logUnreachable, let current, let cluster = current.log.cluster,
                places.clusters[cluster] != nil, configuredEpoch ?? .first <= current.epoch
            else { throw error }
            return LogPlace(current.log, of: current.epoch)
        }
    }

    /// The newest recorded log, read behind storage's newest position.
    private func lookAtOld(_ startUp: StartUp) async -> StartUp.Finding {
        guard let current = startUp.epochs.last, let database = startUp.database else { return .missing }
        do throws(VarveError) {
            guard let provider = try await places.provider(for: current.log, of: current.epoch) else {
                return .unreachable("no connection to it is configured")
            }
            guard try await provider.probe(current.epoch) == .present else { return .missing }
            let seen = try LogWitnesses(store, of: current, database, behind: startUp.newest?.last)
            return .present(
                try await withLog(provider, current.epoch) { (log) async throws(VarveError) in
                    let genesis = current.log.genesis ?? .zero
                    let proof = try await LogProof(
                        log, current, database: database, newest: startUp.newest, recheck: self.recheck
                    ).prove()
                    // One that has lost its end shows nothing of what stood there, and proves nothing.
                    try await seen.requireHeld(by: log, recheck: self.recheck)
                    let range = try await log.range()
                    let rest = try await log.rest(
                        from: proof.next, to: range.upperBound, current.epoch,
                        LogTag(database: database, genesis: genesis))
                    return StartUp.Contents(range: range, rest: rest)
                })
        } catch {
            return error.code == .logUnreachable ? .unreachable(error.message) : .refuted(error)
        }
    }

    /// Appends a barrier to the newest recorded log: what takes none takes no seal. One that does not answer is tried again.
    private func tryWriting(_ startUp: StartUp) async throws(VarveError) -> StartUp.Writing {
        guard let current = startUp.epochs.last, let database = startUp.database else {
            return .refused(VarveError(.logMissing, "no log is recorded"))
        }
        let barrier = Record(
            header: RecordHeader(
                type: .barrier, logTag: LogTag(database: database, genesis: current.log.genesis ?? .zero),
                id: Means.makeID()),
            payload: Bytes())
        return try await append(barrier, toLogOf: current)
    }

    private func append(_ record: Record, toLogOf current: EpochRecord) async throws(VarveError) -> StartUp.Writing {
        guard let provider = try await places.provider(for: current.log, of: current.epoch) else {
            throw StartUp.missing(current)
        }
        let results = try await withLog(provider, current.epoch) { (log) async throws(VarveError) in
            await log.append([record.encoded()])
        }
        switch results.first {
        case .stored?: return .taken
        case .refused(let error)? where error.code != .logUnreachable: return .refused(error)
        case .refused(let error)?, .unknown(let error)?:
            throw VarveError(.logUnreachable, error.message, next: "nothing: it is tried again")
        case nil: throw VarveError(.logUnreachable, "\(current.log.place) did not report on a record")
        }
    }

    private func lookAtTarget(_ epoch: Epoch) async -> StartUp.Finding {
        do throws(VarveError) {
            guard try await provider.probe(epoch) == .present else { return .missing }
            return .present(
                try await withLog(provider, epoch) { (log) async throws(VarveError) in
                    StartUp.Contents(
                        range: try await log.range(), genesis: try await self.firstGenesis(log)?.1)
                })
        } catch {
            return error.code == .logUnreachable ? .unreachable(error.message) : .refuted(error)
        }
    }

    /// Watches the other nodes' heartbeats until each is known to be alive or not.
    private func watchPeers() async throws(VarveError) -> [StartUp.Peer] {
        guard let peers = try await Liveness.watch(from: node, store.heartbeats) else {
            throw VarveError(.notReady, "stopped while other nodes were watched")
        }
        return peers.map { StartUp.Peer($0) }
    }

    /// What this node's own earlier process wrote last.
    private func ownLast() throws(VarveError) -> StartUp.Peer? {
        try store.heartbeats().first { $0.node == node }.flatMap { try? Heartbeat.decode($0.bytes) }.map {
            StartUp.Peer(own: $0)
        }
    }

    // MARK: A new epoch without a seal

    /// Makes the new epoch's log with its genesis, then seals the old one; the nodes cross at the seal, this one too, and
    /// record the new epoch. An end that is declared stands in the record, made here or by another node just now.
    ///
    /// Everything that was looked at may have changed since: this process may have stood still for hours. A seal makes that
    /// harmless, for what came before it counts. Before a declaration it is looked at again.
    /// - Returns: what to tell the operator, and whether nodes had applied more than is kept; nil when everything has to be
    ///   looked at again.
    func begin(
        _ bump: StartUp.Bump, behind epochs: [BlockStore.StoredEpoch]
    ) async throws(VarveError) -> (note: String, losesSomething: Bool)? {
        guard let parent = epochs.last, let database = try store.readFormat()?.database,
            let parentGenesis = parent.record.log.genesis
        else { throw storageMissing(nil) }
        let inForce = try store.manifests(of: epochs, database: database).last?.manifest.settings ?? settings
        let isSealed = bump.way == .seal
        let start = EpochStart(
            database: database, epoch: bump.epoch, began: isSealed ? .sealed : .lost, settings: inForce,
            parent: Genesis.Parent(genesis: parentGenesis, end: isSealed ? nil : bump.end))
        let reference: LogReference
        do throws(VarveError) {
            reference = try await start.begin(at: provider)
        } catch {
            // Another node has just begun it in another way: the table says what that means.
            guard error.code == .targetUnfit else { throw error }
            return nil
        }
        let note = "epoch \(bump.epoch) begins behind \(bump.end.position): \(bump.proof)"
        if isSealed {
            let seal = Record(
                header: RecordHeader(
                    type: .seal, logTag: LogTag(database: database, genesis: parentGenesis), id: Means.makeID()),
                payload: Seal(next: bump.epoch, log: reference).encoded())
            if case .refused(let error) = try await append(seal, toLogOf: parent.record) { throw error }
            return (note, false)
        }
        if bump.reason == StartUp.byConfiguration, try !holds(bump, behind: epochs, database) { return nil }
        let record = EpochRecord(
            epoch: bump.epoch, parent: parent.digest, began: .lost, log: reference, parentEnd: bump.end,
            reason: bump.reason)
        // Another record there is a decision that was faster: what it says is read in the next round.
        _ = try store.publishEpochRecord(record)
        // What is proved needs no second word; a log that ended with its process took along what had effects behind the end.
        let lost = try store.heartbeats().compactMap { try? Heartbeat.decode($0.bytes) }.filter { heartbeat in
            heartbeat.epoch == parent.record.epoch && heartbeat.effectChain != bump.end.effectChain
                && heartbeat.applied.map { $0 > bump.end.position } ?? false
        }.compactMap(\.applied).max()
        guard bump.reason == StartUp.byNature, let lost else { return (note, false) }
        return (note + "; nodes had applied up to \(lost)", true)
    }

    /// Whether storage still ends where the old epoch is declared to end, and no node has begun in it again.
    private func holds(
        _ bump: StartUp.Bump, behind epochs: [BlockStore.StoredEpoch], _ database: DatabaseID
    ) throws(VarveError) -> Bool {
        guard let current = epochs.last?.record else { return false }
        let newest = try store.manifests(of: epochs, database: database).last?.manifest
        guard StartUp.end(of: current, newest: newest) == bump.end else { return false }
        return try store.heartbeats().allSatisfy { name, bytes in
            guard name != node, let heartbeat = try? Heartbeat.decode(bytes), heartbeat.epoch == current.epoch else {
                return true
            }
            return heartbeat.stopped != nil
        }
    }
}

extension LogReference {
    func isSameCluster(as other: LogReference) -> Bool { kind == other.kind && clusterID == other.clusterID }
}
