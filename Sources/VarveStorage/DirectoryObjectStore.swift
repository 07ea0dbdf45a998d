/// A directory that all nodes share, on a local or a network file system.
///
/// An object is a file. It is written under `tmp/`, synced, linked to its name, and its directory synced; nothing is
/// renamed over, so whoever comes second finds what stands there. `tmp/` also tells an absent mount from an empty store:
/// without it the directory is not the one that was opened.

package import VarveModel
import Synchronization
import VarveIO

package final class DirectoryObjectStore: ObjectStore {
    package let path: String
    private let node: String
    /// Files are mapped on a local file system and read on one that may vanish under the reader.
    private let isMapped: Bool
    private let nonce: Mutex<UInt64>

    /// Opens the directory, creating it if its parent is there, removes what this node left in `tmp/`, and proves that
    /// the file system can do what the contract needs.
    ///
    /// - Parameters:
    ///   - node: names this node's temporary files; letters, digits, `.`, `_`, `-`.
    ///   - nonce: random for each start, so that a process that was thought dead meets no file of its successor.
    /// - Throws: `STORAGE_WEAK`, `STORAGE_DENIED`, `STORAGE_UNREACHABLE`, `STORAGE_FULL`.
    package init(path: String, node: String, nonce: UInt64) throws(VarveError) {
        guard isObjectName(node), !node.utf8.contains(0x2f) else {
            throw VarveError(.configInvalid, "the node id \"\(node)\" has other characters than letters, digits, . _ -")
        }
        self.path = path
        self.node = node
        self.nonce = Mutex(nonce)
        do throws(IOError) {
            let parent = Directory.parent(of: path)
            guard Directory.isDirectory(parent) else { throw IOError(code: ENOENT, operation: "open", path: parent) }
            try Directory.create(Directory.join(path, "tmp"))
            isMapped = !(try FileSystem.isNetwork(path))
        } catch {
            throw Self.storageError(error, path)
        }
        try removeLeftOvers()
        try probe()
    }

    package var isShared: Bool { true }

    // MARK: ObjectStore

    package func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome {
        try requireObjectName(name)
        return try io { () throws(IOError) in
            if let standing = try read(name) { return try compare(name, standing, bytes) }
            try requireMounted()
            let temporary = temporaryPath()
            let outcome = try bytes.withUnsafeBytes { raw throws(IOError) in
                try FileSystem.publishOnce(raw, as: file(name), temporary: temporary)
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
        try Directory.sync(Directory.parent(of: file(name)))
        return standing == wanted ? .identical : .different(standing)
    }

    package func get(_ name: String) throws(VarveError) -> Bytes? {
        try requireObjectName(name)
        return try io { () throws(IOError) in
            if let bytes = try read(name) { return bytes }
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
        try requirePrefix(prefix)
        return try io { () throws(IOError) in
            let directory = prefix.isEmpty ? path : file(String(prefix.dropLast()))
            do throws(IOError) {
                return try Directory.list(directory).compactMap {
                    $0.isDirectory || !isObjectName($0.name) ? nil : prefix + $0.name
                }
            } catch {
                guard error.kind == .missing else { throw error }
                try requireMounted()
                return []
            }
        }
    }

    package func open(_ name: String) throws(VarveError) -> (any ObjectContents)? {
        try requireObjectName(name)
        guard isMapped else { return try get(name).map { MemoryContents($0) } }
        return try io { () throws(IOError) in
            do throws(IOError) {
                return MappedContents(try MappedFile(file(name)))
            } catch {
                guard error.kind == .missing else { throw error }
                try requireMounted()
                return nil
            }
        }
    }

    // MARK: Files

    private func file(_ name: String) -> String { Directory.join(path, name) }

    private func read(_ name: String) throws(IOError) -> Bytes? { try FileSystem.read(file(name)).map { Bytes($0) } }

    private func temporaryPath(suffix: String = "") -> String {
        let number = nonce.withLock { nonce in
            nonce &+= 1
            return nonce
        }
        return file("tmp/\(node)-\(hexNumber(number, 16))\(suffix)")
    }

    private func requireMounted() throws(IOError) {
        let mark = file("tmp")
        guard Directory.isDirectory(mark) else { throw IOError(code: ENOENT, operation: "stat", path: mark) }
    }

    // MARK: Start

    /// What a killed process of this node was writing: `<node>-<16 hex>`, perhaps with `.probe`.
    private func removeLeftOvers() throws(VarveError) {
        let prefix = "\(node)-"
        for name in try list("tmp/").map({ $0.dropFirst(4) }) where name.hasPrefix(prefix) {
            var rest = name.dropFirst(prefix.count)
            if rest.hasSuffix(".probe") { rest = rest.dropLast(6) }
            guard rest.utf8.count == 16, bytes(fromHex: rest) != nil else { continue }
            _ = try io { () throws(IOError) in try FileSystem.remove(file("tmp/\(name)")) }
        }
    }

    private func probe() throws(VarveError) {
        let target = temporaryPath(suffix: ".probe")
        let name = target.dropFirst(file("tmp/").count)
        let content = Array(name.utf8)
        let weakness = try io { () throws(IOError) in
            try DirectoryProbe(
                publish: { () throws(IOError) in
                    let temporary = self.temporaryPath()
                    return try Bytes(content).withUnsafeBytes { raw throws(IOError) in
                        try FileSystem.publishOnce(raw, as: target, temporary: temporary)
                    }
                },
                isReadBack: { () throws(IOError) in try FileSystem.read(target) == content },
                isListed: { () throws(IOError) in
                    try Directory.list(self.file("tmp")).contains { $0.name.utf8.elementsEqual(name.utf8) }
                }
            ).weakness()
        }
        _ = try io { () throws(IOError) in try FileSystem.remove(target) }
        if let weakness {
            throw VarveError(
                .storageWeak, "the file system of \(path) cannot hold a shared store: \(weakness); nothing was written",
                next: "use a file system with hard links and close-to-open consistency (ext4, xfs, NFS 4)")
        }
    }

    private func io<R>(_ body: () throws(IOError) -> R) throws(VarveError) -> R {
        do throws(IOError) { return try body() } catch { throw Self.storageError(error, path) }
    }

    static func storageError(_ error: IOError, _ path: String) -> VarveError {
        switch error.kind {
        case .full:
            VarveError(
                .storageFull, "storage \(path) has no room: \(error); what is published stays as it is",
                next: "make room; nodes go on by themselves")
        case .denied:
            VarveError(
                .storageDenied, "storage \(path) refuses this process: \(error)",
                next: "give the node's user the right to read, create and link files there")
        case .sync:
            VarveError(
                .ioFatal, "storage \(path): \(error); the file was not published",
                next: "check the disk before the node is started again")
        case .missing:
            VarveError(
                .storageUnreachable, "storage \(path) cannot be reached: \(error)",
                next: "mount it, or create the directory that is to hold it; nodes try again by themselves")
        case .unreachable, .exists, .other:
            VarveError(
                .storageUnreachable, "storage \(path) cannot be reached: \(error)",
                next: "mount it; nodes try again by themselves")
        }
    }
}

private final class MappedContents: ObjectContents {
    private let file: MappedFile
    init(_ file: MappedFile) { self.file = file }
    var count: Int { file.bytes.count }
    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try body(file.bytes) }
}

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
