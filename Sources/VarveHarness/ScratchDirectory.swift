// Directories for a while.

import Glibc
import VarveIO
package import VarveModel

package enum ScratchDirectory {
    /// A new, empty one in the system's temporary directory.
    package static func make(_ prefix: String) throws(VarveError) -> String {
        var template = Array("\(FileSystem.temporaryDirectory)/\(prefix)-XXXXXX\0".utf8).map { CChar(bitPattern: $0) }
        guard mkdtemp(&template) != nil else {
            throw VarveError(
                .storageDenied,
                "no directory can be made in \(FileSystem.temporaryDirectory): \(String(cString: strerror(errno)))",
                next: "set TMPDIR to one that can be written")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// With everything in it, as far as that goes; links are not followed.
    package static func remove(_ path: String) {
        for entry in (try? Directory.list(path)) ?? [] {
            let below = Directory.join(path, entry.name)
            var status = stat()
            let isLink = lstat(below, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
            if entry.isDirectory && !isLink { remove(below) } else { unlink(below) }
        }
        rmdir(path)
    }
}
