// The grammar: commands first, then options and arguments in any order; `--` ends options; `--opt V` and `--opt=V`;
// a text that starts with `-` is an option, unless it is `-` alone (standard input) or a negative number.

extension Program {
    /// `arguments` are those behind the program's name. `width` is where help texts are broken.
    package func parse(_ arguments: [String], environment: [String: String] = [:], width: Int = 80) -> Parsed {
        do throws(UsageError) {
            return try parseCommand(arguments, environment, width)
        } catch {
            return .refused(error)
        }
    }

    private func parseCommand(
        _ arguments: [String], _ environment: [String: String], _ width: Int
    ) throws(UsageError) -> Parsed {
        var rest = arguments[...]
        if rest.first == "help" {
            rest = rest.dropFirst()
            guard let group = rest.first.flatMap({ named($0, in: commands) }) else {
                if let unknown = rest.first { throw unknownCommand(unknown, commands, []) }
                return .print(help(width: width))
            }
            let names = rest.dropFirst()
            guard group.isGroup, let name = names.first else { return .print(help(for: [group.name], width: width)) }
            guard named(name, in: group.subcommands) != nil else {
                throw unknownCommand(name, group.subcommands, [group.name])
            }
            return .print(help(for: [group.name, name], width: width))
        }
        var path: [String] = []
        var candidates = commands
        while true {
            guard let word = rest.first else { return .print(help(for: path, width: width)) }
            rest = rest.dropFirst()
            if word.hasPrefix("-") { return try programOption(word, rest, path, candidates, width) }
            guard let command = named(word, in: candidates) else { throw unknownCommand(word, candidates, path) }
            path.append(word)
            if command.isGroup {
                candidates = command.subcommands
            } else {
                return try parse(command, path, rest, environment, width)
            }
        }
    }

    /// What may stand in place of a command.
    private func programOption(
        _ word: String, _ rest: ArraySlice<String>, _ path: [String], _ candidates: [Command], _ width: Int
    ) throws(UsageError) -> Parsed {
        if word == "--help" || word == "-h" { return .print(help(for: path, width: width)) }
        if path.isEmpty && word == "--version" { return .print(version) }
        let completion = "--generate-completion-script"
        if path.isEmpty && (word == completion || word.hasPrefix(completion + "=")) {
            let shell = word == completion ? rest.first : String(word.dropFirst(completion.count + 1))
            guard let shell else { throw usageError("Missing value for '\(completion) <shell>'", path) }
            guard let shell = CompletionShell(rawValue: shell) else {
                let known = CompletionShell.allCases.map(\.rawValue).joined(separator: ", ")
                throw usageError(
                    "The value '\(shell)' is invalid for '\(completion) <shell>': expected one of \(known)", path)
            }
            return .print(completionScript(for: shell))
        }
        let name = word.split(separator: "=", maxSplits: 1)[0]
        let owner = candidates.first { $0.options.contains { "--\($0.name)" == name } }
        let hint = owner.map { _ in ". Options stand behind the command" } ?? ""
        throw usageError("Unknown option '\(printable(String(name)))'\(hint)", path)
    }

    private func parse(
        _ command: Command, _ path: [String], _ words: ArraySlice<String>, _ environment: [String: String], _ width: Int
    ) throws(UsageError) -> Parsed {
        var invocation = Invocation(path: path, command: command)
        var positional: [String] = []
        var rest = words
        var optionsEnded = false
        while let word = rest.popFirst() {
            if optionsEnded || word == "-" || !word.hasPrefix("-") || isNegativeNumber(word) {
                positional.append(word)
                continue
            }
            if word == "--" {
                optionsEnded = true
                continue
            }
            if word == "--help" || word == "-h" { return .print(help(for: path, width: width)) }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let option = option(named: parts[0], of: command) else {
                let known = command.options.map { "--\($0.name)" } + ["--help"]
                let guess = nearestName(to: parts[0], among: known).map { ". Did you mean '\($0)'?" } ?? ""
                throw usageError("Unknown option '\(printable(parts[0]))'\(guess)", path)
            }
            if option.form == .flag {
                guard parts.count == 1 else { throw usageError("The option '\(option.label)' takes no value", path) }
                invocation.add("", to: option)
                continue
            }
            let value: String
            if parts.count == 2 {
                value = parts[1]
            } else if let next = rest.first, next == "-" || !next.hasPrefix("-") || isNegativeNumber(next) {
                value = next
                rest = rest.dropFirst()
            } else {
                throw usageError("Missing value for '\(option.label)'", path)
            }
            try check(value, option, path, from: nil)
            invocation.add(value, to: option)
        }
        try place(positional, command, path, &invocation)
        try fillFromEnvironment(command, path, environment, &invocation)
        return .run(invocation)
    }

