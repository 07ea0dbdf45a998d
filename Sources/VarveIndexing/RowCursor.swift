/// Walks a table in key order at one position: a merge of the open block, the frozen blocks and the files.
///
/// Each source gives the newest version it holds at or before the position for each of its keys; of one key the newest
/// source wins, deletions are passed over. Erased versions never show.

internal import VarveCore
package import VarveModel
package import VarveStorage

package struct RowCursor: Sendable {
    /// Where the current row's document stands.
    package enum Body: Sendable {
        /// In memory, as deterministic CBOR.
        case document(Bytes)
        /// In a row of a block file: columns can be read without building the document.
        case stored(BlockFile, row: Int)
    }

    package struct Row: Sendable {
        package let key: Key
        package let position: Position
        package let systemFrom: Instant
        package let body: Body
    }

    package private(set) var current: Row?
    /// Newest first, so of equal keys the first one wins.
    private var sources: [Source]
    private let until: Key?

    private struct Source: Sendable {
        enum Place: Sendable {
            case live(PersistentTree<Key, LiveEntry>.Cursor)
            case file(BlockFile, next: Int)
        }
        var place: Place
        /// The source's next key that has something to say; nil at its end.
        var head: Head?
    }

    private struct Head: Sendable {
        var key: Key
        /// nil: deleted or erased here, so older sources do not count.
        var row: Row?
    }

    private let position: Position
    private let erased: [Key: Position]?

    fileprivate init(
        _ snapshot: Snapshot, _ table: TableName, _ position: Position, from: Key?, until: Key?
    ) throws(VarveError) {
        self.position = position
        self.until = until
        erased = snapshot.blocks.erased(table)
        sources = []
        for block in snapshot.memory {
            guard let live = block.live[table] else { continue }
            sources.append(Source(place: .live(live.entries.cursor(from: from)), head: nil))
        }
        for block in snapshot.blocks.blocks.reversed() where block.manifest.first <= position {
            for file in try block.files(of: table) {
                sources.append(Source(place: .file(file, next: from.map { file.lowerBound($0) } ?? 0), head: nil))
            }
        }
        for i in sources.indices { advance(&sources[i]) }
    }

    /// Moves to the next row; false at the end.
    package mutating func next() throws(VarveError) -> Bool {
        while true {
            var least: Int?
            for i in sources.indices {
                guard let head = sources[i].head else { continue }
                if let other = least, !(head.key < sources[other].head!.key) { continue }
                least = i
            }
            guard let least, let head = sources[least].head else {
                current = nil
                return false
            }
            if let until, !(head.key < until) {
                current = nil
                return false
            }
            for i in sources.indices where i == least || sources[i].head?.key == head.key { advance(&sources[i]) }
            if let row = head.row {
                current = row
                return true
            }
        }
    }

    private func advance(_ source: inout Source) {
        switch source.place {
        case .live(var cursor):
            source.head = nil
            while let (key, entry) = cursor.current, source.head == nil {
                if let version = entry.newest?.visible(at: position) {
                    source.head = Head(
                        key: key,
                        row: version.document.map {
                            Row(
                                key: key, position: version.position, systemFrom: version.systemFrom,
                                body: .document($0))
                        })
                } else if entry.erased != nil {
                    source.head = Head(key: key, row: nil)
                }
                cursor.advance()
            }
            source.place = .live(cursor)
        case .file(let file, var row):
            source.head = nil
            while row < file.rowCount, source.head == nil {
                let key = file.key(at: row)
                var end = row + 1
                while end < file.rowCount && file.compareKey(at: end, with: key) == 0 { end += 1 }
                var visible = row
                while visible < end && file.position(at: visible) > position { visible += 1 }
                let isHidden = erased?[key].map { visible < end && file.position(at: visible) < $0 } ?? false
                if visible < end, !isHidden {
                    let isDeleted = file.isDeleted(at: visible)
                    source.head = Head(
                        key: key,
                        row: isDeleted
                            ? nil
                            : Row(
                                key: key, position: file.position(at: visible),
                                systemFrom: file.systemFrom(at: visible), body: .stored(file, row: visible)))
                }
                row = end
            }
            source.place = .file(file, next: row)
        }
    }
}

extension Snapshot {
    /// Rows of a table that exist at a position, in key order, from `from` up to but not including `until`.
    package func scan(
        _ table: TableName, asOf position: Position, from: Key? = nil, until: Key? = nil
    ) throws(VarveError) -> RowCursor {
        try RowCursor(self, table, position, from: from, until: until)
    }
}
