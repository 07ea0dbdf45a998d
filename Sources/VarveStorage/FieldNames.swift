/// Finds a field by its name while a document is walked.
///
/// A document's names come in the order of their encoded bytes (shorter first, then by bytes), and so do the names here:
/// the next field is nearly always one of the next few entries.

import VarveModel

struct FieldNames {
    private var arena: [UInt8] = []
    private var entries: [Entry] = []

    private struct Entry {
        var start: Int
        var count: Int
        var id: Int
    }

    var count: Int { entries.count }

    enum Answer {
        /// `next` is where the search for the document's next field begins.
        case found(id: Int, next: Int)
        case missing(at: Int)
    }

    @inline(__always)
    private func compare(_ entry: Entry, _ name: UnsafeRawBufferPointer, _ arena: UnsafeRawBufferPointer) -> Int {
        if entry.count != name.count { return entry.count - name.count }
        if entry.count == 0 { return 0 }
        return Int(memcmp(arena.baseAddress! + entry.start, name.baseAddress!, entry.count))
    }

    func find(_ name: UnsafeRawBufferPointer, from hint: Int) -> Answer {
        arena.withUnsafeBytes { arena in
            entries.withUnsafeBufferPointer { entries in
                var low = hint
                let near = min(hint + 12, entries.count)
                while low < near {
                    let order = compare(entries[low], name, arena)
                    if order == 0 { return .found(id: entries[low].id, next: low + 1) }
                    if order > 0 { break }
                    low += 1
                }
                // Not near: by halves, over all of it in case the document's order is not what it should be.
                var high = entries.count
                if low == near { low = 0 } else { (low, high) = (0, low) }
                while low < high {
                    let middle = (low + high) / 2
                    let order = compare(entries[middle], name, arena)
                    if order == 0 { return .found(id: entries[middle].id, next: middle + 1) }
                    if order < 0 { low = middle + 1 } else { high = middle }
                }
                return .missing(at: low)
            }
        }
    }

    /// Adds a name that `find` did not know, at the place it gave.
    mutating func insert(_ name: UnsafeRawBufferPointer, id: Int, at place: Int) {
        entries.insert(Entry(start: arena.count, count: name.count, id: id), at: place)
        arena.append(contentsOf: name)
    }
}

/// Order of names inside a deterministic CBOR map: that of their encoded bytes.
func encodedOrder(_ a: Bytes, _ b: Bytes) -> Bool { a.count != b.count ? a.count < b.count : a < b }

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
