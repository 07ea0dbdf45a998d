import Foundation
import Testing
import VarveLog
import VarveModel
import VarveStorage

@testable import VarveNode

/// A local log forgets what blocks hold, and only that.
@Suite struct TrimmingTests {
    /// A segment for every batch, so that a block's last record is alone in its own.
    private func provider(_ path: String) -> LocalLogProvider {
        LocalLogProvider(path: "\(path)/log", segmentBytes: 1)
    }

    private func segments(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/log/e0000").filter { $0.hasSuffix(".log") }
            .sorted()
    }

    @Test func segmentsGoOnceBlocksCoverThemAndANodeStartsFromWhatIsLeft() async throws {
        try await withScratch { path in
            let configuration = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/log")), storage: .local(path: "\(path)/storage"))
            let node = try await Node.start(configuration, log: provider(path))
            for number in 0..<30 { try await node.submit(.put(into: "t", ["_id": .text("d\(number)")])) }
            let before = try segments(path)
            #expect(before.count > 2 && before.first == "0000000000000000.log", "nothing goes before a block is there")
            _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            for number in 30..<34 { try await node.submit(.put(into: "t", ["_id": .text("d\(number)")])) }
            await node.stop()
            let after = try segments(path)
            #expect(Set(after).isDisjoint(with: before), "what the block covers is gone: \(after)")
            #expect(after.count >= 5, "the block's last record, which proves at the next start whose log it is")
            let again = try await Node.start(configuration, log: provider(path))
            for number in [0, 17, 33] {
                #expect(try await again.document("t", "d\(number)") != nil, "document \(number)")
            }
            await again.stop()
        }
    }

    /// A block that is cut by a threshold is trimmed while records behind it are there already.
    @Test func theLastRecordOfTheNewestBlockStaysForTheNextStartToProveTheLogBy() async throws {
        try await withScratch { path in
            let configuration = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/log")), storage: .local(path: "\(path)/storage"),
                indexer: IndexerConfiguration(transactionsPerBlock: 10))
            for round in 0..<3 {
                let node = try await Node.start(configuration, log: provider(path))
                for number in 0..<35 { try await node.submit(.put(into: "t", ["_id": .text("\(round) \(number)")])) }
                await node.stop()
            }
            let first = try #require(try segments(path).first)
            #expect(first > "0000000000000020.log", "blocks cover it")
        }
    }

    /// With storage in memory the log is all there is.
    @Test func nothingGoesWhileStorageIsInMemory() async throws {
        try await withScratch { path in
            let configuration = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/log")), storage: .inMemory)
            let node = try await Node.start(configuration, log: provider(path))
            for number in 0..<20 { try await node.submit(.put(into: "t", ["_id": .text("d\(number)")])) }
            _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            await node.stop()
            #expect(try segments(path).first == "0000000000000000.log")
        }
    }
}
