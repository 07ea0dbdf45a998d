import Glibc
import Testing
import VarveHarness
import VarveLog
import VarveModel

@testable import VarveCommand

/// `varve log` beside a running node and with none, over what a node and a stranger wrote.
@Suite struct LogTests {
    private let yaml = "log: !Local { path: log }\nstorage: !Local { path: storage }\n"

    private func put(_ table: String, _ id: String) -> String {
        #"{"ops":[{"put":{"table":"\#(table)","docs":[{"_id":"\#(id)","n":1}]}}]}"#
    }

    private func lines(_ ran: Ran) throws -> [Value] {
        try ran.output.split(separator: "\n").map { try parseJSON(String($0)) }
    }

    @Test func aConfigurationIsComparedWithTheStorageThatIsThere() async throws {
        try await withNode(yaml) { url, process, directory in
            #expect(try await varve(["tx", "-", "--url", url], input: put("users", "ada")).code == 0)
            let seen = try await varve(
                "sql", "SELECT state, applied IS NOT NULL AS applied FROM varve.nodes", "--format", "ndjson", "--url",
                url)
            #expect(seen.output == "{\"state\":\"this\",\"applied\":1}\n", "\(seen.errors)")
            #expect(try await varve("blocks", "flush", "--url", url).code == 0)
            process.send(SIGTERM)
            #expect(await process.wait() == .code(0))
            let agrees = try await varve("config", "check", "\(directory)/node.yaml")
            #expect(agrees.code == 0 && !agrees.output.contains("warning"), "\(agrees.output)")
            #expect(agrees.output.contains("block    0, up to 0-"), "\(agrees.output)")
            try write(yaml + "indexer: { rowsPerBlock: 7 }\n", to: "\(directory)/other.yaml")
            let differs = try await varve("config", "check", "\(directory)/other.yaml")
            #expect(differs.code == 0)
            #expect(differs.output.contains("rowsPerBlock is 102400, configured 7"), "\(differs.output)")
            // Where there is no database none is begun.
            try write("log: !Local { path: log }\nstorage: !Local { path: nowhere }\n", to: "\(directory)/new.yaml")
            #expect(try await varve("config", "check", "\(directory)/new.yaml").code == 0)
            #expect(access("\(directory)/nowhere", F_OK) != 0)
        }
    }

