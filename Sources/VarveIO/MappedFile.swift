/// A file's bytes mapped read-only, unmapped when the last reference goes.
///
/// For files that never change under their name. The pointer must not outlive the object: keep a reference beside
/// whatever points into it.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// The region is immutable from the end of init to deinit, so sharing it between threads is reading only.
package final class MappedFile: @unchecked Sendable {
    package let path: String
    package let bytes: UnsafeRawBufferPointer

    package init(_ path: String) throws(IOError) {
        let file = try File(path, .read)
        let status = try file.status()
        guard status.st_mode & S_IFMT != S_IFDIR else { throw IOError(code: EISDIR, operation: "mmap", path: path) }
        let size = Int(status.st_size)
        self.path = path
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        // The mapping stays when the descriptor closes.
        guard let region = mmap(nil, size, PROT_READ, MAP_SHARED, file.descriptor, 0), region != MAP_FAILED else {
            throw IOError("mmap", path)
        }
        bytes = UnsafeRawBufferPointer(start: region, count: size)
    }

    /// Takes the pages out of this process's resident memory; they stay in the page cache and come back when touched. For
    /// a file that was read once from end to end, to check it, and may not be read again for long.
    package func letPagesGo() {
        if let base = bytes.baseAddress { madvise(UnsafeMutableRawPointer(mutating: base), bytes.count, MADV_DONTNEED) }
    }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
    }
}
