extension Drill {
    static let logBehindStorage = Drill(
        "log-behind-storage", "the log is an old copy that ends before storage's newest block"
    ) {
        drill in
        let cluster = try await drill.build()
        try await cluster.write(20)
        try await cluster.flush()
        let unsafe = try await cluster.write(5)
        drill.built("25 documents, 20 of them in a block")
        try await cluster.stopNodes()
        drill.broken("all nodes stopped; " + (try await cluster.broker.cut(0, to: 12)))
        try cluster.writeConfigurations()
        try await cluster.startNodes()
        // The page's plan says so, and takes the digest that stands for it.
        cluster.declareLost(unsafe)
        try await drill.follow()
        try await drill.check()
    }
}