    @Test func recordsAreShownByPositionTypeTableAndID() async throws {
        try await withNode(yaml) { url, process, directory in
            let id = "0b8f0000000000000000000000000001"
            for (table, document) in [("users", "ada"), ("users", "eve"), ("towns", "rome")] {
                let name = document == "eve" ? ["--id", id] : []
                #expect(
                    try await varve(["tx", "-", "--url", url] + name, input: put(table, document)).code == 0)
            }
            #expect(try await varve("blocks", "flush", "--url", url).code == 0)
            process.send(SIGTERM)
            #expect(await process.wait() == .code(0))

            let config = ["--config", "\(directory)/node.yaml", "--json"]
            func show(_ arguments: String...) async throws -> [Value] {
                let ran = try await varve(["log", "show"] + config + arguments)
                #expect(ran.code == 0, "\(ran.errors)")
                return try lines(ran)
            }
            let all = try await show()
            let positions = all.map { $0["position"]?.asText }
            // A node that is new to its log writes a barrier first.
            let kinds = all.compactMap { $0["type"]?.asText }.filter { $0 != "barrier" }
            #expect(kinds == ["genesis", "transaction", "transaction", "transaction", "flush"])
            #expect(try await show("--from", "0-1", "--to", "0-2").count == 2)
            #expect(try await varve(["log", "show"] + config + ["--from", "0-2", "--to", "0-1"]).code == 64)
            #expect(try await show("--limit", "2").map { $0["position"]?.asText } == positions.suffix(2))
            #expect(try await show("--type", "genesis", "--type", "flush").count == 2)
            #expect(try await show("--table", "users").count == 2)
            let newest = try await show("--table", "users", "--limit", "1")
            #expect(newest.first?["id"]?.asText == id)
            #expect(try await show("--from", "0-0", "--table", "users", "--limit", "1").count == 1)
            let one = try await show("--id", id)
            #expect(one.first?["operations"]?.asArray?.first == ["op": "put", "table": "users", "rows": 1])
            #expect(try await show("--type", "seal").isEmpty)

            let writer = try await LocalLogProvider(path: "\(directory)/log").open(.first)
            _ = await writer.append([Bytes("nothing of ours")])
            await writer.close()
            let foreign = try await show("--type", "foreign")
            #expect(foreign.count == 1)
            #expect(foreign.first?["content"]?.asText?.contains("no record") == true)

            let verified = try await varve(["log", "verify"] + config)
            #expect(verified.code == 0)
            #expect(try parseJSON(verified.output)["verdict"] == "proved")
        }
    }

    @Test func aLogIsReadBesideItsNode() async throws {
        try await withNode(yaml) { url, _, directory in
            let config = "\(directory)/node.yaml"
            #expect(try await varve("tx", "-", "--url", url, input: put("users", "ada")).code == 0)
            let followed = try await varve(
                "log", "follow", "--config", config, "--type", "transaction", "--from", "0-0", "--count",
                "1")
            #expect(followed.code == 0)
            #expect(followed.output.contains("put users 1"))
            let shown = try await varve("log", "show", "--config", config)
            #expect(shown.code == 0)
            #expect(shown.errors.hasPrefix("note: "))
            #expect(shown.output.contains("genesis"))
            // No block yet: honest, and not green.
            let young = try await varve("log", "verify", "--config", config)
            #expect(young.code == 69)
            #expect(young.output.contains("not checkable"))
            #expect(try await varve("blocks", "flush", "--url", url).code == 0)
            let verified = try await varve("log", "verify", "--config", config)
            #expect(verified.code == 0, "\(verified.output)")
            #expect(verified.output.contains("verdict       proved"))
        }
    }

    @Test func decidedTransactionsAreFollowedAtANode() async throws {
        try await withNode { url, _, _ in
            let id = "0b8f0000000000000000000000000001"
            for name in ["ada", "eve"] {
                let given = name == "eve" ? ["--id", id] : []
                #expect(try await varve(["tx", "-", "--url", url] + given, input: put("users", name)).code == 0)
            }
            let followed = try await varve(
                "log", "follow", "--url", url, "--from", "0-0", "--count", "2", "--json")
            #expect(try lines(followed).map { $0["status"] } == ["committed", "committed"])
            let one = try await varve("log", "show", "--url", url, "--id", id, "--json")
            #expect(try lines(one).map { $0["id"]?.asText } == [id])
            let refused = try await varve("log", "show", "--url", url, "--table", "users")
            #expect(refused.code == 64)
            #expect(refused.errors.contains("needs --config"))
        }
    }

    @Test func aLogThatIsNotStoragesIsRefutedWithTheEvidence() async throws {
        try await withNode(yaml) { url, process, directory in
            #expect(try await varve("tx", "-", "--url", url, input: put("users", "ada")).code == 0)
            #expect(try await varve("blocks", "flush", "--url", url).code == 0)
            process.send(SIGTERM)
            #expect(await process.wait() == .code(0))
            // One bit of a document, on the disk.
            let segment = "\(directory)/log/e0000/0000000000000000.log"
            let descriptor = open(segment, O_RDWR)
            defer { close(descriptor) }
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = pread(descriptor, &bytes, bytes.count, 0)
            let at = try #require(bytes[..<count].firstRange(of: Array("users".utf8))?.lowerBound)
            #expect(pwrite(descriptor, "v", 1, at) == 1)
            let verified = try await varve("log", "verify", "--config", "\(directory)/node.yaml")
            #expect(verified.code == 1)
            #expect(verified.output.contains("refuted") || verified.errors.hasPrefix("LOG_CORRUPT: "))
        }
    }
}
