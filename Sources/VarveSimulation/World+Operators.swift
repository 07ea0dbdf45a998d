/// What operators do: move the log while all runs, begin an epoch without its old log, salvage, and correct mistakes.
///
/// Commands are the production code, in a process that may die between any two of its calls; then they are given again.

internal import VarveCore
internal import VarveIndexing
import VarveLog
internal import VarveModel
internal import VarveRecovery
internal import VarveStorage

/// A command for which all nodes are down, or that may need several tries.
struct OperatorTask {
    enum Kind {
        /// Plan, then the way that was chosen, with what it loses accepted or not.
        case bump(EpochPlan.Way?)
        case salvage
    }

    var kind: Kind
    /// The epoch that would end, or whose rest is looked for.
    var epoch: Epoch
    var process: Process
    var tries = 0
    var isRunning = false
    /// Nodes are kept down meanwhile.
    var holdsNodes: Bool
}

extension World {
    /// Draws what operators do now.
    func strikeOperators() {
        if faults.occurs(.migrate) { migrate(isSecond: false) }
        guard operation == nil, !line.isEmpty, !isLogForeign else { return }
        if faults.occurs(.bump) { beginBump() }
        if faults.occurs(.bumpByConfiguration) { bumpByConfiguration() }
        if faults.occurs(.wrongEpoch) { mistakeEpoch() }
        if faults.occurs(.salvageLate), reference.epoch > .first, !log.isLocal {
            operation = OperatorTask(
                kind: .salvage, epoch: reference.epoch, process: Process("operator"), holdsNodes: false)
            push(.operate, after: 1_000)
        }
    }

    // MARK: Live migration

    private func migrate(isSecond: Bool) {
        let able = nodes.filter {
            $0.isRunning && $0.isReady && $0.isOpen && $0.isInNewestEpoch && !$0.isMigrating && $0.pausedUntil <= now
        }
        guard !able.isEmpty, let current = able.first?.epochs.last?.record else { return }
        let node = able[faults.below(.migrate, able.count)]
        guard let next = current.epoch.next, let parent = node.epochs.last?.record.log.genesis, next.number < 30 else {
            return
        }
        migrations += 1
        // To another cluster, to a new name, or to a name that others try too.
        let toOther = plan.isLocalLog || faults.below(.migrate, 4) == 0
        let topic = plan.isLocalLog || faults.below(.migrate, 3) == 0 ? nil : "moved\(migrations)"
        let shell = NodeShell(world: self, node: node)
        let life = node.life
        node.isMigrating = true
        if faults.occurs(.migratorDies) { node.process.callsLeft = faults.below(.migratorDies, 40) }
        note { "\(node.name) migrates to \(topic ?? "the same name")\(toOther ? " on east" : "")" }
        launch(node.process) { () async throws(VarveError) -> Indexer.Migration in
            try await Migrating(current, next, parent, on: shell).run(
                topic: topic, cluster: toOther ? "east" : nil, isRehearsal: false, limit: .seconds(30))
        } done: { [unowned self] result in
            guard node.life == life else { return }
            node.isMigrating = false
            node.heartbeat?.proposal = nil
            switch result {
            case .success(let done): note { "\(node.name) has migrated to \(done.log.place), sealed at \(done.seal!)" }
            case .failure(let error): note { "\(node.name) has not migrated: \(error.code) \(error.message)" }
            }
        }
        if !isSecond, faults.occurs(.migrateTwice) { migrate(isSecond: true) }
    }

    // MARK: A new epoch without a seal

    func beginBump() {
        guard operation == nil else { return }
        note { "an operator ends epoch \(reference.epoch)" }
        operation = OperatorTask(
            kind: .bump(nil), epoch: reference.epoch, process: Process("operator"), holdsNodes: true)
        stopNodes()
        settleLoss()
        push(.operate, after: 100_000)
    }

