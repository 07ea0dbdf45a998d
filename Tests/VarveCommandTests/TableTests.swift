import Foundation
import Glibc
import Testing
import VarveModel
import VarveTerminal

@testable import VarveCommand

@Suite struct TableTests {
    private static var reference: String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(root)/docs/cli.md"
    }

    @Test func theReferenceIsThatOfTheTable() throws {
        let generated = CommandTable.program.markdown()
        if getenv("VARVE_WRITE_DOCS") != nil { try write(generated, to: Self.reference) }
        #expect(contents(Self.reference) == generated, "write it anew with VARVE_WRITE_DOCS=1")
    }

    @Test(arguments: CommandTable.program.runnable.map(\.path))
    func everyCommandExplainsItself(path: [String]) async throws {
        let ran = try await varve(path + ["--help"])
        #expect(ran.code == 0)
        #expect(ran.errors.isEmpty)
        for part in ["OVERVIEW: ", "USAGE: varve \(path.joined(separator: " "))", "EXAMPLES:"] {
            #expect(ran.output.contains(part))
        }
    }

    /// What help shows can be typed.
    @Test(arguments: CommandTable.program.runnable.flatMap { $0.command.examples.map(\.line) })
    func everyExampleIsUnderstood(line: String) {
        guard line.hasPrefix("varve "), !line.contains("\"") else { return }
        let words = line.split(separator: " ").dropFirst().prefix { $0 != "<" && $0 != "|" }.map(String.init)
        guard case .run = CommandTable.program.parse(words) else {
            Issue.record("\(line) is not understood")
            return
        }
    }

    private static var runbooks: String { String(reference.dropLast("cli.md".utf8.count)) + "runbooks" }

    /// What a page says to type at night can be typed: in its blocks, and in its sentences.
    @Test(arguments: try FileManager.default.contentsOfDirectory(atPath: runbooks).filter { $0.hasSuffix(".md") })
    func everyCommandOfARunbookIsUnderstood(page: String) {
        let text = contents("\(Self.runbooks)/\(page)")
        let reader = ["VARVE_CONFIG": "node.yaml", "VARVE_URL": "http://127.0.0.1:1"]
        let inSentences = text.matches(of: /`(varve [^`]+)`/).map { String($0.1) }
        let inBlocks = text.split(separator: "\n").compactMap { line in
            line.firstMatch(of: /^(?:.*\| )? *(varve .+)$/).map { String($0.1) }
        }.filter { !$0.contains("`") }
        for line in inSentences + inBlocks {
            // What stands for a value of the reader's.
            let values: KeyValuePairs = [
                "--splice|--salvage|--drop": "--drop", "\"$VARVE_CONFIG\"": "node.yaml", "POSITION": "0-0",
                "DIGEST": "0123456789abcdef", "--url …": "--url http://127.0.0.1:1", "--epoch N": "--epoch 0", "…": "x",
            ]
            let typed = values.reduce(line) { $0.replacing($1.key, with: $1.value) }
                .replacing(/"[^"]*"/, with: "x").replacing(/\ {4}.*$/, with: "")
            let words = typed.split(separator: " ").dropFirst().prefix { !["<", "|", "#"].contains($0) }
            let parsed = CommandTable.program.parse(words.map(String.init), environment: reader)
            if case .run = parsed { continue }
            // A sentence may name a command without all that it needs; what a plan prints is followed by its comment.
            if inSentences.contains(line), "\(parsed)".contains("Missing") { continue }
            Issue.record("\(page): \(line): \(parsed)")
        }
    }

    @Test func everyCommandOfTheTableRuns() async throws {
        // A command that is in the table and not in the program would trap here.
        for (path, command) in CommandTable.program.runnable where !["broker", "cluster"].contains(path[0]) {
            let arguments = command.parameters.filter { $0.form == .argument && $0.arity == .required }.map { $0.name }
            let required = command.parameters.filter { $0.form == .option && $0.arity == .required }
            let numbers = arguments.map { $0 == "number" ? "0" : "/no/such/\($0)" }
            let ran = try await varve(
                path + numbers
                    + required.flatMap { ["--\($0.name)", $0.name == "position" ? "0-1" : "/no/such/file"] },
                environment: ["VARVE_URL": "http://127.0.0.1:1"])
            #expect(ran.code != 0 || path == ["sql"] || path == ["drill", "list"])
            #expect(ran.errors.split(separator: "\n").count <= 2)
        }
    }

    @Test(arguments: [
        (ErrorCode.configInvalid, ExitCode.configuration), (.notReady, .unavailable), (.logUnreachable, .unavailable),
        (.idConflict, .failure), (.logLocked, .failure), (.addressInUse, .failure),
    ])
    func codesOfErrorsHaveExitCodes(code: ErrorCode, exit: ExitCode) {
        #expect(Failure(VarveError(code, "x")).exitCode == exit)
    }

    @Test func anErrorIsOneLineWhateverIsInIt() {
        let failure = Failure(VarveError(.internal, "two\nlines\r\nthree", next: "go\non"))
        #expect(failure.line == "INTERNAL: two lines three; next: go on")
    }

    @Test(arguments: [
        ("SELECT 1", ["SELECT 1"]), ("SELECT 1; SELECT 2;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ; SELECT \"a;b\", [c;d], `e;f`", ["SELECT ';'", "SELECT \"a;b\", [c;d], `e;f`"]),
        ("SELECT 1 -- no; end\n; SELECT 'it''s'", ["SELECT 1 -- no; end", "SELECT 'it''s'"]),
        ("/* a; b */ SELECT 1; -- nothing\n", ["/* a; b */ SELECT 1"]), (" ;; \n", []), ("-- only; words", []),
        ("SELECT 2 - -1; SELECT 4 / 2", ["SELECT 2 - -1", "SELECT 4 / 2"]),
    ])
    func statementsAreCutAtTheirSemicolons(text: String, statements: [String]) {
        #expect(StatementSplitter.all(of: text) == statements)
    }
}
