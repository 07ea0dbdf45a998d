/// One pass over a log's records, compared with what storage recorded of them: the pure half of `LogVerification`. What it
/// comes to: `LogReading+Findings.swift`.

internal import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveStorage

struct LogReading {
    typealias Finding = LogVerification.Finding

    let epoch: Epoch
    let range: Range<Offset>
    let recorded: RecordedLog
    var tag: LogTag?

    // Records.
    var count = 0
    var foreign = 0
    var damage: String?

    // Identity: digests that storage knows, by position, with where it knows them from.
    var points: [Position: (digest: Digest, source: String)] = [:]
    var pointsHeld = 0
    var isGenesisHeld = false
    var mismatch: String?

    // Chains, from `base` on: nil until the record after it comes.
    var chain: InputChain?
    var base = ""
    var from = Offset.zero
    var pending: ArraySlice<BlockStore.StoredManifest> = []
    var chained: [BlockNumber] = []
    var chainEnd: Position?
    var behindBlocks = 0
    var chainFault: String?
    var chainUntold: String?
    var replay: LogReplay?
    var replayFault: String?
    var replayUntold: String?

    /// - Parameter damage: what stands at the end of `range` and cannot be read; nil when nothing does.
    init(
        _ recorded: RecordedLog, epoch: Epoch, range: Range<Offset>, damage: VarveError? = nil
    ) throws(VarveError) {
        self.damage = damage.map { "\($0.code): \(Position(epoch, range.upperBound)): \($0.message)" }
        self.epoch = epoch
        self.range = range
        self.recorded = recorded
        switch recorded {
        case .unknown(let why): (chainUntold, replayUntold) = (why, why)
        case .elsewhere: chainUntold = "this is not the log that storage belongs to"
        case .known(let facts): try prepare(facts)
        }
        if replayUntold == nil && replay == nil { replayUntold = chainUntold }
    }

    // MARK: Where it begins

    private mutating func prepare(_ facts: RecordedLog.Facts) throws(VarveError) {
        tag = LogTag(database: facts.database, genesis: facts.genesis)
        let own = facts.history.filter { $0.manifest.last.epoch == epoch }
        for stored in own {
            let manifest = stored.manifest
            points[manifest.last] = (manifest.recordDigest, "block \(manifest.number)")
            for anchor in manifest.anchors where anchor.position.epoch == epoch && points[anchor.position] == nil {
                points[anchor.position] = (anchor.digest, "an anchor of block \(manifest.number)")
            }
        }
        let adopted = own.last?.manifest.last.offset ?? facts.genesisOffset
        if adopted.next > range.upperBound {
            mismatch =
                damage.map { _ in
                    "LOG_CORRUPT: nothing behind \(Position(epoch, range.upperBound)) was read, storage has applied up to "
                        + "\(Position(epoch, adopted))"
                }
                ?? "LOG_BEHIND: the log ends at \(Position(epoch, range.upperBound)), storage has applied up to "
                + "\(Position(epoch, adopted))"
        } else if adopted.next < range.lowerBound {
            mismatch =
                "LOG_GAP: the log begins at \(Position(epoch, range.lowerBound)), storage has applied up to "
                + "\(Position(epoch, adopted)): the records between them are gone"
        }
        if facts.genesisOffset >= range.lowerBound {
            try begin(atGenesis: facts, own)
        } else if let at = own.firstIndex(where: { $0.manifest.last.offset.next >= range.lowerBound }),
            let whole = facts.history.firstIndex(of: own[at])
        {
            let manifest = own[at].manifest
            base = "block \(manifest.number) at \(manifest.last)"
            from = manifest.last.offset.next
            chain = InputChain(manifest.inputChain)
            pending = own[(at + 1)...]
            replay = LogReplay(
                try RestoredState(
                    after: facts.history[...whole], own[at], genesis: facts.genesis, in: facts.store), facts.store)
        } else {
            chainUntold =
                "the log begins at \(Position(epoch, range.lowerBound)), where no block ends: what the chain was "
                + "there is not known"
        }
        if pending.isEmpty && chainUntold == nil {
            let why =
                own.isEmpty
                ? "there is no block of this epoch yet, so nothing to compare with"
                : "every record behind \(base) is in no block yet"
            // A chain that begins at the newest block is as far as blocks go: identity has that block's record.
            (chainUntold, replayUntold) = (why, why)
        }
    }

    private mutating func begin(
        atGenesis facts: RecordedLog.Facts, _ own: [BlockStore.StoredManifest]
    ) throws(VarveError) {
        base = "the genesis at \(Position(epoch, facts.genesisOffset))"
        from = facts.genesisOffset
        pending = own[...]
        guard let at = facts.epochs.firstIndex(where: { $0.record.epoch == epoch }) else { return }
        let parentEnd = facts.epochs[at].record.parentEnd
        chain = InputChain(parentEnd?.inputChain ?? .zero)
        guard at > 0, let parentEnd else { return }
        replay = try Self.state(at: at, parentEnd, facts)
    }

