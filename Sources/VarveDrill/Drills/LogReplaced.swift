extension Drill {
    static let logReplaced = Drill(
        "log-replaced", "the topic is deleted and made anew, and another program writes to it"
    ) {
        drill in
        let cluster = try await drill.build()
        try await cluster.write(20)
        try await cluster.flush()
        let unsafe = try await cluster.write(5)
        drill.built("25 documents, 20 of them in a block")
        try await cluster.stopNodes()
        drill.broken("all nodes stopped; " + (try await cluster.broker.replace(0)))
        try cluster.writeConfigurations()
        try await cluster.startNodes()
        cluster.declareLost(unsafe)
        try await drill.follow()
        try await drill.check()
    }
}
