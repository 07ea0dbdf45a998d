/// What failures of the file system mean to a storage.

import VarveModel
import Synchronization
import VarveIO

extension DirectoryObjectStore {
    static func storageError(_ error: IOError, _ path: String) -> VarveError {
        switch error.kind {
        case .full:
            VarveError(
                .storageFull, "storage \(path) has no room: \(error); what is published stays as it is",
                next: "make room; nodes go on by themselves")
        case .denied where error.code == ENOTDIR:
            VarveError(
                .storageDenied, "storage \(path) is no directory: it is a file, or below one (\(error))",
                next: "name a directory in storage.path")
        case .denied where error.code == EISDIR:
            VarveError(
                .storageDenied, "a directory stands where storage \(path) has a file: \(error)",
                next: "move it away; if a file was there, restore it from a backup or another copy of the storage")
        case .denied where error.code == EROFS:
            VarveError(
                .storageDenied, "storage \(path) is read-only: \(error)",
                next: "mount it for writing; every node publishes blocks")
        case .denied:
            VarveError(
                .storageDenied, "storage \(path) refuses this process: \(error)",
                next: "give user \(geteuid()) the right to read, create and link files there "
                    + "(chown -R \(geteuid()):\(getegid()); of a container, the directory that is mounted there)")
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

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
