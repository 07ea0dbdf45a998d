/// One pass over a log's records, compared with what storage recorded of them: the pure half of `LogVerification`.

internal import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveStorage

/// What storage says of an epoch's log.
enum RecordedLog: Sendable {
    struct Facts: Sendable {
        var store: BlockStore
        var database: DatabaseID
        var epochs: [BlockStore.StoredEpoch]
        var genesis: GenesisID
        var genesisOffset: Offset
        /// Every manifest of every epoch, oldest first.
        var history: [BlockStore.StoredManifest]
    }

    case known(Facts)
    case elsewhere(LogReference, configured: LogReference)
    case unknown(String)

    /// The end of the newest block.
    var adopted: Position? {
        guard case .known(let facts) = self else { return nil }
        return facts.history.last?.manifest.last
    }
}

struct LogReading {
    private typealias Finding = LogVerification.Finding

    private let epoch: Epoch
    private let range: Range<Offset>
    private let recorded: RecordedLog
    private var tag: LogTag?

    // Records.
    private var count = 0
    private var foreign = 0
    private var damage: String?

    // Identity: digests that storage knows, by position, with where it knows them from.
    private var points: [Position: (digest: Digest, source: String)] = [:]
    private var pointsHeld = 0
    private var isGenesisHeld = false
    private var mismatch: String?

