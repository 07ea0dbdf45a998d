/// This node's file in `nodes/`, and what it sees of the others'.
///
/// The file is read again before each rewrite: a later process that runs under the same id has put its own there, and
/// then this one ends. Who lives is judged by `Liveness`, on this process's own clock. Calls wait for a disk.

internal import Synchronization
package import VarveCore
package import VarveModel
package import VarveStorage

package final class Presence: Sendable {
    package let node: String
    let store: BlockStore

    private struct State {
        var own: Heartbeat
        var hasBegun = false
        var liveness: Liveness
    }

    private let state: Mutex<State>

    /// - Parameters:
    ///   - address: where the node's HTTP server listens; nil when it has none.
    ///   - wallClockMs: at the start of this process.
    ///   - configuredEpoch: what this node's configuration asserts, for others to see.
    package init(
        store: BlockStore, node: String, version: String, address: String?, wallClockMs: Int64,
        configuredEpoch: Epoch? = nil
    ) {
        self.store = store
        self.node = node
        var own = Heartbeat(node: node, processStart: Heartbeat.start(at: wallClockMs, after: nil))
        own.version = version
        own.address = address
        own.configuredEpoch = configuredEpoch
        state = Mutex(State(own: own, liveness: Liveness(own: node)))
    }

    /// Chooses this process's number, behind that of whoever had the id before. Idempotent; before it is called, claims
    /// may look like an earlier process's, which costs nothing but a claim.
    package func begin() throws(VarveError) {
        guard state.withLock({ !$0.hasBegun }) else { return }
        let standing = try standingHeartbeat()
        state.withLock { state in
            guard !state.hasBegun else { return }
            state.hasBegun = true
            state.own.processStart = max(state.own.processStart, Heartbeat.start(at: 0, after: standing))
        }
    }

    /// Writes what the node has become, in place. Throws `NODE_ID_TAKEN`, and what the store throws.
    package func beat(_ change: (inout Heartbeat) -> Void) throws(VarveError) {
        try begin()
        let start = state.withLock { $0.own.processStart }
        if let taken = Liveness.taken(try standingHeartbeat(), own: node, processStart: start) { throw taken }
        let bytes = state.withLock { state in
            change(&state.own)
            state.own.counter += 1
            return state.own.encoded()
        }
        try store.objects.overwrite(BlockStore.heartbeatName(node), bytes)
    }

    /// Looks at every node's file.
    /// - Parameter now: this process's monotonic clock, in ms.
    package func look(now: Int64) throws(VarveError) {
        let files = try store.heartbeats()
        state.withLock { $0.liveness.observe(files, now: now) }
    }

    /// What the next heartbeats say of a migration.
    func propose(_ proposal: Heartbeat.Proposal?) { state.withLock { $0.own.proposal = proposal } }
    func confirm(_ confirmation: Heartbeat.Confirmation?) { state.withLock { $0.own.confirmation = confirmation } }
    var confirmation: Heartbeat.Confirmation? { state.withLock { $0.own.confirmation } }

    /// All other nodes that ever were, by id.
    package var peers: [Liveness.Peer] { state.withLock { $0.liveness.peers } }
    /// Those of them that are alive, or may be.
    package var candidates: [String] { state.withLock { $0.liveness.candidates } }
    /// Whether it is known of each whether it is alive.
    package var isDecided: Bool { state.withLock { $0.liveness.isDecided } }
    /// What this process signs its claims with.
    package var claim: Claim { state.withLock { Claim(node: node, processStart: $0.own.processStart) } }

    private func standingHeartbeat() throws(VarveError) -> Heartbeat? {
        guard let bytes = try store.objects.get(BlockStore.heartbeatName(node)) else { return nil }
        return try? Heartbeat.decode(bytes)
    }
}
