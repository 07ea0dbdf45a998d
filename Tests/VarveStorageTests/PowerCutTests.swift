import Synchronization
import Testing
import VarveIO
import VarveModel
import VarveStorage
import VarveTestSupport

/// A store that says `created` has the object after a power cut, and never a part of one.
@Suite struct PowerCutTests {
    @Test func `at every cut while objects are published, in every state tried, none is lost or half there`() throws {
        let place = try TemporaryDirectory()
        let path = place.path + "/store"
        let recorder = DiskRecorder()
        DiskWatch.begin(under: path, recorder)
        let store = try DirectoryObjectStore(path: path, node: "a", nonce: 1)
        let objects = (0..<8).map { number in
            (
                name: ["blocks/e0000/b\(number)", "tables/t\(number)/f"][number % 2],
                bytes: Bytes([UInt8](repeating: UInt8(number + 1), count: number * 700 + 1))
            )
        }
        for (name, bytes) in objects {
            guard case .created = try store.putIfAbsent(name, bytes) else {
                Issue.record("not created: \(name)")
                return
            }
            recorder.promise(name)
        }
        DiskWatch.end(under: path)
        var cut = PowerCut()
        var images = 0
        for (index, event) in recorder.events.enumerated() {
            cut.take(event)
            for fate in PowerCut.fates(random: 10, seed: UInt64(index)) {
                let image = cut.image(fate)
                for name in cut.promises {
                    #expect(image[path + "/" + name] != nil, "\(name) is lost, \(fate) after \(event.name)")
                }
                for (name, bytes) in objects {
                    guard let found = image[path + "/" + name] else { continue }
                    #expect(Bytes(found) == bytes, "\(name) is half there, \(fate) after \(event.name)")
                }
                images += 1
            }
        }
        #expect(images > 500 && cut.promises.count == objects.count)
    }

    @Test
    func `a directory whose sync failed is not believed again: its names are IO_FATAL until another process looks`()
        throws
    {
        /// Fails the first sync of one directory.
        final class OnceUnsynced: DiskWatcher {
            let directory: String
            let isDone = Mutex(false)
            init(_ directory: String) { self.directory = directory }
            func before(_ change: DiskChange) {}
            func after(_ change: DiskChange) {}
            func refusal(of change: DiskChange) -> IOError? {
                guard case .syncDirectory(directory) = change else { return nil }
                let isFirst = isDone.withLock { done in
                    defer { done = true }
                    return !done
                }
                return isFirst ? IOError(code: 5, operation: "fsync", path: directory) : nil
            }
        }
        let place = try TemporaryDirectory()
        let path = place.path + "/store"
        let store = try DirectoryObjectStore(path: path, node: "a", nonce: 1)
        _ = try store.putIfAbsent("blocks/e0000/b0", Bytes([0]))
        DiskWatch.begin(under: path, OnceUnsynced(path + "/blocks/e0000"))
        defer { DiskWatch.end(under: path) }
        func code(_ body: () throws -> Void) -> ErrorCode? {
            do { try body() } catch { return (error as? VarveError)?.code }
            return nil
        }
        #expect(code { _ = try store.putIfAbsent("blocks/e0000/b1", Bytes([1])) } == .ioFatal)
        // The kernel reports a lost write once: these would succeed.
        #expect(code { _ = try store.putIfAbsent("blocks/e0000/b1", Bytes([1])) } == .ioFatal)
        #expect(code { try store.persist("blocks/e0000/b1") } == .ioFatal)
        #expect(code { _ = try store.putIfAbsent("blocks/e0000/b2", Bytes([2])) } == .ioFatal)
        #expect(try store.get("blocks/e0000/b2") == nil)
        #expect(code { _ = try store.putIfAbsent("tables/t/f", Bytes([3])) } == nil)
    }
}
