/// One client: one call at a time, retried with the same id until it has an answer, and what it remembers of it.

internal import VarveCore
internal import VarveModel

struct Client {
    enum Want {
        /// A transaction under this id; `isForged`: the id was used for other content.
        case transaction(SubmissionID, payload: Bytes, digest: Bytes16, isForged: Bool)
        /// Nobody waits for these.
        case burst
        case resolve(SubmissionID)
        case status(SubmissionID)
        case read
        case strictRead(floor: Position)
        case flush
        case settings
    }

    enum Answer {
        case decided(Decision)
        case passed(Position)
        case failed(VarveError)
    }

    let index: Int
    var random: Random
    /// Each time a node is asked, a number: answers to earlier ones are late.
    var call = 0
    var want: Want?
    var node = 0
    var tries = 0
    /// What was read or written last: nothing older may be shown.
    var session: Token?
    /// Ids with their payloads that this client knows the fate of, or not yet.
    var known: [(id: SubmissionID, payload: Bytes, digest: Bytes16, isDecided: Bool)] = []
    /// Refused for sure: must never be in the log's history.
    var refused: [SubmissionID] = []
    /// An unknown answer came for the current id: a refusal later on says nothing about the earlier try.
    var wasUnknown = false
    private var ids: UInt64 = 0

    init(_ index: Int, _ seed: UInt64) {
        self.index = index
        random = Random(seed, 10 + UInt64(index))
    }

    mutating func nextID() -> SubmissionID {
        ids += 1
        return SubmissionID(high: 0x100 + UInt64(index), low: ids)
    }

    /// A small transaction over few keys, so that clients meet.
    mutating func transaction(_ plan: Plan) -> (payload: Bytes, requestDigest: Bytes16) {
        var operations: [Operation] = []
        for _ in 0..<random.pick([1, 1, 1, 2, 4]) {
            let table = TableName(unchecked: ["a", "b", "c"][random.below(plan.tables)])
            let key = self.key(plan)
            switch random.below(20) {
            case 0...8: operations.append(.put(table, [Operation.Row(key, document())]))
            case 9:
                operations.append(
                    .put(table, (0..<(plan.isWide ? 40 : 3)).map { _ in Operation.Row(self.key(plan), document()) }))
            case 10...12: operations.append(.patch(table, [Operation.Row(key, patch())]))
            case 13, 14: operations.append(.delete(table, [key]))
            case 15: operations.append(plan.mayErase ? .erase(table, [key]) : .delete(table, [key]))
            case 16: operations.append(.assert(table, key, .exists(random.chance(500_000))))
            case 17:
                operations.append(.assert(table, key, .equals(SimpleDocument.encode(["n": Int64(random.below(4))]))))
            case 18:
                operations.append(.assert(table, key, .version(session?.position ?? .zero)))
            default: operations.append(.put(table, [Operation.Row(key, Bytes([0xff]))]))
            }
        }
        return Transaction(operations).encoded()
    }

    mutating func key(_ plan: Plan) -> Key {
        let n = random.below(plan.keys)
        return n & 1 == 0 ? Key(Int64(n)) : Key("k\(n)")!
    }

    private mutating func document() -> Bytes {
        var fields: SimpleDocument.Fields = ["n": Int64(random.below(4))]
        if random.chance(300_000) { fields[["x", "y", "z", "w"][random.below(4)]] = Int64(random.below(1000)) }
        return SimpleDocument.encode(fields)
    }

    private mutating func patch() -> Bytes {
        var writer = CBORWriter()
        writer.map(1)
        writer.text(["n", "x", "y"][random.below(3)])
        if random.chance(300_000) { writer.undefined() } else { writer.integer(Int64(random.below(9))) }
        return Bytes(writer.bytes)
    }
}
