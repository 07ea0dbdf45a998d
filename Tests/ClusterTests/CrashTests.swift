import Foundation
import Testing
import VarveClient
import VarveModel
import VarveTestSupport
import VarveWire

/// Three node processes on a real Kafka, killed and paused at random under load: nothing acknowledged is lost or applied
/// twice, the nodes agree, storage is whole, and a block is written about once.
///
/// Some seconds of it in `make test`; `make test-crash` goes on for ten minutes. `VARVE_CRASH_SEED` takes the same
/// faults again; where in its work they meet a process differs, so a failure is told with the log of every node.
@Suite(.serialized) struct CrashTests {
    static let isPossible: Bool = {
        guard let reason = KafkaAvailability.skipReason else { return true }
        TestReport.note("crash", "skipped: \(reason)")
        return false
    }()

    private static let environment = ProcessInfo.processInfo.environment
    private static let seed = environment["VARVE_CRASH_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...999_999)
    private static let duration = Duration.seconds(
        (environment["VARVE_CRASH_MINUTES"].flatMap { Double($0) } ?? 0.15) * 60)

    @Test(.enabled(if: isPossible, "\(KafkaAvailability.skipReason ?? "")"))
    func whateverIsKilledOrPausedNothingAcknowledgedIsLostOrTwice() async throws {
        print("Crash: seed \(Self.seed), \(Self.duration); again: VARVE_CRASH_SEED=\(Self.seed) make test-crash")
        let broker = try await KafkaBroker.shared()
        try await withScratch { directory in
            let sections = """
                log: !Kafka { bootstrapServers: "\(broker.bootstrapServers)", topic: varve-crash-\(UUID().uuidString.prefix(8)) }
                storage: !Local { path: \(directory)/storage }
                indexer: { rowsPerBlock: 300 }
                logging: { level: debug }
                """
            var nodes: [NodeProcess] = []
            for i in 1...3 { nodes.append(try NodeProcess("node-\(i)", in: directory, sections)) }
            for node in nodes { try node.start() }
            for node in nodes { try await node.waitUntilReady() }

            let load = CrashLoad(nodes)
            let chaos = try Chaos(nodes)
            let clock = ContinuousClock()
            do {
                let running = try await clock.measure { try await run(chaos, load) }
                print(
                    "Crash: every node serves after \(running), \(chaos.seen), \(load.acknowledged.count) transactions; "
                        + "now everything is compared")
                try await expectWhole(nodes, load, chaos, in: directory)
            } catch {
                for node in nodes { print("\(node.name), seed \(Self.seed):\n\(node.log.suffix(3_000))") }
                throw error
            }
            for node in nodes { #expect(node.stop() == 0) }
        }
    }

    private func run(_ chaos: Chaos, _ load: CrashLoad) async throws {
        let watch = Task { await chaos.watch() }
        defer { watch.cancel() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await load.run() }
            group.addTask {
                defer { load.end() }
                try await chaos.run(until: .now + Self.duration, seed: Self.seed)
            }
            try await group.waitForAll()
        }
    }

    private func expectWhole(
        _ nodes: [NodeProcess], _ load: CrashLoad, _ chaos: Chaos, in directory: String
    ) async throws {
        // What is in memory only becomes a block, too, and every node takes it.
        let cut = try await nodes[0].client.flush()
        let answers = try await settled(nodes)
        #expect(Set(answers.map { $0.applied?.inputChain }).count == 1, "seed \(Self.seed)")
        #expect(Set(answers.map { $0.applied?.effectChain }).count == 1, "seed \(Self.seed)")
        for node in nodes { try await load.expectAll(on: node) }
        var blocks: [Set<String>] = []
        for node in nodes { blocks.append(try await digests(on: node, through: cut.block)) }
        #expect(blocks.dropFirst().allSatisfy { $0 == blocks[0] }, "seed \(Self.seed)")

        let verified = try runProgram(["blocks", "verify", "--config", nodes[0].configuration, "--json"])
        #expect(verified.status == 0, "seed \(Self.seed): \(verified.text)")
        let log = try runProgram(["log", "verify", "--config", nodes[1].configuration])
        #expect(log.status == 0, "seed \(Self.seed): \(log.text)")

        let report = try parseJSON(String(verified.text.split(separator: "\n").last ?? ""))
        // One more for each transaction: its row in the system table of decided submissions.
        let versions = load.acknowledged.count * (CrashLoad.documents + 2) + load.refusedCount
        #expect(report["rows"] == .integer(Int64(versions)), "each version stands in one block, once")
        let bytes = try #require(report["bytes"]?.asInteger)
        let count = try #require(report["blocks"]?.asInteger)
        for node in nodes { await chaos.look(at: node) }
        let ratio = chaos.bytesWritten / Double(bytes)
        // Nodes that wrote every block each would be at 3. In a short run one block weighs much in the mean.
        let isLong = Self.duration >= .seconds(300)
        #expect(
            ratio < (isLong ? 1.05 : 2),
            "\(chaos.bytesWritten) bytes were written for \(bytes) of blocks, seed \(Self.seed)")
        let worst = try await worstCopies(nodes)
        // Only a node that slept while it wrote is overtaken, and then its files are there once more.
        #expect(worst.copies <= (isLong ? 2 : Double(nodes.count)), "block \(worst.block), seed \(Self.seed)")
        let seen = chaos.seen
        #expect(seen.kills > 0 && seen.pauses > 0 && count > 3 && load.readsCount > 0)

        let copies = String(format: "%.3f", ratio)
        print(
            """
            Crash: \(load.acknowledged.count) transactions acknowledged, \(load.refusedCount) refused, \
            \(load.againCount) calls made again, \(load.readsCount) reads of own writes; \(seen.kills) kills \
            (\(seen.killedAsleep) while paused), \(seen.pauses) pauses; \(count) blocks, \(bytes) bytes, \
            \(Int(chaos.bytesWritten)) written: \(copies) times, block \(worst.block) most: \(worst.text) times
            """)
        TestReport.note(
            "crash",
            "ran (seed \(Self.seed): \(seen.kills) kills, \(seen.pauses) pauses, \(load.acknowledged.count) transactions, "
                + "\(count) blocks, written \(copies) times, at worst \(worst.text))")
    }

