extension Drill {
    static let migrateTopic = Drill("migrate-topic", "nothing: the log moves to another topic, with all nodes running")
    { drill in
        let cluster = try await drill.build()
        try await cluster.write(20)
        drill.built("20 documents, none of them in a block")
        try await drill.follow()
        try await cluster.write(10)
        // A node that comes later needs nothing of the old topic, which may be gone by now.
        try await cluster.stopNodes(["node-3"])
        try await cluster.startNodes(["node-3"])
        drill.checked("10 more documents; node-3 was restarted")
        try await drill.check()
    }
}