    /// All nodes that the operator can reach are stopped; one that stands still is thought to be dead.
    private func stopNodes() {
        quietEnd = Position(log.epoch, Offset(log.end))
        for node in nodes where node.isUp && node.pausedUntil <= now {
            if random.chance(500_000) {
                stopInOrder(node, restartAfter: 1_000_000)
            } else {
                crash(node, restartAfter: 1_000_000)
            }
        }
    }

    private func bumpByConfiguration() {
        guard let next = reference.epoch.next, next.number < 30 else { return }
        note { "all nodes are started with epoch \(next)" }
        quietEnd = Position(log.epoch, Offset(log.end))
        for node in nodes {
            node.configuredEpoch = next
            if node.isUp, node.pausedUntil <= now {
                stopInOrder(node, restartAfter: Int64(random.within(1_000...50_000)))
            }
        }
    }

    private func mistakeEpoch() {
        let node = nodes[faults.below(.wrongEpoch, nodes.count)]
        let newest = Int(reference.epoch.number)
        node.configuredEpoch = Epoch(max(0, newest + [-1, 0, 1, 2][faults.below(.wrongEpoch, 4)]))
        note { "\(node.name) is started with epoch \(node.configuredEpoch!)" }
        crash(node, restartAfter: Int64(random.within(1_000...1_000_000)))
    }

    /// A node refused the epoch that its configuration asserts: rightly, then the line is taken out.
    func correct(_ node: SimulatedNode, _ error: VarveError) {
        let newest = (try? BlockStore(NodeStore(directory, "check", nil)).epochRecords()) ?? []
        guard let asserted = node.assertedEpoch, let current = newest.last?.record else {
            return refused(node, error)
        }
        let isLinked = newest.allSatisfy { $0.record.epoch <= asserted || $0.record.began == .sealed }
        switch error.code {
        case .epochStale where asserted >= current.epoch || isLinked: refused(node, error)
        // Another node may just have begun the epoch that was asserted.
        case .epochAhead where asserted < current.epoch: refused(node, error)
        // It asserts an epoch, and names another place than that epoch's.
        case .logReplaced
        where asserted > current.epoch || plan.place.reference(of: current.epoch).isSamePlace(as: current.log):
            refused(node, error)
        // Unless somebody has written another one there meanwhile.
        default: if node.configuredEpoch == asserted { node.configuredEpoch = nil }
        }
    }

    // MARK: Commands

    /// Nodes cannot go on by themselves. Records that expired too early may be in some node, which publishes them; once all
    /// is mended, whoever could has.
    private var needsOperator: Bool { isLogForeign || isEndLost || isHealing && isLogLossy }

    func operate() {
        // A log that is lost is what an operator comes for.
        if operation == nil, needsOperator { return beginBump() }
        guard var operation, !operation.isRunning else { return }
        operation.tries += 1
        operation.isRunning = true
        operation.process = Process("operator")
        if operation.tries < 4, faults.occurs(.commandDies) {
            operation.process.callsLeft = faults.below(.commandDies, 60)
        }
        self.operation = operation
        let process = operation.process
        process.die = { [unowned self] in
            note { "the operator's command dies" }
            end(process)
            again(after: 1_000_000)
        }
        let store = BlockStore(NodeStore(directory, "operator", self, process))
        let places = places(of: process)
        switch operation.kind {
        case .bump(let way): bump(operation, store, places, way)
        case .salvage: salvage(operation, store, places)
        }
    }

    private func again(after delay: Int64) {
        operation?.isRunning = false
        push(.operate, after: delay)
    }

    private func endOperation() {
        guard let ended = operation else { return }
        operation = nil
        if ended.holdsNodes {
            for node in nodes where !node.isUp || node.stopped != nil {
                push(.restart(node: node.index), after: Int64(random.within(1_000...500_000)))
            }
        }
    }

