/// Where nodes stand before a record that ends their processes: a command that executes records stops there, too.

internal import VarveCore
package import VarveModel
package import VarveStorage

package struct PoisonAhead: Sendable {
    /// The last record that each had applied.
    private var nodes: [Position: [String]] = [:]

    package init() {}

    package init(_ store: BlockStore, of epoch: Epoch) throws(VarveError) {
        for (_, bytes) in try store.heartbeats() {
            guard let heartbeat = try? Heartbeat.decode(bytes), heartbeat.epoch == epoch,
                heartbeat.trouble == ErrorCode.poison.rawValue, let applied = heartbeat.applied
            else { continue }
            nodes[applied, default: []].append(heartbeat.node)
        }
    }

    /// Throws `POISON` for the record that comes next behind `applied`, when a node stands before it.
    package func check(_ position: Position, behind applied: Position?) throws(VarveError) {
        guard !nodes.isEmpty, let applied, let standing = nodes[applied] else { return }
        throw VarveError(
            .poison,
            "the record at \(position) ends the processes that apply it, so it is not applied here: "
                + "\(standing.joined(separator: ", ")) \(standing.count == 1 ? "stands" : "stand") before it. Nothing was "
                + "changed. See docs/runbooks/poison.md",
            next: "varve quarantine --position \(position) --config node.yaml")
    }
}
