import Testing
import VarveIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A directory of this test alone, removed when the test ends.
func withScratch<R>(_ body: (String) throws -> R) throws -> R {
    var template = Array("/tmp/varve-io-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw IOError(code: errno, operation: "mkdtemp", path: "/tmp") }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { removeTree(path) }
    return try body(path)
}

private func removeTree(_ path: String) {
    for entry in (try? Directory.list(path)) ?? [] {
        let inner = Directory.join(path, entry.name)
        if entry.isDirectory { removeTree(inner) } else { _ = try? FileSystem.remove(inner) }
    }
    _ = try? Directory.remove(path)
}

func publish(_ text: String, _ path: String, temporary: String) throws(IOError) -> FileSystem.Publication {
    var result: Result<FileSystem.Publication, IOError> = .success(.exists)
    Array(text.utf8).withUnsafeBytes { raw in
        do throws(IOError) {
            result = .success(try FileSystem.publishOnce(raw, as: path, temporary: temporary))
        } catch {
            result = .failure(error)
        }
    }
    return try result.get()
}

func text(_ path: String) throws(IOError) -> String? {
    try FileSystem.read(path).map { String(decoding: $0, as: UTF8.self) }
}
