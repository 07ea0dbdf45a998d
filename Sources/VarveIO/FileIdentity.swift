/// Which file it is, whatever its name: device and inode.
///
/// A log asks this after every sync, so nothing more is asked for: on Linux 6.18 and ext4, `stat` of a file that is written
/// and synced in turn makes that half as slow again (`CVarveFile` says why).

internal import CVarveFile

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

struct FileIdentity: Equatable, Sendable {
    private let device: UInt64
    private let inode: UInt64

    /// nil when nothing stands there.
    init?(at path: String) throws(IOError) {
        do throws(IOError) { try self.init(AT_FDCWD, path, path) } catch {
            if error.kind == .missing { return nil }
            throw error
        }
    }

    /// - Parameter path: for the error.
    init(of descriptor: Int32, _ path: String) throws(IOError) { try self.init(descriptor, "", path) }

    private init(_ place: Int32, _ name: String, _ path: String) throws(IOError) {
        var (device, inode) = (UInt64(0), UInt64(0))
        _ = try checked("statx", path) { varve_file_identity(place, name, &device, &inode) }
        self.device = device
        self.inode = inode
    }
}
