/// A directory that all nodes share, on a local or a network file system.
///
/// An object is a file. It is written under `tmp/`, synced, linked to its name, and its directory synced; nothing is
/// renamed over, so whoever comes second finds what stands there. `tmp/` also tells an absent mount from an empty store:
/// without it the directory is not the one that was opened.
///
/// Each node keeps a file of 1 MiB under `nodes/` that is given up when the disk is full, so that its heartbeat and what
/// makes room again can still be written.

package import VarveModel
import Synchronization
package import VarveIO

package final class DirectoryObjectStore: ObjectStore {
    package let path: String
    let node: String
    /// Files are mapped on a local file system and read on one that may vanish under the reader.
    private let isMapped: Bool
    private let nonce: Mutex<UInt64>
    /// Directories whose sync has failed, with the first error: what was lost then is lost, whatever a later one says.
    private let failedSyncs = Mutex<[String: IOError]>([:])
    /// The clock that stamps files, when this was opened: nobody else's says anything of them.
    private let opening = Mutex((seconds: 0, at: ContinuousClock.now))
    /// `FileSystem.publishOnce`, or what a test has in its place.
    let publishOnce: PublishOnce
    /// Planted by tests under what is overwritten.
    private let faults: FileFaults?
    /// Of a storage that is mounted: `tmp`, which every writer makes; for a reader the directory itself.
    private let mark: String

    package typealias PublishOnce =
        @Sendable (_ bytes: UnsafeRawBufferPointer, _ path: String, _ temporary: String) throws(IOError)
        -> FileSystem.Publication

    /// What a full disk still has for a heartbeat.
    package static let reserveBytes = 1 << 20
    /// Others' temporary files that are older than this were left by a process that is gone.
    static let leftOverSeconds = 24 * 3600

    /// Opens the directory, creating it if its parent is there, removes what this node left in `tmp/`, and proves that
    /// the file system can do what the contract needs.
    ///
    /// - Parameters:
    ///   - node: names this node's temporary files; letters, digits, `.`, `_`, `-`.
    ///   - nonce: random for each start, so that a process that was thought dead meets no file of its successor.
    ///   - needsRoom: false for who takes away what nobody needs: on a full disk the file system is not tried out.
    /// - Throws: `STORAGE_WEAK`, `STORAGE_DENIED`, `STORAGE_UNREACHABLE`, `STORAGE_FULL`.
    package init(
        path: String, node: String, nonce: UInt64, needsRoom: Bool = true, faults: FileFaults? = nil,
        publishOnce: @escaping PublishOnce = { (bytes, path, temporary) throws(IOError) in
            try FileSystem.publishOnce(bytes, as: path, temporary: temporary)
        }
    ) throws(VarveError) {
        guard isObjectName(node), !node.utf8.contains(0x2f) else {
            throw VarveError(.configInvalid, "the node id \"\(node)\" has other characters than letters, digits, . _ -")
        }
        self.path = path
        self.node = node
        self.nonce = Mutex(nonce)
        self.faults = faults
        self.publishOnce = publishOnce
        mark = Directory.join(path, "tmp")
        do throws(IOError) {
            let parent = Directory.parent(of: path)
            guard Directory.isDirectory(parent) else { throw IOError(code: ENOENT, operation: "open", path: parent) }
            try Directory.create(Directory.join(path, "tmp"))
            isMapped = !(try FileSystem.isNetwork(path))
        } catch {
            throw Self.storageError(error, path)
        }
        try removeLeftOvers()
        let now = try prove(needsRoom: needsRoom)
        opening.withLock { $0 = (now, .now) }
        try removeOldLeftOvers(now)
    }

    /// For who only looks: nothing is made, removed or probed, so a copy that is mounted read-only can be read, too. Ages
    /// are by the newest change that nodes left, since the clock cannot be asked; a put fails as the file system has it.
    package init(reading path: String) throws(VarveError) {
        self.path = path
        node = "reader"
        nonce = Mutex(0)
        faults = nil
        publishOnce = { (bytes, path, temporary) throws(IOError) in
            try FileSystem.publishOnce(bytes, as: path, temporary: temporary)
        }
        mark = path
        do throws(IOError) {
            guard Directory.isDirectory(path) else { throw IOError(code: ENOENT, operation: "open", path: path) }
            isMapped = !(try FileSystem.isNetwork(path))
            let now = try newestChange()
            opening.withLock { $0 = (now, .now) }
        } catch {
            throw Self.storageError(error, path)
        }
    }

    package var isShared: Bool { true }

    /// Whether a database is there: for who only wants to look, since opening creates what is not.
    package static func holdsDatabase(at path: String) -> Bool {
        firstNames.contains { (try? FileSystem.exists(Directory.join(path, $0))) ?? false }
    }

    /// Whether it is certain that none is there: a directory that does not answer may hold one.
    package static func lacksDatabase(at path: String) -> Bool {
        firstNames.allSatisfy { (try? FileSystem.exists(Directory.join(path, $0))) == false }
    }

    /// What every database has. One that has lost one of them is damaged, not absent.
    private static let firstNames = [BlockStore.formatName, BlockStore.epochName(.first)]

    // MARK: ObjectStore

    package func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome {
        try requireObjectName(name)
        return try io { () throws(IOError) in
            if let standing = try read(name) { return try compare(name, standing, bytes) }
            try requireMounted()
            try requireSyncs(Directory.parent(of: file(name)))
            let temporary = temporaryPath()
            let outcome = try bytes.withUnsafeBytes { raw throws(IOError) in
                try publishOnce(raw, file(name), temporary)
            }
            guard outcome == .exists else { return .created }
            guard let standing = try read(name) else {
                throw IOError(code: ENOENT, operation: "read", path: file(name))
            }
            return try compare(name, standing, bytes)
        }
    }

    /// What stands there was synced before it got its name, but its name may not be durable yet.
    private func compare(_ name: String, _ standing: Bytes, _ wanted: Bytes) throws(IOError) -> PutOutcome {
        try sync(Directory.parent(of: file(name)))
        return standing == wanted ? .identical : .different(standing)
    }

    package func persist(_ name: String) throws(VarveError) {
        try requireObjectName(name)
        try io { () throws(IOError) in
            let parent = Directory.parent(of: file(name))
            try sync(parent)
            // The directory itself may be as new as the name.
            try sync(Directory.parent(of: parent))
        }
    }

    package func get(_ name: String) throws(VarveError) -> Bytes? {
        try requireObjectName(name)
        return try io { () throws(IOError) in
            do throws(IOError) {
                if let bytes = try read(name) { return bytes }
            } catch {
                // A sidecar is derived: a directory in its place is as good as none.
                guard error.code == EISDIR, name.hasSuffix(BlockSidecar.ending) else { throw error }
                return nil
            }
            try requireMounted()
            return nil
        }
    }

    package func size(of name: String) throws(VarveError) -> UInt64? {
        try requireObjectName(name)
        return try io { () throws(IOError) in
            if let size = try FileSystem.size(of: file(name)) { return UInt64(size) }
            try requireMounted()
            return nil
        }
    }

    package func list(_ prefix: String) throws(VarveError) -> [String] {
        try entries(prefix).filter { !$0.isDirectory }.map { prefix + $0.name }
    }

    package func parts(_ prefix: String) throws(VarveError) -> [String] {
        try entries(prefix).filter(\.isDirectory).map { "\(prefix)\($0.name)/" }
    }

    package func age(of name: String) throws(VarveError) -> Duration? {
        try requireObjectName(name)
        return try io { () throws(IOError) in
            guard let written = try FileSystem.modifiedSeconds(of: file(name)) else { return nil }
            // Nothing is written to ask the clock again: who only looks changes nothing.
            let (seconds, at) = opening.withLock { $0 }
            return .seconds(max(0, seconds + Int((ContinuousClock.now - at).components.seconds) - written))
        }
    }

    private func entries(_ prefix: String) throws(VarveError) -> [Directory.Entry] {
        try requirePrefix(prefix)
        return try io { () throws(IOError) in
            let directory = prefix.isEmpty ? path : file(String(prefix.dropLast()))
            do throws(IOError) {
                return try Directory.list(directory).filter { isObjectName($0.name) }
            } catch {
                guard error.kind == .missing else { throw error }
                try requireMounted()
                return []
            }
        }
    }

    package func open(_ name: String) throws(VarveError) -> (any ObjectContents)? {
        try requireObjectName(name)
        do throws(IOError) {
            if !isMapped, let bytes = try read(name) { return MemoryContents(bytes) }
            if isMapped, let mapped = try mapped(name) { return mapped }
            try requireMounted()
            return nil
        } catch {
            // Nothing is wrong with the storage: this one object is not what it was.
            guard error.code == EISDIR else { throw Self.storageError(error, path) }
            throw VarveError(
                .blockCorrupt,
                "a directory stands in the place of \(name); it is not read, other blocks are not affected",
                next: "move it away, and restore the file from a backup or another copy of the storage")
        }
    }

    private func mapped(_ name: String) throws(IOError) -> MappedContents? {
        do throws(IOError) {
            return MappedContents(try MappedFile(file(name)))
        } catch {
            guard error.kind == .missing else { throw error }
            return nil
        }
    }

    package func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError) {
        try requireOverwritable(name)
        try io { () throws(IOError) in
            try requireMounted()
            let parent = Directory.parent(of: file(name))
            if !Directory.isDirectory(parent) { try Directory.create(parent) }
            do throws(IOError) {
                try put(bytes, over: name)
            } catch {
                guard error.kind == .full, try FileSystem.remove(reserve) else { throw error }
                return try put(bytes, over: name)
            }
            makeReserve()
        }
    }

    private func put(_ bytes: Bytes, over name: String) throws(IOError) {
        try bytes.withUnsafeBytes { raw throws(IOError) in
            try FileSystem.overwrite(file(name), with: raw, faults: faults)
        }
    }

    package func remove(_ name: String) throws(VarveError) {
        try requireObjectName(name)
        try io { () throws(IOError) in
            guard try FileSystem.remove(file(name)) else { return try requireMounted() }
            // A block's claims have a directory of their own. Others may still be in it.
            if name.hasPrefix("claims/") { _ = try? Directory.remove(Directory.parent(of: file(name))) }
        }
    }

    package func progress(of node: String) throws(VarveError) -> UInt64 {
        try io { () throws(IOError) in
            var sum: UInt64 = 0
            for entry in try Directory.list(file("tmp")) where Self.writer(of: entry.name) == node {
                guard let size = try FileSystem.size(of: file("tmp/\(entry.name)")) else { continue }
                // FNV-1a over names and sizes: another file, or more of it, is another number.
                for byte in entry.name.utf8 { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
                sum = (sum ^ UInt64(size)) &* 0x100_0000_01b3
            }
            return sum
        }
    }

    // MARK: Files

    func file(_ name: String) -> String { Directory.join(path, name) }

    private func read(_ name: String) throws(IOError) -> Bytes? { try FileSystem.read(file(name)).map { Bytes($0) } }

    func temporaryPath(suffix: String = "") -> String {
        let number = nonce.withLock { nonce in
            nonce &+= 1
            return nonce
        }
        return file("tmp/\(node)-\(hexNumber(number, 16))\(suffix)")
    }

    private func requireMounted() throws(IOError) {
        guard Directory.isDirectory(mark) else { throw IOError(code: ENOENT, operation: "stat", path: mark) }
    }

    func io<R>(_ body: () throws(IOError) -> R) throws(VarveError) -> R {
        do throws(IOError) { return try body() } catch {
            // Of a file that nobody will write to again, or of a directory.
            if error.kind == .sync {
                failedSyncs.withLock { failed in failed[error.path] = failed[error.path] ?? error }
            }
            throw Self.storageError(error, path)
        }
    }

    private func sync(_ directory: String) throws(IOError) {
        try requireSyncs(directory)
        try Directory.sync(directory)
    }

    private func requireSyncs(_ directory: String) throws(IOError) {
        if let error = failedSyncs.withLock({ $0[directory] }) { throw error }
    }
}

private final class MappedContents: ObjectContents {
    private let file: MappedFile
    init(_ file: MappedFile) { self.file = file }
    var count: Int { file.bytes.count }
    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try body(file.bytes) }
    func letPagesGo() { file.letPagesGo() }
}

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