    private func place(
        _ words: [String], _ command: Command, _ path: [String], _ invocation: inout Invocation
    ) throws(UsageError) {
        var rest = words[...]
        for argument in command.arguments {
            repeat {
                guard let word = rest.popFirst() else { break }
                try check(word, argument, path, from: nil)
                invocation.add(word, to: argument)
            } while argument.arity == .repeated
            guard argument.arity != .required || invocation.has(argument) else {
                throw usageError("Missing expected argument '\(argument.label)'", path)
            }
        }
        guard rest.isEmpty else {
            let names = rest.map { "'\(printable($0))'" }.joined(separator: ", ")
            throw usageError("\(rest.count) unexpected argument\(rest.count == 1 ? "" : "s"): \(names)", path)
        }
    }

    private func fillFromEnvironment(
        _ command: Command, _ path: [String], _ environment: [String: String], _ invocation: inout Invocation
    ) throws(UsageError) {
        for option in command.options where !invocation.has(option) {
            if let name = option.environment, let value = environment[name], !value.isEmpty {
                try check(value, option, path, from: name)
                invocation.add(value, to: option)
            } else if option.arity == .required {
                let variable = option.environment.map { "; the environment variable \($0) may hold it, too" } ?? ""
                throw usageError("Missing expected argument '\(option.label)'\(variable)", path)
            }
        }
    }

    private func check(
        _ value: String, _ spec: ParameterSpec, _ path: [String], from variable: String?
    ) throws(UsageError) {
        guard !spec.accepts(value) else { return }
        let shown = spec.isSecret ? "" : " '\(printable(value))'"
        let origin = variable.map { " of the environment variable \($0)" } ?? ""
        let expected = spec.expected.map { ": expected \($0)" } ?? ""
        let guess = nearestName(to: value, among: spec.choices).map { ". Did you mean '\($0)'?" } ?? ""
        throw usageError("The value\(shown)\(origin) is invalid for '\(spec.label)'\(expected)\(guess)", path)
    }

    private func option(named word: String, of command: Command) -> ParameterSpec? {
        command.options.first { "--\($0.name)" == word || $0.short.map { "-\($0)" } == word }
    }

    private func named(_ name: String, in commands: [Command]) -> Command? { commands.first { $0.name == name } }

    private func unknownCommand(_ name: String, _ known: [Command], _ path: [String]) -> UsageError {
        let guess = nearestName(to: name, among: known.map(\.name)).map { ". Did you mean '\($0)'?" } ?? ""
        return usageError("Unknown command '\(printable(name))'\(guess)", path)
    }

    private func usageError(_ message: String, _ path: [String]) -> UsageError {
        UsageError(message: message, usage: usage(for: path), command: ([name] + path).joined(separator: " "))
    }
}

private func isNegativeNumber(_ word: String) -> Bool {
    word.hasPrefix("-") && Double(word) != nil && word.last?.isNumber == true
}

/// The name that a typing error most likely meant.
func nearestName(to name: String, among known: [String]) -> String? {
    let bare = name.drop { $0 == "-" }.lowercased()
    guard bare.utf8.count <= 64 else { return nil }
    let distances = known.map { ($0, editDistance(bare, $0.drop { $0 == "-" }.lowercased())) }
    guard let best = distances.min(by: { $0.1 < $1.1 }), best.1 <= max(1, min(3, bare.utf8.count / 3)) else {
        return nil
    }
    return best.0
}

/// Insertions, deletions, changes and swaps of neighbours.
private func editDistance(_ left: String, _ right: String) -> Int {
    let left = Array(left.utf8)
    let right = Array(right.utf8)
    var rows = [Array(0...right.count)]
    for row in left.indices {
        var next = [row + 1]
        for column in right.indices {
            var best = rows[row][column] + (left[row] == right[column] ? 0 : 1)
            best = min(best, rows[row][column + 1] + 1, next[column] + 1)
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                best = min(best, rows[row - 1][column - 1] + 1)
            }
            next.append(best)
        }
        rows.append(next)
    }
    return rows[left.count][right.count]
}
