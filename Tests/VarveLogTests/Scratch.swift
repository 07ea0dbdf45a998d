import VarveIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A directory of one test alone.
struct Scratch: Sendable {
    let path: String

    /// - Parameter inMemory: on a file system in memory where there is one: for tests that kill processes, to which a
    ///   sync makes no difference but its time.
    init(inMemory: Bool = false) throws {
        let parent = inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(parent)/varve-log-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw IOError(code: errno, operation: "mkdtemp", path: parent) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func remove() { Self.remove(path) }

    private static func remove(_ path: String) {
        for entry in (try? Directory.list(path)) ?? [] {
            let inner = Directory.join(path, entry.name)
            if entry.isDirectory { remove(inner) } else { _ = try? FileSystem.remove(inner) }
        }
        _ = try? Directory.remove(path)
    }
}
