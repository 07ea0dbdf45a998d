import Foundation
import Testing
import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveNode
import VarveRecovery
import VarveStorage

/// A database on a local log, and its log broken in some way.
struct Scene {
    let path: String
    var log: String { "\(path)/log" }

    static func with(_ body: (Scene) async throws -> Void) async throws {
        var generator = SystemRandomNumberGenerator()
        let path = "\(NSTemporaryDirectory())/varve-bump-\(Bytes16.random(using: &generator))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(Scene(path: path))
    }

    func configuration(epoch: Int? = nil) -> Configuration {
        Configuration(
            log: .local(LocalLogConfiguration(path: log, epoch: epoch)), storage: .local(path: "\(path)/storage"))
    }

    func withNode(epoch: Int? = nil, _ body: (Node) async throws -> Void) async throws {
        let node = try await Node.start(configuration(epoch: epoch))
        do {
            try await body(node)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    func cold() throws -> ColdDatabase {
        var generator = SystemRandomNumberGenerator()
        let store = BlockStore(
            try DirectoryObjectStore(path: "\(path)/storage", node: "reader", nonce: generator.next()))
        return try ColdDatabase(store, LogPlaces(LocalLogProvider(path: log)))
    }

    func plan() async throws -> EpochPlan { try await EpochSurvey(try cold()).plan() }

    func bump(_ way: EpochPlan.Way, accepting digest: String? = nil) async throws -> EpochBump.Result {
        let cold = try cold()
        let plan = try await EpochSurvey(cold).plan()
        return try await EpochBump(cold, plan, way, acceptedLoss: digest, settings: Settings()).run()
    }

    func refusal(_ way: EpochPlan.Way, accepting digest: String? = nil) async throws -> ErrorCode? {
        do {
            _ = try await bump(way, accepting: digest)
            return nil
        } catch let error as VarveError {
            return error.code
        }
    }

    /// A record of ours whose bytes changed on some disk, and perhaps one behind it that is whole.
    func appendDamagedRecord(andCancel id: SubmissionID? = nil) async throws {
        let cold = try cold()
        let log = try #require(try await cold.open(cold.current))
        let tag = LogTag(database: cold.database, genesis: try #require(cold.current.log.genesis))
        func record(_ type: RecordType, _ id: Bytes16) -> Bytes {
            Record(header: RecordHeader(type: type, logTag: tag, id: id), payload: Bytes()).encoded()
        }
        var damaged = record(.transaction, .zero).withUnsafeBytes { Array($0) }
        damaged[damaged.count - 1] ^= 1
        _ = await log.append([Bytes(damaged)] + (id.map { [record(.cancel, $0)] } ?? []))
        await log.close()
    }

    /// In the file of the closed local log, in the record that is so many before the last; its offset.
    @discardableResult
    func flipABit(ofRecord back: Int) throws -> Int {
        let segment = URL(fileURLWithPath: "\(path)/log/e0000/0000000000000000.log")
        var bytes = [UInt8](try Data(contentsOf: segment))
        func number(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) } }
        // A segment's header of 64 bytes; batches: a header of 48, records with a frame of 8.
        var records: [Int] = []
        var at = 64
        while at + 48 <= bytes.count {
            var record = at + 48
            for _ in 0..<number(at + 4) {
                records.append(record)
                record += 8 + number(record)
            }
            at = record
        }
        let place = records[records.count - 1 - back] + 8 + 40
        bytes[place] ^= 1
        try Data(bytes).write(to: segment)
        return records.count - 1 - back
    }

    /// A block with `a`, and `b` and `c` in the log only; c's id.
    func fill() async throws -> SubmissionID {
        var id: SubmissionID?
        try await withNode { (node: Node) async throws in
            try await node.submit(.put(into: "t", ["_id": "a", "n": 1]))
            _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            try await node.submit(.put(into: "t", ["_id": "b", "n": 2]))
            id = SubmissionID(high: 4, low: 4)
            try await node.decided(.put(into: "t", ["_id": "c", "n": 3]), id: id)
        }
        return try #require(id)
    }
}

extension Node {
    func document(_ table: String, _ id: String) async throws -> Value? {
        let view = try await read(ReadOptions())
        guard let row = try view.get(try TableName(table), Key(id)!), let document = row.document else { return nil }
        return try Document(document).value()
    }

