import Glibc
import Testing
import VarveHarness
import VarveModel

@testable import VarveCommand

/// The built program as a node, and commands that ask it.
@Suite struct NodeTests {
    @Test func theNextCommandNamesTheFileThatWasGiven() async throws {
        let yaml = "log: !Local { path: log }\nstorage: !Local { path: storage }\n"
        try await withNode(yaml) { url, process, directory in
            #expect(
                try await varve(
                    "tx", "-", "--url", url, input: #"{"ops":[{"put":{"table":"t","docs":[{"_id":"a"}]}}]}"#
                ).code == 0)
            process.send(SIGTERM)
            #expect(await process.wait() == .code(0))
            let (config, log) = ("\(directory)/node 1's.yaml", "\(directory)/again.log")
            #expect(rename("\(directory)/node.yaml", config) == 0)
            #expect(rename("\(directory)/log", "\(directory)/gone") == 0)
            let refused = try start(["node", "--config", config], output: log)
            #expect(await refused.wait() == .code(1))
            let last = contents(log).split(separator: "\n").last.map(String.init) ?? ""
            #expect(last.hasPrefix("LOG_MISSING: "), "\(last)")
            #expect(last.hasSuffix(#"varve epoch plan --config '\#(directory)/node 1'\''s.yaml'"#), "\(last)")
        }
    }

    private func put(_ id: String) -> String { #"{"ops":[{"put":{"table":"users","docs":[{"_id":"\#(id)","n":1}]}}]}"# }

    @Test func whatIsWrittenIsReadInEveryForm() async throws {
        try await withNode { url, _, directory in
            let on = ["VARVE_URL": url]
            let committed = try await varve("tx", "-", "--json", input: put("ada"), environment: on)
            #expect(committed.code == 0)
            let answer = try parseJSON(committed.output)
            #expect(answer["status"] == "committed")
            let position = try #require(answer["position"]?.asText)
            #expect(try await varve("get", "users", "ada", environment: on).output == "{\"_id\":\"ada\",\"n\":1}\n")
            let missing = try await varve("get", "users", "eve", environment: on)
            #expect(missing.code == 1)
            #expect(missing.errors == "NOT_FOUND: users has no document eve\n")
            let history = try await varve("get", "users", "ada", "--history", environment: on)
            #expect(history.output.contains(position))
            let rows = try await varve("sql", "SELECT _id, n FROM users", "-f", "ndjson", environment: on)
            #expect(rows.output == "{\"_id\":\"ada\",\"n\":1}\n")
            let table = try await varve("sql", "SELECT _id, n FROM users", environment: on)
            #expect(table.output.hasPrefix("_id  n\n"))
            #expect(table.output.contains("(1 row at "))
            let several = try await varve(
                "sql", "--json", input: "SELECT 1;\nSELECT ';' AS x; -- end", environment: on)
            #expect(several.output.split(separator: "\n").count == 2)
            let wrong = try await varve("sql", "SELECT nothing FROM users", environment: on)
            #expect(wrong.code == 1)
            #expect(wrong.errors.hasPrefix("SQL_ERROR: "))
            let log = try await varve("log", "show", "--json", environment: on)
            #expect(log.output.contains(position))
            let blocks = try await varve("blocks", "flush", environment: on)
            #expect(blocks.code == 0)
            #expect(try await varve("blocks", "show", "0", environment: on).output.contains("tables/users/"))
            #expect(try await varve("blocks", "show", "7", environment: on).code == 1)
            let status = try await varve("status", "--json", environment: on)
            #expect(try parseJSON(status.output)["nodes"]?.asArray?.first?["state"] == "ready")
        }
    }

    @Test func anAbortedTransactionIsAFailure() async throws {
        try await withNode { url, _, _ in
            let aborted = try await varve(
                "tx", "-", "--url", url,
                input: #"{"ops":[{"assert":{"table":"users","id":"ada","exists":true}}]}"#)
            #expect(aborted.code == 1)
            #expect(aborted.output.hasPrefix("aborted  "))
            #expect(aborted.output.contains("ASSERT_FAILED"))
        }
    }

    @Test func aSubmissionSentAgainIsTheSameOne() async throws {
        try await withNode { url, _, _ in
            let id = "0b8f0000000000000000000000000001"
            let first = try await varve("tx", "-", "--id", id, "--url", url, input: put("ada"))
            let again = try await varve("tx", "-", "--id", id, "--url", url, input: put("ada"))
            #expect(first.output == again.output)
            let other = try await varve("tx", "-", "--id", id, "--url", url, input: put("eve"))
            #expect(other.code == 1)
            #expect(other.errors.hasPrefix("ID_CONFLICT: "))
        }
    }

    @Test func aFileLoadedAgainAppliesNothingTwice() async throws {
        try await withNode { url, _, directory in
            let file = "\(directory)/docs.ndjson"
            try write((0..<2500).map { "{\"key\":\"k\($0)\",\"n\":\($0)}\n" }.joined(), to: file)
            let load = ["load", file, "--table", "docs", "--id", "key", "--batch", "100", "--url", url]
            func versions() async throws -> String {
                try await varve(
                    "sql", "SELECT count(*) AS n, max(_version) AS v FROM docs", "-f", "ndjson", "--url", url
                ).output
            }
            let first = try await varve(load)
            #expect(first.code == 0)
            #expect(first.output.hasPrefix("docs  2,500 documents"))
            let before = try await versions()
            #expect(before.hasPrefix("{\"n\":2500,"))
            #expect(try await varve(load).code == 0)
            #expect(try await versions() == before)
            let again = try await varve(load + ["--again", "--json"])
            #expect(again.output.split(separator: "\n").count == 26)
            #expect(try await versions() != before)
            let otherwise = try await varve(load.map { $0 == "100" ? "50" : $0 })
            #expect(otherwise.code == 1)
            #expect(otherwise.errors.hasPrefix("ID_CONFLICT: "))
        }
    }

    @Test func aBadLineIsNamed() async throws {
        try await withNode { url, _, directory in
            let file = "\(directory)/docs.ndjson"
            try write("{\"_id\":1}\n{\"_id\":2}\nnonsense\n", to: file)
            let ran = try await varve("load", file, "--table", "docs", "--url", url)
            #expect(ran.code == 1)
            #expect(ran.errors.hasPrefix("BAD_REQUEST: "))
            #expect(ran.errors.contains("line 3"))
        }
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func aSignalEndsANodeInOrder(signal: Int32) async throws {
        try await withNode { url, process, _ in
            let committed = try await varve("tx", "-", "--url", url, input: put("ada"))
            #expect(committed.code == 0)
            process.send(signal)
            #expect(await process.wait() == .code(0))
        }
    }

    @Test func aLocalLogHasOneNodeAndKeepsWhatItTook() async throws {
        let yaml = "log: !Local { path: log }\nstorage: !Local { path: storage }\n"
        try await withNode(yaml) { url, process, directory in
            #expect(try await varve("tx", "-", "--url", url, input: put("ada")).code == 0)
            let second = try start(["node", "--config", "\(directory)/node.yaml"], output: "\(directory)/second.log")
            #expect(await second.wait() == .code(1))
            let last = contents("\(directory)/second.log").split(separator: "\n").last ?? ""
            #expect(last.hasPrefix("LOG_LOCKED: "))
            process.send(SIGKILL)
            #expect(await process.wait() == .signal(SIGKILL))
            let records = try await varve("log", "show", "--config", "\(directory)/node.yaml", "--from", "0-0")
            #expect(records.code == 0)
            #expect(records.output.contains("genesis"))
            #expect(records.output.contains("put users 1"))
        }
    }

    @Test func aNodeEndsWithTheParentThatHoldsItsInput() async throws {
        try await withDirectory { directory in
            try write("http: { host: 127.0.0.1, port: 0 }\n", to: "\(directory)/node.yaml")
            let log = "\(directory)/log"
            var process: ChildProcess? = try start(
                ["node", "--config", "\(directory)/node.yaml", "--stop-with-input"], output: log)
            let started = try #require(process)
            #expect(try await line("listens on", in: log, of: started) != nil)
            process = nil
            started.closeInput()
            #expect(await started.wait() == .code(0))
        }
    }
}
