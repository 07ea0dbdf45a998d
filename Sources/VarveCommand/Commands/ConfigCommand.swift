// `varve config check`: what a node would make of a configuration file.

import VarveModel
import VarveNode
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
        let facts: [(name: String, value: String)] = [
            ("log", Self.describe(configuration.log)), ("storage", Self.describe(configuration.storage)),
            ("http", "\(configuration.http.host):\(configuration.http.port)"),
            ("node", configuration.node.id ?? "named by its host and HTTP port"),
        ]
        if invocation[Parameters.json] {
            try surroundings.output.json(
                .object([Value.Field("ok", true)] + facts.map { Value.Field($0.name, .text($0.value)) }))
        } else {
            try surroundings.output.line("\(path) is valid")
            for fact in facts {
                try surroundings.output.line(
                    "  \(fact.name)" + String(repeating: " ", count: 9 - fact.name.utf8.count) + fact.value)
            }
        }
        return .success
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
