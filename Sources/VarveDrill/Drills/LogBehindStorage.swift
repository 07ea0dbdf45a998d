extension Drill {
    static let logBehindStorage = Drill(
        "log-behind-storage", "the log is an old copy that ends before storage's newest block"
    ) { drill in
        try await drill.logBroken { try await $0.cut(0, to: 12) }
    }
}
