import Testing
import VarveTerminal

@Suite("A command line that is understood")
struct ParsingTests {
    @Test("options stand before, between and behind arguments, in every spelling")
    func spellings() throws {
        for words in [
            ["load", "a.gz", "--table", "t", "--batch", "5", "--again"],
            ["load", "--batch=5", "--table=t", "--again", "a.gz"],
            ["load", "-t", "t", "a.gz", "--again", "--batch=5"],
            ["load", "--again", "--batch", "5", "-t", "t", "--", "a.gz"],
        ] {
            guard case .run(let invocation) = Sample.program.parse(words) else {
                Issue.record("\(words) was not understood")
                continue
            }
            #expect(invocation.path == ["load"])
            #expect(invocation[Sample.file] == "a.gz")
            #expect(invocation[Sample.table] == "t")
            #expect(invocation[Sample.batch] == 5)
            #expect(invocation[Sample.again])
            #expect(invocation[Sample.id] == nil)
        }
    }

    @Test("what is not given has its default")
    func defaults() throws {
        let load = try Sample.run("load", "-", "--table", "t")
        #expect(load[Sample.file] == "-")
        #expect(load[Sample.batch] == 1000)
        #expect(!load[Sample.again])
        #expect(load[Sample.url] == "http://127.0.0.1:8080")
        let sql = try Sample.run("sql")
        #expect(sql[Sample.statement] == nil)
        #expect(sql[Sample.format] == .table)
    }

    @Test("commands stand two deep, and the same name may stand in both places")
    func nested() throws {
        #expect(try Sample.run("log", "show", "--config", "f").path == ["log", "show"])
        #expect(try Sample.run("log", "verify").path == ["log", "verify"])
        #expect(try Sample.run("verify", "--config=f").path == ["verify"])
        #expect(try Sample.run("blocks", "show", "17")[Sample.block] == 17)
    }

    @Test("an option given again wins, a repeated one collects")
    func again() throws {
        #expect(try Sample.run("sql", "--url", "a", "--url", "b")[Sample.url] == "b")
        #expect(try Sample.run("status", "--url", "a", "--url=b")[Sample.urls] == ["a", "b"])
        #expect(try Sample.run("get", "a", "b", "--", "-c", "--", "-1")[Sample.ids] == ["a", "b", "-c", "--", "-1"])
        #expect(try Sample.run("get")[Sample.ids] == [])
    }

    @Test("the environment stands in for an option, and the option wins")
    func environment() throws {
        let environment = ["VARVE_URL": "e", "VARVE_TOKEN": "secret", "VARVE_CONFIG": "c.yaml"]
        #expect(try Sample.run("sql", environment: environment)[Sample.url] == "e")
        #expect(try Sample.run("sql", "--url=o", environment: environment)[Sample.url] == "o")
        #expect(try Sample.run("status", environment: environment)[Sample.urls] == ["e"])
        #expect(try Sample.run("verify", environment: environment)[Sample.config] == "c.yaml")
        #expect(try Sample.run("load", "f", "-t", "t", environment: environment)[Sample.token] == "secret")
        #expect(try Sample.run("sql", environment: ["VARVE_URL": ""])[Sample.url] == "http://127.0.0.1:8080")
    }

    @Test("negative numbers and empty texts are values")
    func oddValues() throws {
        #expect(try Sample.run("sql", "--as-of", "-5")[Sample.asOf] == -5)
        #expect(try Sample.run("sql", "--url=")[Sample.url] == "")
        #expect(try Sample.run("sql", "--url", "a=b")[Sample.url] == "a=b")
        #expect(try Sample.run("get", "-5", "")[Sample.ids] == ["-5", ""])
    }
}

@Suite("A command line that is refused")
struct UsageErrorTests {
    func message(_ words: [String], _ environment: [String: String] = [:]) -> String? {
        guard case .refused(let error) = Sample.program.parse(words, environment: environment) else { return nil }
        return error.message
    }

    @Test(
        "is told what is wrong",
        arguments: [
            (["lod"], "Unknown command 'lod'. Did you mean 'load'?"),
            (["zebra"], "Unknown command 'zebra'"),
            (["log", "shwo"], "Unknown command 'shwo'. Did you mean 'show'?"),
            (["help", "lod"], "Unknown command 'lod'. Did you mean 'load'?"),
            (["load", "f", "--tabel", "t"], "Unknown option '--tabel'. Did you mean '--table'?"),
            (["load", "f", "--tabel=t"], "Unknown option '--tabel'. Did you mean '--table'?"),
            (["load", "f", "-x"], "Unknown option '-x'"),
            (["load", "f", "--table"], "Missing value for '--table <T>'"),
            (["load", "f", "--table", "--again"], "Missing value for '--table <T>'"),
            (["load", "f"], "Missing expected argument '--table <T>'"),
            (["load", "--table", "t"], "Missing expected argument '<file>'"),
            (
                ["verify"],
                "Missing expected argument '--config <F>'; the environment variable VARVE_CONFIG may hold it, too"
            ),
            (["load", "f", "--table", "t", "--again=1"], "The option '--again' takes no value"),
            (["sql", "a", "b"], "1 unexpected argument: 'b'"),
            (["sql", "a", "b", "c"], "2 unexpected arguments: 'b', 'c'"),
            (
                ["load", "f", "-t", "t", "--batch", "0"],
                "The value '0' is invalid for '--batch <N>': expected an integer from 1 to 100000"
            ),
            (["blocks", "show", "x"], "The value 'x' is invalid for '<number>': expected an integer from 0"),
            (
                ["sql", "--format", "jsn"],
                "The value 'jsn' is invalid for '--format <F>': expected one of table, json. Did you mean 'json'?"
            ),
            (["--url", "u", "sql"], "Unknown option '--url'. Options stand behind the command"),
            (["--generate-completion-script"], "Missing value for '--generate-completion-script <shell>'"),
            (["\u{1b}[2J"], "Unknown command '\\u{1B}[2J'"),
        ])
    func refused(words: [String], text: String) { #expect(message(words) == text) }

    @Test("shows the usage and where help is")
    func whole() {
        guard case .refused(let error) = Sample.program.parse(["blocks", "show"]) else {
            Issue.record("understood")
            return
        }
        #expect(
            error.description == """
                Error: Missing expected argument '<number>'
                Usage: varve blocks show <number>
                  See 'varve blocks show --help' for more information.
                """)
    }

    @Test("a wrong variable is named, a secret is not repeated")
    func environment() {
        #expect(
            message(["load", "f", "-t", "t"], ["VARVE_TOKEN": "hunter 2"])
                == "The value of the environment variable VARVE_TOKEN is invalid for '--token <TOKEN>': expected visible characters"
        )
    }
}
