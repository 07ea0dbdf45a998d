extension Drill {
    static let logReplaced = Drill(
        "log-replaced", "the topic is deleted and made anew, and another program writes to it"
    ) { drill in
        try await drill.logBroken { try await $0.replace(0) }
    }
}