    @discardableResult
    func decided(_ transaction: Transaction, id: SubmissionID? = nil) async throws -> Decision {
        guard case .decided(let decision) = try await submit(transaction, SubmitOptions(id: id)) else {
            throw VarveError(.internal, "pending")
        }
        return decision
    }
}

@Suite struct BumpTests {
    @Test func thePlanSaysWhatIsSafeAndWhatTheLogStillHolds() async throws {
        try await Scene.with { scene in
            let id = try await scene.fill()
            let plan = try await scene.plan()
            #expect(plan.safe.block == .first)
            #expect(plan.submissions.count == 2)
            #expect(plan.submissions.last?.id == id)
            #expect(plan.submissions.allSatisfy { $0.outcome == .committed })
            #expect(plan.recoverable > plan.safe.position)
            #expect(plan.gone == nil)
            #expect(try await scene.plan().digest == plan.digest)
        }
    }

    @Test func droppingNeedsTheDigestOfWhatIsFoundNow() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let digest = try await scene.plan().digest
            #expect(try await scene.refusal(.drop) == .planStale)
            try await scene.withNode { try await $0.submit(.put(into: "t", ["_id": "d"])) }
            #expect(try await scene.refusal(.drop, accepting: digest) == .planStale)
            #expect(try scene.cold().epochs.count == 1)
            let now = try await scene.plan().digest
            let result = try await scene.bump(.drop, accepting: now)
            #expect(result.record.unindexedLost == 3)
            try await scene.withNode(epoch: 1) { (node: Node) async throws in
                #expect(try await node.document("t", "a") == ["n": 1])
                #expect(try await node.document("t", "b") == nil)
                try await node.submit(.put(into: "t", ["_id": "e"]))
            }
        }
    }

    @Test func salvagingKeepsEverythingWithItsIdsOnce() async throws {
        try await Scene.with { scene in
            let id = try await scene.fill()
            let result = try await scene.bump(.salvage)
            #expect(result.salvaged == 2)
            #expect(result.differing.isEmpty)
            #expect(result.record.unindexedLost == 0)
            try await scene.withNode { (node: Node) async throws in
                #expect(node.status().epoch == Epoch(1))
                #expect(try await node.document("t", "b") == ["n": 2])
                let before = node.status().standing?.token.position
                let again = try await node.decided(.put(into: "t", ["_id": "c", "n": 3]), id: id)
                #expect(again.outcome == .committed)
                #expect(again.position.epoch == Epoch(1))
                #expect(before.map { $0 >= again.position } == true)
            }
        }
    }

    @Test func splicingReadsTheOldLogToItsEndInPlace() async throws {
        try await Scene.with { scene in
            let id = try await scene.fill()
            let result = try await scene.bump(.splice)
            #expect(result.salvaged == 0)
            for round in 0..<2 {
                try await scene.withNode { (node: Node) async throws in
                    #expect(node.status().epoch == Epoch(1))
                    #expect(try await node.document("t", "b") == ["n": 2])
                    let again = try await node.decided(.put(into: "t", ["_id": "c", "n": 3]), id: id)
                    #expect(again.position.epoch == .first)
                    try await node.submit(.put(into: "t", ["_id": .integer(Int64(round))]))
                    _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
                }
            }
            let overview = try EpochOverview(try scene.cold())
            #expect(overview.entries[0].isCovered)
            #expect(overview.entries[0].end == result.record.parentEnd?.position)
        }
    }

    @Test func aTargetThatVanishesBehindTheSealCostsNothing() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            // A seal whose target is not there (any more): as an operator who deleted the new log would leave it.
            let cold = try scene.cold()
            let log = try #require(try await cold.open(cold.current))
            let seal = Seal(
                next: try #require(Epoch(1)),
                log: LogReference(
                    kind: .local, topic: "e0001", genesis: GenesisID(high: 3, low: 3), genesisOffset: .zero))
            let tag = LogTag(database: cold.database, genesis: try #require(cold.current.log.genesis))
            _ = await log.append([
                Record(header: RecordHeader(type: .seal, logTag: tag, id: .zero), payload: seal.encoded()).encoded()
            ])
            await log.close()
            do {
                try await scene.withNode { _ in }
                Issue.record("serves without its log")
            } catch let error as VarveError {
                #expect(error.code == .logMissing)
                #expect(error.message.contains("epoch 1"))
            }
            let plan = try await scene.plan()
            #expect(plan.epoch == Epoch(1))
            #expect(plan.submissions.isEmpty)
            _ = try await scene.bump(.drop, accepting: plan.digest)
            try await scene.withNode { (node: Node) async throws in
                #expect(node.status().epoch == Epoch(2))
                for (id, n) in [("a", 1), ("b", 2), ("c", 3)] {
                    #expect(try await node.document("t", id) == ["n": .integer(Int64(n))])
                }
            }
        }
    }

    /// The old log is deleted too early: moved to another by a seal, and no block reaches the seal. Nobody can enter the epoch
    /// behind it then, however whole its log is; what that log holds goes into one more epoch, behind the newest block.
    @Test func alogThatIsLostBeforeItsSealIsInABlockIsGivenUpWithTheEpochBehindIt() async throws {
        try await Scene.with { scene in
            try await scene.withNode { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a", "n": 1]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            let blocks = "\(scene.path)/storage/blocks/e0000"
            try await scene.withNode(epoch: 1) { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "d", "n": 4]))
                // The block that ends with the seal.
                for _ in 0..<6_000 where try FileManager.default.contentsOfDirectory(atPath: blocks).count < 2 {
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
            #expect(try scene.cold().epochs.map(\.record.began) == [.initial, .sealed])
            // While the old log is there, nodes read it to its end.
            let last = try #require(try FileManager.default.contentsOfDirectory(atPath: blocks).max())
            try FileManager.default.removeItem(atPath: "\(blocks)/\(last)")
            #expect(try scene.cold().loading.current.epoch == .first)
            let early = await #expect(throws: VarveError.self) { try await scene.plan() }
            #expect(early?.code == .epochAhead && early?.next?.contains("start the nodes") == true)

            try FileManager.default.removeItem(atPath: "\(scene.log)/e0000")
            let refused = await #expect(throws: VarveError.self) { try await scene.withNode { _ in } }
            #expect(refused?.code == .logMissing)
            let plan = try await scene.plan()
            guard case .broken(_, let reason) = plan.rest else {
                Issue.record("the log is not broken: \(plan.rest)")
                return
            }
            #expect(reason.code == .logGap && reason.message.contains("the log of epoch 0 cannot be read to its end"))
            #expect(plan.epoch == Epoch(1) && plan.safe.block == .first && plan.submissions.count == 1)
            #expect(try await scene.refusal(.salvage) == .planStale)
            let result = try await scene.bump(.salvage, accepting: plan.digest)
            #expect(result.salvaged == 1 && result.record.parentEnd == plan.safe)
            let records = try scene.cold().epochs.map(\.record)
            #expect(records.successor(of: .first)?.epoch == Epoch(2))
            #expect(try scene.cold().store.successor(of: .first)?.epoch == Epoch(2))
            for _ in 0..<2 {
                try await scene.withNode { (node: Node) async throws in
                    #expect(node.status().epoch == Epoch(2))
                    #expect(try await node.document("t", "a") == ["n": 1])
                    #expect(try await node.document("t", "d") == ["n": 4])
                    _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
                }
            }
            // A block of the epoch that was given up, of a node that had stood still, is off the chain.
            let chain = try scene.cold().loading.history.map { $0.manifest.last.epoch }
            #expect(chain.first == .first && chain.dropFirst().allSatisfy { $0 == Epoch(2) })
        }
    }

    @Test func aBumpBrokenOffAfterSalvagingIsCompletedByRunningItAgain() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            _ = try await scene.bump(.salvage)
            // The record was not published: the last step is missing.
            try FileManager.default.removeItem(atPath: "\(scene.path)/storage/epochs/e0001.cbor")
            // To give up now what stands in the new log already would be stated and not be true.
            let digest = try await scene.plan().digest
            #expect(try await scene.refusal(.drop, accepting: digest) == .targetUnfit)
            let result = try await scene.bump(.salvage)
            #expect(result.salvaged == 0)
            try await scene.withNode { (node: Node) async throws in
                #expect(try await node.document("t", "c") == ["n": 3])
                #expect(try node.transactions(since: .zero, limit: 100).decisions.count == 3)
            }
        }
    }

    /// A producer that is not sure sends again: the same id, decided long ago, is the last record of the log.
    @Test func whatStandsBetweenARecordAndItsRepetitionIsSalvaged() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let position = try #require(try await scene.plan().submissions.first?.position)
            let cold = try scene.cold()
            let log = try #require(try await cold.open(cold.current))
            let repeated = try #require(try await log.read(at: position.offset))
            _ = await log.append([repeated.bytes])
            await log.close()
            #expect(try await scene.plan().submissions.count == 2)
            #expect(try await scene.bump(.salvage).salvaged == 2)
            try await scene.withNode { (node: Node) async throws in
                #expect(try await node.document("t", "b") == ["n": 2])
                #expect(try await node.document("t", "c") == ["n": 3])
            }
        }
    }

    @Test(arguments: EpochPlan.Way.allCases)
    func whatANodeWroteSinceThePlanIsNotGivenUpInSilence(_ way: EpochPlan.Way) async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let (cold, plan) = (try scene.cold(), try await scene.plan())
            for flushes in [false, true] {
                try await scene.withNode { (node: Node) async throws in
                    try await node.submit(.put(into: "t", ["_id": "d"]))
                    if flushes { _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10)) }
                }
                let refused = await #expect(throws: VarveError.self) {
                    try await EpochBump(
                        cold, plan, way, acceptedLoss: way == .drop ? plan.digest : nil, settings: Settings()
                    ).run()
                }
                #expect(refused?.code == .planStale)
                #expect(try scene.cold().epochs.count == 1)
            }
        }
    }

    @Test func aLogThatIsGoneCanOnlyBeDropped() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            try FileManager.default.removeItem(atPath: scene.log)
            let plan = try await scene.plan()
            guard case .none(let reason) = plan.rest else {
                Issue.record("something was found")
                return
            }
            #expect(reason.code == .logMissing)
            #expect(try await scene.refusal(.splice) == .planStale)
            #expect(try await scene.refusal(.salvage) == .planStale)
            _ = try await scene.bump(.drop, accepting: plan.digest)
            try await scene.withNode { (node: Node) async throws in
                #expect(try await node.document("t", "a") == ["n": 1])
            }
        }
    }

    /// What stood in a gap was acknowledged, and nobody knows what it was: no way goes on without somebody's word.
    @Test func whatStandsBehindAGapIsSalvagedOnceTheGapIsAccepted() async throws {
        try await Scene.with { scene in
            // A segment for each batch, so that some can go.
            let node = try await Node.start(
                scene.configuration(), log: LocalLogProvider(path: scene.log, segmentBytes: 1))
            try await node.submit(.put(into: "t", ["_id": "a"]))
            _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            for name in ["b", "c", "d"] { try await node.submit(.put(into: "t", ["_id": .text(name)])) }
            await node.stop()
            let whole = try await scene.plan()
            #expect(whole.submissions.count == 3 && whole.refusal(.salvage, acceptedLoss: nil) == nil)
            let first = try #require(whole.submissions.first?.position.offset.value)
            let directory = "\(scene.log)/e0000"
            for name in try FileManager.default.contentsOfDirectory(atPath: directory) where name.hasSuffix(".log") {
                guard let base = Int64(name.dropLast(4), radix: 16), base <= first else { continue }
                try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
            }
            let plan = try await scene.plan()
            guard case .broken(_, let reason) = plan.rest else {
                Issue.record("the log is not broken: \(plan.rest)")
                return
            }
            #expect(reason.code == .logGap)
            #expect(plan.submissions.count == 2)
            let refusal = try #require(plan.refusal(.salvage, acceptedLoss: nil))
            #expect(refusal.code == .planStale)
            #expect(refusal.message.contains("what stood in the gap behind \(plan.safe.position)"))
            #expect(refusal.next == "varve epoch bump --salvage --accept-loss \(plan.digest) --config node.yaml")
            #expect(try await scene.refusal(.salvage) == .planStale)
            #expect(try await scene.refusal(.splice, accepting: plan.digest) == .planStale)
            let result = try await scene.bump(.salvage, accepting: plan.digest)
            #expect(result.salvaged == 2)
            #expect(result.record.unindexedLost == nil, "nobody can count it")
            try await scene.withNode { (node: Node) async throws in
                #expect(try await node.document("t", "b") == nil)
                for name in ["a", "c", "d"] { #expect(try await node.document("t", name) != nil) }
            }
        }
    }

    /// As a disk leaves it that flips bits under a log without checksums of its own: a record of ours, and no transaction.
    @Test func behindADamagedRecordTheRestIsSalvagedAndNoEpochBeginsByItself() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            try await scene.appendDamagedRecord(andCancel: SubmissionID(high: 7, low: 7))
            let plan = try await scene.plan()
            guard case .broken(_, let reason) = plan.rest else {
                Issue.record("a damaged log passes for whole: \(plan.rest)")
                return
            }
            #expect(reason.code == .logCorrupt)
            #expect(plan.submissions.count == 3)
            #expect(plan.submissions.last?.outcome == nil)
            #expect(try await scene.refusal(.splice, accepting: plan.digest) == .planStale)
            #expect(try await scene.refusal(.salvage) == .planStale)
            // A node that is told to begin the next epoch finds no proof either, though nothing readable is missing.
            do {
                try await scene.withNode(epoch: 1) { _ in }
                Issue.record("began an epoch behind a damaged record")
            } catch let error as VarveError {
                #expect(error.code == .epochAhead)
            }
            let result = try await scene.bump(.salvage, accepting: plan.digest)
            #expect(result.salvaged == 3)
            #expect(result.record.unindexedLost == nil)
            try await scene.withNode { (node: Node) async throws in
                for (id, n) in [("a", 1), ("b", 2), ("c", 3)] {
                    #expect(try await node.document("t", id) == ["n": .integer(Int64(n))])
                }
            }
        }
    }

    /// One bit of the file itself: it does not open, and all but one record of it is whole. Red when what does not open is
    /// given up whole.
    @Test(arguments: [0, 1, 2, 3])
    func whatIsWholeInADamagedFileOfALocalLogIsSalvaged(_ back: Int) async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            // `a` is in a block, `b` and `c` are the last two records; behind them the close states that all is synced.
            let damaged = try scene.flipABit(ofRecord: back)
            let plan = try await scene.plan()
            guard case .broken(let piece, let reason) = plan.rest else {
                Issue.record("record \(damaged): \(plan.rest)")
                return
            }
            #expect(reason.code == .logCorrupt)
            let kept = back == 0 ? ["b"] : back == 1 ? ["c"] : ["b", "c"]
            #expect(piece.submissions.count == kept.count, "record \(damaged): \(piece)")
            #expect(try await scene.refusal(.splice, accepting: plan.digest) == .planStale)
            #expect(try await scene.refusal(.salvage) == .planStale)
            #expect(try await scene.bump(.salvage, accepting: plan.digest).salvaged == kept.count)
            try await scene.withNode { (node: Node) async throws in
                for (id, n) in [("a", 1), ("b", 2), ("c", 3)] {
                    let expected: Value? = id == "a" || kept.contains(id) ? ["n": .integer(Int64(n))] : nil
                    #expect(try await node.document("t", id) == expected)
                }
            }
        }
    }

    /// All that no block has is a record that cannot be read: that is no proof that nothing was lost.
    @Test func aDamagedRecordAloneIsNoProofForABumpByConfiguration() async throws {
        try await Scene.with { scene in
            try await scene.withNode { (node: Node) async throws in
                try await node.submit(.put(into: "t", ["_id": "a"]))
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            try await scene.appendDamagedRecord()
            // Nor is the word of a node that was stopped in order, before that record came.
            try scene.cold().store.objects.remove(
                BlockStore.heartbeatName(
                    try #require(
                        try scene.cold().store.heartbeats().first?.node)))
            do {
                try await scene.withNode(epoch: 1) { _ in }
                Issue.record("began an epoch behind a damaged record")
            } catch let error as VarveError {
                #expect(error.code == .epochAhead)
                #expect(error.message.contains("LOG_CORRUPT"), "\(error)")
            }
        }
    }

    /// Nodes that say nothing of themselves in storage, and still write.
    @Test func aLogThatGrowsMeanwhileIsInUse() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let still = try scene.cold()
            let growing = try ColdDatabase(
                still.store, LogPlaces(GrowingLogProvider(LocalLogProvider(path: scene.log))))
            do {
                _ = try await EpochSurvey(growing).plan()
                Issue.record("a plan over a log that somebody writes to")
            } catch let error as VarveError {
                #expect(error.code == .planStale)
                #expect(error.message.contains("grows"))
            }
            #expect(try scene.cold().epochs.count == 1)
            #expect(try await EpochSurvey(still).plan().submissions.count == 2)
        }
    }

    @Test func aLogThatANodeHoldsIsNotLost() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            try await scene.withNode { (_: Node) async throws in
                #expect(try await scene.refusal(.drop) == .logLocked)
            }
        }
    }

    @Test func aLogThatMayNotBeReadIsNotLost() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            try FileManager.default.moveItem(atPath: "\(scene.path)/log", toPath: "\(scene.path)/aside")
            try Data().write(to: URL(fileURLWithPath: "\(scene.path)/log"))
            let error = await #expect(throws: VarveError.self) { try await scene.plan() }
            #expect(error?.code == .logDenied)
        }
    }

    @Test func aGenesisOfAnotherEndIsNotTakenOver() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            _ = try await scene.bump(.salvage)
            try FileManager.default.removeItem(atPath: "\(scene.path)/storage/epochs/e0001.cbor")
            try await scene.withNode(epoch: 0) { (node: Node) async throws in
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            #expect(try await scene.refusal(.splice) == .targetUnfit)
            #expect(try scene.cold().epochs.count == 1)
        }
    }

    @Test func aLivingNodeOfTheOldEpochIsNamed() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let store = try scene.cold().store
            let beating = Task {
                var heartbeat = Heartbeat(node: "node-9", processStart: 1)
                while !Task.isCancelled {
                    heartbeat.counter += 1
                    try store.objects.overwrite(BlockStore.heartbeatName("node-9"), heartbeat.encoded())
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await scene.refusal(.salvage) == .epochAhead)
            beating.cancel()
        }
    }

    @Test func whatANodeHadAppliedAndNothingHoldsIsKnownLost() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let cold = try scene.cold()
            let end = try await scene.plan().recoverable
            var heartbeat = Heartbeat(node: "node-9", processStart: 1)
            let beyond = Position(end.epoch, Offset(end.offset.value + 7))
            (heartbeat.applied, heartbeat.stopped) = (beyond, beyond)
            try cold.store.objects.overwrite(BlockStore.heartbeatName("node-9"), heartbeat.encoded())
            let plan = try await scene.plan()
            #expect(plan.gone?.records == 7)
            #expect(plan.isCertain)
            #expect(try await scene.refusal(.salvage) == .planStale)
            #expect(try await scene.bump(.salvage, accepting: plan.digest).record.unindexedLost == nil)
        }
    }

    /// Somebody wrote where the log had lost its end: the plan does not call whole what a node says was another log.
    @Test func whatStoodWhereANodeHadAppliedAnotherRecordIsNotKnown() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let cold = try scene.cold()
            let end = try await scene.plan().recoverable
            var heartbeat = Heartbeat(node: "node-9", processStart: 1)
            (heartbeat.applied, heartbeat.stopped) = (end, end)
            let tag = LogTag(database: cold.database, genesis: try #require(cold.current.log.genesis))
            heartbeat.record = Heartbeat.Applied(digest: Digest(of: Bytes([1])), time: 1, log: tag)
            try cold.store.objects.overwrite(BlockStore.heartbeatName("node-9"), heartbeat.encoded())
            // The node that read the log to this end says that it is as it was: one that read wrong bytes says nothing.
            #expect(try await scene.plan().rewritten == nil)
            for (node, _) in try cold.store.heartbeats() where node != "node-9" {
                try cold.store.objects.remove(BlockStore.heartbeatName(node))
            }
            let plan = try await scene.plan()
            #expect(plan.rewritten == EpochPlan.Rewritten(node: "node-9", position: end))
            #expect(try await scene.refusal(.splice) == .planStale)
            let record = try await scene.bump(.splice, accepting: plan.digest).record
            #expect(record.parentEnd?.position == end)
            #expect(record.unindexedLost == nil)
            // What was accepted is asked no more.
            try await scene.withNode { (node: Node) async throws in
                let document = try await node.snapshot().get("t", id: "c")
                #expect(document != nil)
            }
        }
    }

    /// A node that was forgotten with the number of an epoch whose end was declared would go back to what was given up.
    @Test func aNodeOfAnEpochThatWasGivenUpIsRefused() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            _ = try await scene.bump(.drop, accepting: try await scene.plan().digest)
            do {
                try await scene.withNode(epoch: 0) { _ in }
                Issue.record("goes on in an epoch that was given up")
            } catch let error as VarveError {
                #expect(error.code == .epochStale)
                #expect(error.next?.contains("epoch: 1") == true)
            }
            for epoch in [nil, 1] {
                try await scene.withNode(epoch: epoch) { (node: Node) async throws in
                    #expect(node.status().epoch == Epoch(1))
                    #expect(try await node.document("t", "b") == nil)
                }
            }
        }
    }

    @Test func theLoserOfTwoBumpsIsTold() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let cold = try scene.cold()
            let plan = try await EpochSurvey(cold).plan()
            _ = try await EpochBump(cold, plan, .salvage, acceptedLoss: nil, settings: Settings()).run()
            let other = EpochBump(cold, plan, .drop, acceptedLoss: plan.digest, settings: Settings())
            await #expect(throws: VarveError.self) { try await other.run() }
            #expect(try scene.cold().current.reason.hasPrefix("salvage"))
        }
    }

    @Test func whatWasDroppedIsSalvagedLaterOnce() async throws {
        try await Scene.with { scene in
            let id = try await scene.fill()
            _ = try await scene.bump(.drop, accepting: try await scene.plan().digest)
            try await scene.withNode { (node: Node) async throws in
                try await node.decided(.put(into: "t", ["_id": "c", "n": 3]), id: id)
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            let salvage = try LateSalvage(try scene.cold(), nil)
            let items = try await salvage.list()
            #expect(items.count == 2)
            #expect(items.map { $0.decided != nil } == [false, true])
            #expect(try await salvage.apply(items).count == 1)
            #expect(try await LateSalvage(try scene.cold(), nil).list().allSatisfy { $0.decided != nil })
            try await scene.withNode { (node: Node) async throws in
                #expect(try await node.document("t", "b") == ["n": 2])
            }
        }
    }

    @Test func theOverviewSaysWhatMayBeDeleted() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            _ = try await scene.bump(.salvage)
            let overview = try EpochOverview(try scene.cold())
            #expect(overview.entries.map(\.record.began) == [.initial, .lost])
            #expect(overview.entries.map(\.mayBeDeleted) == [true, false])
            #expect(overview.entries[0].end == overview.newest?.last)
        }
    }

    @Test func theOldLogIsKeptWhileAFileOfItsBlocksIsMissing() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            _ = try await scene.bump(.salvage)
            #expect(try scene.cold().missingFiles() == nil)
            try FileManager.default.removeItem(atPath: "\(scene.path)/storage/tables")
            let overview = try EpochOverview(try scene.cold())
            #expect(overview.entries.map(\.mayBeDeleted) == [false, false])
            #expect(overview.entries[0].reason.contains("varve blocks verify"))
        }
    }

    @Test func aReadOnlyStorageKeepsItsEpochUntilItCanBeWritten() async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            let whole = try scene.cold()
            let cold = try ColdDatabase(BlockStore(ReadOnlyStore(whole.store.objects)), whole.places)
            let plan = try await EpochSurvey(cold).plan()
            do {
                _ = try await EpochBump(cold, plan, .salvage, acceptedLoss: nil, settings: Settings()).run()
                Issue.record("bumped on a storage that cannot be written")
            } catch let error as VarveError {
                #expect(error.code == .storageDenied)
            }
            #expect(try scene.cold().epochs.count == 1)
            // What is in the new log already is found and not written twice.
            _ = try await scene.bump(.salvage)
            try await scene.withNode { (node: Node) async throws in
                #expect(try await node.document("t", "b") != nil)
                #expect(try await node.document("t", "c") != nil)
            }
        }
    }

    @Test(arguments: [0, 1], [true, false])
    func aMissingOrAlteredEpochRecordBreaksTheChain(_ number: Int, isMissing: Bool) async throws {
        try await Scene.with { scene in
            _ = try await scene.fill()
            for epoch in 1...2 {
                _ = try await scene.bump(.salvage)
                try await scene.withNode { (node: Node) async throws in
                    try await node.submit(.put(into: "t", ["_id": .integer(Int64(epoch))]))
                    _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
                }
            }
            #expect(try scene.cold().epochs.count == 3)
            let name = URL(fileURLWithPath: "\(scene.path)/storage/epochs/e000\(number).cbor")
            let bytes = try Data(contentsOf: name)
            var record = try EpochRecord.decode(Bytes(Array(bytes)))
            record.reason = "altered"
            try FileManager.default.removeItem(at: name)
            if !isMissing { try Data(record.encoded().withUnsafeBytes { Array($0) }).write(to: name) }
            let before = try FileManager.default.subpathsOfDirectory(atPath: scene.path).filter {
                !$0.contains("/nodes/") && !$0.contains("/tmp")
            }
            #expect(throws: VarveError.self) { try scene.cold() }
            do {
                try await scene.withNode { _ in }
                Issue.record("started on a broken chain")
            } catch let error as VarveError {
                #expect(error.code == .chainBroken)
            }
            let after = try FileManager.default.subpathsOfDirectory(atPath: scene.path).filter {
                !$0.contains("/nodes/") && !$0.contains("/tmp")
            }
            #expect(after.sorted() == before.sorted(), "nothing is changed")
            try bytes.write(to: name)
            try await scene.withNode { (node: Node) async throws in
                #expect(try await node.document("t", "b") != nil)
            }
        }
    }
}

