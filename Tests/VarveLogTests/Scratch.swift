import VarveIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A directory of one test alone.
struct Scratch: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/varve-log-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw IOError(code: errno, operation: "mkdtemp", path: "/tmp") }
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
