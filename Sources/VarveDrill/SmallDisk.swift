// A file system of a few megabytes, in memory: one that can be filled for real without harm to anybody.

import Glibc
import VarveHarness
import VarveModel

enum SmallDisk {
    /// At a directory that is made if it is not there.
    static func mount(at path: String, megabytes: Int) throws(DrillFailure) {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw failure("\(path) cannot be made") }
        guard Glibc.mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            throw failure("no small file system can be mounted")
        }
    }

    static func unmount(_ path: String) { _ = umount2(path, Int32(MNT_DETACH)) }

    /// Why none can be had here; nil when one can.
    static var obstacle: String? {
        do {
            let path = try ScratchDirectory.make("varve-drill-disk")
            defer { ScratchDirectory.remove(path) }
            try mount(at: path, megabytes: 1)
            unmount(path)
            return nil
        } catch {
            return "\(error); next: unshare --map-root-user --mount varve drill run storage-full"
        }
    }

    /// Writes a file until nothing more goes in.
    /// - Returns: its bytes.
    static func fill(_ path: String) throws(DrillFailure) -> Int {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("\(path) cannot be made") }
        defer { close(descriptor) }
        let piece = [UInt8](repeating: 0x20, count: 4_096)
        var total = 0
        while true {
            let count = write(descriptor, piece, piece.count)
            if count < 0 && errno == ENOSPC { return total }
            guard count > 0 else { throw failure("\(path) cannot be written") }
            total += count
        }
    }

    private static func failure(_ what: String) -> DrillFailure {
        DrillFailure("\(what): \(String(cString: strerror(errno)))")
    }
}
