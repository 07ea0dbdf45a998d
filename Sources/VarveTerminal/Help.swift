// `--help`, in the layout of ArgumentParser: overview, usage, arguments, options, examples, subcommands.

extension Program {
    /// The program's own help.
    package func help(width: Int = 80) -> String { help(for: [], width: width) }

    /// Help of the command or group at `path`; an unknown path gives the program's.
    package func help(for path: [String], width: Int = 80) -> String {
        let width = max(40, min(width, 120))
        let command = command(at: path)
        var text = ""
        let abstract = command?.abstract ?? self.abstract
        text += wrapped("OVERVIEW: \(abstract)", width: width) + "\n"
        let discussion = command?.discussion ?? self.discussion
        if !discussion.isEmpty { text += "\n" + paragraphs(discussion, width: width) }
        text += "\n" + wrapped("USAGE: \(usage(for: path))", indent: 7, width: width) + "\n"
        if let command, !command.isGroup {
            text += block("ARGUMENTS", command.arguments.map { ($0.label, describe($0)) }, width)
            let options = command.options.map { (optionLabel($0), describe($0)) }
            text += block("OPTIONS", options + [("-h, --help", "Show help information.")], width)
            if !command.examples.isEmpty {
                text += "\nEXAMPLES:\n"
                for example in command.examples {
                    text += wrapped("  # \(example.what)", indent: 4, width: width) + "\n  \(example.line)\n"
                }
            }
            return text.trimmedEnd
        }
        var options = [("-h, --help", "Show help information.")]
        if command == nil {
            options.insert(("--version", "Show the version."), at: 0)
            options.append(("--generate-completion-script <shell>", "Print a completion script for bash, zsh or fish."))
        }
        text += block("OPTIONS", options, width)
        var sections: [(String, [(String, String)])] = []
        for entry in command?.subcommands ?? commands {
            let title = entry.section.map { "\($0.uppercased())" } ?? "SUBCOMMANDS"
            let row = (entry.name, entry.abstract)
            if let index = sections.firstIndex(where: { $0.0 == title }) {
                sections[index].1.append(row)
            } else {
                sections.append((title, [row]))
            }
        }
        for (title, rows) in sections { text += block(title, rows, width) }
        let hint = ([name, "help"] + path + ["<command>"]).joined(separator: " ")
        text += "\n  See '\(hint)' for detailed help.\n"
        return text.trimmedEnd
    }

    func usage(for path: [String]) -> String {
        let called = ([name] + path).joined(separator: " ")
        guard let command = command(at: path), !command.isGroup else { return "\(called) <command>" }
        let parts =
            command.arguments.map(\.usage) + command.options.filter { $0.arity == .required }.map(\.usage)
            + command.options.filter { $0.arity != .required }.map(\.usage)
        return ([called] + parts).joined(separator: " ")
    }

    func command(at path: [String]) -> Command? {
        guard let first = path.first, let command = commands.first(where: { $0.name == first }) else { return nil }
        guard path.count > 1 else { return command }
        return command.subcommands.first { $0.name == path[1] }
    }
}

func optionLabel(_ option: ParameterSpec) -> String { (option.short.map { "-\($0), " } ?? "") + option.label }

/// The help text with what else is known of a parameter.
func describe(_ spec: ParameterSpec) -> String {
    var notes: [String] = []
    if !spec.choices.isEmpty { notes.append("values: \(spec.choices.joined(separator: ", "))") }
    if let fallback = spec.fallback { notes.append("default: \(fallback)") }
    if let environment = spec.environment { notes.append("environment: \(environment)") }
    return spec.help + (notes.isEmpty ? "" : " (\(notes.joined(separator: "; ")))")
}

private func block(_ title: String, _ rows: [(String, String)], _ width: Int) -> String {
    guard !rows.isEmpty else { return "" }
    let column = 26
    var text = "\n\(title):\n"
    for (label, help) in rows {
        let start = "  " + label
        if displayWidth(start) > column - 2 {
            text += start + "\n" + wrapped(String(repeating: " ", count: column) + help, indent: column, width: width)
        } else {
            text += wrapped(padded(start, to: column) + help, indent: column, width: width)
        }
        text += "\n"
    }
    return text
}

private func paragraphs(_ text: String, width: Int) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false)
        // Lines that begin with a space are laid out already.
        .map { $0.hasPrefix(" ") ? String($0) : wrapped(String($0), width: width) }.joined(separator: "\n") + "\n"
}

/// Broken at spaces; lines after the first begin with `indent` spaces. Spaces at the start stay.
func wrapped(_ text: String, indent: Int = 0, width: Int) -> String {
    let lead = text.prefix { $0 == " " }
    var lines: [String] = []
    var line = String(lead)
    var hasWord = false
    // A label and the text behind it stay apart, so runs of spaces are kept within a line.
    for word in text.dropFirst(lead.count).split(separator: " ", omittingEmptySubsequences: false) {
        if hasWord && displayWidth(line) + 1 + displayWidth(String(word)) > width {
            lines.append(line.trimmedEnd)
            line = String(repeating: " ", count: indent) + word
        } else {
            line += (hasWord ? " " : "") + word
        }
        hasWord = true
    }
    lines.append(line.trimmedEnd)
    return lines.joined(separator: "\n")
}

extension String {
    var trimmedEnd: String {
        var copy = self
        while copy.last == " " || copy.last == "\n" { copy.removeLast() }
        return copy
    }
}
