/// Who watches what this process changes on disk: a recorder that later builds what a power cut may leave, a test that
/// ends the process at a named point, one that holds a sync back.
///
/// Inert unless somebody watches: then one look at a flag for each change. A watcher sees the changes under its directory
/// only, on the thread that makes them, one before and one after each; it may block there, or end the process.

import Synchronization

package enum DiskChange {
    /// A file came to be, empty.
    case create(String)
    /// The bytes are valid during the call only.
    case write(String, offset: Int, UnsafeRawBufferPointer)
    case truncate(String, size: Int)
    case link(from: String, to: String)
    case rename(from: String, to: String)
    case unlink(String)
    case makeDirectory(String)
    case removeDirectory(String)
    /// Contents and size of a file.
    case sync(String)
    /// The names in a directory.
    case syncDirectory(String)

    /// The file or directory that changes; of two names the new one.
    package var path: String {
        switch self {
        case .create(let path), .write(let path, _, _), .truncate(let path, _), .unlink(let path),
            .makeDirectory(let path), .removeDirectory(let path), .sync(let path), .syncDirectory(let path):
            path
        case .link(_, let path), .rename(_, let path): path
        }
    }

    /// `write`, `sync`, `syncDirectory` …
    package var name: String {
        switch self {
        case .create: "create"
        case .write: "write"
        case .truncate: "truncate"
        case .link: "link"
        case .rename: "rename"
        case .unlink: "unlink"
        case .makeDirectory: "makeDirectory"
        case .removeDirectory: "removeDirectory"
        case .sync: "sync"
        case .syncDirectory: "syncDirectory"
        }
    }
}

package protocol DiskWatcher: Sendable {
    func before(_ change: DiskChange)
    /// It was made; a change that failed is not told.
    func after(_ change: DiskChange)
    /// How the change fails instead of being made; nil makes it.
    func refusal(of change: DiskChange) -> IOError?
}

extension DiskWatcher {
    package func refusal(of change: DiskChange) -> IOError? { nil }
}

package enum DiskWatch {
    private static let isArmed = Atomic<Bool>(false)
    private static let watchers = Mutex<[(directory: String, watcher: any DiskWatcher)]>([])

    /// Shows `watcher` every change under `directory` from now on, until `end`.
    package static func begin(under directory: String, _ watcher: any DiskWatcher) {
        watchers.withLock { $0.append((directory, watcher)) }
        isArmed.store(true, ordering: .releasing)
    }

    package static func end(under directory: String) {
        watchers.withLock { watchers in
            watchers.removeAll { $0.directory == directory }
            if watchers.isEmpty { isArmed.store(false, ordering: .releasing) }
        }
    }

    @discardableResult @inline(__always)
    static func around<R>(
        _ change: @autoclosure () -> DiskChange, _ body: () throws(IOError) -> R
    ) throws(IOError) -> R {
        guard isArmed.load(ordering: .acquiring) else { return try body() }
        return try watched(change(), body)
    }

    private static func watched<R>(_ change: DiskChange, _ body: () throws(IOError) -> R) throws(IOError) -> R {
        let path = change.path
        // Called without the lock: a watcher may block.
        let present = watchers.withLock { watchers in
            watchers.filter { path.hasPrefix($0.directory) }.map(\.watcher)
        }
        for watcher in present { watcher.before(change) }
        for watcher in present { if let refusal = watcher.refusal(of: change) { throw refusal } }
        let result = try body()
        for watcher in present { watcher.after(change) }
        return result
    }
}
