/// Directories: created durably, synced, listed.
///
/// A file's name is durable only when its directory was synced after the name came to be; a new directory's only when
/// its parent was.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

package enum Directory {
    package struct Entry: Sendable, Equatable {
        package let name: String
        package let isDirectory: Bool
    }

    /// Creates `path` and its missing parents, and syncs the parent of each that is new. That of `path` is synced in any
    /// case: who has just created it may not have come to that yet.
    package static func create(_ path: String) throws(IOError) {
        do throws(IOError) {
            try DiskWatch.around(.makeDirectory(path)) { () throws(IOError) in
                try checked("mkdir", path) { mkdir(path, 0o777) }
            }
        } catch {
            switch error.kind {
            case .exists where isDirectory(path):
                break
            case .exists:
                throw IOError(code: ENOTDIR, operation: "mkdir", path: path)
            case .missing where parent(of: path) != path:
                try create(parent(of: path))
                return try create(path)
            default:
                throw error
            }
        }
        try sync(parent(of: path))
    }

    /// Makes the names in this directory durable.
    package static func sync(_ path: String) throws(IOError) {
        let descriptor = try checked("open", path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        try DiskWatch.around(.syncDirectory(path)) { () throws(IOError) in
            try checked("fsync", path) { fsync(descriptor) }
        }
    }

    /// Everything in the directory, by name in byte order.
    package static func list(_ path: String) throws(IOError) -> [Entry] {
        guard let stream = opendir(path) else { throw IOError("opendir", path) }
        defer { closedir(stream) }
        var entries: [Entry] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw IOError("readdir", path) }
                break
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            let type = Int32(entry.pointee.d_type)
            let unsure = type == Int32(DT_UNKNOWN) || type == Int32(DT_LNK)
            entries.append(
                Entry(
                    name: name,
                    isDirectory: unsure ? isDirectory(join(path, name)) : type == Int32(DT_DIR)))
        }
        return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    package static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Removes an empty directory. False when it was not there.
    @discardableResult
    package static func remove(_ path: String) throws(IOError) -> Bool {
        do throws(IOError) {
            try DiskWatch.around(.removeDirectory(path)) { () throws(IOError) in
                try checked("rmdir", path) { rmdir(path) }
            }
            return true
        } catch {
            if error.kind == .missing { return false }
            throw error
        }
    }

    /// `a/b` and `c` give `a/b/c`.
    package static func join(_ path: String, _ name: String) -> String {
        path.hasSuffix("/") ? path + name : path + "/" + name
    }

    /// `/a/b` for `/a/b/c`, `/` for `/a` and `/`, `.` for `a`.
    package static func parent(of path: String) -> String {
        var bytes = Substring(path)
        while bytes.count > 1, bytes.hasSuffix("/") { bytes.removeLast() }
        guard let slash = bytes.lastIndex(of: "/") else { return "." }
        var head = bytes[..<slash]
        while head.hasSuffix("/") { head.removeLast() }
        return head.isEmpty ? "/" : String(head)
    }
}
