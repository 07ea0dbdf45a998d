import Foundation
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage

@testable import VarveNode

/// A directory of the system's temporary one, removed with the scope.
func withScratch<R>(_ body: (String) async throws -> R) async throws -> R {
    var generator = SystemRandomNumberGenerator()
    let path = "\(NSTemporaryDirectory())/varve-test-\(Bytes16.random(using: &generator))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    do {
        let result = try await body(path)
        try removeTree(path)
        return result
    } catch {
        try? removeTree(path)
        throw error
    }
}

func removeTree(_ path: String) throws { try FileManager.default.removeItem(atPath: path) }
func copyTree(_ from: String, _ to: String) throws { try FileManager.default.copyItem(atPath: from, toPath: to) }

@Suite struct StartTests {
    func configuration(_ path: String, log: String = "log") -> Configuration {
        Configuration(
            log: .local(LocalLogConfiguration(path: "\(path)/\(log)")), storage: .local(path: "\(path)/storage"))
    }

    @Test func aRestartKeepsEverythingFlushedOrNot() async throws {
        try await withScratch { path in
            let configuration = configuration(path)
            let first = try await withNode(configuration) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a", "n": 1]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
                try await node.submit(.put(into: "t", ["_id": "b", "n": 2]))
                return node.status().standing!
            }
            try await withNode(configuration) { (node: Node) async throws in
                let standing = node.status().standing!
                #expect(standing.inputChain == first.inputChain)
                #expect(standing.effectChain == first.effectChain)
                #expect(standing.token == first.token)
                #expect(try await node.document("t", "a") == ["n": 1])
                #expect(try await node.document("t", "b") == ["n": 2])
            }
        }
    }

    @Test func idsAreRememberedBeyondARestart() async throws {
        try await withScratch { path in
            let id = SubmissionID(high: 5, low: 6)
            let first = try await withNode(configuration(path)) { (node: Node) async throws in
                let decision = try await node.decided(.put(into: "t", ["_id": "a"]), id: id)
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
                return decision
            }
            try await withNode(configuration(path)) { (node: Node) async throws in
                #expect(try await node.decided(.put(into: "t", ["_id": "a"]), id: id) == first)
            }
        }
    }

    /// A log clock that a test sets.
    struct Clock: InstantSource {
        let instant: Instant
        func now() -> Instant { instant }
    }

    @Test func theFirstWriteAfterALongPauseIsNotTooLate() async throws {
        try await withScratch { path in
            for hour in 0..<3 {
                let clock = Clock(instant: Instant(microseconds: Int64(1_700_000_000 + hour * 36_000) * 1_000_000))
                let node = try await Node.start(configuration(path), instantSource: clock)
                let decision = try await node.decided(.put(into: "t", ["_id": .integer(Int64(hour))]))
                #expect(decision.outcome == .committed)
                await node.stop()
            }
        }
    }

    func refusal(_ configuration: Configuration) async -> ErrorCode? { await refused(configuration)?.code }

    func refused(_ configuration: Configuration) async -> VarveError? {
        do {
            try await withNode(configuration) { _ in }
            return nil
        } catch {
            return error as? VarveError
        }
    }

    @Test func anEmptyDirectoryUnderALogWithRecordsIsStorageMissing() async throws {
        try await withScratch { path in
            try await withNode(configuration(path)) { try await $0.submit(.put(into: "t", ["_id": "a"])) }
            try removeTree("\(path)/storage")
            #expect(await refusal(configuration(path)) == .storageMissing)
        }
    }

    @Test func aVanishedLogIsMissingAndNotMadeAnew() async throws {
        try await withScratch { path in
            try await withNode(configuration(path)) { try await $0.submit(.put(into: "t", ["_id": "a"])) }
            try removeTree("\(path)/log")
            #expect(await refusal(configuration(path)) == .logMissing)
            #expect(FileManager.default.fileExists(atPath: "\(path)/log") == false)
        }
    }

    @Test func anotherDatabasesLogIsReplaced() async throws {
        try await withScratch { path in
            for name in ["one", "two"] {
                try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
                let own = Configuration(
                    log: .local(LocalLogConfiguration(path: "\(path)/\(name)/log")),
                    storage: .local(path: "\(path)/\(name)/storage"))
                try await withNode(own) { try await $0.submit(.put(into: "t", ["_id": .text(name)])) }
            }
            let swapped = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/two/log")),
                storage: .local(path: "\(path)/one/storage"))
            #expect(await refusal(swapped) == .logReplaced)
        }
    }

    @Test func anOlderCopyOfTheLogIsBehind() async throws {
        try await withScratch { path in
            let configuration = configuration(path)
            try await withNode(configuration) { try await $0.submit(.put(into: "t", ["_id": "a"])) }
            try copyTree("\(path)/log", "\(path)/copy")
            try await withNode(configuration) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "b"]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            try removeTree("\(path)/log")
            try copyTree("\(path)/copy", "\(path)/log")
            #expect(await refusal(configuration) == .logBehind)
        }
    }

    /// No block reaches beyond the copy, but a node had applied more: that was acknowledged, and nobody has declared it lost.
    @Test func aLogThatLostWhatANodeHadAppliedIsBehind() async throws {
        try await withScratch { path in
            let configuration = configuration(path)
            try await withNode(configuration) { try await $0.submit(.put(into: "t", ["_id": "a"])) }
            try copyTree("\(path)/log", "\(path)/copy")
            try copyTree("\(path)/storage", "\(path)/then")
            try await withNode(configuration) { try await $0.submit(.put(into: "t", ["_id": "b"])) }
            try removeTree("\(path)/log")
            try copyTree("\(path)/copy", "\(path)/log")
            #expect(await refusal(configuration) == .logBehind)
            // The copy with the storage of its time is whole.
            try removeTree("\(path)/storage")
            try copyTree("\(path)/then", "\(path)/storage")
            try await withNode(configuration) { (node: Node) async throws in
                let document = try await node.snapshot().get("t", id: "a")
                #expect(document != nil)
            }
        }
    }

    @Test func aCopyThatWentAnotherWayHasDiverged() async throws {
        try await withScratch { path in
            let configuration = configuration(path)
            try await withNode(configuration) { try await $0.submit(.put(into: "t", ["_id": "a"])) }
            try copyTree("\(path)/log", "\(path)/copy")
            try copyTree("\(path)/storage", "\(path)/elsewhere")
            try await withNode(configuration) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "b"]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            let other = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/copy")), storage: .local(path: "\(path)/elsewhere"))
            try await withNode(other) { (node: Node) async throws in
                for i in 0..<5 { try await node.submit(.put(into: "t", ["_id": .integer(Int64(i))])) }
            }
            try removeTree("\(path)/log")
            try copyTree("\(path)/copy", "\(path)/log")
            #expect(await refusal(configuration) == .logDiverged)
        }
    }

    /// No block reaches so far: only what the node had said of its last record tells that another stands there now.
    @Test func aLogThatLostItsEndAndGrewAnotherHasDiverged() async throws {
        try await withScratch { path in
            let configuration = configuration(path)
            try await withNode(configuration) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a"]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            try copyTree("\(path)/log", "\(path)/copy")
            try copyTree("\(path)/storage", "\(path)/elsewhere")
            try await withNode(configuration) { try await $0.submit(.put(into: "t", ["_id": "b"])) }
            let other = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/copy")), storage: .local(path: "\(path)/elsewhere"))
            try await withNode(other) { (node: Node) async throws in
                for i in 0..<5 { try await node.submit(.put(into: "t", ["_id": .integer(Int64(i))])) }
            }
            try removeTree("\(path)/log")
            try copyTree("\(path)/copy", "\(path)/log")
            let refusal = await refused(configuration)
            #expect(refusal?.code == .logDiverged)
            #expect(refusal?.message.contains("had applied there") == true)
            // Nor is the next epoch begun as though nothing were lost.
            #expect(await self.refusal(self.configuration(path, epoch: 1)) == .epochAhead)
            // The node beside which it was written says the same of its last record, and starts.
            try await withNode(other) { (node: Node) async throws in
                let document = try await node.snapshot().get("t", id: .integer(4))
                #expect(document != nil)
            }
        }
    }

    @Test func aLogThatEndsWithItsProcessUnderADirectoryIsRefused() async throws {
        try await withScratch { path in
            #expect(await refusal(Configuration(storage: .local(path: path))) == .configInvalid)
        }
    }

    func configuration(_ path: String, epoch: Int) -> Configuration {
        var log = LocalLogConfiguration(path: "\(path)/log")
        log.epoch = epoch
        return Configuration(log: .local(log), storage: .local(path: "\(path)/storage"))
    }

    @Test func aLaterEpochOverAnEmptyStorageIsRefused() async throws {
        try await withScratch { path in
            #expect(await refusal(configuration(path, epoch: 1)) == .epochAhead)
            #expect(FileManager.default.fileExists(atPath: "\(path)/log") == false)
            try await withNode(configuration(path, epoch: 0)) { (node: Node) async throws in
                #expect(node.status().epoch == .first)
            }
        }
    }

    @Test func anEpochFarBesideTheRecordedOneIsRefused() async throws {
        try await withScratch { path in
            try await withNode(configuration(path)) { try await $0.submit(.put(into: "t", ["_id": "a"])) }
            #expect(await refusal(configuration(path, epoch: 3)) == .epochAhead)
        }
    }

    @Test func theNextEpochIsRefusedWhileATransactionIsInTheLogOnly() async throws {
        try await withScratch { path in
            try await withNode(configuration(path)) { try await $0.submit(.put(into: "t", ["_id": "a"])) }
            #expect(await refusal(configuration(path, epoch: 1)) == .epochAhead)
            try await withNode(configuration(path, epoch: 0)) { (node: Node) async throws in
                #expect(try await node.document("t", "a") == [:])
            }
        }
    }

    @Test func theNextEpochGoesOnWhereEverythingIsInBlocks() async throws {
        try await withScratch { path in
            let before = try await withNode(configuration(path)) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a", "n": 1]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
                return node.status().standing!
            }
            try await withNode(configuration(path, epoch: 1)) { (node: Node) async throws in
                #expect(node.status().epoch == Epoch(1))
                #expect(try await node.document("t", "a") == ["n": 1])
                let decision = try await node.decided(.put(into: "t", ["_id": "b", "n": 2]))
                #expect(decision.position.epoch == Epoch(1))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
                let epochs = try node.epochs()
                #expect(epochs.map(\.record.began) == [.initial, .sealed])
                #expect(epochs[0].end.map { $0 > before.token.position } == true)
            }
            // Once more without a word about the epoch, and with the line of before, forgotten: it is followed.
            for (configured, warns) in [(configuration(path), false), (configuration(path, epoch: 0), true)] {
                try await withNode(configured) { (node: Node) async throws in
                    #expect(node.status().epoch == Epoch(1))
                    #expect(try await node.document("t", "b") == ["n": 2])
                    #expect(node.status().warnings.contains { $0.contains("epoch: 1") } == warns)
                }
            }
        }
    }

    @Test func theNextEpochIsRefusedBehindALogThatHasLostItsEnd() async throws {
        try await withScratch { path in
            try await withNode(configuration(path)) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a"]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            try copyTree("\(path)/log", "\(path)/copy")
            try await withNode(configuration(path)) { try await $0.submit(.put(into: "t", ["_id": "b"])) }
            try removeTree("\(path)/log")
            try copyTree("\(path)/copy", "\(path)/log")
            // What is left of the log fits every block and holds nothing behind them: and proves nothing.
            #expect(await refusal(configuration(path, epoch: 1)) == .epochAhead)
        }
    }

    @Test func theNextEpochNeedsTheOldLogOrAPlan() async throws {
        try await withScratch { path in
            try await withNode(configuration(path)) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a"]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            try removeTree("\(path)/log")
            #expect(await refusal(configuration(path, epoch: 1)) == .logMissing)
        }
    }

    /// The old log is gone, but each of its nodes said at its orderly end that blocks hold all it had applied.
    @Test(arguments: [true, false]) func theWordOfNodesThatWereStoppedIsProof(isAllInBlocks: Bool) async throws {
        try await withScratch { path in
            var first = configuration(path)
            first.node = NodeConfiguration(id: "first")
            var second = configuration(path, epoch: 1)
            second.node = NodeConfiguration(id: "second")
            try await withNode(first) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a"]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
                if !isAllInBlocks { try await node.submit(.put(into: "t", ["_id": "b"])) }
            }
            try removeTree("\(path)/log")
            guard isAllInBlocks else {
                #expect(await refusal(second) == .logMissing)
                return
            }
            try await withNode(second) { (node: Node) async throws in
                #expect(node.status().epoch == Epoch(1))
                #expect(try await node.document("t", "a") == [:])
            }
        }
    }

    /// What stands in the place of the next epoch's log belongs to somebody.
    @Test func theNextEpochIsRefusedWhereAnotherDatabasesLogStands() async throws {
        try await withScratch { path in
            try await withNode(configuration(path)) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a"]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            let other = "\(path)/other"
            try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
            try await withNode(configuration(other)) { _ in }
            try await withNode(configuration(other, epoch: 1)) {
                try await $0.submit(.put(into: "t", ["_id": "theirs"]))
            }
            try copyTree("\(other)/log/e0001", "\(path)/log/e0001")
            let theirs = try FileManager.default.contentsOfDirectory(atPath: "\(path)/log/e0001").sorted()
            let error = await refused(configuration(path, epoch: 1))
            #expect(error?.code == .epochAhead)
            #expect(error?.message.contains("not this database's") == true, "\(String(describing: error))")
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(path)/log/e0001").sorted() == theirs)
            // The nearest healthy state: nothing stands there.
            try removeTree("\(path)/log/e0001")
            try await withNode(configuration(path, epoch: 1)) { (node: Node) async throws in
                #expect(node.status().epoch == Epoch(1))
                #expect(try await node.document("t", "a") == [:])
            }
        }
    }

    @Test func aSecondNodeOnTheSameLocalLogIsLocked() async throws {
        try await withScratch { path in
            try await withNode(configuration(path)) { (_: Node) async throws in
                #expect(await refusal(configuration(path)) == .logLocked)
            }
        }
    }
}