    // Chains, from `base` on: nil until the record after it comes.
    private var chain: InputChain?
    private var base = ""
    private var from = Offset.zero
    private var pending: ArraySlice<BlockStore.StoredManifest> = []
    private var chained: [BlockNumber] = []
    private var chainEnd: Position?
    private var behindBlocks = 0
    private var chainFault: String?
    private var chainUntold: String?
    private var replay: Replay?
    private var replayFault: String?
    private var replayUntold: String?

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
            replay = Replay(
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
    ) throws(VarveError) -> Replay? {
        guard let parentGenesis = facts.epochs[index - 1].record.log.genesis else { return nil }
        guard let number = end.block, let block = facts.history.firstIndex(where: { $0.manifest.number == number })
        else { return nil }
        var state = try RestoredState(
            after: facts.history[...block], facts.history[block], genesis: parentGenesis, in: facts.store)
        _ = try state.machine.step(
            .enter(facts.epochs[index].record.epoch, facts.genesis, end), reading: state.blocks)
        return Replay(state, facts.store)
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
        replay = Replay(
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

    // MARK: What it comes to

    func findings() -> [LogVerification.Finding] {
        [recordsFinding, identityFinding, inputFinding, effectFinding]
    }

    private var recordsFinding: Finding {
        if let damage { return Finding(.records, .refuted, damage) }
        if count == 0 { return Finding(.records, .notCheckable, "the log holds no record") }
        let others = foreign == 0 ? "" : ", \(foreign) of them foreign"
        return Finding(.records, .proved, "\(count) records\(others): every checksum fits")
    }

    private var identityFinding: Finding {
        switch recorded {
        case .unknown(let why): return Finding(.identity, .notCheckable, why)
        case .elsewhere(let recorded, let configured):
            return Finding(
                .identity, .refuted,
                "LOG_REPLACED: the configuration names \(configured.kind) \(configured.topic) (\(configured.clusterID)), "
                    + "storage belongs to \(recorded.kind) \(recorded.topic) (\(recorded.clusterID))")
        case .known: break
        }
        if let mismatch { return Finding(.identity, .refuted, mismatch) }
        // What storage names and the log should still hold.
        if let missing = points.keys.filter({ range.contains($0.offset) }).min() {
            return Finding(
                .identity, .refuted,
                "\(points[missing]?.source ?? "storage") names a record at \(missing), the log holds none")
        }
        var proof: [String] = []
        if isGenesisHeld { proof.append("the genesis") }
        if pointsHeld > 0 { proof.append("\(pointsHeld) records that blocks name") }
        guard !proof.isEmpty else {
            return Finding(.identity, .notCheckable, "every record that storage names has expired")
        }
        return Finding(.identity, .proved, "the log holds \(proof.joined(separator: " and "))")
    }

    private var behind: String { behindBlocks == 0 ? "" : "; \(behindBlocks) records behind it are in no block yet" }

    private var inputFinding: Finding {
        if let chainFault { return Finding(.inputChain, .refuted, chainFault) }
        if let chainUntold { return Finding(.inputChain, .notCheckable, chainUntold) }
        if let next = pending.first {
            return Finding(
                .inputChain, .refuted,
                "the log \(damage == nil ? "ends" : "cannot be read up to") "
                    + "\(damage == nil ? "before " : "")\(next.manifest.last), the end of block \(next.manifest.number)"
            )
        }
        return Finding(
            .inputChain, .proved,
            "from \(base) through \(Self.blocks(chained)) up to \(chainEnd.map { "\($0)" } ?? "")\(behind)")
    }

    private var effectFinding: Finding {
        if let replayFault { return Finding(.effectChain, .refuted, replayFault) }
        if let replayUntold { return Finding(.effectChain, .notCheckable, replayUntold) }
        guard let replay, !replay.agreed.isEmpty else {
            return Finding(.effectChain, .notCheckable, "the records before the first block's end are not all there")
        }
        guard replay.agreed.last == chained.last else {
            return Finding(
                .effectChain, .refuted,
                "replayed, \(Self.blocks(replay.agreed)) agree, and no block ends where \(chained.last.map { "block \($0)" } ?? "the next") does"
            )
        }
        return Finding(
            .effectChain, .proved,
            "replayed from \(base): \(Self.blocks(replay.agreed)) agree in effects and counts\(skipped(replay))")
    }

    private func skipped(_ replay: Replay) -> String {
        replay.quarantined.isEmpty
            ? "" : "; quarantined, so skipped: \(replay.quarantined.map { "\($0)" }.joined(separator: ", "))"
    }

    private static func blocks(_ numbers: [BlockNumber]) -> String {
        guard let first = numbers.first, let last = numbers.last else { return "no block" }
        return first == last ? "block \(first)" : "blocks \(first) to \(last)"
    }
}

/// The machine run again over the records, each block that it cuts compared with the one in storage.
private struct Replay {
    private var machine: NodeMachine
    private var blocks: BlockSet
    private let store: BlockStore
    private(set) var agreed: [BlockNumber] = []
    /// Records that are hashed and not executed.
    private(set) var quarantined: [Position] = []
    private var isOver = false

    enum Step {
        case goesOn
        case refuted(String)
        case ended(String)
    }

    init(_ machine: NodeMachine, _ store: BlockStore) {
        self.machine = machine
        self.store = store
        blocks = BlockSet()
    }

    init(_ state: RestoredState, _ store: BlockStore) {
        machine = state.machine
        blocks = state.blocks
        self.store = store
    }

    mutating func take(
        _ entry: LogEntry, _ epoch: Epoch, _ history: [BlockStore.StoredManifest]
    ) throws(VarveError) -> Step {
        guard !isOver else { return .goesOn }
        let logged = NodeMachine.LoggedRecord(offset: entry.offset, time: entry.time, bytes: entry.bytes)
        if let open = Int(exactly: machine.open.number.value), open < history.count,
            history[open].manifest.cut == .quarantine, history[open].manifest.last == Position(epoch, entry.offset)
        {
            quarantined.append(history[open].manifest.last)
            _ = try machine.step(
                .quarantine(machine.open.number, history[open].manifest.last), reading: blocks)
        }
        let effects = try RecordInHand.during(Position(epoch, entry.offset)) { () throws(VarveError) in
            if machine.quarantined == nil { PlantedPoison.seam?(entry) }
            return try machine.step(.records(epoch, [logged]), reading: blocks)
        }
        for effect in effects {
            switch effect {
            case .cut(let block):
                // Blocks are numbered from 0 without holes.
                guard let at = Int(exactly: block.number.value), at < history.count else {
                    isOver = true
                    return .goesOn
                }
                let stored = history[at]
                for answer in try machine.step(.published(stored.manifest, stored.digest), reading: blocks) {
                    if case .stopped(let error) = answer { return .refuted(error.message) }
                }
                blocks.append(AdoptedBlock(stored.manifest, stored.digest, in: store))
                agreed.append(block.number)
                // Nothing behind the newest block can be compared.
                isOver = at + 1 == history.count
            case .damaged(_, let why):
                return .ended("the record at \(Position(epoch, entry.offset)) is damaged: \(why)")
            case .stopped(let error): return .ended(error.message)
            default: break
            }
        }
        return .goesOn
    }
}
