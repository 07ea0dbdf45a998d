extension Drill {
    static let logLost = Drill("log-lost", "the topic of the log is deleted") { drill in
        try await drill.logBroken { try await $0.lose(0) }
    }
}
