/// A durable log in a directory of this machine, for one process at a time.
///
/// One thread writes (`LocalWriter`), any number of tasks read (`LocalContents`). The directory's `lock` is held from
/// opening to the end of that thread, which outlives the last handle until everything queued is answered.
///
/// A lock is held on a file, not on a path: before anything is acknowledged, and every two seconds, the writer looks
/// whether the path still leads to the files it holds (`LocalPlace`).

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

import VarveIO
import VarveModel

final class LocalLog: Log {
    let reference: LogReference
    let recordBytesMax = logRecordBytesMax
    private let contents: LocalContents
    private let writer: LocalWriter
    private let name: String

    struct Options: Sendable {
        var bufferSize: Int
        var segmentBytes: Int
        var instants: any InstantSource
        var faults: FileFaults?
    }

    /// Opens the log in `directory`, which exists.
    init(_ directory: String, _ epoch: Epoch, _ options: Options) throws(VarveError) {
        let lock = try LocalLock.take(directory)
        let recovery: LocalRecovery
        do throws(VarveError) { recovery = try LocalRecovery.run(directory, epoch, options.faults) } catch {
            // Not only closed: a child process that is just being started may hold a copy of the descriptor.
            lock.unlock()
            throw error
        }
        reference = LogReference(kind: .local, topic: LocalLayout.directory(of: epoch))
        name = "the local log \(directory)"
        contents = LocalContents(
            name: name,
            LocalContents.Holdings(
                segments: recovery.segments, end: recovery.next, endPosition: recovery.position))
        writer = LocalWriter(name: name, bufferSize: options.bufferSize)
        try onDisk { [writer, contents] () throws(IOError) in
            try WorkerThread.start {
                let segments = SegmentWriter(
                    recovery, lock, directory: directory, epoch: epoch, options, contents: contents)
                writer.run(segments) { offset in Self.remove(contents.forget(below: offset)) }
                // Last: whoever gets it next finds nothing of ours being written.
                lock.unlock()
                writer.finish()
            }
        }
    }

    deinit {
        contents.gate.close()
        writer.abandon()
    }

    func append(_ records: [Bytes]) async -> [AppendResult] {
        records.isEmpty ? [] : await writer.append(records)
    }

    func purge() { writer.purge() }

    func range() async throws(VarveError) -> Range<Offset> {
        try checkOpen()
        return contents.range
    }

    func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        try checkOpen()
        return try contents.read(at: offset)
    }

    func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        try checkOpen()
        return SourceTail(contents, from: offset)
    }

    func trim(below offset: Offset) async { await writer.trim(below: offset) }

    func close() async {
        contents.gate.close()
        await writer.close()
    }

    private func checkOpen() throws(VarveError) {
        if contents.gate.isClosed { throw .closed(name) }
    }

    /// Removes segments, oldest first and each durably: after a crash there is no hole between those left. One that
    /// cannot be removed stays for the next opening, which sees it again.
    private static func remove(_ paths: [String]) {
        for path in paths {
            do throws(IOError) {
                try FileSystem.remove(path)
                try Directory.sync(Directory.parent(of: path))
            } catch { return }
        }
    }
}

/// The lock of a local log's directory: its file also says who holds it, for the message of whoever does not get it.
enum LocalLock {
    static func take(_ directory: String) throws(VarveError) -> File {
        let path = Directory.join(directory, LocalLayout.lockName)
        let (file, isOurs, holder) = try onDisk { () throws(IOError) in
            let file = try File(path, .createOrUpdate)
            let isOurs = try file.lock()
            if isOurs {
                try file.truncate(to: 0)
                try file.write(Array("process \(getpid())".utf8), at: 0)
            }
            return (file, isOurs, String(decoding: try file.read(200, at: 0), as: UTF8.self))
        }
        if isOurs { try LocalPlace.require(file, of: directory) }
        guard isOurs else {
            throw VarveError(
                .logLocked, "the local log \(directory) is in use by \(holder.isEmpty ? "another process" : holder)",
                next: "stop that process, or ask the node over HTTP")
        }
        return file
    }
}
