import Foundation
import Synchronization
import Testing
import VarveCore
import VarveLog
import VarveModel
import VarveRecovery
import VarveStorage

@testable import VarveNode

/// A node on a local log whose earlier processes left a breadcrumb; a record that ends processes for real is in
/// Tests/ClusterTests/PoisonTests.swift.
@Suite struct QuarantineTests {
    private struct Poisoned {
        let scene: Scene
        let id: SubmissionID
        let position: Position

        var configuration: Configuration {
            var configuration = scene.configuration()
            configuration.node.directory = "\(scene.path)/node"
            return configuration
        }

        func withNode(_ body: (Node) async throws -> Void) async throws {
            let node = try Node(configuration)
            node.runInBackground()
            do {
                try await body(node)
            } catch {
                await node.stop()
                throw error
            }
            await node.stop()
        }

        func look(at position: Position? = nil) async throws -> Quarantine.Finding {
            try await Quarantine(scene.cold()).look(at: position ?? self.position)
        }

        func refusal(at position: Position? = nil) async throws -> VarveError? {
            do {
                _ = try await look(at: position)
                return nil
            } catch let error as VarveError {
                return error
            }
        }

        /// As if the process had ended twice while it applied the record.
        func leaveBreadcrumb() throws {
            let file = try BreadcrumbFile(
                in: "\(scene.path)/node", database: scene.cold().database, version: Node.version)
            file.suspect(Breadcrumb.Suspect(position, crashes: 2))
        }
    }

