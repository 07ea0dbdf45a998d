/// A system call that failed: which one, on what, and why.
///
/// `kind` is what callers decide by. A `sync` kind means that nobody knows what of the file is on disk: the file is
/// poisoned, and asking again would lie (a kernel reports a lost write once).

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

package struct IOError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// ENOSPC, EDQUOT, and EFBIG (a limit on the size of files): heals when there is room.
        case full
        /// EACCES, EPERM, EROFS, ENOTDIR, EISDIR: a person must change something.
        case denied
        /// ENOENT. For a directory that is a mount point this means an absent mount: only the caller knows.
        case missing
        /// EEXIST
        case exists
        /// ESTALE, EIO, ETIMEDOUT, ENOTCONN, EHOSTDOWN, ENXIO: the medium is away.
        case unreachable
        /// A sync failed: what was written before it is neither surely there nor surely not.
        case sync
        case other
    }

    package let code: Int32
    /// The call as in the manual: `open`, `fdatasync` …
    package let operation: String
    package let path: String

    package init(code: Int32, operation: String, path: String) {
        self.code = code
        self.operation = operation
        self.path = path
    }

    /// The failure that `errno` tells of now.
    init(_ operation: String, _ path: String) { self.init(code: errno, operation: operation, path: path) }

    package var kind: Kind {
        if operation == "fsync" || operation == "fdatasync" { return .sync }
        switch code {
        case ENOSPC, EDQUOT, EFBIG: return .full
        case EACCES, EPERM, EROFS, ENOTDIR, EISDIR: return .denied
        case ENOENT: return .missing
        case EEXIST: return .exists
        case ESTALE, EIO, ETIMEDOUT, ENOTCONN, EHOSTDOWN, ENXIO: return .unreachable
        default: return .other
        }
    }

    /// `No space left on device`
    package var reason: String { String(cString: strerror(code)) }

    package var description: String { "\(operation) \(path): \(reason) (errno \(code))" }
}

/// Runs a call until a signal no longer interrupts it; a negative result becomes an `IOError`.
@discardableResult
func checked<Result: SignedInteger>(
    _ operation: String, _ path: String, _ call: () -> Result
) throws(IOError) -> Result {
    while true {
        let result = call()
        if result >= 0 { return result }
        if errno != EINTR { throw IOError(operation, path) }
    }
}
