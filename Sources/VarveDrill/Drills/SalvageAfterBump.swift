extension Drill {
    static let salvageAfterBump = Drill(
        "salvage-after-bump", "transactions were given up with an epoch, and its log is there after all"
    ) { drill in
        let cluster = try await drill.build()
        try await cluster.write(10)
        try await cluster.flush()
        try await cluster.write(7)
        drill.built("17 documents, 10 of them in a block")
        try await cluster.stopNodes()
        try await drill.giveUp()
        try cluster.setEpoch(1)
        try await cluster.startNodes()
        try await cluster.write(5)
        drill.broken("the log of epoch 0 was given up with 7 documents; epoch 1 goes on, with 5 more")
        try await drill.follow()
        // Nothing is declared lost: all of it came back.
        try await drill.check()
    }
}
