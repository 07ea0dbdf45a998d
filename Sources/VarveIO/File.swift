/// An open file: positional reads and writes, syncs, an exclusive lock. Closed when the last reference goes.
///
/// Positional calls share no cursor, so one `File` may be used from several threads. After a failed sync every later
/// write and sync fails with that first error: the page cache may show bytes that will never reach the disk, and a
/// second sync would report success for them.

import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

package final class File: Sendable {
    package enum Mode: Sendable {
        /// An existing file, to read.
        case read
        /// An existing file, to read and write.
        case update
        /// To read and write, created when it is not there.
        case createOrUpdate
        /// To read and write; fails with `exists` when it is there.
        case createNew

        var flags: Int32 {
            switch self {
            case .read: O_RDONLY
            case .update: O_RDWR
            case .createOrUpdate: O_RDWR | O_CREAT
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            }
        }
    }

    package let path: String
    let descriptor: Int32
    private let poison = Mutex<IOError?>(nil)
    private let faults: FileFaults?
    private let identity: FileIdentity

    package init(_ path: String, _ mode: Mode, faults: FileFaults? = nil) throws(IOError) {
        self.path = path
        self.faults = faults
        descriptor = try Self.open(path, mode)
        do throws(IOError) { identity = try FileIdentity(of: descriptor, path) } catch {
            close(descriptor)
            throw error
        }
    }

    private static func open(_ path: String, _ mode: Mode) throws(IOError) -> Int32 {
        func opened() throws(IOError) -> Int32 {
            try checked("open", path) { Self.systemOpen(path, mode.flags | O_CLOEXEC) }
        }
        guard mode == .createNew || mode == .createOrUpdate && access(path, F_OK) != 0 else { return try opened() }
        return try DiskWatch.around(.create(path)) { () throws(IOError) in try opened() }
    }

    private static func systemOpen(_ path: String, _ flags: Int32) -> Int32 {
        #if canImport(Glibc)
            Glibc.open(path, flags, 0o666)
        #else
            Darwin.open(path, flags, 0o666)
        #endif
    }

    deinit { close(descriptor) }

    package var size: Int {
        get throws(IOError) { Int(try status().st_size) }
    }

    /// What stands under a file's path now.
    package enum Standing: Sendable, Equatable {
        case itself
        case nothing
        case another
    }

    /// Whether the path still leads to this file: a descriptor outlives its name.
    package var standing: Standing {
        get throws(IOError) {
            guard let found = try FileIdentity(at: path) else { return .nothing }
            return found == identity ? .itself : .another
        }
    }

    func status() throws(IOError) -> stat {
        var status = stat()
        try checked("fstat", path) { fstat(descriptor, &status) }
        return status
    }

    // MARK: Reading

    /// Fills `buffer` from `offset`; fewer bytes than it holds only at the end of the file.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(IOError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = try checked("pread", path) {
                pread(descriptor, buffer.baseAddress! + filled, buffer.count - filled, off_t(offset + filled))
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    package func read(_ count: Int, at offset: Int) throws(IOError) -> [UInt8] {
        var failure: IOError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(IOError) {
                initialized = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    // MARK: Writing

    /// Writes all of `bytes` at `offset`. After a failure any prefix of them may have been written.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(IOError) {
        try checkNotPoisoned()
        if let fault = faults?.take("pwrite") {
            let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(fault.bytesBefore))
            if !part.isEmpty { try write(part, at: offset) }
            throw IOError(code: fault.code, operation: "pwrite", path: path)
        }
        try DiskWatch.around(.write(path, offset: offset, bytes)) { () throws(IOError) in
            var written = 0
            while written < bytes.count {
                let count = try checked("pwrite", path) {
                    pwrite(descriptor, bytes.baseAddress! + written, bytes.count - written, off_t(offset + written))
                }
                if count == 0 { throw IOError(code: ENOSPC, operation: "pwrite", path: path) }
                written += count
            }
        }
    }

    package func write(_ bytes: [UInt8], at offset: Int) throws(IOError) {
        var failure: IOError?
        bytes.withUnsafeBytes { raw in
            do throws(IOError) { try write(raw, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    package func truncate(to size: Int) throws(IOError) {
        try checkNotPoisoned()
        if let fault = faults?.take("ftruncate") {
            throw IOError(code: fault.code, operation: "ftruncate", path: path)
        }
        try DiskWatch.around(.truncate(path, size: size)) { () throws(IOError) in
            try checked("ftruncate", path) { ftruncate(descriptor, off_t(size)) }
        }
    }

    // MARK: Durability

    /// Makes the contents durable, and of the rest what is needed to read them back (its size).
    package func syncData() throws(IOError) {
        #if canImport(Glibc)
            try sync("fdatasync") { fdatasync(descriptor) }
        #else
            try sync()
        #endif
    }

    /// Makes contents and metadata durable.
    package func sync() throws(IOError) {
        #if canImport(Darwin)
            // Darwin's fsync stops at the drive's cache.
            try sync("fsync") { fcntl(descriptor, F_FULLFSYNC) }
        #else
            try sync("fsync") { fsync(descriptor) }
        #endif
    }

    private func sync(_ operation: String, _ call: () -> Int32) throws(IOError) {
        try checkNotPoisoned()
        do throws(IOError) {
            if let fault = faults?.take(operation) {
                throw IOError(code: fault.code, operation: operation, path: path)
            }
            try DiskWatch.around(.sync(path)) { () throws(IOError) in try checked(operation, path, call) }
        } catch {
            poison.withLock { $0 = $0 ?? error }
            throw error
        }
    }

    private func checkNotPoisoned() throws(IOError) {
        if let error = poison.withLock({ $0 }) { throw error }
    }

    // MARK: Locking

    /// Takes the exclusive lock of this file without waiting: false when another holder has it. Held until the file is
    /// closed, and given back by the system when the process dies.
    package func lock() throws(IOError) -> Bool {
        do throws(IOError) {
            try checked("flock", path) { flock(descriptor, LOCK_EX | LOCK_NB) }
            return true
        } catch {
            if error.code == EWOULDBLOCK { return false }
            throw error
        }
    }

    /// Gives the lock back before the file is closed.
    package func unlock() { _ = flock(descriptor, LOCK_UN) }
}
