import Glibc
import Testing
import VarveHTTPClient
import VarveHarness
import VarveModel

@testable import VarveCommand

/// `varve blocks gc` on a storage that a node wrote.
@Suite struct GarbageTests {
    private let yaml = """
        log: !Local { path: log }
        storage: !Local { path: storage }
        indexer: { transactionsPerBlock: 1 }

        """

    /// The metrics once `name` is among them.
    private func scrape(_ url: String, until name: String) async throws -> String {
        let client = try HTTPClient()
        while true {
            let answer = try await client.send(HTTPRequest("GET", url + "/metrics"))
            let text = String(decoding: answer.body, as: UTF8.self)
            if text.contains("\nvarve_\(name)") { return text }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    @Test func whatNoBlockNamesGoesAndEverythingElseStays() async throws {
        try await withNode(yaml) { url, process, directory in
            for id in 0..<6 {
                let put = #"{"ops":[{"put":{"table":"users","docs":[{"_id":"\#(id)"}]}}]}"#
                #expect(try await varve(["tx", "-", "--url", url], input: put).code == 0)
            }
            #expect(try await varve("blocks", "flush", "--url", url).code == 0)
            let config = ["--config", "\(directory)/node.yaml"]
            let lost = "tables/users/l00-b00000001-b00000001-c-00000000deadbeef.arrow"
            for name in [lost, lost + ".idx"] { try write("x", to: "\(directory)/storage/\(name)") }
            mkdir("\(directory)/storage/claims", 0o755)
            mkdir("\(directory)/storage/claims/e0000", 0o755)
            mkdir("\(directory)/storage/claims/e0000/b0000000000000001", 0o755)
            try write("x", to: "\(directory)/storage/claims/e0000/b0000000000000001/0000")

            // The node runs meanwhile.
            let shown = try await varve(["blocks", "gc", "--dry-run"] + config)
            #expect(shown.code == 0 && shown.output.contains("garbage  \(lost)\n"), "\(shown.output)\(shown.errors)")
            #expect(shown.output.contains("2 files (2 B), 1 claim and 0 signs of nodes"), "\(shown.output)")
            let first = try await varve(["blocks", "gc"] + config)
            #expect(first.code == 0 && first.output.contains("written down: 2 files (2 B)"), "\(first.output)")
            #expect(access("\(directory)/storage/\(lost)", F_OK) == 0)
            let early = try parseJSON(try await varve(["blocks", "gc", "--json"] + config).output)
            #expect(early["removed"] == .array([]) && early["waiting"]?.asArray?.count == 2)
            let late = try await varve(["blocks", "gc", "--grace", "PT0S"] + config)
            #expect(
                late.output.contains("removed  \(lost)\n") && late.output.contains("removed 2 files"), "\(late.output)")
            #expect(access("\(directory)/storage/\(lost)", F_OK) != 0)
            #expect(access("\(directory)/storage/claims/e0000/b0000000000000001", F_OK) != 0)

            #expect(try await varve(["blocks", "verify"] + config).code == 0)
            process.send(SIGTERM)
            #expect(await process.wait() == .code(0))
            #expect(try await varve(["blocks", "gc", "--grace", "PT0S"] + config).output.contains("removed 0 files"))

            // What waits, and that somebody collects, a node says from its start on.
            try write("x", to: "\(directory)/storage/\(lost)")
            #expect(try await varve(["blocks", "gc"] + config).output.contains("written down: 1 file (1 B)"))
            let log = "\(directory)/again.log"
            let again = try start(["node"] + config, output: log)
            let words = try #require(await line("listens on http", in: log, of: again)).split(separator: " ")
            let metrics = try await scrape(
                String(try #require(words.first { $0.hasPrefix("http://") })), until: "garbage")
            await again.end(within: .seconds(20))
            #expect(metrics.contains("varve_garbage_files 1\n"), "\(metrics)")
            #expect(metrics.contains("varve_garbage_bytes 1\n"))
            #expect(metrics.contains("varve_seconds_since_collection "))
        }
    }
}