    private static func with(_ body: (Poisoned) async throws -> Void) async throws {
        try await Scene.with { scene in
            let id = try await scene.fill()
            var position: Position?
            try await scene.withNode { (node: Node) async throws in
                position = try await node.decided(.put(into: "t", ["_id": "c", "n": 3]), id: id).position
                try await node.submit(.put(into: "t", ["_id": "d", "n": 4]))
            }
            let poisoned = Poisoned(scene: scene, id: id, position: try #require(position))
            try poisoned.leaveBreadcrumb()
            try await body(poisoned)
        }
    }

    private func until(_ condition: () async throws -> Bool) async throws {
        for _ in 0..<6_000 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("waited for a minute")
    }

    @Test func aNodeStandsBeforeThePoisonAndAnswersReads() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in
                try await until { node.status().error?.code == .poison }
                let error = try #require(node.status().error)
                #expect(error.message.contains("\(poisoned.position)"))
                #expect(error.message.contains("\(poisoned.id)"))
                #expect(error.next?.contains("varve quarantine --position \(poisoned.position)") == true)
                #expect(node.status().state == .stopped)
                #expect(try await node.document("t", "b") != nil)
                #expect(try await node.document("t", "c") == nil)
                await #expect(throws: VarveError.self) { try await node.submit(.put(into: "t", ["_id": "e"])) }
            }
        }
    }

    @Test func quarantinedItIsSkippedAndEverythingBehindItIsThere() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let finding = try await poisoned.look()
            #expect(finding.id == poisoned.id && finding.type == .transaction)
            #expect(finding.block == BlockNumber(1) && finding.beyond.isEmpty && finding.witnesses.count == 1)
            let manifest = try await Quarantine(poisoned.scene.cold()).publish(finding)
            #expect(manifest.cut == .quarantine && manifest.last == poisoned.position)
            try await poisoned.withNode { node in
                try await node.waitUntilReady()
                #expect(try await node.document("t", "b") != nil)
                #expect(try await node.document("t", "c") == nil)
                #expect(try await node.document("t", "d") != nil)
                let decision = try await node.decided(.put(into: "t", ["_id": "c", "n": 3]), id: poisoned.id)
                #expect(decision.outcome == .aborted && decision.failure?.code == .poison)
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            let log = try await LocalLogProvider(path: poisoned.scene.log).open(.first)
            let verified = try await LogVerification(log, epoch: .first, store: poisoned.scene.cold().store).run()
            await log.close()
            #expect(verified.verdict == .proved)
            let effects = try #require(verified.findings.first { $0.subject == .effectChain })
            #expect(effects.reason.contains("quarantined, so skipped: \(poisoned.position)"))
        }
    }

    @Test func aWrongPositionIsRefusedAndNothingChanges() async throws {
        try await Self.with { poisoned in
            // Nobody says yet that it is poison.
            #expect(try await poisoned.refusal()?.message.contains("not known to be poison") == true)
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let names = try poisoned.scene.cold().store.objects.list("blocks/e0000/")
            for (position, why) in [
                (Position(.first, Offset(1)), "block 0 holds it"), (Position(.first, Offset(999)), "holds no record"),
                (Position(Epoch(1)!, Offset(0)), "they are in epoch 0"),
                (Position(.first, poisoned.position.offset.next), "not known to be poison"),
            ] {
                let error = try #require(try await poisoned.refusal(at: position))
                #expect(error.code == .badRequest && error.message.contains(why), "\(position): \(error)")
                #expect(error.message.contains("Nothing was changed"))
            }
            #expect(try poisoned.scene.cold().store.objects.list("blocks/e0000/") == names)
        }
    }

    /// It may have applied the record a second ago, and acknowledged it: its next heartbeat says so, this one does not.
    @Test func aLivingNodeThatDoesNotStandBeforeTheRecordIsAskedFirst() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let store = try poisoned.scene.cold().store
            let living = Task {
                var heartbeat = Heartbeat(node: "other", processStart: 1)
                heartbeat.applied = Position(.first, Offset(1))
                while !Task.isCancelled {
                    heartbeat.counter += 1
                    try store.objects.overwrite(BlockStore.heartbeatName("other"), heartbeat.encoded())
                    try? await Task.sleep(for: .milliseconds(50))
                }
                heartbeat.stopped = heartbeat.applied
                try store.objects.overwrite(BlockStore.heartbeatName("other"), heartbeat.encoded())
            }
            try await until { try store.objects.size(of: BlockStore.heartbeatName("other")) != nil }
            let error = try #require(try await poisoned.refusal())
            #expect(error.message.contains("node other is alive and does not say"), "\(error)")
            living.cancel()
            try await living.value
            #expect(try await poisoned.look().witnesses.count == 1)
        }
    }

    @Test func aPlanNamesTheRecordThatItDoesNotExecute() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let error = await #expect(throws: VarveError.self) {
                try await EpochSurvey(poisoned.scene.cold()).plan()
            }
            #expect(error?.code == .poison && error?.message.contains("record at \(poisoned.position)") == true)
            #expect(error?.next?.contains("varve quarantine --position \(poisoned.position)") == true)
            _ = try await Quarantine(poisoned.scene.cold()).publish(try await poisoned.look())
            _ = try await EpochSurvey(poisoned.scene.cold()).plan()
        }
    }

    @Test func twiceIsRefused() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let finding = try await poisoned.look()
            _ = try await Quarantine(poisoned.scene.cold()).publish(finding)
            #expect(try await poisoned.refusal()?.message.contains("quarantined already, by block 1") == true)
            // Somebody else who had looked at the same time.
            let error = await #expect(throws: VarveError.self) {
                try await Quarantine(poisoned.scene.cold()).publish(finding)
            }
            #expect(error?.code == .planStale)
        }
    }

    @Test func aBlockThatWasPublishedMeanwhileStands() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let finding = try await poisoned.look()
            // A node that can apply it: another directory, so no breadcrumb.
            try await poisoned.scene.withNode { _ = try await $0.flush(awaitAdoption: true, timeout: .seconds(10)) }
            let error = await #expect(throws: VarveError.self) {
                try await Quarantine(poisoned.scene.cold()).publish(finding)
            }
            #expect(error?.code == .planStale && error?.message.contains("not quarantined") == true)
            #expect(try await poisoned.refusal()?.message.contains("is applied: block 1 holds it") == true)
            // The node that could not goes on behind that block.
            try await poisoned.withNode { node in
                try await node.waitUntilReady()
                #expect(try await node.document("t", "c") != nil)
            }
        }
    }

    @Test func aNodeThatIsGoneAndHadAppliedItIsNamed() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            var other = Heartbeat(node: "other", processStart: 7)
            other.applied = poisoned.position
            other.stopped = poisoned.position
            try poisoned.scene.cold().store.objects.overwrite("nodes/other.cbor", other.encoded())
            #expect(try await poisoned.look().beyond == ["other"])
            // Not gone after all: it writes on. And one that cannot be read may have been anywhere.
            other.stopped = nil
            let store = try poisoned.scene.cold().store
            for isReadable in [true, false] {
                let counter = Mutex(other)
                let writing = Task {
                    while !Task.isCancelled {
                        let bytes = counter.withLock { heartbeat in
                            heartbeat.counter += 1
                            return isReadable ? heartbeat.encoded() : Bytes("later \(heartbeat.counter)")
                        }
                        try store.objects.overwrite("nodes/other.cbor", bytes)
                        try? await Task.sleep(for: .milliseconds(100))
                    }
                }
                defer { writing.cancel() }
                try await until { counter.withLock { $0.counter } > 1 }
                let error = try #require(try await poisoned.refusal(), "readable: \(isReadable)")
                #expect(error.message.contains("other applied the record"), "\(error)")
            }
        }
    }

    /// An operator thinks for minutes before the word is given: a node that begins meanwhile may apply the record, and say yes.
    @Test func aNodeThatBeganSinceItWasLookedAtIsHeeded() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let cold = try poisoned.scene.cold()
            let finding = try await poisoned.look()
            let name = BlockStore.heartbeatName("other")
            var other = Heartbeat(node: "other", processStart: 7)
            try cold.store.objects.overwrite(name, other.encoded())
            let error = await #expect(throws: VarveError.self) {
                _ = try await Quarantine(cold).publish(finding)
            }
            #expect(error?.code == .planStale)
            #expect(error?.message.contains("node other has begun") == true)
            // One that stands before it too, or has stopped before it, has not applied it.
            other.trouble = ErrorCode.poison.rawValue
            try cold.store.objects.overwrite(name, other.encoded())
            #expect(try await Quarantine(cold).publish(finding).last == poisoned.position)
        }
    }

    /// Records that end processes at different places: whoever stands before an earlier one has not applied the later, and is
    /// taken on by its block. Who stands before the genesis has applied nothing and says no position.
    @Test func aNodeThatStandsBeforeAnEarlierRecordNeedNotBeAsked() async throws {
        try await Scene.with { scene in
            let id = SubmissionID(high: 1, low: 2)
            var position: Position?
            try await scene.withNode { (node: Node) async throws in
                position = try await node.decided(.put(into: "t", ["_id": "c", "n": 3]), id: id).position
            }
            let poisoned = Poisoned(scene: scene, id: id, position: try #require(position))
            try poisoned.leaveBreadcrumb()
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let store = try scene.cold().store
            for applied in [nil, Position(.first, .zero)] {
                let living = Task {
                    var heartbeat = Heartbeat(node: "other", processStart: 1)
                    heartbeat.applied = applied
                    heartbeat.trouble = ErrorCode.poison.rawValue
                    while !Task.isCancelled {
                        heartbeat.counter += 1
                        try store.objects.overwrite(BlockStore.heartbeatName("other"), heartbeat.encoded())
                        try? await Task.sleep(for: .milliseconds(50))
                    }
                }
                defer { living.cancel() }
                try await until { try store.objects.size(of: BlockStore.heartbeatName("other")) != nil }
                let finding = try await poisoned.look()
                #expect(finding.witnesses.count == 1 && finding.beyond.isEmpty)
            }
        }
    }

    /// The next epoch's record says what all of this one did: it was made by who had applied the record.
    @Test func whatASealedEpochsRecordCountsIsNotTakenOutButTriedAgain() async throws {
        try await Self.with { poisoned in
            try await poisoned.withNode { node in try await until { node.status().error?.code == .poison } }
            let cold = try poisoned.scene.cold()
            var place = cold.current.log
            place.topic = "e0001"
            place.genesis = GenesisID(high: 3, low: 4)
            let end = ParentEnd(
                position: Position(.first, Offset(999)), inputChain: .zero, effectChain: .zero,
                block: BlockNumber(7), effectiveTime: 0, systemTime: Instant(microseconds: 0))
            _ = try cold.store.publishEpochRecord(
                EpochRecord(
                    epoch: Epoch(1)!, parent: try #require(cold.epochs.last).digest, began: .sealed, log: place,
                    parentEnd: end, reason: ""))
            let error = try #require(try await poisoned.refusal())
            #expect(error.code == .badRequest && error.message.contains("has been applied: epoch 1"), "\(error)")
            #expect(error.next?.contains("delete the file applying") == true)
        }
    }
}