    private func bump(_ operation: OperatorTask, _ store: BlockStore, _ places: LogPlaces, _ way: EpochPlan.Way?) {
        let (settings, epoch) = (plan.settings, operation.epoch)
        let preferred = EpochPlan.Way.allCases[random.below(3)]
        launch(operation.process) { [unowned self] () async throws(VarveError) -> EpochBump.Result? in
            let cold = try ColdDatabase(store, places)
            // An earlier try had come to its end.
            if cold.current.epoch > epoch { return nil }
            let plan = try await EpochSurvey(cold).plan()
            let ways = way.map { [$0] } ?? [preferred] + EpochPlan.Way.allCases
            let chosen = ways.first { plan.refusal($0, acceptedLoss: plan.digest) == nil }
            guard let chosen else { throw plan.refusal(ways[0], acceptedLoss: plan.digest)! }
            note { "the operator's way is \(chosen)" }
            // Said once, it is said again: what was begun is completed.
            self.operation?.kind = .bump(chosen)
            let isLossless = plan.refusal(chosen, acceptedLoss: nil) == nil
            return try await EpochBump(
                cold, plan, chosen, acceptedLoss: isLossless ? nil : plan.digest, settings: settings
            ).run()
        } done: { [unowned self] result in
            switch result {
            case .success(let done):
                note {
                    "epoch \(epoch) is ended: \(done.map { "\($0.record.reason), \($0.salvaged) salvaged" } ?? "it was")"
                }
                for node in nodes { node.configuredEpoch = nil }
                endOperation()
            case .failure(let error): bumpFailed(error)
            }
        }
    }

    private func bumpFailed(_ error: VarveError) {
        note { "the epoch is not ended: \(error.code) \(error.message)" }
        switch error.code {
        case .storageUnreachable, .storageFull, .storageDenied, .logUnreachable, .unknownOutcome, .ioFatal:
            again(after: 2_000_000)
        // Somebody lives, or writes; or the end before this is not in a block: nodes have to go on first.
        case .planStale, .epochAhead, .logLocked:
            endOperation()
            if needsOperator { push(.operate, after: 40_000_000) }
        case .targetUnfit:
            // What stands there is of an attempt that came to nothing.
            guard let next = operation?.epoch.next, let standing = log(at: plan.place.reference(of: next)),
                !line.contains(where: { $0.log === standing })
            else { return refusedCommand(error) }
            // Not while a seal that names it may be on its way.
            guard requests.isEmpty else { return again(after: 30_000_000) }
            note { "the operator deletes \(standing.place.topic)" }
            standing.isDeleted = true
            again(after: 1_000_000)
        default:
            refusedCommand(error)
            endOperation()
        }
    }

    private func refusedCommand(_ error: VarveError) {
        guard !excused.contains(error.code.rawValue), !isLogLossy else { return }
        fail("a command is refused only for a reason", "\(error.code) \(error.message)")
    }

    private func salvage(_ operation: OperatorTask, _ store: BlockStore, _ places: LogPlaces) {
        let (wanted, isWhole) = (zombieAnswers, !isLogLossy)
        launch(operation.process) { () async throws(VarveError) -> (Epoch, [LateSalvage.Item]) in
            let salvage = try LateSalvage(try ColdDatabase(store, places), nil)
            let items = try await salvage.list()
            _ = try await salvage.apply(items)
            return (salvage.epoch.epoch, items)
        } done: { [unowned self] result in
            switch result {
            case .success((let epoch, let items)):
                note { "\(items.count) stood behind an end, \(items.count { $0.decided == nil }) are applied now" }
                for item in items where reference.verdicts[item.submission.id] == nil {
                    return fail("what is salvaged is decided", "\(item.submission.id) is not")
                }
                let lost = wanted.filter { $0.value == epoch && reference.verdicts[$0.key] == nil }
                if isWhole, !lost.isEmpty {
                    return fail("what was answered behind an end can be salvaged", "\(lost.count) answers are lost")
                }
                endOperation()
            case .failure(let error):
                note { "nothing is salvaged: \(error.code) \(error.message)" }
                switch error.code {
                case .storageUnreachable, .storageFull, .storageDenied, .logUnreachable, .unknownOutcome:
                    again(after: 2_000_000)
                // The old log is gone, or the end is in no block yet, or a migration has moved on meanwhile.
                default: endOperation()
                }
            }
        }
    }

