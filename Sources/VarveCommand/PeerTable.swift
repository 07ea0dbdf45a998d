/// The nodes that `varve status` did not ask, as the asked ones see them by their files in storage.

import VarveModel
import VarveTerminal
import VarveWire

struct PeerTable {
    private let peers: [StatusAnswer.Peer]

    /// - Parameter answers: of the nodes that answered; they are not shown again.
    init(_ answers: [StatusAnswer]) {
        var seen: [String: StatusAnswer.Peer] = [:]
        let asked = Set(answers.map(\.node))
        for peer in answers.flatMap(\.peers) where !asked.contains(peer.node) {
            // Whoever saw it change last knows most.
            if let other = seen[peer.node], Self.order(other) <= Self.order(peer) { continue }
            seen[peer.node] = peer
        }
        peers = seen.values.sorted { $0.node < $1.node }
    }

    private static func order(_ peer: StatusAnswer.Peer) -> (Int, Int) {
        let rank =
            switch peer.state {
            case .live: 0
            case .stopped: 1
            case .silent: 2
            case .watching: 3
            }
        return (rank, peer.silentMilliseconds)
    }

    /// Nothing when every node was asked.
    func render(width: Int?, palette: Palette) -> String {
        guard !peers.isEmpty else { return "" }
        var table = Table([
            .init("not asked"), .init("seen as"), .init("applied"), .init("block", .right), .init("version"),
            .init("address"),
        ])
        table.rows = peers.map { peer in
            [
                peer.node, Self.state(peer), peer.applied?.description ?? "–", peer.block?.description ?? "–",
                peer.version ?? "", peer.address ?? "",
            ]
        }
        return "\n" + table.render(width: width, palette: palette)
    }

    static func state(_ peer: StatusAnswer.Peer) -> String {
        let state =
            switch peer.state {
            case .live, .stopped, .watching: peer.state.rawValue
            case .silent: "silent for \(Quantity.time(.milliseconds(peer.silentMilliseconds)))"
            }
        return peer.error.map { "\(state), \($0)" } ?? state
    }
}
