// `docs/cli.md`, from the same table as `--help`.

extension Program {
    package func markdown() -> String {
        var text = "# Command line\n\n\(abstract).\n"
        if !discussion.isEmpty { text += "\n\(discussion)\n" }
        text += "\n| command | |\n|---|---|\n"
        for (path, command) in runnable {
            let called = ([name] + path).joined(separator: " ")
            text += "| [`\(called)`](#\(anchor(called))) | \(cell(command.abstract)) |\n"
        }
        text +=
            "\nEach command has `--help`. `\(name) --generate-completion-script bash|zsh|fish` prints a completion script.\n"
        for (path, command) in runnable {
            text += "\n## \(([name] + path).joined(separator: " "))\n\n\(command.abstract).\n"
            if !command.discussion.isEmpty { text += "\n\(command.discussion)\n" }
            text += "\n```\n\(usage(for: path))\n```\n"
            if !command.parameters.isEmpty {
                text += "\n| | |\n|---|---|\n"
                for parameter in command.arguments + command.options {
                    text += "| `\(optionLabel(parameter))` | \(cell(describe(parameter))) |\n"
                }
            }
            if !command.examples.isEmpty {
                text += "\n```sh\n"
                text += command.examples.map { "# \($0.what)\n\($0.line)" }.joined(separator: "\n\n")
                text += "\n```\n"
            }
        }
        return text
    }
}

private func anchor(_ heading: String) -> String { heading.lowercased().split(separator: " ").joined(separator: "-") }

private func cell(_ text: String) -> String {
    text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
        .split(separator: "\n").joined(separator: " ")
}
