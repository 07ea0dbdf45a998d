// `varve config check`: what a node would make of a configuration file.

import VarveKafka
import VarveModel
import VarveNode
import VarveStorage
import VarveTerminal

struct ConfigCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func check() throws -> ExitCode {
        let path = invocation[Parameters.configFile]
        let configuration = try surroundings.configuration(path)
        var facts: [(name: String, value: String)] = [
            ("log", Self.describe(configuration.log)), ("storage", Self.describe(configuration.storage)),
            ("http", "\(configuration.http.host):\(configuration.http.port)"),
            ("node", configuration.node.id ?? "named by its host and HTTP port"),
        ]
        let warnings = try kafka(configuration, &facts) + settings(configuration, &facts)
        if invocation[Parameters.json] {
            try surroundings.output.json(
                .object(
                    [Value.Field("ok", true)] + facts.map { Value.Field($0.name, .text($0.value)) }
                        + [Value.Field("warnings", .array(warnings.map { .text($0) }))]))
        } else {
            try surroundings.output.line("\(path) is valid")
            for fact in facts {
                try surroundings.output.line(
                    "  \(fact.name)" + String(repeating: " ", count: max(1, 9 - fact.name.utf8.count)) + fact.value)
            }
            for warning in warnings { try surroundings.output.line("  warning: \(warning)") }
        }
        return .success
    }

    /// Reads and checks client properties as a node would, without a word to any broker. Names are shown, never values.
    private func kafka(
        _ configuration: Configuration, _ facts: inout [(name: String, value: String)]
    ) throws(Failure) -> [String] {
        guard case .kafka(let kafka) = configuration.log else { return [] }
        do throws(VarveError) {
            let parts = try Composition.kafkaParts(configuration, kafka)
            let names = "\(parts.settings.properties)"
            if !names.isEmpty { facts.insert(("client", names), at: 1) }
            if !parts.clusters.isEmpty {
                facts.insert(("clusters", parts.clusters.keys.sorted().joined(separator: ", ")), at: 1)
            }
            return parts.warnings
        } catch {
            throw Failure(error)
        }
    }

    /// What the storage that is there says of the thresholds that hold: the configuration's only begin a new database.
    private func settings(
        _ configuration: Configuration, _ facts: inout [(name: String, value: String)]
    ) -> [String] {
        guard case .local(let path) = configuration.storage, DirectoryObjectStore.holdsDatabase(at: path) else {
            return []
        }
        do throws(VarveError) {
            let store = try Composition.blocks(configuration, isReader: true)
            guard let format = try store.readFormat() else { return [] }
            let newest = try store.manifests(of: try store.epochRecords(), database: format.database).last?.manifest
            facts.append(("database", format.database.uuidText))
            // Before the first block only the log says which settings hold.
            guard let newest else { return [] }
            facts.append(("block", "\(newest.number), up to \(newest.last)"))
            let wanted = Composition.settings(configuration)
            return Node.settingsWarning(newest.settings, configured: wanted).map { [$0] } ?? []
        } catch {
            return ["the storage cannot be read: \(error)"]
        }
    }

    static func describe(_ log: LogConfiguration) -> String {
        switch log {
        case .inMemory: "in memory: what it holds ends with the process"
        case .local(let local): "local, in \(local.path)"
        case .kafka(let kafka): "Kafka at \(kafka.bootstrapServers), topics \(kafka.topic)-e<epoch>"
        }
    }

    static func describe(_ storage: StorageConfiguration) -> String {
        switch storage {
        case .inMemory: "in memory: what it holds ends with the process"
        case .local(let path): "local, in \(path)"
        }
    }
}

extension Surroundings {
    /// Exit code 66 when the file cannot be read, 78 when it is wrong.
    func configuration(_ path: String) throws(Failure) -> Configuration {
        do throws(VarveError) {
            return try Configuration.load(path: path, environment: environment)
        } catch {
            throw Failure.input(error)
        }
    }
}
