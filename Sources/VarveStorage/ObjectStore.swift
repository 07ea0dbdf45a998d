/// The contract of a store: named immutable objects that many nodes share.
///
/// **Publish once.** `putIfAbsent` makes an object visible under its name whole and durable, or not at all; of any number
/// of writers exactly one creates it, and every other learns what stands there. Nothing is ever renamed over.
///
/// **Durability.** When `putIfAbsent` has returned, the object and its name survive a crash of everything.
///
/// **Visibility.** What one node has published, every node can read and list from then on.
///
/// **Two exceptions**, for what no data depends on. `overwrite` replaces a node's own object under `nodes/` in place: it
/// has one writer, its readers may see a mix of old and new bytes, so it carries its own checksum. `remove` takes away what
/// nobody needs any more; whoever asks for it afterwards finds nothing.
///
/// **Names.** Relative paths of ASCII letters, digits, `.`, `_` and `-`, parts joined by `/`; `INTERNAL` for others.
///
/// **Blocking.** Every call may wait for a disk: callers that must not wait run them on a thread of their own.
///
/// **Errors.** `STORAGE_FULL`, `STORAGE_DENIED`, `STORAGE_UNREACHABLE`, `STORAGE_WEAK`, `IO_FATAL` after a failed sync.

package import VarveModel

package protocol ObjectStore: Sendable {
    /// Creates `name` with `bytes`. When an object stands there already it is left alone and returned to be compared.
    func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome

    /// Makes the name of an object that another node has put survive a crash, as `putIfAbsent` does for its caller.
    func persist(_ name: String) throws(VarveError)

    /// The object's bytes, or nil when there is none.
    func get(_ name: String) throws(VarveError) -> Bytes?

    /// The object's size in bytes, or nil when there is none.
    func size(of name: String) throws(VarveError) -> UInt64?

    /// Names that begin with `prefix`, which ends with `/`, in byte order; one level, no parts below.
    func list(_ prefix: String) throws(VarveError) -> [String]

    /// What stands one level below `prefix` and has, or had, objects below it: prefixes, each ending with `/`, in byte order.
    func parts(_ prefix: String) throws(VarveError) -> [String]

    /// How long ago an object was written, by the store's own clock; nil when that is not known.
    func age(of name: String) throws(VarveError) -> Duration?

    /// An object opened for reading parts of it, which stays readable while it is held.
    func open(_ name: String) throws(VarveError) -> (any ObjectContents)?

    /// Makes `bytes` stand under a name below `nodes/`, in place and durably, also on a full disk where the name stood before.
    func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError)

    /// Removes an object; one that is not there is removed already.
    func remove(_ name: String) throws(VarveError)

    /// A number that changes while `node` is putting objects, as far as that shows from outside; 0 while it puts none.
    func progress(of node: String) throws(VarveError) -> UInt64

    /// Whether other nodes may share it (a directory), or it ends with the process (memory).
    var isShared: Bool { get }
}

extension ObjectStore {
    package func age(of name: String) throws(VarveError) -> Duration? { nil }
    package func parts(_ prefix: String) throws(VarveError) -> [String] { [] }
}

package enum PutOutcome: Sendable, Equatable {
    case created
    /// An object with exactly these bytes was there.
    case identical
    /// Another object was there: its bytes.
    case different(Bytes)
}

/// The bytes of one object, mapped or held in memory. Immutable; readable from any thread; at the same address as long
/// as this is held.
package protocol ObjectContents: Sendable {
    var count: Int { get }
    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R
    /// Everything was read once and may not be again for long: what is held in memory for it may go. The bytes stay where
    /// they are.
    func letPagesGo()
}

extension ObjectContents {
    package func letPagesGo() {}
}

/// Whether `name` is a name of the contract above: it cannot lead out of a directory.
package func isObjectName(_ name: some StringProtocol) -> Bool {
    name.utf8.split(separator: 0x2f, omittingEmptySubsequences: false).allSatisfy { part in
        !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
            && part.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
                default: false
                }
            }
    }
}

func requireObjectName(_ name: String) throws(VarveError) {
    guard isObjectName(name) else { throw VarveError(.internal, "\"\(name)\" is no name of a stored object") }
}

func requireOverwritable(_ name: String) throws(VarveError) {
    try requireObjectName(name)
    guard name.hasPrefix("nodes/") else {
        throw VarveError(.internal, "\"\(name)\" is published once, never overwritten")
    }
}

/// A prefix to list: nothing, or a name and `/`.
func requirePrefix(_ prefix: String) throws(VarveError) {
    guard prefix.isEmpty || (prefix.hasSuffix("/") && isObjectName(prefix.dropLast())) else {
        throw VarveError(.internal, "\"\(prefix)\" is no prefix of stored objects")
    }
}
