/// What failures of the file system mean to a local log.

import VarveIO
import VarveModel

/// Runs file operations; what fails is the log's failure.
func onDisk<R>(_ body: () throws(IOError) -> R) throws(VarveError) -> R {
    do throws(IOError) { return try body() } catch { throw .log(error) }
}

extension VarveError {
    static func log(_ error: IOError) -> VarveError {
        switch error.kind {
        case .full:
            VarveError(
                .storageFull, "the local log has no room: \(error)", next: "make room; writing goes on by itself")
        case .denied:
            VarveError(.logDenied, "the local log: \(error)", next: "check owner, rights and mount options")
        case .missing, .unreachable:
            VarveError(.logUnreachable, "the local log: \(error)")
        case .sync:
            .log(poisoned: error)
        case .exists, .other:
            VarveError(.internal, "the local log: \(error)")
        }
    }

    /// A failure after which nobody knows what the file holds, whatever its errno.
    static func log(poisoned error: IOError) -> VarveError {
        VarveError(
            .ioFatal, "the local log: \(error); what was written last may be lost, nothing more is written to it",
            next: "check the disk, then start again")
    }

    static func corrupt(at offset: Offset, _ path: String, _ why: String) -> VarveError {
        VarveError(
            .logCorrupt, "the local log is damaged at offset \(offset): \(path): \(why)",
            next: "see docs/runbooks/log-corrupt.md")
    }
}
