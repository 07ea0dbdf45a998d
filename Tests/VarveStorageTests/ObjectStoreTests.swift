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

    @Test("tells an object's age by the clock that stamped it")
    func age() throws {
        let store = try open()
        #expect(try store.age(of: "x") == nil)
        _ = try store.putIfAbsent("x", Bytes("x"))
        #expect(try #require(try store.age(of: "x")) < .seconds(60))
        var times = [timeval(tv_sec: 1_000_000_000, tv_usec: 0), timeval(tv_sec: 1_000_000_000, tv_usec: 0)]
        #expect(utimes(place.path + "/store/x", &times) == 0)
        #expect(try #require(try store.age(of: "x")) > .seconds(365 * 24 * 3600))
        // One that says it comes from the future is new.
        times = [timeval(tv_sec: 9_000_000_000, tv_usec: 0), timeval(tv_sec: 9_000_000_000, tv_usec: 0)]
        #expect(utimes(place.path + "/store/x", &times) == 0)
        #expect(try store.age(of: "x") == .zero)
        #expect(try place.names(in: "store/tmp") == [])
    }

    @Test("says that its path is a file, and not that rights are missing")
    func file() throws {
        try Data().write(to: URL(filePath: place.path + "/store"))
        do {
            _ = try open()
            Issue.record("a file was taken for a store")
        } catch let error as VarveError {
            #expect(error.code == .storageDenied)
            #expect(error.message.contains("is no directory"))
            #expect(error.next == "name a directory in storage.path")
        }
        let denied = DirectoryObjectStore.storageError(IOError(code: EACCES, operation: "mkdir", path: "p"), "p")
        #expect(denied.next?.contains("give user \(geteuid()) the right") == true)
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

    @Test("refuses a file system whose link replaces, before it writes anything that stays")
    func replacingLink() throws {
        let path = place.path + "/weak"
        let error = #expect(throws: VarveError.self) {
            _ = try DirectoryObjectStore(
                path: path, node: "n1", nonce: 1,
                publishOnce: { (bytes, path, temporary) throws(IOError) in
                    try FileSystem.replace(path, with: bytes, temporary: temporary)
                    return .created
                })
        }
        #expect(error?.code == .storageWeak)
        #expect(error?.message.contains("two writers") == true)
        #expect(try place.names(in: "weak") == ["tmp"])
        #expect(try place.names(in: "weak/tmp") == [])
    }

    @Test("removes what others left after a day, and not before")
    func oldLeftOvers() throws {
        _ = try open()
        let tmp = place.path + "/store/tmp/"
        for (name, hours) in [("n2-00000000000000ab", 25.0), ("n3-00000000000000ab", 23), ("notes", 100)] {
            _ = FileManager.default.createFile(atPath: tmp + name, contents: Data([1]))
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -hours * 3600)], ofItemAtPath: tmp + name)
        }
        _ = try open()
        #expect(try place.names(in: "store/tmp") == ["n3-00000000000000ab", "notes"])
    }

    @Test("a full disk still takes a heartbeat, from the reserve")
    func reserve() throws {
        let faults = FileFaults()
        let store = try DirectoryObjectStore(path: place.path + "/store", node: "n1", nonce: 1, faults: faults)
        let reserve = place.path + "/store/nodes/n1.reserve"
        try store.overwrite("nodes/n1.cbor", Bytes("first"))
        #expect(try FileManager.default.attributesOfItem(atPath: reserve)[.size] as? Int == 1 << 20)
        faults.plant(.init("pwrite", code: ENOSPC, bytesBefore: 3))
        try store.overwrite("nodes/n1.cbor", Bytes("alive"))
        #expect(try store.get("nodes/n1.cbor") == Bytes("alive"))
        #expect(!FileManager.default.fileExists(atPath: reserve))
        faults.plant(.init("pwrite", code: ENOSPC))
        #expect(code { try store.overwrite("nodes/n1.cbor", Bytes("still")) } == .storageFull)
        try store.overwrite("nodes/n1.cbor", Bytes("room"))
        #expect(FileManager.default.fileExists(atPath: reserve), "set aside again once there is room")
    }

    @Test("a full disk stops no node that was there before, and nobody who only makes room")
    func opensFull() throws {
        let reserve = place.path + "/store/nodes/n1.reserve"
        let full: DirectoryObjectStore.PublishOnce = { (bytes, path, temporary) throws(IOError) in
            // There is room again once the reserve is gone.
            if FileManager.default.fileExists(atPath: reserve) {
                throw IOError(code: ENOSPC, operation: "pwrite", path: temporary)
            }
            return try FileSystem.publishOnce(bytes, as: path, temporary: temporary)
        }
        let always: DirectoryObjectStore.PublishOnce = { (_, _, temporary) throws(IOError) in
            throw IOError(code: ENOSPC, operation: "pwrite", path: temporary)
        }
        let path = place.path + "/store"
        try open().overwrite("nodes/n1.cbor", Bytes("alive"))
        _ = try open().putIfAbsent("gc/x.cbor", Bytes("x"))
        #expect(FileManager.default.fileExists(atPath: reserve))

        let collector = try DirectoryObjectStore(
            path: path, node: "reader-1", nonce: 1, needsRoom: false, publishOnce: always)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -7200)], ofItemAtPath: path + "/gc/x.cbor")
        // By the clock of the file system, although nothing could be written to ask it.
        #expect(try #require(try collector.age(of: "gc/x.cbor")) >= .seconds(7100))
        #expect(code { _ = try collector.putIfAbsent("gc/y.cbor", Bytes("y")) } == .storageFull)
        try collector.remove("gc/x.cbor")
        #expect(try collector.size(of: "gc/x.cbor") == nil)
        #expect(FileManager.default.fileExists(atPath: reserve), "not its own")

        #expect(
            code { _ = try DirectoryObjectStore(path: path, node: "n2", nonce: 1, publishOnce: always) }
                == .storageFull)
        let again = try DirectoryObjectStore(path: path, node: "n1", nonce: 2, publishOnce: full)
        #expect(!FileManager.default.fileExists(atPath: reserve))
        try again.overwrite("nodes/n1.cbor", Bytes("alive again"))
        #expect(FileManager.default.fileExists(atPath: reserve), "set aside again once there is room")
    }

    @Test("who only looks tells ages by the newest sign of a node")
    func agesForAReader() throws {
        try open().overwrite("nodes/n1.cbor", Bytes("alive"))
        _ = try open().putIfAbsent("gc/x.cbor", Bytes("x"))
        let old = Date(timeIntervalSinceNow: -7200)
        for name in ["", "/gc/x.cbor"] {
            try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: place.path + "/store" + name)
        }
        let reader = try DirectoryObjectStore(reading: place.path + "/store")
        #expect(try #require(try reader.age(of: "gc/x.cbor")) >= .seconds(7100))
    }

    @Test("a directory in a file's place is that file's damage, in a sidecar's place nothing")
    func directoryForAFile() throws {
        let store = try open()
        for name in ["tables/t/a.arrow", "tables/t/a.arrow.idx"] {
            try FileManager.default.createDirectory(
                atPath: place.path + "/store/" + name, withIntermediateDirectories: true)
        }
        #expect(code { _ = try store.open("tables/t/a.arrow") } == .blockCorrupt)
        #expect(try store.get("tables/t/a.arrow.idx") == nil)
        #expect(code { _ = try store.get("tables/t/a.arrow") } == .storageDenied)
    }

    @Test(
        "a disk that is full in the middle of a block leaves nothing of it, and the same block goes in once there is room",
        arguments: [("pwrite", 0), ("pwrite", 1), ("pwrite", 4_000), ("fsync", 0)])
    func fullInTheMiddle(_ operation: String, _ bytesBefore: Int) throws {
        let faults = FileFaults()
        let store = BlockStore(
            try DirectoryObjectStore(
                path: place.path + "/store", node: "n1", nonce: 1,
                publishOnce: { (bytes, path, temporary) throws(IOError) in
                    try FileSystem.publishOnce(bytes, as: path, temporary: temporary, faults: faults)
                }))
        let encoded = try BlockFileWriter.encode(table: table, block: .first, rows: try randomRows(300, seed: 4))
        faults.plant(.init(operation, code: ENOSPC, bytesBefore: bytesBefore))
        let error = #expect(throws: VarveError.self) { try store.publishFile(encoded) }
        // After a failed sync nobody knows what is on disk: the file is given up, another one is tried.
        #expect(error?.code == (operation == "fsync" ? .ioFatal : .storageFull))
        #expect(error?.next != nil)
        #expect(try store.objects.size(of: encoded.file.name) == nil)
        #expect(try store.objects.list("tables/\(table)/").isEmpty)
        #expect(try place.names(in: "store/tmp").isEmpty)
        try store.publishFile(encoded)
        #expect(try store.openFile(encoded.file).rowCount == Int(encoded.file.rows))
    }

    @Test("shows that another node is writing, and that it goes on")
    func progress() throws {
        let store = try open()
        let tmp = place.path + "/store/tmp/"
        let names = ["n2-00000000000000ab", "n2-x-00000000000000ab"]
        for name in names { _ = FileManager.default.createFile(atPath: tmp + name, contents: Data([1])) }
        let first = try store.progress(of: "n2")
        #expect(first != 0)
        #expect(try store.progress(of: "n2") == first)
        _ = FileManager.default.createFile(atPath: tmp + names[1], contents: Data([1, 2]))
        #expect(try store.progress(of: "n2") == first, "that is another node's")
        _ = FileManager.default.createFile(atPath: tmp + names[0], contents: Data([1, 2]))
        #expect(try store.progress(of: "n2") != first)
        #expect(try store.progress(of: "n3") == 0)
    }

    @Test("a block's claims take their directory with them")
    func claims() throws {
        let store = try open()
        _ = try store.putIfAbsent("claims/e0000/b1/0000", Bytes("a"))
        _ = try store.putIfAbsent("claims/e0000/b1/0001", Bytes("b"))
        try store.remove("claims/e0000/b1/0000")
        #expect(try place.names(in: "store/claims/e0000") == ["b1"])
        try store.remove("claims/e0000/b1/0001")
        #expect(try place.names(in: "store/claims/e0000") == [])
    }
}
