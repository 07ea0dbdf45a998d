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

    @Test func theNewestManifestIsMissedAndMadeAgain() async throws {
        try await withNode(yaml) { url, process, directory in
            for id in 0..<3 {
                let put = #"{"ops":[{"put":{"table":"users","docs":[{"_id":"\#(id)"}]}}]}"#
                #expect(try await varve(["tx", "-", "--url", url], input: put).code == 0)
            }
            #expect(try await varve("blocks", "flush", "--url", url).code == 0)
            process.send(SIGTERM)
            #expect(await process.wait() == .code(0))
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
}
