/// The machine run again over a log's records, each block that it cuts compared with the one in storage.

internal import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveStorage

struct LogReplay {
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