    // MARK: What an epoch record must say

    /// A record of an epoch has just come to be in storage.
    func epochRecorded(_ name: String, _ bytes: Bytes) {
        guard let record = try? EpochRecord.decode(bytes), record.epoch > .first else { return }
        // The end that a node names that has parted from the others is not the log's.
        if nodes.contains(where: { $0.isTainted }) { return isOver = true }
        note { "\(name): \(record.began) behind \(record.parentEnd!.position), in \(record.log.topic)" }
        guard record.began == .lost else { return checkSealed(record) }
        declared(record)
    }

    private func checkSealed(_ record: EpochRecord) {
        let number = Int(record.epoch.number)
        let ending = number < reference.beginnings.count ? reference.beginnings[number] : reference.ending?.end
        guard let ending, ending == record.parentEnd, reference.after(ending.position)?.seal?.log == record.log else {
            return fail("the record of an epoch is a function of its seal", "epoch \(record.epoch)")
        }
        if faults.occurs(.targetLost), let target = log(at: record.log) {
            note { "\(target.place.topic) is deleted" }
            deleteLog(target)
        }
    }

    func deleteLog(_ target: SimulatedLog) {
        target.isDeleted = true
        hasLostLogs = true
        deletedLog()
    }

    /// The log that goes on is not there: nodes stop, and an operator comes.
    func deletedLog() {
        isLogLossy = true
        isLogForeign = true
        excused.insert(ErrorCode.logMissing.rawValue)
        push(.operate, after: Int64(random.within(1_000_000...30_000_000)))
    }

    /// An operator has declared the end of an epoch: what it keeps is kept, what it gives up is stated.
    private func declared(_ record: EpochRecord) {
        guard let end = record.parentEnd, let ended = Epoch(Int(record.epoch.number) - 1) else { return }
        if let loss, end.position.epoch == loss.log.epoch, end.position.offset.value >= loss.kept { settleLoss() }
        let before = reference.verdicts
        // A log that is gone cannot be read, so nobody may say how much was in it; of one that was changed nobody knows.
        let isGone = line.indices.contains(Int(ended.number)) && line[Int(ended.number)].log.isDeleted
        // An end that was declared before is no seal: a power failure took its record before that was durable, and the
        // command is given again.
        if !endsDeclared.contains(ended),
            let seal = reference.beginnings.indices.contains(Int(record.epoch.number))
                ? reference.beginnings[Int(record.epoch.number)]?.position : nil, seal <= end.position, !isLogLossy
        {
            return fail("a sealed epoch is not given up", "epoch \(ended) was sealed at \(seal)")
        }
        // Where a log is lost in front of its seal, the epochs behind the seal are given up with it.
        let given = (Int(end.position.epoch.number)...Int(ended.number)).filter { number in
            number == Int(ended.number) || reference.beginnings[number + 1].map { $0.position > end.position } ?? false
        }.compactMap { Epoch($0) }
        replay(to: end, of: ended)
        guard let found = reference.ending?.end, found == end else {
            return fail(
                "a declared end is what the log was there",
                "\(end.position) \(end.inputChain.shortHex) \(end.block?.description ?? "-"), the log says "
                    + "\(reference.ending?.end.position.description ?? "-") "
                    + "\(reference.ending?.end.inputChain.shortHex ?? "-") \(reference.ending?.end.block?.description ?? "-")"
            )
        }
        checkGenesis(of: record)
        enter(record.log)
        epochsDeclared += 1
        endsDeclared.formUnion(given)
        declaredAt = now
        let gone = answered.filter { reference.verdicts[$0.key] == nil }
        for id in gone.keys.sorted(by: { $0.description < $1.description }) { answered[id] = nil }
        // What was answered meanwhile, by who did not know yet, can be salvaged.
        for (id, position) in gone where position >= quietEnd && !isLogLossy { zombieAnswers[id] = ended }
        let lost = gone.filter { $0.value < quietEnd }
        if !isLogLossy || isGone, let stated = record.unindexedLost, lost.count > stated {
            fail(
                "nothing is lost without being stated",
                "\(lost.count) answers are lost (\(lost.values.min()!) to \(lost.values.max()!)), epoch \(record.epoch) says \"\(record.reason)\""
            )
        }
        if record.unindexedLost == nil, !record.reason.contains("not known"), !record.reason.contains("nothing held") {
            fail("what is lost is counted, or not known", record.reason)
        }
        let differing = before.values.filter { old in
            reference.verdicts[old.id].map { $0.outcome != old.outcome && $0.position.epoch > ended } ?? false
        }
        // What was told to be of no effect stays so.
        for old in differing where answered[old.id] != nil && (old.outcome == .expired || old.outcome == .cancelled) {
            if let now = reference.verdicts[old.id]?.outcome, now == .committed {
                fail("no answer is contradicted by a salvage", "\(old.id) had \(old.outcome), now it is \(now)")
            }
        }
        note { "\(lost.count) decisions are lost, \(differing.count) came out differently" }
        forget(behind: end)
        if isLogLossy {
            for code in [ErrorCode.logReplaced, .logDiverged, .logBehind, .logGap, .logMissing] {
                excused.remove(code.rawValue)
            }
        }
        isLogForeign = false
        isLogLossy = false
        isEndLost = false
        loss = nil
    }

