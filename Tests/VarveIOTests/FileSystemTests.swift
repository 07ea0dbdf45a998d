import Testing
import VarveIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct FileSystemTests {
    @Test func `what is published once stays, and a second publisher is told that it exists`() throws {
        try withScratch { root throws in
            let path = root + "/blocks/e0000/b1.cbor"
            #expect(try publish("first", path, temporary: root + "/t1") == .created)
            #expect(try publish("second", path, temporary: root + "/t2") == .exists)
            #expect(try text(path) == "first")
            #expect(try Directory.list(root).map(\.name) == ["blocks"], "no temporary file is left")
        }
    }

    @Test func `of many publishers exactly one creates`() async throws {
        var template = Array("/tmp/varve-io-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let created = try await withThrowingTaskGroup(of: Int?.self) { group in
            for i in 0..<16 {
                group.addTask {
                    try publish("\(i)", root + "/a/b/won", temporary: root + "/t\(i)") == .created ? i : nil
                }
            }
            return try await group.reduce(into: [Int]()) { if let winner = $1 { $0.append(winner) } }
        }
        #expect(created.count == 1)
        #expect(try text(root + "/a/b/won") == "\(created[0])")
        _ = try FileSystem.remove(root + "/a/b/won")
        for path in ["/a/b", "/a", ""] { #expect(try Directory.remove(root + path)) }
    }

    @Test func `replace leaves the new bytes and no temporary file`() throws {
        try withScratch { root throws in
            for beat in ["1", "22", "3"] {
                try Array(beat.utf8).withUnsafeBytes {
                    try FileSystem.replace(root + "/beat", with: $0, temporary: root + "/beat.tmp")
                }
                #expect(try text(root + "/beat") == beat)
            }
            #expect(try Directory.list(root).count == 1)
        }
    }

    @Test func `a missing file is nil, not an error; a missing directory of a write is an error`() throws {
        try withScratch { root throws in
            #expect(try FileSystem.read(root + "/none") == nil)
            #expect(try FileSystem.size(of: root + "/none") == nil)
            #expect(try FileSystem.remove(root + "/none") == false)
            let error = #expect(throws: IOError.self) { _ = try File(root + "/none/file", .createOrUpdate) }
            #expect(error?.kind == .missing)
            #expect(error?.description.contains("/none/file: No such file or directory") == true)
        }
    }

    @Test func `directories are made with their parents, over a file they are refused`() throws {
        try withScratch { root throws in
            try Directory.create(root + "/a/b/c/")
            try Directory.create(root + "/a/b/c")
            #expect(Directory.isDirectory(root + "/a/b/c"))
            _ = try File(root + "/file", .createNew)
            let error = #expect(throws: IOError.self) { try Directory.create(root + "/file/under") }
            #expect(error?.kind == .denied)
            #expect(throws: IOError.self) { try Directory.create(root + "/file") }
        }
    }

    @Test func `a listing is in byte order and tells directories from files`() throws {
        try withScratch { root throws in
            for name in ["b", "a10", "a9", "Z"] { _ = try File(Directory.join(root, name), .createNew) }
            try Directory.create(root + "/dir")
            let entries = try Directory.list(root)
            #expect(entries.map(\.name) == ["Z", "a10", "a9", "b", "dir"])
            #expect(entries.filter(\.isDirectory).map(\.name) == ["dir"])
        }
    }

    @Test(arguments: [("/a/b/c", "/a/b"), ("/a", "/"), ("/", "/"), ("a", "."), ("a/b/", "a"), ("/a//b", "/a")])
    func `the parent of a path`(path: String, parent: String) {
        #expect(Directory.parent(of: path) == parent)
    }

    @Test func `a mapped file shows the file's bytes, an empty one none`() throws {
        try withScratch { root throws in
            let file = try File(root + "/f", .createNew)
            #expect(try MappedFile(root + "/f").bytes.isEmpty)
            try file.write(Array("mapped".utf8), at: 0)
            let map = try MappedFile(root + "/f")
            #expect(String(decoding: map.bytes, as: UTF8.self) == "mapped")
            map.letPagesGo()
            #expect(Array(map.bytes) == Array(try File(root + "/f", .read).read(map.bytes.count, at: 0)))
        }
    }

    @Test func `a temporary directory is local and has room`() throws {
        try withScratch { root throws in
            #expect(try FileSystem.freeBytes(at: root) > 0)
            #expect(try FileSystem.isNetwork(root) == false)
        }
    }
}