/// A log whose end is further on at each look.
private struct GrowingLogProvider: LogProvider {
    private let base: any LogProvider

    init(_ base: any LogProvider) { self.base = base }

    var isEphemeral: Bool { base.isEphemeral }
    var impliesEphemeral: Bool { base.impliesEphemeral }
    var warnings: [String] { base.warnings }
    func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference { try await base.reference(epoch) }
    func named(_ name: String) -> any LogProvider { base.named(name) }
    func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence { try await base.probe(epoch) }
    func create(_ epoch: Epoch) async throws(VarveError) { try await base.create(epoch) }
    func open(_ epoch: Epoch) async throws(VarveError) -> any Log {
        let log = try await base.open(epoch)
        _ = await log.append([Bytes([1, 2, 3])])
        return log
    }
}

/// As a file system that was mounted again without the right to write.
private struct ReadOnlyStore: ObjectStore {
    private let base: any ObjectStore
    private static let denied = VarveError(.storageDenied, "storage is read-only")

    init(_ base: any ObjectStore) { self.base = base }

    var isShared: Bool { base.isShared }
    func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome { throw Self.denied }
    func persist(_ name: String) throws(VarveError) { throw Self.denied }
    func get(_ name: String) throws(VarveError) -> Bytes? { try base.get(name) }
    func size(of name: String) throws(VarveError) -> UInt64? { try base.size(of: name) }
    func list(_ prefix: String) throws(VarveError) -> [String] { try base.list(prefix) }
    func open(_ name: String) throws(VarveError) -> (any ObjectContents)? { try base.open(name) }
    func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError) { throw Self.denied }
    func remove(_ name: String) throws(VarveError) { throw Self.denied }
    func progress(of node: String) throws(VarveError) -> UInt64 { try base.progress(of: node) }
}
