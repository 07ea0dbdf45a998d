extension Drill {
    static let migrateUnderLoad = Drill(
        "migrate-under-load", "the log moves twice while clients write through every node; none of them sees a failure"
    ) { drill in
        let cluster = try await drill.build()
        try await cluster.write(10)
        let clients = 6
        drill.built("10 documents; \(clients) clients go on writing, spread over the nodes")
        let written = try await DrillLoad(cluster, clients: clients).run { try await drill.follow() }
        drill.checked("\(written) documents were acknowledged meanwhile, each at the first attempt")
        try await drill.check()
    }
}
