/// Which nodes are alive: those whose heartbeat changes while it is watched.
///
/// Nobody's clock is trusted but the observer's own, and that one only to tell how long it has watched: a file that was
/// written ten minutes ago by a machine whose clock is ahead proves nothing, bytes that change do. The observer's own
/// file and one that says `stopped` never count.
///
/// All times are the observer's monotonic clock in ms, as of the newest observation: a node that slept through an hour
/// has observed nothing in it, so nothing follows from that hour before it looks again.

package import VarveModel

package struct Liveness: Sendable {
    /// How long a file is watched before its silence is an answer: two heartbeats and a margin.
    package static let watchMs: Int64 = 25_000

    package enum Verdict: Sendable, Equatable {
        /// Seen for less than 25 s, and not changed yet: may be alive.
        case watching
        case live
        /// Unchanged for this long.
        case silent(forMs: Int64)
        /// Said that it stopped there.
        case stopped(Position)
    }

    package struct Peer: Sendable, Equatable {
        package var node: String
        package var verdict: Verdict
        /// The newest that could be read; nil while none could.
        package var heartbeat: Heartbeat?
        /// Since its bytes were seen to change, or else since it was first seen.
        package var unchangedMs: Int64
    }

    private struct Watched: Sendable {
        var bytes: Bytes
        var heartbeat: Heartbeat?
        /// When these bytes were first seen.
        var since: Int64
        /// Other bytes stood there while this process watched.
        var hasChanged = false
    }

    private let own: String
    private var watched: [String: Watched] = [:]
    private var observedAt: Int64 = 0
    private var hasObserved = false

    package init(own: String) { self.own = own }

    /// What stands in `nodes/` now: every file's node id and bytes.
    package mutating func observe(_ files: [(node: String, bytes: Bytes)], now: Int64) {
        observedAt = now
        hasObserved = true
        var seen: [String: Watched] = [:]
        for (node, bytes) in files where node != own {
            let readable = try? Heartbeat.decode(bytes)
            if var known = watched[node] {
                if known.bytes != bytes {
                    known.bytes = bytes
                    known.since = now
                    known.hasChanged = true
                    known.heartbeat = readable ?? known.heartbeat
                }
                seen[node] = known
            } else {
                seen[node] = Watched(bytes: bytes, heartbeat: readable, since: now)
            }
        }
        watched = seen
    }

    /// All other nodes whose files were there at the newest observation, by id.
    package var peers: [Peer] {
        watched.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.compactMap { node in
            watched[node].map { known in
                Peer(
                    node: node, verdict: verdict(known), heartbeat: known.heartbeat,
                    unchangedMs: observedAt - known.since)
            }
        }
    }

    private func verdict(_ known: Watched) -> Verdict {
        if let stopped = known.heartbeat?.stopped { return .stopped(stopped) }
        let unchanged = observedAt - known.since
        guard unchanged < Self.watchMs else { return .silent(forMs: unchanged) }
        return known.hasChanged ? .live : .watching
    }

    /// Nodes that are alive, or may be for all that was seen: what ranks are counted among.
    package var candidates: [String] {
        peers.filter { $0.verdict == .live || $0.verdict == .watching }.map(\.node)
    }

    /// Nodes that are proved to be alive.
    package var live: [Peer] { peers.filter { $0.verdict == .live } }

    /// Whether every other node is known to be alive, silent or stopped: what a guard waits for, at most 25 s.
    package var isDecided: Bool { hasObserved && !peers.contains { $0.verdict == .watching } }

    /// Whether another process has taken this node's id since `processStart`: the earlier one of the two ends.
    /// - Parameter standing: the own file as it stands, read before each rewrite; nil when there is none or it is torn.
    package static func taken(_ standing: Heartbeat?, own: String, processStart: UInt64) -> VarveError? {
        guard let standing, standing.node == own, standing.processStart > processStart else { return nil }
        return VarveError(
            .nodeIDTaken,
            "a process that started later uses the node id \(own)"
                + (standing.address.map { " (it listens at \($0))" } ?? "")
                + ", so this one ends. Nothing is lost: the other process goes on",
            next: "give each node an id of its own: node.id in its configuration")
    }
}
