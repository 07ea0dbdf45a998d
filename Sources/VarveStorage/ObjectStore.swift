/// The contract of a store: named immutable objects that many nodes share.
///
/// **Publish once.** `putIfAbsent` makes an object visible under its name whole and durable, or not at all; of any number
/// of writers exactly one creates it, and every other learns what stands there. Nothing is ever renamed over.
///
/// **Durability.** When `putIfAbsent` has returned, the object and its name survive a crash of everything.
///
/// **Visibility.** What one node has published, every node can read and list from then on.
///
/// **Names.** Relative paths of ASCII letters, digits, `.`, `_` and `-`, parts joined by `/`.
///
/// **Blocking.** Every call may wait for a disk: callers that must not wait run them on a thread of their own.
///
/// **Errors.** `STORAGE_FULL`, `STORAGE_DENIED`, `STORAGE_UNREACHABLE`, `STORAGE_WEAK`, `IO_FATAL` after a failed sync.

package import VarveModel

package protocol ObjectStore: Sendable {
    /// Creates `name` with `bytes`. When an object stands there already it is left alone and returned to be compared.
    func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome

    /// The object's bytes, or nil when there is none.
    func get(_ name: String) throws(VarveError) -> Bytes?

    /// The object's size in bytes, or nil when there is none.
    func size(of name: String) throws(VarveError) -> UInt64?

    /// Names that begin with `prefix`, which ends with `/`, in byte order; one level, no parts below.
    func list(_ prefix: String) throws(VarveError) -> [String]

    /// An object opened for reading parts of it, which stays readable while it is held.
    func open(_ name: String) throws(VarveError) -> (any ObjectContents)?

    /// Whether other nodes may share it (a directory), or it ends with the process (memory).
    var isShared: Bool { get }
}

package enum PutOutcome: Sendable, Equatable {
    case created
    /// An object with exactly these bytes was there.
    case identical
    /// Another object was there: its bytes.
    case different(Bytes)
}

/// The bytes of one object, mapped or held in memory. Immutable; readable from any thread.
package protocol ObjectContents: Sendable {
    var count: Int { get }
    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R
}
