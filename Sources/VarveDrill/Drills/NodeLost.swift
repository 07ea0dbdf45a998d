import VarveClient
import VarveHarness
import VarveWire

extension Drill {
    static let nodeLost = Drill("node-lost", "a node is killed, and its disk is gone") { drill in
        let cluster = try await drill.build()
        try await cluster.write(15)
        try await cluster.flush()
        try await cluster.write(15)
        drill.built("30 documents, 15 of them in a block")
        let lost = cluster.nodes[2]
        await lost.kill()
        ScratchDirectory.remove("\(cluster.directory)/scratch/\(lost.name)")
        drill.broken("\(lost.name) killed, its directory removed")
        try await cluster.write(10)
        drill.checked("10 more documents are acknowledged by the nodes that are left")
        try await drill.follow(
            hands: [
                "wait until it is missed": {
                    for _ in 0..<600 {
                        let peers = try await cluster.nodes[0].client.status().peers
                        if peers.contains(where: { $0.node == lost.name && $0.state == .silent }) {
                            return "node-1 misses \(lost.name)"
                        }
                        try await Task.sleep(for: .milliseconds(100))
                    }
                    throw DrillFailure("node-1 does not miss \(lost.name) within a minute")
                }
            ])
        try await drill.check()
    }
}
