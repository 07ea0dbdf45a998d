/// The adopted blocks as readers see them: immutable, newest last, opened when first touched.

internal import Synchronization
package import VarveCore
package import VarveModel
package import VarveStorage

/// One adopted block: its manifest and, once something was read, its files.
package final class AdoptedBlock: Sendable {
    package let manifest: Manifest
    package let digest: Digest
    private let store: BlockStore
    private let files = Mutex<[TableName: [BlockFile]]>([:])
    /// CRC32C of the files whose SHA-256 this process has taken, by name.
    private let checksums = Mutex<[String: UInt32]>([:])
    /// nil inside: looked for, and not there.
    private let sidecars = Mutex<[String: BlockSidecar?]>([:])

    package init(_ manifest: Manifest, _ digest: Digest, in store: BlockStore) {
        self.manifest = manifest
        self.digest = digest
        self.store = store
    }

    /// The files of a table; their bytes are checked when they are first asked for, whatever was checked before: a disk
    /// may have lost them since. Throws `BLOCK_CORRUPT`.
    package func files(of table: TableName) throws(VarveError) -> [BlockFile] {
        if let opened = files.withLock({ $0[table] }) { return opened }
        guard let entry = manifest.tables.first(where: { $0.name == table }) else { return [] }
        var opened: [BlockFile] = []
        for file in entry.files {
            let checksum = checksums.withLock { $0[file.name] }
            opened.append(try store.openFile(file, by: checksum.map(BlockProof.checksum) ?? .digest))
        }
        files.withLock { $0[table] = opened }
        return opened
    }

    /// Reads all files and checks their digests, before anything relies on them: nobody waits for that later, and none of
    /// them stays open, which would hold its pages in memory.
    /// - Parameter known: CRC32C of files that this process has just written and read back, by name.
    package func check(but known: [String: UInt32] = [:]) throws(VarveError) {
        for file in manifest.tables.flatMap(\.files) {
            var checksum = known[file.name]
            if checksum == nil { checksum = try store.openFile(file).checksum }
            checksums.withLock { $0[file.name] = checksum }
        }
    }

    /// The files of a table that may have rows of `key`. Those that certainly have none are not even opened: a sidecar is
    /// small, a file's SHA-256 is taken over all of it.
    package func files(of table: TableName, holding key: Key) throws(VarveError) -> [BlockFile] {
        if let opened = files.withLock({ $0[table] }) { return opened }
        guard let entry = manifest.tables.first(where: { $0.name == table }) else { return [] }
        for file in entry.files where file.firstKey <= key && key <= file.lastKey {
            if try sidecar(of: file)?.mayHold(key) ?? true { return try files(of: table) }
        }
        return []
    }

    private func sidecar(of file: Manifest.File) throws(VarveError) -> BlockSidecar? {
        if let known = sidecars.withLock({ $0[file.name] }) { return known }
        let found = try store.sidecar(of: file)
        sidecars.withLock { $0[file.name] = .some(found) }
        return found
    }
}

package struct BlockSet: Sendable {
    /// In order of their numbers.
    package private(set) var blocks: [AdoptedBlock] = []
    /// How many of them end with a record that is skipped.
    private(set) var quarantined = 0
    /// For each table the keys that were ever erased, with the newest position of that.
    private var erasures: [TableName: [Key: Position]] = [:]
    private let leases = BlockLeases()
    /// Says for as long as any copy of this list is held that its files may be opened.
    private var lease: BlockLeases.Lease?

    package init() {}

    /// The newest block of the oldest list of this node's that somebody still reads; nil while there are no blocks.
    package var oldestHeld: BlockNumber? { leases.oldest }

    package mutating func append(_ block: AdoptedBlock) {
        blocks.append(block)
        if block.manifest.cut == .quarantine { quarantined += 1 }
        lease = leases.lease(block.manifest.number)
        for table in block.manifest.tables {
            for erasure in table.erasures { erasures[table.name, default: [:]][erasure.key] = erasure.position }
        }
    }

    /// Keys of `table` whose versions before a position are hidden; nil when none are.
    func erased(_ table: TableName) -> [Key: Position]? { erasures[table] }

    /// Rows of `key`, newest first, that stand at or before `position` and are not erased; `body` returns false to stop.
    func forEachVersion(
        _ table: TableName, _ key: Key, upTo position: Position,
        _ body: (BlockFile, Int) throws(VarveError) -> Bool
    ) throws(VarveError) {
        let hidden = erasures[table]?[key]
        for block in blocks.reversed() where block.manifest.first <= position {
            if let hidden, block.manifest.last < hidden { return }
            for file in try block.files(of: table, holding: key) {
                for row in file.find(key) {
                    let at = file.position(at: row)
                    // What the erasing transaction itself wrote after it stands at the same position, and stays.
                    if let hidden, at < hidden { return }
                    if at <= position, !(try body(file, row)) { return }
                }
            }
        }
    }
}

extension BlockSet: BlockLookup {
    package func newest(_ table: TableName, _ key: Key) throws(VarveError) -> StoredVersion? {
        var found: StoredVersion?
        try forEachVersion(table, key, upTo: Position(packed: .max)!) { (file, row) throws(VarveError) in
            found = StoredVersion(position: file.position(at: row), document: try file.document(at: row))
            return false
        }
        return found
    }
}
