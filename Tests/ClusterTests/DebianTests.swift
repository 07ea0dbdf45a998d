import Foundation
import Testing
import VarveClient
import VarveModel
import VarveTestSupport
import VarveWire

/// The main job on real input: a real Kafka, three node processes, one storage directory; a node and the broker are
/// killed in the middle, and nothing acknowledged is lost.
@Suite(.serialized) struct DebianTests {
    /// Needs a broker of its own, to kill it; without one the report says why nothing ran.
    static let isPossible: Bool = {
        guard let reason = KafkaAvailability.skipReasonForOwnBroker else { return true }
        TestReport.note("debian", "skipped: \(reason)")
        return false
    }()

    @Test(.enabled(if: isPossible, "\(KafkaAvailability.skipReasonForOwnBroker ?? "")"))
    func threeNodesAgreeOnEveryDocumentWhateverIsKilled() async throws {
        let data = try DebianData.load()
        let broker = try await KafkaBroker.start()
        defer { Task { try? await broker.close() } }
        try await withScratch { directory in
            let sections = """
                log: !Kafka { bootstrapServers: \(broker.bootstrapServers), topic: varve-debian }
                storage: !Local { path: \(directory)/storage }
                indexer: { rowsPerBlock: \(data.isWhole ? 10_240 : 1_024) }
                """
            var nodes: [NodeProcess] = []
            for i in 1...3 { nodes.append(try NodeProcess("node-\(i)", in: directory, sections)) }
            // All at once, on nothing: exactly one database must come of it.
            for node in nodes { try node.start() }
            for node in nodes { try await node.waitUntilReady() }
            let (first, second, third) = (nodes[0], nodes[1], nodes[2])

            // Load through one node; kill another and the broker meanwhile.
            let loaded = try await load(data, through: first, killing: second, broker)
            #expect(loaded.documents == data.packages.count)

            // The updates one by one, each acknowledged before the next is sent.
            let client = try third.client
            for line in data.updates {
                var transaction = Transaction()
                try transaction.put(into: "packages", try parseJSON(String(line)))
                let outcome = try await client.submit(transaction)
                #expect(outcome.outcome == .committed)
            }

            let answers = try await settled(nodes)
            #expect(Set(answers.map { $0.applied?.inputChain }).count == 1)
            #expect(Set(answers.map { $0.applied?.effectChain }).count == 1)
            let expected = newest(data)
            for node in nodes { try await expectAll(expected, on: node) }
            let blocks = try await first.client.blocks(limit: 1_000).blocks
            #expect(blocks.count >= data.packages.count / (data.isWhole ? 10_240 : 1_024))

            // A node that never saw any of it: storage, then the tail.
            let fresh = try NodeProcess("node-4", in: directory, sections)
            try await fresh.startAndWait()
            let all = try await settled(nodes + [fresh])
            #expect(Set(all.map { $0.applied?.effectChain }).count == 1)
            try await expectAll(expected, on: fresh)
            for node in nodes + [fresh] { #expect(node.stop() == 0) }

            let lines = all.map {
                "\($0.node): \($0.applied?.position.description ?? "") H \($0.applied?.inputChain ?? "")"
            }
            print("Debian: \(expected.count) documents on each of \(all.count) nodes\n" + lines.joined(separator: "\n"))
            TestReport.note("debian", "ran (\(expected.count) documents, \(blocks.count) blocks, 4 nodes agree)")
        }
        TestReport.note("kafka", KafkaAvailability.here.summary)
    }

    private func load(
        _ data: DebianData, through node: NodeProcess, killing victim: NodeProcess, _ broker: KafkaBroker
    ) async throws -> LoadSummary {
        let client = try Client(ClientOptions(urls: [node.url], patience: .seconds(120), answerTimeout: .seconds(120)))
        return try await withThrowingTaskGroup(of: LoadSummary?.self) { group in
            let progress = AsyncStream.makeStream(of: Int.self)
            group.addTask {
                defer { progress.continuation.finish() }
                return try await client.load(
                    .file(data.packagesFile),
                    LoadOptions(table: "packages", pieceBytes: data.isWhole ? 4 << 20 : 1 << 18),
                    onPiece: { progress.continuation.yield($0.number) })
            }
            group.addTask {
                var pieces = progress.stream.makeAsyncIterator()
                for _ in 0..<3 { _ = await pieces.next() }
                victim.kill()
                for _ in 0..<2 { _ = await pieces.next() }
                try await victim.startAndWait()
                try await broker.kill()
                try await broker.start()
                while await pieces.next() != nil {}
                return nil
            }
            return try await group.reduce(LoadSummary()) { $1 ?? $0 }
        }
    }

    /// What each id must show at the end: the update where there is one.
    private func newest(_ data: DebianData) -> [String: Substring] {
        var newest: [String: Substring] = [:]
        for line in data.packages + data.updates { newest[DebianData.id(line)] = line }
        return newest
    }

    private func expectAll(_ expected: [String: Substring], on node: NodeProcess) async throws {
        let client = try node.client
        let count = try await client.query("SELECT count(*) FROM packages").rows
        #expect(count == [[.integer(Int64(expected.count))]], "on \(node.name)")
        let ids = expected.keys.sorted()
        for i in 0..<10 {
            let id = ids[i * (ids.count - 1) / 9]
            let found = try await client.get("packages", id: .text(id))
            #expect(try found == parseJSON(String(expected[id]!)), "\(id) on \(node.name)")
        }
    }
}
