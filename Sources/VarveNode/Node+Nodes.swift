/// The nodes of the database as rows of `varve.nodes`: this one as it is, the others by their files in storage.

internal import Synchronization
internal import VarveCore
internal import VarveIndexing
internal import VarveModel
package import VarveQuery

extension Node {
    package func nodeRows() -> [QueryNode] {
        let status = status()
        var own = QueryNode(node: id, state: "this", unchangedMs: 0)
        own.version = status.version
        own.address = address.withLock { $0 }
        own.errorCode = status.error?.code.rawValue
        if let standing = status.standing {
            own.applied = standing.applied
            own.adopted = standing.adopted?.position
            own.block = standing.adopted.map { Int64(clamping: $0.number.value) }
            own.inputChain = standing.inputChain.description
            own.effectChain = standing.effectChain.description
        }
        let others = peers().map { peer in
            var row = QueryNode(node: peer.node, state: peer.state.rawValue, unchangedMs: peer.unchangedMs)
            guard let heartbeat = peer.heartbeat else { return row }
            row.applied = heartbeat.applied
            row.adopted = heartbeat.adopted?.position
            row.block = heartbeat.adopted.map { Int64(clamping: $0.number.value) }
            row.inputChain = heartbeat.inputChain.description
            row.effectChain = heartbeat.effectChain.description
            row.version = heartbeat.version.isEmpty ? nil : heartbeat.version
            row.address = heartbeat.address
            row.errorCode = heartbeat.troubleCode
            return row
        }
        return ([own] + others).sorted { $0.node.utf8.lexicographicallyPrecedes($1.node.utf8) }
    }
}
