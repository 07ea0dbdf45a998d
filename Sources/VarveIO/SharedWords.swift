/// A page of numbers in a file, mapped for writing: what stands in it outlives the process, however that ends.
///
/// A store is a store to memory, so it costs what one costs; the kernel brings it to the file. It survives the process,
/// not the machine. For what has one writer and a reader after it.

import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// The region stays mapped from init to deinit, and every access to it is atomic.
package final class SharedWords: @unchecked Sendable {
    package static let count = 512
    private static let bytes = count * MemoryLayout<UInt64>.stride

    private let words: UnsafeMutablePointer<Atomic<UInt64>>

    /// Opens the file, creating it with zeros when it is not there or has another size.
    package init(_ path: String) throws(IOError) {
        let file = try File(path, .createOrUpdate)
        if try file.size != Self.bytes {
            try file.truncate(to: 0)
            // Written, so that the file system has set room aside: a store to a mapped hole on a full disk ends the process.
            let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bytes, alignment: 8)
            defer { zeros.deallocate() }
            zeros.initializeMemory(as: UInt8.self, repeating: 0)
            try file.write(UnsafeRawBufferPointer(zeros), at: 0)
        }
        guard let region = mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0),
            region != MAP_FAILED
        else { throw IOError("mmap", path) }
        words = region.bindMemory(to: Atomic<UInt64>.self, capacity: Self.count)
    }

    /// - Precondition: `index` is below `count`.
    package subscript(index: Int) -> UInt64 {
        get { words[index].load(ordering: .acquiring) }
        set { words[index].store(newValue, ordering: .releasing) }
    }

    deinit { munmap(words, Self.bytes) }
}
