// Completion scripts. All three know the command's path by walking the words, so `log verify` and `verify` differ.

package enum CompletionShell: String, Sendable, CaseIterable {
    case bash, zsh, fish
}

extension Program {
    package func completionScript(for shell: CompletionShell) -> String {
        switch shell {
        case .bash: bashCompletion()
        case .zsh: zshCompletion()
        case .fish: fishCompletion()
        }
    }

    /// Paths of all commands and groups: `/log`, `/log/show`.
    private var paths: [String] {
        commands.flatMap { command in ["/\(command.name)"] + command.subcommands.map { "/\(command.name)/\($0.name)" } }
    }

    private var programOptions: [String] { ["--help", "--version", "--generate-completion-script"] }

    private func bashCompletion() -> String {
        var values: [String] = [
            "        '/ --generate-completion-script') COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\")); return ;;"
        ]
        var words: [String] = []
        let top = (commands.map(\.name) + ["help"] + programOptions).joined(separator: " ")
        words.append("        /) words='\(top)' ;;")
        for group in commands where group.isGroup {
            words.append(
                "        /\(group.name)) words='\((group.subcommands.map(\.name) + ["--help"]).joined(separator: " "))' ;;"
            )
        }
        for (path, command) in runnable {
            let place = "/" + path.joined(separator: "/")
            let options = command.options.map { "--\($0.name)" } + ["--help"]
            let choices = command.arguments.flatMap(\.choices)
            let files = command.arguments.contains { $0.completesFiles || $0.completesDirectories } ? " files=1" : ""
            words.append("        \(place)) words='\((options + choices).joined(separator: " "))'\(files) ;;")
            for option in command.options where option.form == .option {
                let names = ["'\(place) --\(option.name)'"] + (option.short.map { ["'\(place) -\($0)'"] } ?? [])
                let reply =
                    if !option.choices.isEmpty {
                        "COMPREPLY=($(compgen -W '\(option.choices.joined(separator: " "))' -- \"$cur\")); "
                    } else if option.completesFiles {
                        "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); "
                    } else if option.completesDirectories {
                        "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")); "
                    } else {
                        ""
                    }
                values.append("        \(names.joined(separator: "|"))) \(reply)return ;;")
            }
        }
        return """
            # \(name) completion for bash
            _\(identifier)() {
                local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
                local place='' words='' files='' i
                COMPREPLY=()
                for ((i = 1; i < COMP_CWORD; i++)); do
                    case "$place/${COMP_WORDS[i]}" in
                    \(paths.joined(separator: "|"))) place="$place/${COMP_WORDS[i]}" ;;
                    esac
                done
                place="${place:-/}"
                case "$place $prev" in
            \(values.joined(separator: "\n"))
                esac
                case "$place" in
            \(words.joined(separator: "\n"))
                esac
                COMPREPLY=($(compgen -W "$words" -- "$cur"))
                if [[ -n "$files" && "$cur" != -* ]]; then
                    compopt -o filenames 2>/dev/null
                    COMPREPLY+=($(compgen -f -- "$cur"))
                fi
            }
            complete -F _\(identifier) \(name)
            """
    }

    private func zshCompletion() -> String {
        var functions = ""
        var top = "            local -a commands=(\n"
        for command in commands { top += "                \(zsh("\(command.name):\(command.abstract)"))\n" }
        top += "            )\n            _describe command commands ;;"
        var dispatch = ""
        for command in commands {
            dispatch += "            \(command.name)) _\(identifier)_\(command.name.underscored) ;;\n"
            if command.isGroup {
                var inner = ""
                var list = ""
                for entry in command.subcommands {
                    list += "                \(zsh("\(entry.name):\(entry.abstract)"))\n"
                    inner +=
                        "            \(entry.name)) _\(identifier)_\(command.name.underscored)_\(entry.name.underscored) ;;\n"
                    functions += zshFunction([command.name, entry.name], entry)
                }
                functions += zshGroup(
                    "_\(identifier)_\(command.name.underscored)",
                    options: "'(-h --help)'{-h,--help}'[Show help information.]'",
                    list:
                        "            local -a commands=(\n\(list)            )\n            _describe command commands ;;",
                    dispatch: inner)
            } else {
                functions += zshFunction([command.name], command)
            }
        }
        let options =
            "'(-h --help)'{-h,--help}'[Show help information.]' '--version[Show the version.]' "
            + "'--generate-completion-script[Print a completion script.]:shell:(bash zsh fish)'"
        functions += zshGroup("_\(identifier)", options: options, list: top, dispatch: dispatch)
        return "#compdef \(name)\n# \(name) completion for zsh\n\(functions)\n"
            // Autoloaded, this file is the function and must act; sourced, it must make itself known.
            + "if [ \"$funcstack[1]\" = \"_\(identifier)\" ]; then _\(identifier) \"$@\"; "
            + "else compdef _\(identifier) \(name); fi"
    }

    private func zshGroup(_ function: String, options: String, list: String, dispatch: String) -> String {
        """

        \(function)() {
            local curcontext="$curcontext" state line
            local -A opt_args
            _arguments -C \(options) '1: :->command' '*:: :->rest'
            case "$state" in
            command)
        \(list)
            rest)
                case "$line[1]" in
        \(dispatch)            esac ;;
            esac
        }

        """
    }

    private func zshFunction(_ path: [String], _ command: Command) -> String {
        var lines: [String] = ["'(-h --help)'{-h,--help}'[Show help information.]'"]
        for option in command.options {
            let repeats = option.arity == .repeated ? "*" : ""
            let value = option.form == .flag ? "" : ":\(option.placeholder.zshEscaped):\(zshAction(option))"
            lines.append(zsh("\(repeats)--\(option.name)[\(option.help.zshEscaped)]\(value)"))
            if let short = option.short { lines.append(zsh("\(repeats)-\(short)[\(option.help.zshEscaped)]\(value)")) }
        }
        for (index, argument) in command.arguments.enumerated() {
            let place =
                argument.arity == .repeated ? "*" : argument.arity == .optional ? "\(index + 1):" : "\(index + 1)"
            lines.append(zsh("\(place):\(argument.name.zshEscaped):\(zshAction(argument))"))
        }
        let function = ([identifier] + path.map(\.underscored)).joined(separator: "_")
        return "\n_\(function)() {\n    _arguments -s \\\n        \(lines.joined(separator: " \\\n        "))\n}\n"
    }

    private func zshAction(_ spec: ParameterSpec) -> String {
        if !spec.choices.isEmpty { return "(\(spec.choices.joined(separator: " ")))" }
        if spec.completesFiles { return "_files" }
        return spec.completesDirectories ? "_files -/" : " "
    }

    private func fishCompletion() -> String {
        var lines = [
            "# \(name) completion for fish",
            "function __\(identifier)_at",
            "    set -l place ''",
            "    for word in (commandline -opc)[2..-1]",
            "        switch \"$place/$word\"",
            "            case \(paths.joined(separator: " "))",
            "                set place \"$place/$word\"",
            "        end",
            "    end",
            "    test \"$place\" = \"$argv[1]\"",
            "end",
            "complete -c \(name) -f",
            "complete -c \(name) -l help -s h -d 'Show help information.'",
            "complete -c \(name) -n \"__\(identifier)_at ''\" -l version -d 'Show the version.'",
            "complete -c \(name) -n \"__\(identifier)_at ''\" -l generate-completion-script -x -a 'bash zsh fish' "
                + "-d 'Print a completion script.'",
        ]
        for command in commands {
            lines.append(
                "complete -c \(name) -n \"__\(identifier)_at ''\" -a \(command.name) -d \(fish(command.abstract))")
            for entry in command.subcommands {
                lines.append(
                    "complete -c \(name) -n '__\(identifier)_at /\(command.name)' -a \(entry.name) -d \(fish(entry.abstract))"
                )
            }
        }
        for (path, command) in runnable {
            let start = "complete -c \(name) -n '__\(identifier)_at /\(path.joined(separator: "/"))'"
            for option in command.options {
                var line = "\(start) -l \(option.name)" + (option.short.map { " -s \($0)" } ?? "")
                if option.form == .option { line += " " + fishValues(option, exclusive: true) }
                lines.append(line + " -d \(fish(option.help))")
            }
            for argument in command.arguments {
                if argument.completesFiles || argument.completesDirectories || !argument.choices.isEmpty {
                    lines.append("\(start) \(fishValues(argument, exclusive: false))")
                }
            }
        }
        return lines.joined(separator: "\n")
    }

    private func fishValues(_ spec: ParameterSpec, exclusive: Bool) -> String {
        if !spec.choices.isEmpty { return (exclusive ? "-x " : "") + "-a '\(spec.choices.joined(separator: " "))'" }
        if spec.completesFiles { return exclusive ? "-r -F" : "-F" }
        if spec.completesDirectories { return (exclusive ? "-x " : "") + "-a '(__fish_complete_directories)'" }
        return "-x"
    }

    private var identifier: String { name.underscored }
}

/// Within single quotes of bash and zsh.
private func zsh(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}

private func fish(_ text: String) -> String {
    var quoted = "'"
    for character in text {
        if character == "'" || character == "\\" { quoted += "\\" }
        quoted.append(character)
    }
    return quoted + "'"
}

extension String {
    fileprivate var underscored: String { String(map { $0.isLetter || $0.isNumber ? $0 : "_" }) }

    /// `_arguments` gives brackets, colons and backslashes a meaning.
    fileprivate var zshEscaped: String {
        var text = ""
        for character in self {
            if "[]:\\".contains(character) { text += "\\" }
            text.append(character)
        }
        return text
    }
}
