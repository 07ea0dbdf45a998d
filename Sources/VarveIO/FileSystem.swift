/// Whole files by path: read, published once, replaced, removed.
///
/// `publishOnce` is the only way in which a shared object gets its final name. The name appears with all of its bytes
/// already on disk, or not at all; of many publishers exactly one is told `created`; nothing is ever renamed over it.
/// `replace` is for what has one writer and no history (heartbeats): readers see the old bytes or the new ones.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

package enum FileSystem {
    package enum Publication: Sendable, Equatable {
        case created
        /// Something stands under that name already: compare before relying on it.
        case exists
    }

    // MARK: Publishing

    /// Gives a finished temporary file its final name, durably, unless the name is taken.
    ///
    /// `temporary` is on the same file system; its own name is removed whatever the outcome, and after a crash it may be
    /// left behind. Missing parents of `path` are created. The directory is synced for `exists` too: then the other
    /// publisher's name is durable before anything relies on it.
    package static func publishOnce(_ temporary: File, as path: String) throws(IOError) -> Publication {
        do throws(IOError) {
            try temporary.sync()
            let outcome = try linkOnce(temporary, path)
            try Directory.sync(Directory.parent(of: path))
            forget(temporary.path)
            return outcome
        } catch {
            forget(temporary.path)
            throw error
        }
    }

    /// The same for bytes in memory, by way of `temporary`, a path that nobody else uses.
    package static func publishOnce(
        _ bytes: UnsafeRawBufferPointer, as path: String, temporary: String, faults: FileFaults? = nil
    ) throws(IOError) -> Publication {
        try publishOnce(try written(bytes, temporary, faults), as: path)
    }

    private static func linkOnce(
        _ temporary: File, _ path: String, mayMakeParent: Bool = true
    ) throws(IOError) -> Publication {
        do throws(IOError) {
            try DiskWatch.around(.link(from: temporary.path, to: path)) { () throws(IOError) in
                try checked("link", path) { link(temporary.path, path) }
            }
            return .created
        } catch {
            switch error.kind {
            case .missing where mayMakeParent:
                // Also when the parent is there by now: another writer of the same directory has just made it.
                try Directory.create(Directory.parent(of: path))
                return try linkOnce(temporary, path, mayMakeParent: false)
            case .exists:
                // A network file system that lost the answer asks again and then finds our own link.
                let ours = try temporary.status()
                var found = stat()
                let isOurs = stat(path, &found) == 0 && found.st_ino == ours.st_ino && found.st_dev == ours.st_dev
                return isOurs ? .created : .exists
            default:
                throw error
            }
        }
    }

    // MARK: Replacing, removing

    /// Puts `bytes` under `path` in place of what was there, by way of `temporary` on the same file system.
    package static func replace(
        _ path: String, with bytes: UnsafeRawBufferPointer, temporary: String
    ) throws(IOError) {
        let file = try written(bytes, temporary)
        do throws(IOError) {
            try file.sync()
            try DiskWatch.around(.rename(from: temporary, to: path)) { () throws(IOError) in
                try checked("rename", path) { rename(temporary, path) }
            }
        } catch {
            forget(temporary)
            throw error
        }
        try Directory.sync(Directory.parent(of: path))
    }

    /// Writes `bytes` over what a file holds, in place, and syncs them: for what has one writer and must not need new room
    /// (heartbeats). A reader may see half of each, so the bytes carry a checksum. Creates the file when it is not there.
    package static func overwrite(
        _ path: String, with bytes: UnsafeRawBufferPointer, faults: FileFaults? = nil
    ) throws(IOError) {
        let isNew = try !exists(path)
        let file = try File(path, .createOrUpdate, faults: faults)
        try file.write(bytes, at: 0)
        if try file.size > bytes.count { try file.truncate(to: bytes.count) }
        try file.syncData()
        if isNew { try Directory.sync(Directory.parent(of: path)) }
    }

    private static func written(
        _ bytes: UnsafeRawBufferPointer, _ path: String, _ faults: FileFaults? = nil
    ) throws(IOError) -> File {
        let file = try File(path, .createOrUpdate, faults: faults)
        do throws(IOError) {
            try file.truncate(to: 0)
            try file.write(bytes, at: 0)
            return file
        } catch {
            forget(path)
            throw error
        }
    }

    /// Removes a file. False when it was not there. Durable after the directory's next sync.
    @discardableResult
    package static func remove(_ path: String) throws(IOError) -> Bool {
        do throws(IOError) {
            try DiskWatch.around(.unlink(path)) { () throws(IOError) in
                try checked("unlink", path) { unlink(path) }
            }
            return true
        } catch {
            if error.kind == .missing { return false }
            throw error
        }
    }

    /// A temporary file that could not be removed is found by the next start.
    private static func forget(_ path: String) { _ = try? remove(path) }

    // MARK: Asking

    /// All bytes of a file; nil when there is none. More than `limit` bytes are an error (EFBIG).
    package static func read(_ path: String, limit: Int = Int(UInt32.max)) throws(IOError) -> [UInt8]? {
        let file: File
        do throws(IOError) { file = try File(path, .read) } catch {
            if error.kind == .missing { return nil }
            throw error
        }
        let size = try file.size
        guard size <= limit else { throw IOError(code: EFBIG, operation: "read", path: path) }
        return try file.read(size, at: 0)
    }

    /// Size of a file in bytes; nil when there is none.
    package static func size(of path: String) throws(IOError) -> Int? {
        try status(of: path).map { Int($0.st_size) }
    }

    /// When a file was last written, in seconds of its file system's clock; nil when there is none.
    package static func modifiedSeconds(of path: String) throws(IOError) -> Int? {
        #if canImport(Glibc)
            try status(of: path).map { Int($0.st_mtim.tv_sec) }
        #else
            try status(of: path).map { Int($0.st_mtimespec.tv_sec) }
        #endif
    }

    /// Sets when a file or directory was last written to now, and returns that: a file system's clock, asked without room.
    package static func touch(_ path: String) throws(IOError) -> Int {
        try checked("utimensat", path) { utimensat(AT_FDCWD, path, nil, 0) }
        return try modifiedSeconds(of: path) ?? 0
    }

    package static func exists(_ path: String) throws(IOError) -> Bool { try status(of: path) != nil }

    private static func status(of path: String) throws(IOError) -> stat? {
        var status = stat()
        do throws(IOError) {
            try checked("stat", path) { stat(path, &status) }
            return status
        } catch {
            if error.kind == .missing { return nil }
            throw error
        }
    }

    /// Where this process may leave what nobody else needs: `TMPDIR`, or `/tmp`.
    package static var temporaryDirectory: String {
        guard let value = getenv("TMPDIR"), value.pointee != 0 else { return "/tmp" }
        return String(cString: value)
    }

    /// Bytes that this process may still write on the file system of `path`.
    package static func freeBytes(at path: String) throws(IOError) -> Int {
        var status = statvfs()
        try checked("statvfs", path) { statvfs(path, &status) }
        return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
    }

    /// Whether `path` is on a file system over a network (or in user space), where mapped files may vanish under the
    /// reader: such files are read, not mapped.
    package static func isNetwork(_ path: String) throws(IOError) -> Bool {
        #if canImport(Glibc)
            var status = stat()
            try checked("stat", path) { stat(path, &status) }
            let device = "\(status.st_dev >> 8 & 0xfff):\(status.st_dev & 0xff | status.st_dev >> 12 & 0xfff00)"
            // One mount a line: `36 35 98:0 /root /mnt rw,noatime - ext3 /dev/root rw`, the device third, the type
            // first after the dash. A device that is not listed (a Btrfs subvolume) is local.
            let table = try File("/proc/self/mountinfo", .read).read(1 << 20, at: 0)
            for line in String(decoding: table, as: UTF8.self).split(separator: "\n") {
                let fields = line.split(separator: " ")
                guard fields.count > 6, fields[2] == device, let dash = fields.firstIndex(of: "-"),
                    dash + 1 < fields.count
                else { continue }
                let type = fields[dash + 1]
                return type.hasPrefix("nfs") || type.hasPrefix("fuse") && type != "fuseblk"
                    || ["cifs", "smb3", "ceph", "9p", "afs", "ocfs2", "gfs2", "virtiofs"].contains(type)
            }
            return false
        #else
            var status = statfs()
            try checked("statfs", path) { statfs(path, &status) }
            return status.f_flags & UInt32(MNT_LOCAL) == 0
        #endif
    }
}
