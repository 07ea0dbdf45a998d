/// What the drills of a lost log have in common: a database of which storage holds the greater part, a log that something
/// happens to while all nodes are down, and a page that gives up what only the log had.

extension Rehearsal {
    /// `breaking` does it to the broker, and says what it did.
    func logBroken(_ breaking: (any DrillBroker) async throws -> String) async throws {
        let cluster = try await build()
        try await cluster.write(20)
        try await cluster.flush()
        let unsafe = try await cluster.write(5)
        built("25 documents, 20 of them in a block")
        try await cluster.stopNodes()
        broken("all nodes stopped; " + (try await breaking(cluster.broker)))
        try cluster.writeConfigurations()
        try await cluster.startNodes()
        // The page's plan says so, and takes the digest that stands for it.
        cluster.declareLost(unsafe)
        try await follow()
        try await check()
    }
}
