/// Whether a local log still stands at its path.
///
/// Locks and descriptors follow a file wherever its name goes. A directory that is moved away, removed, or exchanged for a
/// copy under a running node would go on being written where nobody finds it, while a second node locks and writes what
/// stands at the path: both would acknowledge. So the writer looks at the path after each sync, before it answers; a reader
/// beside it looks whenever it looks for more.

import VarveIO
import VarveModel

enum LocalPlace {
    /// How often a writer with nothing to do looks.
    static let lookMilliseconds = 2_000

    /// Throws `LOG_MISSING` when nothing stands at the file's path, `LOG_REPLACED` when another file does.
    static func require(_ file: File, of directory: String) throws(VarveError) {
        switch try onDisk({ () throws(IOError) in try file.standing }) {
        case .itself: return
        case .nothing:
            throw VarveError(
                .logMissing,
                "the local log \(directory) is gone: \(file.path) was removed or moved away while this process had it open. "
                    + "Nothing more of it is acknowledged or delivered",
                next: "see docs/runbooks/log-lost.md")
        case .another:
            throw VarveError(
                .logReplaced,
                "another log stands at \(directory): \(file.path) is not what this process has open. Nothing more of either is "
                    + "acknowledged or delivered",
                next: "see docs/runbooks/log-replaced.md")
        }
    }
}