    /// The new log was begun behind this very end: what an earlier attempt left there is of another one.
    private func checkGenesis(of record: EpochRecord) {
        guard let found = log(at: record.log), let offset = record.log.genesisOffset?.value, offset < found.end,
            let entry = found.entries[Int(offset)],
            case .record(let first) = Record.decode(entry.bytes, tag: nil),
            let genesis = try? Genesis.decode(first.payload)
        else { return }
        if genesis.parent?.end != record.parentEnd || genesis.began != record.began {
            fail(
                "a genesis names the end that it stands behind",
                "\(record.log.topic) begins behind \(genesis.parent?.end.map { "\($0.position)" } ?? "a seal"), epoch "
                    + "\(record.epoch) behind \(record.parentEnd.map { "\($0.position)" } ?? "-")")
        }
    }

    /// What was decided behind an end is known no more, or anew.
    func forget(behind end: ParentEnd?) {
        acknowledged = min(acknowledged, end?.position ?? .zero)
        answered = answered.filter { reference.verdicts[$0.key] != nil }
        let block = end?.block
        publishedDigests = publishedDigests.filter { number, _ in block.map { number <= $0.value } ?? false }
        adoptedBlocks = min(adoptedBlocks, block.map { $0.value + 1 } ?? 0)
        for i in clients.indices {
            clients[i].known = clients[i].known.filter { reference.verdicts[$0.id] != nil }
            clients[i].refused = []
            clients[i].session = nil
            // Ids of lost submissions are not used again: what decided them is not known any more.
            clients[i].call += 1
            if clients[i].want != nil { push(.client(i), after: 100_000) }
            clients[i].want = nil
        }
    }

    /// A node that reads on behind an end that was declared while it stood still: for 10 s at most.
    func isZombie(_ node: SimulatedNode) -> Bool {
        if node.hasReadLost { return true }
        guard node.machine != nil, !node.epochs.isEmpty, node.epoch < reference.epoch else { return false }
        guard endsDeclared.contains(node.epoch) else { return false }
        return !node.epochs.contains { $0.record.epoch > node.epoch && $0.record.began != .sealed }
    }
}
