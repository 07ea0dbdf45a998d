// The table: a program, its commands, and what each takes.

/// A line a reader can copy, and what it does.
package struct Example: Sendable {
    package var line: String
    package var what: String

    package init(_ line: String, _ what: String) {
        self.line = line
        self.what = what
    }
}

/// A command that runs, or a group of commands (`log show`); never both. Groups do not nest.
package struct Command: Sendable {
    package var name: String
    /// One line, without a full stop at the end.
    package var abstract: String
    package var discussion: String
    /// The heading it stands under in the program's help.
    package var section: String?
    package var parameters: [ParameterSpec]
    package var examples: [Example]
    package var subcommands: [Command]

    package init(
        _ name: String, _ abstract: String, discussion: String = "", section: String? = nil,
        parameters: [any DeclaredParameter] = [], examples: [Example] = []
    ) {
        self.name = name
        self.abstract = abstract
        self.discussion = discussion
        self.section = section
        self.parameters = parameters.map(\.spec)
        self.examples = examples
        subcommands = []
        let arguments = self.parameters.filter { $0.form == .argument }
        precondition(
            arguments.dropLast().allSatisfy { $0.arity != .repeated }, "\(name): only the last argument repeats")
    }

    /// A group.
    package init(
        _ name: String, _ abstract: String, discussion: String = "", section: String? = nil, commands: [Command]
    ) {
        self.init(name, abstract, discussion: discussion, section: section)
        precondition(commands.allSatisfy { $0.subcommands.isEmpty }, "\(name): groups do not nest")
        subcommands = commands
    }

    var arguments: [ParameterSpec] { parameters.filter { $0.form == .argument } }
    var options: [ParameterSpec] { parameters.filter { $0.form != .argument } }
    var isGroup: Bool { !subcommands.isEmpty }
}

package struct Program: Sendable {
    package var name: String
    package var abstract: String
    package var discussion: String
    /// What `--version` prints.
    package var version: String
    package var commands: [Command]

    package init(_ name: String, _ abstract: String, discussion: String = "", version: String, commands: [Command]) {
        self.name = name
        self.abstract = abstract
        self.discussion = discussion
        self.version = version
        self.commands = commands
    }

    /// Every command that runs, with its path, in the table's order.
    package var runnable: [(path: [String], command: Command)] {
        commands.flatMap { command in
            command.isGroup
                ? command.subcommands.map { ([command.name, $0.name], $0) } : [([command.name], command)]
        }
    }
}

/// A command line that was understood.
package struct Invocation: Sendable {
    /// `["log", "show"]`.
    package var path: [String]
    private var values: [String: [String]] = [:]
    private var declared: Set<String> = []

    init(path: [String], command: Command) {
        self.path = path
        declared = Set(command.parameters.map(Self.key))
    }

    /// The parameter's value. Asking a command for a parameter it does not declare is our own mistake.
    package subscript<Value>(_ parameter: Parameter<Value>) -> Value {
        let key = Self.key(parameter.spec)
        precondition(declared.contains(key), "\(path.joined(separator: " ")) does not declare \(parameter.spec.label)")
        guard let value = parameter.decode(values[key] ?? []) else {
            preconditionFailure("\(parameter.spec.label) was accepted and is not readable")
        }
        return value
    }

    /// Whether the command takes this parameter, given or not.
    package func declares<Value>(_ parameter: Parameter<Value>) -> Bool { declared.contains(Self.key(parameter.spec)) }

    mutating func add(_ value: String, to spec: ParameterSpec) { values[Self.key(spec), default: []].append(value) }
    func has(_ spec: ParameterSpec) -> Bool { values[Self.key(spec)] != nil }

    private static func key(_ spec: ParameterSpec) -> String { spec.form == .argument ? spec.name : "--\(spec.name)" }
}

/// What a command line comes to.
package enum Parsed: Sendable {
    case run(Invocation)
    /// Help, the version or a completion script: to standard output, exit 0.
    case print(String)
    /// To standard error, exit 64.
    case refused(UsageError)
}

/// A command line that makes no sense, in the words of ArgumentParser.
package struct UsageError: Error, Sendable, Equatable, CustomStringConvertible {
    package var message: String
    package var usage: String
    /// `varve load`, for the hint at its help.
    package var command: String

    package var description: String {
        "Error: \(message)\nUsage: \(usage)\n  See '\(command) --help' for more information."
    }
}
