/// The fields each table has ever had, in the order in which they were first seen.
///
/// Asked for every field of every document that is applied, so it is a hash table of its own over raw bytes: no
/// allocation, no seed, and nothing ever depends on its order.

package import VarveModel

package struct FieldCatalog: Sendable {
    /// UTF-8 of the names.
    package private(set) var names: [Bytes] = []
    /// Open addressing, a power of two long, at most half full: indices into `names`, -1 for none.
    private var slots: [Int32] = Array(repeating: -1, count: 32)

    package init() {}

    package func contains(_ name: UnsafeRawBufferPointer) -> Bool { slots[slot(of: name)] >= 0 }

    package mutating func see(_ name: Bytes) {
        let own = name.detached()
        let slot = own.withUnsafeBytes { self.slot(of: $0) }
        guard slots[slot] < 0 else { return }
        slots[slot] = Int32(names.count)
        names.append(own)
        guard names.count * 2 > slots.count else { return }
        slots = Array(repeating: -1, count: slots.count * 2)
        for (i, name) in names.enumerated() { slots[name.withUnsafeBytes { self.slot(of: $0) }] = Int32(i) }
    }

    /// The slot that holds `name`, or the free one where it belongs.
    private func slot(of name: UnsafeRawBufferPointer) -> Int {
        var hash = UInt64(name.count) &* 0x9e37_79b9_7f4a_7c15
        var i = 0
        while i + 8 <= name.count {
            hash = (hash ^ name.loadUnaligned(fromByteOffset: i, as: UInt64.self)) &* 0xff51_afd7_ed55_8ccd
            hash ^= hash >> 32
            i += 8
        }
        while i < name.count {
            hash = (hash ^ UInt64(name[i])) &* 0xff51_afd7_ed55_8ccd
            hash ^= hash >> 32
            i += 1
        }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] >= 0 {
            let candidate = names[Int(slots[slot])]
            if candidate.count == name.count, candidate.withUnsafeBytes({ compareRaw($0, name) == 0 }) { break }
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }
}
