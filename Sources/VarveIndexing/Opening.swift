/// Start-up: which log belongs to which storage, proved before anything is served.
///
/// The rules are those of docs/architecture.md, "Identity". Any number of nodes may do this at once on a fresh pair; a
/// log that is not the recorded one, or does not reach what storage holds, is refused with both positions named.

package import VarveCore
package import VarveLog
package import VarveModel
package import VarveStorage

/// What a node starts from.
package struct OpenedDatabase: Sendable {
    package let machine: NodeMachine
    package let blocks: BlockSet
    package let log: any Log
    package let store: BlockStore
    /// Where configured logs are: the next epoch may be on another cluster.
    package let places: LogPlaces
    /// The epoch whose log is read first: the newest, or an earlier one whose end is not in a block yet.
    package let epoch: Epoch
    package let epochs: [BlockStore.StoredEpoch]
    package let genesis: LogEntry?
    /// How identity was proved, for the log line and for `status`.
    package let evidence: String
    /// The configuration lags behind the database; for the log and for `status`.
    package let warning: String?
    /// What an epoch that this start began behind a log that ended with its process could not keep; for `status`.
    package var loss: String?
    /// Where the tail begins.
    package let next: Offset
    package let settings: Settings
}

package struct Opening: Sendable {
    package let places: LogPlaces
    package let store: BlockStore
    /// Directory storage: durable and shared, and able to prove things. In-memory storage takes all from the log.
    package let isDurableStore: Bool
    /// The configured epoch, an assertion; nil follows storage.
    package let configuredEpoch: Epoch?
    /// For a new database, and what the configuration would like.
    package let settings: Settings
    package let allowEphemeral: Bool
    package let bootstrapFromLog: Bool
    /// How long to wait before a missing half is looked for again.
    package let recheck: Duration
    /// This node's id: its own old heartbeat says nothing of others.
    package let node: String

    package init(
        provider: any LogProvider, clusters: [String: any LogProvider] = [:], store: BlockStore, isDurableStore: Bool,
        configuredEpoch: Epoch?, settings: Settings, allowEphemeral: Bool, bootstrapFromLog: Bool,
        recheck: Duration = .seconds(5), node: String = ""
    ) {
        places = LogPlaces(provider, clusters: clusters)
        self.node = node
        self.store = store
        self.isDurableStore = isDurableStore
        self.configuredEpoch = configuredEpoch
        self.settings = settings
        self.allowEphemeral = allowEphemeral
        self.bootstrapFromLog = bootstrapFromLog
        self.recheck = recheck
    }

    var provider: any LogProvider { places.primary }

    package func open() async throws(VarveError) -> OpenedDatabase {
        if isDurableStore && provider.isEphemeral && !allowEphemeral {
            throw VarveError(
                .configInvalid,
                "the log ends with its process, the storage directory does not: the next start would find storage "
                    + "without its log",
                next: "give the log a durable kind, or say `allowEphemeral: true` in the section log")
        }
        var begun: (note: String, losesSomething: Bool)?
        // Each round begins or bumps, or goes on in what storage records; another node may have been faster.
        for round in 0..<8 {
            var standing: [BlockStore.StoredEpoch]?
            do throws(VarveError) {
                let epochs = try store.epochRecords()
                standing = epochs
                switch try await decide(epochs) {
                case .begin: try await firstStart()
                case .bump(let bump): begun = try await begin(bump, behind: epochs)
                case .refuse(let error): throw error
                case .follow(let warning):
                    var opened = try await openRecorded(epochs, warning ?? begun?.note)
                    if let begun, begun.losesSomething { opened.loss = begun.note }
                    return opened
                }
            } catch {
                // What was published between two looks does not fit together.
                if error.code == .chainBroken, round == 0 { continue }
                // Facts take seconds to gather. Where an epoch has begun meanwhile, they were of the one before.
                guard let standing, hasNext(standing) else { throw error }
            }
        }
        throw storageMissing(nil)
    }

    /// Whether storage records another epoch by now.
    private func hasNext(_ epochs: [BlockStore.StoredEpoch]) -> Bool {
        let next = epochs.last.map(\.record.epoch.next) ?? .first
        return next.flatMap { try? store.epochRecord($0) } != nil
    }

    /// This node can be seen from here on: whoever watches heartbeats finds that somebody has begun. An earlier process's word
    /// that it had stopped in order, or stands before a record, must not stand there once this one answers; where that cannot
    /// be taken back, it does not begin. That nothing can be written is no reason by itself: what is there is served.
    private func announce(_ machine: NodeMachine) throws(VarveError) {
        guard !node.isEmpty else { return }
        let name = BlockStore.heartbeatName(node)
        let standing = try store.objects.get(name).flatMap { try? Heartbeat.decode($0) }
        var heartbeat = standing ?? Heartbeat(node: node, processStart: 0)
        // Where it had come to stays: a start compares the log with it.
        if standing == nil { heartbeat.epoch = machine.epoch }
        heartbeat.counter &+= 1
        // What the process before it proposed, or said it could follow, is not this one's word.
        heartbeat.proposal = nil
        heartbeat.confirmation = nil
        heartbeat.configuredEpoch = configuredEpoch
        heartbeat.stopped = nil
        heartbeat.trouble = nil
        do throws(VarveError) {
            try store.objects.overwrite(name, heartbeat.encoded())
        } catch {
            guard standing?.stopped == nil, standing?.trouble != ErrorCode.poison.rawValue else { throw error }
        }
    }

    /// Behind `announce`: a quarantine that came before it is read here, and one that looks later finds this node. Between the
    /// look of one and its manifest is an instant in which neither sees the other (docs/decisions/quarantine-block.md).
    private func followQuarantine(_ machine: inout NodeMachine, _ blocks: BlockSet) throws(VarveError) {
        let (epoch, open) = (machine.epoch, machine.open.number)
        guard let found = try store.manifest(epoch, open)?.manifest, found.cut == .quarantine else { return }
        try store.objects.persist(BlockStore.manifestName(epoch, open))
        for case .stopped(let error) in try machine.step(.quarantine(open, found.last), reading: blocks) { throw error }
    }

    /// Proving and loading take their time, and this process may have stood still meanwhile: what is read behind an end that
    /// was declared since counts for nobody.
    private func requireNotGivenUp(_ epochs: [BlockStore.StoredEpoch]) throws(VarveError) {
        guard let next = epochs.last?.record.epoch.next, let record = try store.epochRecord(next)?.record,
            Succession(record, isKnown: false).endsNode
        else { return }
        throw VarveError(
            .epochStale, "epoch \(next) has begun while this node started in the one before",
            next: "nothing: the node begins again")
    }

    // MARK: The recorded log

    private func openRecorded(
        _ epochs: [BlockStore.StoredEpoch], _ warning: String?
    ) async throws(VarveError) -> OpenedDatabase {
        guard let format = try store.readFormat() else { throw storageMissing(nil) }
        let loading = try DatabaseLoading(store, epochs, database: format.database)
        try persist(loading)
        let current = loading.current
        // Before the log's end is asked for: nodes that run raise both.
        let seen =
            current.epoch == epochs.last?.record.epoch
            ? try LogWitnesses(store, of: current, format.database, behind: loading.newest?.last) : nil
        let log = try await openLog(current)
        do throws(VarveError) {
            let proof = try await LogProof(
                log, current, database: format.database, newest: loading.newest, recheck: recheck
            ).prove()
            try await seen?.requireHeld(by: log, recheck: recheck)
            if let newest = loading.newest {
                // Whoever put it may have died before its name was durable, and this node builds on it.
                try store.objects.persist(BlockStore.manifestName(newest.last.epoch, newest.number))
            }
            var loaded = try loading.load(settings: settings, genesis: proof.genesis)
            try announce(loaded.machine)
            try followQuarantine(&loaded.machine, loaded.blocks)
            try requireNotGivenUp(epochs)
            return OpenedDatabase(
                machine: loaded.machine, blocks: loaded.blocks, log: log, store: store, places: places,
                epoch: current.epoch, epochs: epochs, genesis: proof.genesis, evidence: proof.evidence,
                warning: warning, next: proof.next, settings: loaded.machine.settings)
        } catch {
            await log.close()
            throw error
        }
    }

    /// Whoever put the newest names may not have come to making them durable, and all that is acknowledged and published
    /// from here on rests on them.
    private func persist(_ loading: DatabaseLoading) throws(VarveError) {
        var names = [BlockStore.epochName(loading.epochs[loading.epochs.count - 1].record.epoch)]
        if let newest = loading.newest {
            names.append(BlockStore.manifestName(newest.last.epoch, newest.number))
            // The one before it may be the last of an earlier epoch, so in another directory.
            let before = loading.history.dropLast().last?.manifest
            if let before, before.last.epoch != newest.last.epoch {
                names.append(BlockStore.manifestName(before.last.epoch, before.number))
            }
        }
        do throws(VarveError) {
            for name in names { try store.objects.persist(name) }
        } catch {
            // Nothing can be written at all: what is there is served.
            guard error.code == .storageDenied else { throw error }
        }
    }

    /// The log that a record names, on whichever configured cluster it is.
    private func openLog(_ record: EpochRecord) async throws(VarveError) -> any Log {
        for isLast in [false, true] {
            if let provider = try await places.provider(for: record.log, of: record.epoch),
                try await provider.probe(record.epoch) == .present
            {
                return try await provider.open(record.epoch)
            }
            if !isLast { await pause() }
        }
        throw StartUp.missing(record)
    }

    // MARK: Means

    func pause() async { _ = await Means.wait(recheck) }

    /// A local log has one owner at a time: it is closed before the function returns.
    func withLog<R: Sendable>(
        _ epoch: Epoch, _ body: (any Log) async throws(VarveError) -> R
    ) async throws(VarveError) -> R {
        try await withLog(provider, epoch, body)
    }

    func withLog<R: Sendable>(
        _ provider: any LogProvider, _ epoch: Epoch, _ body: (any Log) async throws(VarveError) -> R
    ) async throws(VarveError) -> R {
        let log = try await provider.open(epoch)
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
