import VarveModel

extension Drill {
    static let logTruncated = Drill(
        "log-truncated", "a crash of the broker took the end of the log, but not what blocks need"
    ) {
        drill in
        let cluster = try await drill.build()
        try await cluster.write(20)
        try await cluster.flush()
        let kept = try await cluster.write(6)
        let end = cluster.newest.offset.next
        let unsafe = try await cluster.write(4)
        drill.built("30 documents, 20 of them in a block; the last \(kept.count + unsafe.count) stand in the log only")
        try await cluster.stopNodes()
        drill.broken("all nodes stopped; " + (try await cluster.broker.cut(0, to: end.value)))
        try cluster.writeConfigurations()
        try await cluster.startNodes()
        cluster.declareLost(unsafe)
        try await drill.follow()
        try await drill.check()
    }
}
