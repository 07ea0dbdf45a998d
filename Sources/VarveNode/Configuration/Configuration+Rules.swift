// The rules of a whole configuration: what each key allows, for those made in code, and the rules between keys.
// Each names the key to change.

extension Configuration {
    struct BrokenRule {
        var keyPath: String
        var message: String
    }

    func brokenRules() -> [BrokenRule] {
        var broken: [BrokenRule] = []
        for section in ConfigurationSchema.sections {
            for field in section.variants.first(where: { $0.isChosen(self) })?.fields ?? [] where !field.allows(self) {
                broken.append(BrokenRule(keyPath: "\(section.key).\(field.key)", message: "expected \(field.expected)"))
            }
        }
        if http.token == nil && !Self.isLoopback(http.host) {
            broken.append(
                BrokenRule(
                    keyPath: "http.token",
                    message: "token is missing; a host that is not loopback (\(quoted(http.host))) needs one"))
        }
        if case .inMemory = log, case .local = storage, allowEphemeral != true {
            broken.append(
                BrokenRule(
                    keyPath: "log.allowEphemeral",
                    message: "an in-memory log over a storage directory loses the log at every stop; "
                        + "write `log: !InMemory { allowEphemeral: true }` to accept that, or use !Local or !Kafka"))
        }
        if case .local(let local) = log {
            for name in local.directories.keys.sorted() where local.clusters[name] != nil {
                broken.append(
                    BrokenRule(
                        keyPath: "log.directories",
                        message: "\(name) is the name of a cluster too: a migration could not tell them apart"))
            }
            for (name, path) in local.directories.sorted(by: { $0.key < $1.key }) where path == local.path {
                broken.append(
                    BrokenRule(
                        keyPath: "log.directories", message: "\(name) has the path of the log itself"))
            }
        }
        if query.timeout > query.maxTimeout {
            broken.append(
                BrokenRule(
                    keyPath: "query.timeout",
                    message: "timeout is \(DurationText.format(query.timeout)), "
                        + "more than maxTimeout \(DurationText.format(query.maxTimeout))"))
        }
        if let frozen = indexer.frozenBytes, frozen < indexer.bytesPerBlock {
            broken.append(
                BrokenRule(
                    keyPath: "indexer.frozenBytes",
                    message: "frozenBytes is \(SizeText.format(frozen)), less than one block "
                        + "(bytesPerBlock \(SizeText.format(indexer.bytesPerBlock)))"))
        }
        return broken
    }

    /// Names and addresses that only this machine reaches.
    static func isLoopback(_ host: String) -> Bool {
        if host.lowercased() == "localhost" || host == "::1" || host == "[::1]" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
