/// A store that ends with its process: for tests, embedding and `storage: !InMemory`.

package import VarveModel
import Synchronization

package final class MemoryObjectStore: ObjectStore {
    private let objects = Mutex<[String: MemoryContents]>([:])

    package init() {}

    package var isShared: Bool { false }

    package func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome {
        try requireObjectName(name)
        let new = MemoryContents(bytes)
        let standing: MemoryContents? = objects.withLock { objects in
            if let standing = objects[name] { return standing }
            objects[name] = new
            return nil
        }
        guard let standing else { return .created }
        let found = standing.bytes
        return found == bytes ? .identical : .different(found)
    }

    package func persist(_ name: String) throws(VarveError) { try requireObjectName(name) }

    package func get(_ name: String) throws(VarveError) -> Bytes? { try contents(name)?.bytes }

    package func size(of name: String) throws(VarveError) -> UInt64? { try contents(name).map { UInt64($0.count) } }

    package func list(_ prefix: String) throws(VarveError) -> [String] {
        try requirePrefix(prefix)
        return objects.withLock { objects in
            objects.keys.filter { name in
                name.hasPrefix(prefix) && !name.utf8.dropFirst(prefix.utf8.count).contains(0x2f)
            }
        }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    package func parts(_ prefix: String) throws(VarveError) -> [String] {
        try requirePrefix(prefix)
        let found = objects.withLock { objects in
            Set(
                objects.keys.compactMap { name -> String? in
                    guard name.hasPrefix(prefix) else { return nil }
                    let rest = name.dropFirst(prefix.count)
                    return rest.firstIndex(of: "/").map { prefix + rest[...$0] }
                })
        }
        return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    package func open(_ name: String) throws(VarveError) -> (any ObjectContents)? { try contents(name) }

    package func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError) {
        try requireOverwritable(name)
        let new = MemoryContents(bytes)
        objects.withLock { $0[name] = new }
    }

    package func remove(_ name: String) throws(VarveError) {
        try requireObjectName(name)
        _ = objects.withLock { $0.removeValue(forKey: name) }
    }

    /// Putting takes no time here.
    package func progress(of node: String) throws(VarveError) -> UInt64 { 0 }

    private func contents(_ name: String) throws(VarveError) -> MemoryContents? {
        try requireObjectName(name)
        return objects.withLock { $0[name] }
    }
}

/// An object's bytes at an address of their own.
// The memory is written by init alone and freed by deinit: sharing it between threads is reading only.
final class MemoryContents: ObjectContents, @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer

    init(_ bytes: Bytes) {
        memory = .allocate(byteCount: bytes.count, alignment: 64)
        bytes.withUnsafeBytes { memory.copyMemory(from: $0) }
    }

    deinit { memory.deallocate() }

    var count: Int { memory.count }
    var bytes: Bytes { Bytes(Array(memory)) }

    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(memory))
    }
}
