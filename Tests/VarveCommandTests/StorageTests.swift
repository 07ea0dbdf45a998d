import Glibc
import Testing
import VarveHarness
import VarveModel

@testable import VarveCommand

/// `varve blocks verify` on a storage whose newest manifest is not what its node saw, and what comes after.
@Suite struct StorageTests {
    private let yaml = """
        log: !Local { path: log }
        storage: !Local { path: storage }
        indexer: { transactionsPerBlock: 1 }

        """

    private func newestManifest(_ directory: String) -> String {
        let block = (0..<9).last { access("\(directory)/storage/blocks/e0000/b000000000000000\($0).cbor", F_OK) == 0 }
        return "blocks/e0000/b000000000000000\(block ?? 0).cbor"
    }

    /// Three rows in a block, and an orderly end.
    private func fillAndEnd(_ process: ChildProcess, _ url: String) async throws {
        for id in 0..<3 {
            let put = #"{"ops":[{"put":{"table":"users","docs":[{"_id":"\#(id)"}]}}]}"#
            #expect(try await varve(["tx", "-", "--url", url], input: put).code == 0)
        }
        #expect(try await varve("blocks", "flush", "--url", url).code == 0)
        process.send(SIGTERM)
        #expect(await process.wait() == .code(0))
    }

    @Test func theNewestManifestIsMissedAndMadeAgain() async throws {
        try await withNode(yaml) { url, process, directory in
            try await fillAndEnd(process, url)
            let config = "\(directory)/node.yaml"
            #expect(try await varve("blocks", "verify", "--config", config).output.contains("all whole"))

            let name = newestManifest(directory)
            let bytes = contents("\(directory)/storage/\(name)")
            unlink("\(directory)/storage/\(name)")
            let missed = try await varve("blocks", "verify", "--config", config)
            #expect(missed.code == 1)
            #expect(missed.output.contains("CHAIN_BROKEN: \(name): it is missing: a node had adopted block"))
            #expect(missed.output.contains("(n1); next: restore it from a copy"), "\(missed.output)")
            // Its own file, not the one of the documents.
            #expect(missed.output.contains("varve log verify --config \(config))"), "\(missed.output)")
            let json = try parseJSON(try await varve("blocks", "verify", "--json", "--config", config).output)
            #expect(json["contradictions"]?.asArray?.first?["nodes"] == ["n1"])

            let log = "\(directory)/again.log"
            let again = try start(["node", "--config", config], output: log)
            #expect(try await line("listens on http", in: log, of: again) != nil, "\(contents(log))")
            while access("\(directory)/storage/\(name)", F_OK) != 0 {
                try #require(again.exit == nil, "\(contents(log))")
                try await Task.sleep(for: .milliseconds(10))
            }
            await again.end(within: .seconds(20))
            #expect(contents("\(directory)/storage/\(name)") == bytes)
            #expect(try await varve("blocks", "verify", "--config", config).code == 0)
        }
    }

    @Test func whatIsNoFileDoesNotEndTheCheck() async throws {
        try await withNode(yaml) { url, process, directory in
            try await fillAndEnd(process, url)
            let tables = "\(directory)/storage/tables/users"
            let files = entries(tables).filter { $0.hasSuffix(".arrow") }.sorted()
            try #require(files.count == 3)
            unlink("\(tables)/\(files[0])")
            mkdir("\(tables)/\(files[0])", 0o755)
            unlink("\(tables)/\(files[1]).idx")
            mkdir("\(tables)/\(files[1]).idx", 0o755)
            mkdir("\(tables)/\(files[1]).idx/x", 0o755)
            unlink("\(tables)/\(files[2])")

            let config = ["--config", "\(directory)/node.yaml"]
            let checked = try await varve(["blocks", "verify"] + config)
            #expect(checked.code == 1 && checked.errors.isEmpty, "\(checked.errors)")
            let lines = checked.output.split(separator: "\n")
            let directories = lines.filter {
                $0.contains("a directory stands in the place of tables/users/\(files[0])")
            }
            #expect(directories.count == 1 && directories[0].hasPrefix("BLOCK_CORRUPT: block "), "\(checked.output)")
            #expect(
                lines.contains { $0.hasPrefix("missing or wrong, and not built again: tables/users/\(files[1]).idx") })
            #expect(lines.contains { $0.contains("\(files[2]) is missing") && $0.hasSuffix("of the file: nothing") })
            #expect(checked.output.contains(": 2 damaged"), "\(checked.output)")

            // A node says the same of its own reads, and serves all others.
            let log = "\(directory)/again.log"
            let again = try start(["node"] + config, output: log)
            let words = try #require(await line("listens on http", in: log, of: again)).split(separator: " ")
            let other = String(try #require(words.first { $0.hasPrefix("http://") }))
            while try await varve("status", "--ready", "--url", other).code != 0 {
                try #require(again.exit == nil, "\(contents(log))")
                try await Task.sleep(for: .milliseconds(10))
            }
            let read = try await varve("get", "users", "1", "--url", other)
            #expect(read.code == 0, "\(read.errors)")
            let lost = try await varve("get", "users", "0", "--url", other)
            #expect(lost.code == 1 && lost.errors.contains("BLOCK_CORRUPT: a directory stands"), "\(lost.errors)")
            await again.end(within: .seconds(20))
        }
    }

    @Test func aClientSaysWhatItsNodeWaitsForAndGoesOn() async throws {
        try await withDirectory { directory in
            let config = "\(directory)/node.yaml"
            // Its parent is not there yet, as of a disk that is not mounted.
            try write(
                """
                log: !Local { path: \(directory)/log }
                storage: !Local { path: \(directory)/disk/storage }
                http: { host: 127.0.0.1, port: 0 }
                node: { id: n1 }

                """, to: config)
            try write(#"{"ops":[{"put":{"table":"users","docs":[{"_id":"1"}]}}]}"#, to: "\(directory)/tx.json")
            let log = "\(directory)/node.log"
            let node = try start(["node", "--config", config], output: log)
            let words = try #require(await line("listens on http", in: log, of: node), "\(contents(log))")
                .split(separator: " ")
            let url = String(try #require(words.first { $0.hasPrefix("http://") }))
            let told = "\(directory)/tx.log"
            let client = try start(["tx", "\(directory)/tx.json", "--url", url], output: told)
            #expect(try await line("waiting: STORAGE_UNREACHABLE: ", in: told, of: client) != nil, "\(contents(told))")
            mkdir("\(directory)/disk", 0o755)
            #expect(await client.wait() == .code(0), "\(contents(told))")
            #expect(contents(told).split(separator: "\n").count { $0.hasPrefix("waiting: STORAGE_UNREACHABLE") } == 1)
            await node.end(within: .seconds(20))
        }
    }
}
