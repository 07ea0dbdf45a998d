import Foundation
import Testing
import VarveTerminal

@Suite("Help, reference and completion")
struct HelpTests {
    @Test("a command's help has all it takes")
    func command() throws {
        #expect(
            try Sample.printed("load", "--help") == """
                OVERVIEW: Load documents

                USAGE: varve load <file> --table <T> [--batch <N>] [--id <FIELD>] [--again]
                       [--url <U>] [--token <TOKEN>]

                ARGUMENTS:
                  <file>                  NDJSON to load; '-' is standard input.

                OPTIONS:
                  -t, --table <T>         Table to load into.
                  --batch <N>             Documents of one transaction. (default: 1000)
                  --id <FIELD>            Field that becomes _id.
                  --again                 Load it once more.
                  --url <U>               Node to ask. (default: http://127.0.0.1:8080;
                                          environment: VARVE_URL)
                  --token <TOKEN>         The node's token. (environment: VARVE_TOKEN)
                  -h, --help              Show help information.

                EXAMPLES:
                  # a file
                  varve load users.ndjson --table users
                """)
    }

    @Test("the program's help lists commands under their headings; nothing given asks for it too")
    func program() throws {
        let help = try Sample.printed("--help")
        #expect(help == Sample.program.help())
        #expect(help.contains("USAGE: varve <command>"))
        #expect(help.contains("\nDATA:\n  load                    Load documents\n"))
        #expect(help.contains("\nSUBCOMMANDS:\n  status                  Where nodes stand\n"))
        #expect(help.contains("See 'varve help <command>'"))
        #expect(Sample.program.parse([]).text == help)
        #expect(try Sample.printed("help") == help)
        #expect(try Sample.printed("-h") == help)
    }

    @Test("groups and their commands have help, by option and by command")
    func groups() throws {
        #expect(try Sample.printed("log").contains("USAGE: varve log <command>"))
        #expect(try Sample.printed("log", "--help") == Sample.printed("help", "log"))
        #expect(try Sample.printed("help", "log", "show") == Sample.printed("log", "show", "-h"))
        #expect(try Sample.printed("log", "show", "-h").contains("USAGE: varve log show --config <F>"))
    }

    @Test("help fits its width")
    func width() {
        for width in [60, 80, 100] {
            let lines = Sample.program.help(for: ["load"], width: width).split(separator: "\n")
            // Examples are lines to copy and stay whole.
            #expect(lines.allSatisfy { displayWidth(String($0)) <= width || $0.hasPrefix("  varve") }, "\(width)")
        }
    }

    @Test("the version is printed")
    func version() throws { #expect(try Sample.printed("--version") == "varve 0.1.0") }

    @Test("the reference has every command with its usage and options")
    func reference() {
        let text = Sample.program.markdown()
        #expect(text.hasPrefix("# Command line\n"))
        #expect(text.contains("| [`varve log show`](#varve-log-show) | Print records |"))
        #expect(text.contains("## varve log show\n\nPrint records.\n\n```\nvarve log show --config <F>\n```\n"))
        #expect(text.contains("| `--format <F>` | How to print. (values: table, json; default: table) |"))
    }

    @Test(
        "bash completes",
        arguments: [
            (["lo"], "load log"),
            (["log", ""], "show verify --help"),
            (["log", "show", "--"], "--config --help"),
            (["sql", "--format", ""], "table json"),
            (["sql", "--f"], "--format"),
            (["load", "x", "--table", ""], ""),
            (["verify", "--"], "--config --help"),
            (["--generate-completion-script", "z"], "zsh"),
        ])
    func bash(words: [String], offered: String) throws {
        let script = try Sample.printed("--generate-completion-script", "bash")
        let quoted = words.map { "'\($0)'" }.joined(separator: " ")
        let call = "\nCOMP_WORDS=(varve \(quoted)); COMP_CWORD=\(words.count); _varve; echo \"${COMPREPLY[*]}\""
        #expect(try shell("bash", script + call) == offered + "\n")
    }

    @Test("zsh and fish scripts are correct", arguments: ["zsh", "fish"])
    func otherShells(name: String) throws {
        let script = try Sample.printed("--generate-completion-script=\(name)")
        #expect(script.contains("Print records"))
        guard
            ["/bin", "/usr/bin", "/usr/local/bin"].contains(where: {
                FileManager.default.fileExists(atPath: "\($0)/\(name)")
            })
        else {
            print("\(name): skipped, it is not installed")
            return
        }
        #expect(try shell(name, script, arguments: ["-n"]) == "")
    }

    /// Standard output and error of a shell that runs `script`.
    private func shell(_ name: String, _ script: String, arguments: [String] = []) throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: "varve-completion-\(UUID().uuidString)")
        try script.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [name] + arguments + [file.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}

extension Parsed {
    fileprivate var text: String? { if case .print(let text) = self { text } else { nil } }
}
