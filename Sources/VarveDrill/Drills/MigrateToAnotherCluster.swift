import VarveModel

extension Drill {
    static let migrateToAnotherCluster = Drill(
        "migrate-to-another-cluster", "the log moves to another Kafka cluster, and the old one is switched off"
    ) { drill in
        let cluster = try await drill.build()
        let other = try await drill.anotherBroker()
        do {
            try await cluster.write(20)
            drill.built("20 documents, none of them in a block; another broker at \(other.servers)")
            let servers = Value.text(other.servers).json
            let lasting = cluster.broker.word == "embedded" ? ["allowEphemeral: false"] : []
            try await drill.follow(
                hands: [
                    "name the new cluster on every node, one after the other": {
                        try await cluster.reconfigure(
                            log: lasting + ["clusters: { b: { bootstrapServers: \(servers) } }"])
                        return "clusters: { b: … } on every node, each restarted; all ready"
                    },
                    "make the new cluster the configured one, one node after the other": {
                        try await cluster.reconfigure(servers: other.servers, log: lasting)
                        return "bootstrapServers: \(other.servers) on every node, each restarted; all ready"
                    },
                    "switch the old cluster off": {
                        try await cluster.write(5)
                        let done = try await cluster.broker.goDown()
                        try await cluster.write(5)
                        return done + "; documents are acknowledged before and after"
                    },
                ])
            try await drill.check()
        } catch {
            await drill.dismiss(other)
            throw error
        }
        await drill.dismiss(other)
    }
}
