extension Drill {
    static let epochMismatch = Drill("epoch-mismatch", "the line epoch is raised too early, then forgotten on one node")
    { drill in
        let cluster = try await drill.build()
        try await cluster.write(10)
        drill.built("10 documents, none of them in a block")
        try await cluster.stopNodes()
        try cluster.setEpoch(1)
        drill.broken("all nodes stopped; epoch: 1 on every node, although the log of epoch 0 holds what no block has")
        try await cluster.startNodes(["node-1"])
        try await drill.follow(
            hands: [
                "begin epoch 1, with node-3 forgotten": {
                    try cluster.setEpoch(1, of: ["node-1", "node-2"])
                    try cluster.setEpoch(0, of: ["node-3"])
                    let refused = try await cluster.startNodes(["node-1", "node-2"])
                    guard refused.isEmpty else { throw DrillFailure("\(refused) did not start in epoch 1") }
                    try await cluster.startNodes(["node-3"])
                    return "epoch: 1 on node-1 and node-2, both ready; node-3 was forgotten and still says epoch: 0"
                }
            ])
        try await drill.check()
    }
}
