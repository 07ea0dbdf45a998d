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

    @Test func aDamagedPlaceHasNoTime() async throws {
        try await withNode(yaml) { url, process, directory in
            for id in ["ada", "eve", "bob"] {
                #expect(try await varve("tx", "-", "--url", url, input: put("users", id)).code == 0)
            }
            process.send(SIGTERM)
            #expect(await process.wait() == .code(0))
            let segment =
                "\(directory)/log/e0000/"
                + (try #require(entries("\(directory)/log/e0000").first { $0.hasSuffix(".log") }))
            let descriptor = open(segment, O_RDWR)
            let middle = lseek(descriptor, 0, SEEK_END) / 2
            var byte: UInt8 = 0
            #expect(pread(descriptor, &byte, 1, middle) == 1)
            byte ^= 1
            #expect(pwrite(descriptor, &byte, 1, middle) == 1)
            close(descriptor)

            let config = ["--config", "\(directory)/node.yaml", "--type", "damaged"]
            let json = try lines(try await varve(["log", "show", "--json"] + config))
            #expect(json.count == 1 && json.first?["time"] == .null, "\(json)")
            let shown = try await varve(["log", "show"] + config)
            #expect(shown.output.contains("damaged") && !shown.output.contains("1970"), "\(shown.output)")
        }
    }

    @Test func followingGoesOnBehindASeal() async throws {
        let moving = """
            log: !Local { path: log, directories: { other: { path: elsewhere } } }
            storage: !Local { path: storage }

            """
        try await withNode(moving) { url, _, directory in
            let config = "\(directory)/node.yaml"
            #expect(try await varve("tx", "-", "--url", url, input: put("users", "ada")).code == 0)
            let moved = try await varve("epoch", "migrate", "--to-cluster", "other", "--url", url)
            #expect(moved.code == 0, "\(moved.errors)")
            #expect(try await varve("tx", "-", "--url", url, input: put("towns", "rome")).code == 0)

            let followed = try await varve(
                "log", "follow", "--config", config, "--type", "transaction", "--type", "seal", "--from", "0-0",
                "--count",
                "3")
            #expect(followed.code == 0, "\(followed.errors)")
            let rows = followed.output.split(separator: "\n")
            #expect(rows.count == 3)
            #expect(rows.first?.contains("put users 1") == true)
            #expect(rows.dropFirst().first?.contains("epoch 1 goes on in local e0001") == true, "\(rows)")
            #expect(rows.last?.hasPrefix("1-") == true && rows.last?.contains("put towns 1") == true, "\(rows)")
            #expect(followed.errors.contains("note: epoch 0 ended at 0-"), "\(followed.errors)")
            #expect(followed.errors.contains("epoch 1 goes on in local e0001"))
            // `--to` ends it where it says, before the seal or behind it.
            let bounded = try await varve("log", "follow", "--config", config, "--from", "0-0", "--to", "0-9999")
            #expect(bounded.code == 0 && !bounded.output.contains("towns"), "\(bounded.output)")

            // A configuration that knows no such place: which command goes on, and what it needs.
            try write(yaml, to: "\(directory)/old.yaml")
            let ended = try await varve("log", "follow", "--config", "\(directory)/old.yaml", "--from", "0-0")
            #expect(ended.code != 0 && ended.output.contains("seal"))
            #expect(
                ended.errors.contains("varve log follow --from 1-0 --config \(directory)/old.yaml"), "\(ended.errors)")
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
