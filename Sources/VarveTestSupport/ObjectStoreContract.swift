/// What every `ObjectStore` promises, as checks that any test target runs over its own stores.
///
/// Each promise gets a fresh store and a second handle on the same one (another node, or the same object where a store
/// ends with its process). A broken promise is thrown as a sentence.

import Dispatch
import Synchronization
import VarveModel
package import VarveStorage

package struct ObjectStoreContract: Sendable, CustomStringConvertible {
    /// The promise, as a sentence.
    package let description: String
    package let check: @Sendable (_ store: any ObjectStore, _ other: any ObjectStore) throws -> Void

    package static let promises = [
        ObjectStoreContract(description: "what was put is read, sized, listed and opened by everyone") { store, other in
            try promise(try store.putIfAbsent("a/b/c.x", Bytes("hello")) == .created, "a new object is not created")
            for handle in [store, other] {
                try promise(try handle.get("a/b/c.x") == Bytes("hello"), "it is not read back")
                try promise(try handle.size(of: "a/b/c.x") == 5, "its size is wrong")
                try promise(try handle.list("a/b/") == ["a/b/c.x"], "it is not listed")
                let contents = try handle.open("a/b/c.x")
                try promise(contents?.count == 5, "its contents have another size")
                let bytes = contents?.withUnsafeBytes { Bytes(Array($0)) }
                try promise(bytes == Bytes("hello"), "its contents are others")
            }
        },
        ObjectStoreContract(description: "what stands is never replaced") { store, other in
            _ = try store.putIfAbsent("x", Bytes("first"))
            try promise(try other.putIfAbsent("x", Bytes("first")) == .identical, "equal bytes are not identical")
            try promise(
                try other.putIfAbsent("x", Bytes("second")) == .different(Bytes("first")),
                "other bytes do not get what stands there")
            try promise(try store.get("x") == Bytes("first"), "the object changed")
        },
        ObjectStoreContract(description: "of many writers exactly one creates") { store, other in
            for round in 0..<8 {
                let outcomes = inThreads(6) { i in
                    try? (i.isMultiple(of: 2) ? store : other).putIfAbsent("race/\(round)", Bytes("writer \(i)"))
                }
                try promise(outcomes.count { $0 == .created } == 1, "\(outcomes) has not exactly one creator")
                let standing = try store.get("race/\(round)") ?? Bytes()
                for outcome in outcomes where outcome != .created {
                    try promise(outcome == .different(standing), "a loser was told \(String(describing: outcome))")
                }
            }
        },
        ObjectStoreContract(description: "a list is one level, in byte order") { store, _ in
            for name in ["l/b", "l/a", "l/B", "l/a.1", "l/sub/z", "la", "l/0"] {
                _ = try store.putIfAbsent(name, Bytes())
            }
            try promise(
                try store.list("l/") == ["l/0", "l/B", "l/a", "l/a.1", "l/b"], "got \(try store.list("l/"))")
            try promise(try store.list("") == ["la"], "the top has \(try store.list(""))")
        },
        ObjectStoreContract(description: "what is missing is nil, not an error") { store, _ in
            try promise(try store.get("no/such") == nil, "get found something")
            try promise(try store.size(of: "no/such") == nil, "size found something")
            try promise(try store.list("no/").isEmpty, "list found something")
            let contents = try store.open("no/such")
            try promise(contents == nil, "open found something")
        },
        ObjectStoreContract(description: "an empty object is an object") { store, _ in
            try promise(try store.putIfAbsent("empty", Bytes()) == .created, "it is not created")
            try promise(try store.get("empty") == Bytes(), "it is not read back")
            let contents = try store.open("empty")
            try promise(contents?.withUnsafeBytes { $0.count } == 0, "it is not opened")
        },
        ObjectStoreContract(description: "opened contents stay at one address") { store, _ in
            _ = try store.putIfAbsent("held", Bytes(Array(repeating: 7, count: 100_000)))
            let contents = try store.open("held")!
            let first = contents.withUnsafeBytes { $0.baseAddress }
            _ = try store.putIfAbsent("other", Bytes(Array(repeating: 8, count: 100_000)))
            try promise(contents.withUnsafeBytes { $0.baseAddress } == first, "the address changed")
            try promise(contents.withUnsafeBytes { $0.allSatisfy { $0 == 7 } }, "the bytes changed")
        },
        ObjectStoreContract(description: "a heartbeat is overwritten in place, longer or shorter") { store, other in
            for text in ["first", "a longer second", "3"] {
                try store.overwrite("nodes/n1.cbor", Bytes(text))
                for handle in [store, other] {
                    let found = try handle.get("nodes/n1.cbor")
                    try promise(found == Bytes(text), "got \(String(describing: found?.utf8)) instead of \(text)")
                }
            }
            try promise(try other.list("nodes/").contains("nodes/n1.cbor"), "it is not listed")
        },
        ObjectStoreContract(description: "nothing but heartbeats is overwritten") { store, _ in
            _ = try store.putIfAbsent("FORMAT", Bytes("first"))
            for name in ["FORMAT", "blocks/e0000/x.cbor", "nodes", "nodes/../FORMAT"] {
                do {
                    try store.overwrite(name, Bytes("second"))
                } catch let error as VarveError where error.code == .internal {
                    continue
                }
                throw ContractViolation(description: "\"\(name)\" was overwritten")
            }
            try promise(try store.get("FORMAT") == Bytes("first"), "the object changed")
        },
        ObjectStoreContract(description: "what is removed is gone for everyone, and can be put again") { store, other in
            _ = try store.putIfAbsent("claims/e0000/b/0", Bytes("mine"))
            try other.remove("claims/e0000/b/0")
            try other.remove("claims/e0000/b/0")
            try promise(try store.get("claims/e0000/b/0") == nil, "it is still there")
            try promise(try store.list("claims/e0000/b/").isEmpty, "it is still listed")
            try promise(try store.putIfAbsent("claims/e0000/b/0", Bytes("other")) == .created, "it is not put again")
        },
        ObjectStoreContract(description: "a name is made durable by whoever finds it, as often as it is asked for") {
            store, other in
            _ = try store.putIfAbsent("blocks/e0000/x.cbor", Bytes("first"))
            for handle in [other, store, other] { try handle.persist("blocks/e0000/x.cbor") }
            try promise(try other.get("blocks/e0000/x.cbor") == Bytes("first"), "the object changed")
            try promise(try other.list("blocks/e0000/") == ["blocks/e0000/x.cbor"], "there are other names")
            do {
                try store.persist("../x")
            } catch let error as VarveError where error.code == .internal {
                return
            }
            throw ContractViolation(description: "a name that leads elsewhere was made durable")
        },
        ObjectStoreContract(description: "parts are the names one level down that have objects below them") {
            store, other in
            for name in ["p/b/x", "p/b/y/z", "p/a/x", "p/file", "q/x"] { _ = try store.putIfAbsent(name, Bytes()) }
            try promise(try other.parts("p/") == ["p/a/", "p/b/"], "got \(try other.parts("p/"))")
            try promise(try other.parts("no/").isEmpty, "what is missing has parts")
        },
        ObjectStoreContract(description: "a node that puts nothing makes no progress") { store, other in
            _ = try store.putIfAbsent("x", Bytes("first"))
            try promise(try other.progress(of: "n1") == 0, "there is progress")
        },
        ObjectStoreContract(description: "a name cannot lead elsewhere") { store, _ in
            for name in ["", "/etc", "../x", "a/../b", "a//b", "a/", ".", "ä", "a b", "a\u{0}"] {
                do {
                    _ = try store.putIfAbsent(name, Bytes())
                } catch let error as VarveError where error.code == .internal {
                    continue
                }
                throw ContractViolation(description: "\"\(name)\" was taken as a name")
            }
        },
    ]
}

private func promise(
    _ holds: @autoclosure () throws -> Bool, _ otherwise: @autoclosure () throws -> String
) throws {
    if try !holds() { throw ContractViolation(description: try otherwise()) }
}

/// Runs `body` in `count` threads at once; results in order.
private func inThreads<R: Sendable>(_ count: Int, _ body: @escaping @Sendable (Int) -> R) -> [R] {
    let results = Mutex<[Int: R]>([:])
    DispatchQueue.concurrentPerform(iterations: count) { i in
        let result = body(i)
        results.withLock { $0[i] = result }
    }
    return results.withLock { results in (0..<count).map { results[$0]! } }
}
