import Foundation
import Synchronization
import VarveModel
import VarveStorage

/// A node's handle on a shared store: what it asks for can be held, refused or changed on the way.
final class GatedStore: ObjectStore {
    enum Call: Sendable, Equatable {
        case put
        case get
    }

    private struct Held: Sendable {
        var call: Call
        var prefix: String
        let arrived = DispatchSemaphore(value: 0)
        let released = DispatchSemaphore(value: 0)
    }

    private struct State {
        var held: [Held] = []
        var refusals: [(prefix: String, error: VarveError)] = []
        var changes: [(prefix: String, change: @Sendable (Bytes) -> Bytes)] = []
        var opened: [String] = []
        var damage: (prefix: String, isOn: @Sendable () -> Bool)?
    }

    private let base: any ObjectStore
    private let state = Mutex(State())

    init(_ base: any ObjectStore) { self.base = base }

    /// A place where a call is held.
    struct Gate: Sendable {
        fileprivate let arrived: DispatchSemaphore
        fileprivate let released: DispatchSemaphore

        /// Until a call has come to the gate.
        func wait() async {
            while arrived.wait(timeout: .now()) == .timedOut { try? await Task.sleep(for: .milliseconds(5)) }
        }

        func open() { released.signal() }
    }

    /// Holds the next call of its kind on a name with that prefix, before anything is done.
    func hold(_ call: Call, _ prefix: String) -> Gate {
        let held = Held(call: call, prefix: prefix)
        state.withLock { $0.held.append(held) }
        return Gate(arrived: held.arrived, released: held.released)
    }

    /// Every put below a prefix fails, until `allow`.
    func refuse(_ prefix: String, _ error: VarveError) { state.withLock { $0.refusals.append((prefix, error)) } }
    func allow() { state.withLock { $0.refusals = [] } }

    /// What is read below a prefix is changed.
    func change(_ prefix: String, _ change: @escaping @Sendable (Bytes) -> Bytes) {
        state.withLock { $0.changes.append((prefix, change)) }
    }

    /// What is opened below a prefix has its last byte flipped, while `isOn` says so.
    func changeOpened(_ prefix: String, _ isOn: @escaping @Sendable () -> Bool) {
        state.withLock { $0.damage = (prefix, isOn) }
    }

    /// Names in the order in which they were opened.
    var opened: [String] { state.withLock { $0.opened } }

    private func pass(_ call: Call, _ name: String) throws(VarveError) {
        let (held, refusal) = state.withLock { state -> (Held?, VarveError?) in
            let refusal = call == .put ? state.refusals.first { name.hasPrefix($0.prefix) }?.error : nil
            guard let index = state.held.firstIndex(where: { $0.call == call && name.hasPrefix($0.prefix) }) else {
                return (nil, refusal)
            }
            return (state.held.remove(at: index), refusal)
        }
        if let held {
            held.arrived.signal()
            held.released.wait()
        }
        if let refusal { throw refusal }
    }

    var isShared: Bool { base.isShared }

    func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome {
        try pass(.put, name)
        return try base.putIfAbsent(name, bytes)
    }

    func get(_ name: String) throws(VarveError) -> Bytes? {
        try pass(.get, name)
        let bytes = try base.get(name)
        let change = state.withLock { state in state.changes.first { name.hasPrefix($0.prefix) }?.change }
        guard let bytes, let change else { return bytes }
        return change(bytes)
    }

    func persist(_ name: String) throws(VarveError) { try base.persist(name) }
    func size(of name: String) throws(VarveError) -> UInt64? { try base.size(of: name) }
    func list(_ prefix: String) throws(VarveError) -> [String] { try base.list(prefix) }
    func open(_ name: String) throws(VarveError) -> (any ObjectContents)? {
        let damage = state.withLock { state in
            state.opened.append(name)
            return state.damage
        }
        guard let damage, name.hasPrefix(damage.prefix), damage.isOn(), let bytes = try base.get(name) else {
            return try base.open(name)
        }
        var damaged = bytes.array
        damaged[damaged.count - 1] ^= 1
        let other = MemoryObjectStore()
        _ = try other.putIfAbsent(name, Bytes(damaged))
        return try other.open(name)
    }
    func parts(_ prefix: String) throws(VarveError) -> [String] { try base.parts(prefix) }
    func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError) {
        try pass(.put, name)
        try base.overwrite(name, bytes)
    }
    func remove(_ name: String) throws(VarveError) { try base.remove(name) }
    func progress(of node: String) throws(VarveError) -> UInt64 { try base.progress(of: node) }
}
