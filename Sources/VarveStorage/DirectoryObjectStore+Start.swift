/// What happens to a directory when a node opens it: left-overs go, the file system is tried out, room is set aside.

import VarveModel
import Synchronization
import VarveIO

extension DirectoryObjectStore {
    /// Whose temporary file this is: `<node>-<16 hex>`, perhaps with `.probe`; nil for other names.
    static func writer(of name: some StringProtocol) -> String? {
        var rest = Substring(name)
        if rest.hasSuffix(".probe") { rest = rest.dropLast(6) }
        let nonce = rest.suffix(16)
        guard nonce.utf8.count == 16, bytes(fromHex: nonce) != nil, rest.dropLast(16).hasSuffix("-") else { return nil }
        return String(rest.dropLast(17))
    }

    /// What a killed process of this node was writing.
    func removeLeftOvers() throws(VarveError) {
        for name in try list("tmp/").map({ $0.dropFirst(4) }) where Self.writer(of: name) == node {
            _ = try io { () throws(IOError) in try FileSystem.remove(file("tmp/\(name)")) }
        }
    }

    /// What other nodes left that did not come back for a day, by the file system's own clock.
    func removeOldLeftOvers(_ now: Int) throws(VarveError) {
        for name in try list("tmp/").map({ $0.dropFirst(4) }) where Self.writer(of: name) != nil {
            try io { () throws(IOError) in
                let path = file("tmp/\(name)")
                guard let written = try FileSystem.modifiedSeconds(of: path), now - written > Self.leftOverSeconds
                else { return }
                try FileSystem.remove(path)
            }
        }
    }

    var reserve: String { file("nodes/\(node).reserve") }

    /// Sets room aside, unless there is none: then the heartbeat has to find its own.
    func makeReserve() {
        do throws(IOError) {
            guard try FileSystem.size(of: reserve) != Self.reserveBytes,
                try FileSystem.freeBytes(at: path) > 8 * Self.reserveBytes
            else { return }
            // Zeros would take no room on some file systems.
            let bytes = [UInt8](repeating: 0xa5, count: Self.reserveBytes)
            let outcome = try Bytes(bytes).withUnsafeBytes { raw throws(IOError) in
                try FileSystem.publishOnce(raw, as: reserve, temporary: temporaryPath())
            }
            // Cut short by a crash or a person: a whole one next time.
            if outcome == .exists { try FileSystem.remove(reserve) }
        } catch {
            // No room, or a directory of somebody else's: everything works without it.
        }
    }

    /// Tries the file system out and returns its clock. On a full disk a node gives up its reserve for that, so that one
    /// that is started again still serves; it makes a new one later. Who needs no room asks the clock in another way.
    func prove(needsRoom: Bool) throws(VarveError) -> Int {
        do throws(VarveError) {
            return try probe()
        } catch {
            // A process with the same node id that starts at this moment clears away what is tried out: its own kind of
            // trouble, found later, and none of the file system.
            if error.code == .storageWeak { return try probe() }
            guard error.code == .storageFull else { throw error }
            guard needsRoom else { return try io { () throws(IOError) in try FileSystem.touch(file("tmp")) } }
            guard try io({ () throws(IOError) in try FileSystem.remove(reserve) }) else { throw error }
            return try probe()
        }
    }

    /// The clock as far as it can be known without writing: never ahead, and behind by no more than a heartbeat while a
    /// node runs.
    func newestChange() throws(IOError) -> Int {
        var newest = try FileSystem.modifiedSeconds(of: path) ?? 0
        for directory in ["tmp", "nodes"] {
            newest = max(newest, try FileSystem.modifiedSeconds(of: file(directory)) ?? 0)
        }
        guard Directory.isDirectory(file("nodes")) else { return newest }
        for entry in try Directory.list(file("nodes")) {
            newest = max(newest, try FileSystem.modifiedSeconds(of: file("nodes/\(entry.name)")) ?? 0)
        }
        return newest
    }

    /// Returns the file system's clock, in seconds. Throws `STORAGE_WEAK`.
    func probe() throws(VarveError) -> Int {
        let target = temporaryPath(suffix: ".probe")
        let name = target.dropFirst(file("tmp/").count)
        let content = Array(name.utf8)
        let weakness = try io { () throws(IOError) in
            try DirectoryProbe(
                publish: { () throws(IOError) in
                    let temporary = self.temporaryPath()
                    return try Bytes(content).withUnsafeBytes { raw throws(IOError) in
                        try self.publishOnce(raw, target, temporary)
                    }
                },
                isReadBack: { () throws(IOError) in try FileSystem.read(target) == content },
                isListed: { () throws(IOError) in
                    try Directory.list(self.file("tmp")).contains { $0.name.utf8.elementsEqual(name.utf8) }
                }
            ).weakness()
        }
        let now = try io { () throws(IOError) in try FileSystem.modifiedSeconds(of: target) }
        _ = try io { () throws(IOError) in try FileSystem.remove(target) }
        if let weakness {
            throw VarveError(
                .storageWeak, "the file system of \(path) cannot hold a shared store: \(weakness); nothing was written",
                next: "use a file system with hard links and close-to-open consistency (ext4, xfs, NFS 4)")
        }
        return now ?? 0
    }
}