    /// What the epoch before left behind, as the epoch's first record finds it.
    private static func state(
        at index: Int, _ end: ParentEnd, _ facts: RecordedLog.Facts
    ) throws(VarveError) -> LogReplay? {
        guard let parentGenesis = facts.epochs[index - 1].record.log.genesis else { return nil }
        guard let number = end.block, let block = facts.history.firstIndex(where: { $0.manifest.number == number })
        else { return nil }
        var state = try RestoredState(
            after: facts.history[...block], facts.history[block], genesis: parentGenesis, in: facts.store)
        _ = try state.machine.step(
            .enter(facts.epochs[index].record.epoch, facts.genesis, end), reading: state.blocks)
        return LogReplay(state, facts.store)
    }

    // MARK: One record

    mutating func take(_ entry: LogEntry) throws(VarveError) {
        count += 1
        let position = Position(epoch, entry.offset)
        let decoded = Record.decode(entry.bytes, tag: tag)
        switch decoded {
        case .foreign: foreign += 1
        case .damaged(let why): damage = damage ?? "the record at \(position): \(why)"
        case .record, .unsupported: break
        }
        let digest = Digest(of: entry.bytes)
        if case .known(let facts) = recorded, entry.offset == facts.genesisOffset {
            checkGenesis(decoded, position, facts.genesis)
            if replay == nil, replayUntold == nil, case .record(let record) = decoded {
                beginReplay(record, facts)
            }
        }
        if let point = points.removeValue(forKey: position) {
            if point.digest == digest {
                pointsHeld += 1
            } else {
                mismatch =
                    mismatch
                    ?? "the record at \(position) has the digest \(digest.shortHex), \(point.source) says "
                    + point.digest.shortHex
            }
        }
        guard entry.offset >= from else { return }
        extend(entry, position, digest)
        try replayFurther(entry)
    }

    private mutating func checkGenesis(_ decoded: Record.Decoded, _ position: Position, _ genesis: GenesisID) {
        if case .record(let record) = decoded, record.header.type == .genesis, record.header.id == genesis {
            isGenesisHeld = true
        } else {
            mismatch = mismatch ?? "LOG_REPLACED: the genesis that storage recorded is not at \(position)"
        }
    }

    private mutating func extend(_ entry: LogEntry, _ position: Position, _ digest: Digest) {
        guard chainUntold == nil, chainFault == nil, var extended = chain else { return }
        // The next block's end was passed over: the log has no record there.
        if let next = pending.first, next.manifest.last < position {
            chainFault = "block \(next.manifest.number) ends at \(next.manifest.last), where the log has no record"
            return
        }
        extended.extend(position: position, logTime: entry.time, record: digest)
        chain = extended
        guard let next = pending.first else {
            behindBlocks += 1
            return
        }
        guard next.manifest.last == position else { return }
        pending.removeFirst()
        let manifest = next.manifest
        guard manifest.inputChain == extended.value else {
            let time =
                manifest.logTime == entry.time ? "" : ", and its log time is \(entry.time), not \(manifest.logTime)"
            chainFault =
                "at \(position) H is \(extended.value.shortHex), block \(manifest.number) says "
                + "\(manifest.inputChain.shortHex)\(time): a record between \(chainEnd.map { "\($0)" } ?? base) and there is "
                + "another than the one that was applied"
            return
        }
        chained.append(manifest.number)
        chainEnd = position
    }

    // MARK: Effects

    private mutating func beginReplay(_ record: Record, _ facts: RecordedLog.Facts) {
        guard replay == nil, chainUntold == nil, let genesis = try? Genesis.decode(record.payload) else { return }
        // No block precedes it: the state is what the epoch's record says.
        let parentEnd = facts.epochs.first { $0.record.epoch == epoch }?.record.parentEnd
        replay = LogReplay(
            NodeMachine(
                database: facts.database, genesis: facts.genesis, settings: genesis.settings,
                epochRecord: facts.epochs[0].digest, epoch: epoch, parentEnd: parentEnd), facts.store)
    }

    private mutating func replayFurther(_ entry: LogEntry) throws(VarveError) {
        guard case .known(let facts) = recorded, replayFault == nil, replayUntold == nil, var running = replay else {
            return
        }
        // One owner while it runs: a copy would copy the block that fills.
        replay = nil
        let step = try running.take(entry, epoch, facts.history)
        replay = running
        switch step {
        case .goesOn: break
        case .refuted(let why): replayFault = why
        case .ended(let why): replayUntold = why
        }
    }
}
