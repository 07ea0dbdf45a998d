// The program `varve`: reads the command line, runs the command, turns its error into one line and an exit code.

import Glibc
import VarveHarness
import VarveTerminal

@main
enum Varve {
    static func main() async {
        Terminal.ignoreBrokenPipes()
        let arguments = Array(CommandLine.arguments.dropFirst())
        let code = await run(arguments, Surroundings(environment: processEnvironment()))
        exit(code.rawValue)
    }

    static func run(_ arguments: [String], _ surroundings: Surroundings) async -> ExitCode {
        let width = Terminal.width(Terminal.standardOutput) ?? 80
        if let planned = arguments.first, plannedCommands.contains(planned) {
            try? surroundings.errors.line(
                "varve \(planned) is not supported by this version; what it can do after a failure: docs/runbooks/README.md"
            )
            return .usage
        }
        switch CommandTable.program.parse(arguments, environment: surroundings.environment, width: width) {
        case .print(let text):
            return await finishing(surroundings) {
                try surroundings.output.line(text)
                return .success
            }
        case .refused(let error):
            try? surroundings.errors.line(error.description)
            return .usage
        case .run(let invocation):
            var surroundings = surroundings
            surroundings.given = invocation.configurationPath.map { GivenConfiguration($0) }
            return await finishing(surroundings) { try await run(invocation, surroundings) }
        }
    }

    /// Commands that messages and documents name and that later versions bring: not a misspelling.
    private static let plannedCommands: Set<String> = [
        "archive", "backup", "bench", "restore", "verify",
    ]

    private static func run(_ invocation: Invocation, _ surroundings: Surroundings) async throws -> ExitCode {
        switch invocation.path {
        case ["node"]: try await NodeCommand(invocation, surroundings).run()
        case ["cluster"]: try await ClusterCommand(invocation, surroundings).run()
        case ["broker"]: try await BrokerCommand(invocation, surroundings).run()
        case ["load"]: try await LoadCommand(invocation, surroundings).run()
        case ["tx"]: try await TransactionCommand(invocation, surroundings).run()
        case ["get"]: try await GetCommand(invocation, surroundings).run()
        case ["sql"]: try await SQLCommand(invocation, surroundings).run()
        case ["status"]: try await StatusCommand(invocation, surroundings).run()
        case ["log", "show"]: try await LogCommand(invocation, surroundings).show()
        case ["log", "follow"]: try await LogCommand(invocation, surroundings).follow()
        case ["log", "verify"]: try await LogCommand(invocation, surroundings).verify()
        case ["blocks", "list"]: try await BlocksCommand(invocation, surroundings).list()
        case ["blocks", "show"]: try await BlocksCommand(invocation, surroundings).show()
        case ["blocks", "verify"]: try BlocksCommand(invocation, surroundings).verify()
        case ["blocks", "gc"]: try await BlocksCommand(invocation, surroundings).collectGarbage()
        case ["blocks", "flush"]: try await BlocksCommand(invocation, surroundings).flush()
        case ["settings", "show"]: try await SettingsCommand(invocation, surroundings).show()
        case ["settings", "apply"]: try await SettingsCommand(invocation, surroundings).apply()
        case ["epoch", "status"]: try await EpochCommand(invocation, surroundings).status()
        case ["epoch", "plan"]: try await EpochCommand(invocation, surroundings).plan()
        case ["epoch", "bump"]: try await EpochCommand(invocation, surroundings).bump()
        case ["epoch", "migrate"]: try await EpochCommand(invocation, surroundings).migrate()
        case ["epoch", "salvage"]: try await EpochCommand(invocation, surroundings).salvage()
        case ["drill", "list"]: try DrillCommand(invocation, surroundings).list()
        case ["drill", "run"]: try await DrillCommand(invocation, surroundings).run()
        case ["quarantine"]: try await QuarantineCommand(invocation, surroundings).run()
        case ["config", "check"]: try ConfigCommand(invocation, surroundings).check()
        default: preconditionFailure("\(invocation.path) is in the table and not here")
        }
    }

    /// A closed output ends quietly; every other error is one line.
    private static func finishing(
        _ surroundings: Surroundings, _ body: () async throws -> ExitCode
    ) async -> ExitCode {
        do {
            return try await body()
        } catch OutputError.closed {
            return .success
        } catch {
            let failure = Failure(error)
            try? surroundings.errors.line(surroundings.naming(failure.line))
            return failure.exitCode
        }
    }
}

/// What a command finds around it: given, so that tests can give another.
struct Surroundings: Sendable {
    var environment: [String: String]
    var output = Output.standard
    var errors = Output.error
    var input: Int32 = Terminal.standardInput
    /// The configuration file of the command line, when it has one.
    var given: GivenConfiguration?

    /// Where standard output is a terminal, its width.
    var width: Int? { Terminal.width(output.descriptor) }
    /// A text with next commands that name the file that was given.
    func naming(_ text: String) -> String { given?.naming(text) ?? text }
    var palette: Palette { Palette(for: output.descriptor, environment: environment) }
}

extension Invocation {
    /// The configuration file that the command was given; nil when it takes none, or got none.
    fileprivate var configurationPath: String? {
        if path == ["config", "check"] { return self[Parameters.configFile] }
        return declares(Parameters.coldConfig) ? self[Parameters.coldConfig] : nil
    }
}
