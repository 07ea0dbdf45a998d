/// What a block holds while it is in memory: for each table the versions of its documents, newest first.
///
/// A value: copying it is free and a copy never changes. Documents share the bytes of the record they came in.

package import VarveModel

/// One version of a document.
package final class Version: @unchecked Sendable {
    package let position: Position
    package let systemFrom: Instant
    /// nil: the document was deleted.
    package let document: Bytes?
    // Written once, and again only in `deinit`, when nobody else holds this object: hence `@unchecked`.
    private var next: Version?
    package var older: Version? { next }

    package init(position: Position, systemFrom: Instant, document: Bytes?, older: Version?) {
        self.position = position
        self.systemFrom = systemFrom
        self.document = document
        next = older
    }

    // A key written 100,000 times in one block must not be released by recursion.
    deinit {
        var rest = next
        next = nil
        while let version = rest, isKnownUniquelyReferenced(&rest) {
            rest = version.next
            version.next = nil
        }
    }

    /// The newest version at or before `position`, this one or an older one.
    package func visible(at position: Position) -> Version? {
        var version: Version? = self
        while let candidate = version, candidate.position > position { version = candidate.older }
        return version
    }
}

/// What one block holds of one key.
package struct LiveEntry: Sendable {
    /// nil when all that happened in this block was an erase.
    package var newest: Version?
    /// Everything at or before this position is hidden, here and in all older blocks.
    package var erased: Position?
}

package struct LiveTable: Sendable {
    package private(set) var entries = PersistentTree<Key, LiveEntry>()
    /// Keys erased in this block, in order of first erasure.
    package private(set) var erasures: [Key] = []

    /// Adds a version; a second one of the same transaction takes the first one's place.
    /// Returns whether a version more is there now.
    package mutating func write(_ key: Key, _ document: Bytes?, at position: Position, _ systemTime: Instant) -> Bool {
        var isNew = true
        entries.update(key) { entry in
            var changed = entry ?? LiveEntry()
            entry = nil
            var older = changed.newest
            if let newest = older, newest.position == position {
                older = newest.older
                isNew = false
            }
            changed.newest = Version(position: position, systemFrom: systemTime, document: document, older: older)
            entry = changed
        }
        return isNew
    }

    package mutating func erase(_ key: Key, at position: Position) {
        var isFirst = false
        entries.update(key) { entry in
            isFirst = entry?.erased == nil
            entry = LiveEntry(newest: nil, erased: position)
        }
        if isFirst { erasures.append(key) }
    }
}

/// The tables of one block.
package struct LiveIndex: Sendable {
    package private(set) var tables: [TableName: LiveTable] = [:]

    package init() {}

    package subscript(table: TableName) -> LiveTable? { tables[table] }

    package mutating func withTable<R>(_ name: TableName, _ body: (inout LiveTable) -> R) -> R {
        body(&tables[name, default: LiveTable()])
    }

    package func entry(_ table: TableName, _ key: Key) -> LiveEntry? { tables[table]?.entries[key] }

    /// In byte order of the names: whoever writes bytes iterates these.
    package var names: [TableName] { tables.keys.sorted() }
}
