import Foundation
import Testing
import VarveIndexing
import VarveModel

@testable import VarveNode

@Suite struct EvidenceTests {
    private func manifest(_ effect: UInt64) -> Manifest {
        Manifest(
            database: Bytes16(high: 1, low: 1), number: BlockNumber(17), previous: .zero, first: .zero,
            last: Position(.first, Offset(99)), logTime: 0, effectiveTime: 0, systemTime: Instant(microseconds: 0),
            inputChain: .zero, effectChain: Bytes16(high: effect, low: 0), recordDigest: .zero, horizon: .zero,
            anchors: [], cut: .rows, counts: .init(), settings: Settings(), tables: [])
    }

    private func evidence(_ published: Manifest?) -> DivergenceEvidence {
        DivergenceEvidence(
            node: "n1", error: VarveError(.divergence, "block 17 differs"), own: manifest(1), published: published,
            token: Token(position: .zero, chainPrefix: 7))
    }

    @Test func bothManifestsAreKeptWithATextThatSaysWhatToDo() async throws {
        try await withScratch { path in
            let place = try #require(EvidenceKeeper.keep(evidence(manifest(2)), in: path + "/node"))
            #expect(place == path + "/node/divergence-block-17")
            let kept = { try Data(contentsOf: URL(fileURLWithPath: place + "/" + $0)) }
            #expect(try Manifest.decode(Bytes(Array(kept("own-manifest.cbor")))) == manifest(1))
            #expect(try Manifest.decode(Bytes(Array(kept("published-manifest.cbor")))) == manifest(2))
            let text = String(decoding: try kept("README.txt"), as: UTF8.self)
            let marked = text.split(separator: "\n").filter { $0.hasPrefix("* ") }
            #expect(marked.count == 1 && marked[0].hasPrefix("* E "))
            #expect(text.contains("docs/runbooks/divergence.md"))
            // Met again after a restart: the newest evidence stays.
            #expect(EvidenceKeeper.keep(evidence(nil), in: path + "/node") == place)
        }
    }

    @Test func nowhereToKeepItHidesNothing() async throws {
        try await withScratch { path in
            _ = FileManager.default.createFile(atPath: path + "/file", contents: nil)
            #expect(EvidenceKeeper.keep(evidence(nil), in: path + "/file/node") == nil)
        }
    }
}