    /// The block of which most was written for what it holds, from what every process said of every file it finished.
    private func worstCopies(_ nodes: [NodeProcess]) async throws -> (block: UInt64, copies: Double, text: String) {
        var written: [UInt64: Int] = [:]
        for node in nodes {
            for line in node.log.split(separator: "\n") where line.contains("block file written") {
                let fields = line.split(separator: " ")
                func number(_ name: String) -> Int? {
                    fields.first { $0.hasPrefix(name + "=") }.flatMap { Int($0.dropFirst(name.count + 1)) }
                }
                guard let block = number("block"), let bytes = number("bytes") else { continue }
                written[UInt64(block), default: 0] += bytes
            }
        }
        var worst = (block: UInt64(0), copies: 0.0)
        var before: BlockNumber?
        while true {
            let page = try await nodes[0].client.blocks(limit: 1_000, before: before).blocks
            guard let last = page.last else { break }
            for block in page {
                let held = block.files.reduce(0) { $0 + $1.bytes }
                let copies = held == 0 ? 0 : Double(written[block.number.value] ?? 0) / Double(held)
                if copies > worst.copies { worst = (block.number.value, copies) }
            }
            before = last.number
        }
        #expect(worst.copies >= 1, "the nodes' logs do not say what was written")
        return (worst.block, worst.copies, String(format: "%.3f", worst.copies))
    }

    /// Of the manifests that a node uses; waits until it has taken `last`.
    private func digests(on node: NodeProcess, through last: BlockNumber?) async throws -> Set<String> {
        let client = try node.client
        for _ in 0..<600 {
            let newest = try await client.blocks(limit: 1_000).blocks
            if let last, newest.first.map({ $0.number < last }) ?? true {
                try await Task.sleep(for: .milliseconds(50))
                continue
            }
            return Set(newest.map(\.digest))
        }
        throw NodeFailure("\(node.name) does not take block \(last?.description ?? "")")
    }
}
