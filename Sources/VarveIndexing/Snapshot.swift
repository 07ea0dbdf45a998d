/// A reader's immutable view at one position: adopted blocks, frozen blocks and the open block, newest last.
///
/// Making one costs a few references; holding one stops nobody. The same past question has the same answer on every
/// node: nothing here depends on which of a block's two forms, in memory or in a file, a node happens to hold.

package import VarveCore
package import VarveModel
internal import VarveStorage

package struct Snapshot: Sendable {
    /// The applied position with the input chain there.
    package let token: Token
    package let systemTime: Instant
    package let effectiveTime: Int64
    package let effectChain: Bytes16
    /// The newest submission id that is no longer remembered was decided here.
    private let horizon: Position
    package let blocks: BlockSet
    /// Blocks in memory, newest first: the open one and the frozen ones.
    package let memory: [Memory]
    package let catalog: [TableName: FieldCatalog]

    package struct Memory: Sendable {
        package let number: BlockNumber
        /// nil while the block holds no record.
        package let first: Position?
        package let live: LiveIndex
        package let decisions: PersistentTree<Position, Decision>
    }

    package init(_ machine: NodeMachine, _ blocks: BlockSet) {
        token = machine.token
        systemTime = machine.systemTime
        effectiveTime = machine.effectiveTime
        effectChain = machine.effectChain.value
        horizon = machine.window.horizon
        self.blocks = blocks
        catalog = machine.catalog
        let open = machine.open
        memory =
            [Memory(number: open.number, first: open.first?.position, live: open.live, decisions: open.decisions)]
            + machine.frozen.reversed().map {
                Memory(number: $0.number, first: $0.draft.first, live: $0.live, decisions: $0.decisions)
            }
    }

    package var position: Position { token.position }

    /// One version of a document.
    package struct Row: Sendable {
        package let position: Position
        package let systemFrom: Instant
        /// When the next version came; nil for the newest.
        package let systemTo: Instant?
        /// nil: a deletion.
        package let document: Bytes?
    }

    /// The document as of a position; nil when it did not exist then.
    package func get(_ table: TableName, _ key: Key, asOf position: Position) throws(VarveError) -> Row? {
        let row = try versions(table, key, asOf: position, limit: 1).first
        return row?.document == nil ? nil : row
    }

    /// Versions at or before a position, newest first. After an erase nothing older is left.
    package func versions(
        _ table: TableName, _ key: Key, asOf position: Position, limit: Int
    ) throws(VarveError) -> [Row] {
        var rows: [Row] = []
        var next: Instant?
        for block in memory {
            guard let entry = block.live.entry(table, key) else { continue }
            var version = entry.newest
            while let found = version {
                if found.position <= position {
                    guard rows.count < limit else { return rows }
                    rows.append(
                        Row(
                            position: found.position, systemFrom: found.systemFrom, systemTo: next,
                            document: found.document))
                }
                next = found.systemFrom
                version = found.older
            }
            if entry.erased != nil { return rows }
        }
        guard rows.count < limit else { return rows }
        try blocks.forEachVersion(table, key, upTo: Position(packed: .max)!) { (file, row) throws(VarveError) in
            let at = file.position(at: row)
            let from = file.systemFrom(at: row)
            if at <= position {
                rows.append(
                    Row(position: at, systemFrom: from, systemTo: next, document: try file.document(at: row)))
            }
            next = from
            return rows.count < limit
        }
        return rows
    }

    /// Tables that ever held anything of a user's, by name, with their fields in the order they were first seen.
    package var tables: [(name: TableName, fields: [Bytes])] {
        catalogAndLive.map { ($0, catalog[$0]?.names ?? []) }
    }

    private var catalogAndLive: [TableName] {
        var names = Set(catalog.keys)
        for block in memory { names.formUnion(block.live.tables.keys) }
        for block in blocks.blocks { names.formUnion(block.manifest.tables.map(\.name)) }
        names.remove(.transactions)
        return names.sorted()
    }

    /// Number of documents that exist at a position.
    package func count(_ table: TableName, asOf position: Position) throws(VarveError) -> Int {
        var cursor = try scan(table, asOf: position)
        var count = 0
        while try cursor.next() { count += 1 }
        return count
    }

    /// Decided submissions behind `position`, oldest first.
    package func decisions(after position: Position, limit: Int) throws(VarveError) -> [Decision] {
        var found: [Decision] = []
        for block in blocks.blocks where block.manifest.last > position && found.count < limit {
            var decisions = try block.decisions().filter { $0.position > position }
            decisions.sort { $0.position < $1.position }
            found += decisions.prefix(limit - found.count)
        }
        for block in memory.reversed() where found.count < limit {
            var cursor = block.decisions.cursor(from: position)
            while let (at, decision) = cursor.current, found.count < limit {
                if at > position { found.append(decision) }
                cursor.advance()
            }
        }
        return found
    }

    /// The decision about an id behind the id window: in adopted blocks, or in one that waits to be.
    package func decision(_ id: SubmissionID) throws(VarveError) -> Decision? {
        // Seldom any: ids are forgotten long after their blocks have been adopted, unless storage is away.
        for block in memory {
            guard let first = block.first, first <= horizon else { continue }
            if let decision = block.decisions.decision(id, upTo: horizon) { return decision }
        }
        guard let key = Key(id.description) else { return nil }
        for block in blocks.blocks.reversed() {
            for file in try block.files(of: .transactions, holding: key) {
                for row in file.find(key) {
                    guard let document = try file.document(at: row) else { continue }
                    return Decision(
                        key: key, position: file.position(at: row), systemTime: file.systemFrom(at: row),
                        document: document)
                }
            }
        }
        return nil
    }

    /// Whether what was there at an instant can no longer change: effective time is strictly later, or a system time at or
    /// behind it was given, which the next one exceeds. (Where a clock went back, time of the log stands still until the
    /// clock is there again.)
    package func hasPassed(_ instant: Instant) -> Bool {
        systemTime >= instant || effectiveTime * 1000 > instant.microseconds
    }

    /// The newest position whose system time is at or before an instant; `0-0` when nothing was decided by then.
    package func position(asOf instant: Instant) throws(VarveError) -> Position {
        for block in memory {
            guard let first = block.decisions.cursor().current?.value, first.systemTime <= instant else { continue }
            var newest = Position.zero
            block.decisions.forEach { if $1.systemTime <= instant { newest = max(newest, $0) } }
            return newest
        }
        for block in blocks.blocks.reversed() {
            let decisions = try block.decisions().filter { $0.systemTime <= instant }
            if let newest = decisions.map(\.position).max() { return newest }
        }
        return .zero
    }
}

extension AdoptedBlock {
    /// Every decision of this block, in order of ids.
    package func decisions() throws(VarveError) -> [Decision] {
        var list: [Decision] = []
        for file in try files(of: .transactions) {
            list.reserveCapacity(list.count + file.rowCount)
            for row in 0..<file.rowCount {
                guard let document = try file.document(at: row),
                    let decision = Decision(
                        key: file.key(at: row), position: file.position(at: row), systemTime: file.systemFrom(at: row),
                        document: document)
                else {
                    throw VarveError(
                        .blockCorrupt,
                        "row \(row) of \(TableName.transactions) in block \(manifest.number) is no decision",
                        next: "varve blocks show \(manifest.number) --config node.yaml")
                }
                list.append(decision)
            }
        }
        return list
    }
}
