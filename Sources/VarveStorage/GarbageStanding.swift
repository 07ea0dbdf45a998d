/// How garbage stands: what is written down and waits for its grace, and when somebody last collected.
///
/// Collecting is a command that an operator runs daily; that it runs, a node can only see in the store. So a collector that
/// came to its end leaves `gc/last`, whose age by the store's own clock is the time since then.

package import VarveModel

package struct GarbageStanding: Sendable, Equatable {
    /// Written down and still there.
    package var files = 0
    package var bytes: UInt64 = 0
    /// Since a collector last came to its end; nil when none ever did, or the store does not know.
    package var sinceCollection: Duration?

    package static let mark = "gc/last"

    package init() {}

    /// Reads only.
    package init(_ store: BlockStore) throws(VarveError) {
        for name in Set(try GarbageIntent.pending(in: store).flatMap(\.intent.names)) where isObjectName(name) {
            guard let size = try store.objects.size(of: name) else { continue }
            files += 1
            bytes += size
        }
        if try store.objects.size(of: Self.mark) != nil { sinceCollection = try store.objects.age(of: Self.mark) }
    }

    /// Says that a collector has come to its end. A full disk is no reason to fail: it was made emptier.
    package static func collected(in store: BlockStore) throws(VarveError) {
        do throws(VarveError) {
            try store.objects.remove(mark)
            _ = try store.objects.putIfAbsent(mark, Bytes("collected\n"))
        } catch {
            guard error.code == .storageFull else { throw error }
        }
    }
}
