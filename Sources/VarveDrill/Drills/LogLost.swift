extension Drill {
    static let logLost = Drill("log-lost", "the topic of the log is deleted") { drill in
        let cluster = try await drill.build()
        try await cluster.write(20)
        try await cluster.flush()
        let unsafe = try await cluster.write(5)
        drill.built("25 documents, 20 of them in a block")
        try await cluster.stopNodes()
        drill.broken("all nodes stopped; " + (try await cluster.broker.lose(0)))
        try cluster.writeConfigurations()
        try await cluster.startNodes()
        // The page's plan says so, and takes the digest that stands for it.
        cluster.declareLost(unsafe)
        try await drill.follow()
        try await drill.check()
    }
}
