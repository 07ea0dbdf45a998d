import Foundation
import Testing
import VarveIO
import VarveModel
import VarveTestSupport

@testable import VarveStorage

/// A directory that goes when this goes.
final class TemporaryDirectory {
    let path: String
    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "varve-storage-\(UUID())").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func names(in part: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path + "/" + part).sorted()
    }
}

func code(_ body: () throws -> Void) -> ErrorCode? {
    do {
        try body()
        return nil
    } catch { return (error as? VarveError)?.code }
}

@Suite("An object store")
struct ObjectStoreTests {
    @Test("in memory", arguments: ObjectStoreContract.promises)
    func memory(promise: ObjectStoreContract) throws {
        let store = MemoryObjectStore()
        try promise.check(store, store)
    }

    @Test("on a directory", arguments: ObjectStoreContract.promises)
    func directory(promise: ObjectStoreContract) throws {
        let place = try TemporaryDirectory()
        let store = try DirectoryObjectStore(path: place.path + "/store", node: "n1", nonce: 1)
        let other = try DirectoryObjectStore(path: place.path + "/store", node: "n2", nonce: 1)
        try promise.check(store, other)
        #expect(try place.names(in: "store/tmp") == [])
    }
}

@Suite("A directory as object store")
struct DirectoryObjectStoreTests {
    let place: TemporaryDirectory
    init() throws { place = try TemporaryDirectory() }

    private func open(_ name: String = "store", node: String = "n1") throws -> DirectoryObjectStore {
        try DirectoryObjectStore(path: place.path + "/" + name, node: node, nonce: 7)
    }

    @Test("removes what its own node left behind, and nothing else")
    func leftOvers() throws {
        _ = try open()
        let tmp = place.path + "/store/tmp/"
        for name in [
            "n1-00000000000000ab", "n1-00000000000000ac.probe", "n1-x-00000000000000ab", "n2-00000000000000ab",
        ] {
            _ = FileManager.default.createFile(atPath: tmp + name, contents: Data([1]))
        }
        _ = try open()
        #expect(try place.names(in: "store/tmp") == ["n1-x-00000000000000ab", "n2-00000000000000ab"])
    }

    @Test("tells an absent mount from an empty store")
    func absentMount() throws {
        #expect(code { _ = try open("no/store") } == .storageUnreachable)
        let missing = #expect(throws: VarveError.self) { _ = try open("no/store") }
        #expect(missing?.next?.contains("create the directory") == true)
        let store = try open()
        #expect(try store.get("FORMAT") == nil)
        try FileManager.default.removeItem(atPath: place.path + "/store")
        #expect(code { _ = try store.get("FORMAT") } == .storageUnreachable)
        #expect(code { _ = try store.size(of: "FORMAT") } == .storageUnreachable)
        #expect(code { _ = try store.list("epochs/") } == .storageUnreachable)
        #expect(code { _ = try store.open("FORMAT") } == .storageUnreachable)
        #expect(code { _ = try store.putIfAbsent("FORMAT", Bytes("x")) } == .storageUnreachable)
        #expect(!FileManager.default.fileExists(atPath: place.path + "/store"))
    }

    @Test("refuses a path that is no directory")
    func noDirectory() throws {
        _ = FileManager.default.createFile(atPath: place.path + "/file", contents: Data())
        #expect(code { _ = try open("file") } == .storageDenied)
    }

    @Test("refuses a node id that is no name")
    func nodeID() {
        #expect(code { _ = try open(node: "a/b") } == .configInvalid)
    }

    @Test(
        "names each failure of the system by what a person must do",
        arguments: [
            (ENOSPC, "pwrite", ErrorCode.storageFull), (EDQUOT, "pwrite", .storageFull),
            (EACCES, "open", .storageDenied),
            (EROFS, "open", .storageDenied), (EPERM, "link", .storageDenied), (ESTALE, "open", .storageUnreachable),
            (EIO, "pread", .storageUnreachable), (ENOENT, "open", .storageUnreachable), (EIO, "fsync", .ioFatal),
            (ENOSPC, "fsync", .ioFatal), (EMFILE, "open", .storageUnreachable),
        ] as [(Int32, String, ErrorCode)])
    func failures(number: Int32, operation: String, expected: ErrorCode) {
        let error = IOError(code: number, operation: operation, path: "/s/x")
        #expect(DirectoryObjectStore.storageError(error, "/s").code == expected)
    }

    @Test("refuses a file system that cannot publish once")
    func probe() throws {
        var calls = 0
        let sound = DirectoryProbe(
            publish: {
                calls += 1
                return calls.isMultiple(of: 2) ? .exists : .created
            }, isReadBack: { true }, isListed: { true })
        #expect(try sound.weakness() == nil)
        var weak = sound
        weak.publish = { .created }
        #expect(try weak.weakness()?.contains("two writers") == true)
        weak.publish = { .exists }
        #expect(try weak.weakness() != nil)
        weak.publish = { () throws(IOError) in throw IOError(code: EPERM, operation: "link", path: "x") }
        #expect(try weak.weakness()?.contains("hard links") == true)
        weak.publish = { () throws(IOError) in throw IOError(code: EACCES, operation: "open", path: "x") }
        #expect(throws: IOError.self) { try weak.weakness() }
        weak = sound
        weak.isReadBack = { false }
        #expect(try weak.weakness()?.contains("read back") == true)
        weak = sound
        weak.isListed = { false }
        #expect(try weak.weakness()?.contains("listed") == true)
    }
}
