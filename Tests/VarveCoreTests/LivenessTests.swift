import Testing
import VarveCore
import VarveModel

@Suite struct LivenessTests {
    private func bytes(_ node: String, _ counter: UInt64, stopped: Position? = nil, start: UInt64 = 1) -> Bytes {
        var heartbeat = Heartbeat(node: node, processStart: start)
        heartbeat.counter = counter
        heartbeat.stopped = stopped
        return heartbeat.encoded()
    }

    private func verdict(_ liveness: Liveness, _ node: String) -> Liveness.Verdict? {
        liveness.peers.first { $0.node == node }?.verdict
    }

    @Test func bytesThatChangeWhileTheyAreWatchedAreALiveNode() {
        var liveness = Liveness(own: "me")
        liveness.observe([("a", bytes("a", 1)), ("b", bytes("b", 1))], now: 0)
        #expect(liveness.candidates == ["a", "b"] && liveness.live.isEmpty && !liveness.isDecided)
        liveness.observe([("a", bytes("a", 2)), ("b", bytes("b", 1))], now: 10_000)
        #expect(liveness.live.map(\.node) == ["a"])
        #expect(!liveness.isDecided)
        liveness.observe([("a", bytes("a", 3)), ("b", bytes("b", 1))], now: 25_000)
        #expect(verdict(liveness, "b") == .silent(forMs: 25_000))
        #expect(liveness.isDecided && liveness.candidates == ["a"])
    }

    @Test func theOwnOldFileNeverCounts() {
        var liveness = Liveness(own: "me")
        liveness.observe([("me", bytes("me", 1))], now: 0)
        liveness.observe([("me", bytes("me", 2))], now: 5_000)
        #expect(liveness.peers.isEmpty && liveness.isDecided)
    }

    @Test func aNodeThatSaidItStoppedDoesNotCount() {
        var liveness = Liveness(own: "me")
        liveness.observe([("a", bytes("a", 1))], now: 0)
        liveness.observe([("a", bytes("a", 2, stopped: Position(.first, Offset(7))))], now: 1_000)
        #expect(verdict(liveness, "a") == .stopped(Position(.first, Offset(7))))
        #expect(liveness.isDecided && liveness.candidates.isEmpty)
        // It came back.
        liveness.observe([("a", bytes("a", 1, start: 9))], now: 2_000)
        #expect(verdict(liveness, "a") == .live)
    }

    @Test func aLiveNodeThatFallsSilentIsToldFromOneThatIsLate() {
        var liveness = Liveness(own: "me")
        liveness.observe([("a", bytes("a", 1))], now: 0)
        liveness.observe([("a", bytes("a", 2))], now: 10_000)
        liveness.observe([("a", bytes("a", 2))], now: 34_999)
        #expect(verdict(liveness, "a") == .live)
        liveness.observe([("a", bytes("a", 2))], now: 35_000)
        #expect(verdict(liveness, "a") == .silent(forMs: 25_000))
        liveness.observe([("a", bytes("a", 3))], now: 36_000)
        #expect(verdict(liveness, "a") == .live)
    }

    @Test func anObserverThatSleptConcludesNothingFromItsSleep() {
        var liveness = Liveness(own: "me")
        liveness.observe([("a", bytes("a", 1))], now: 0)
        liveness.observe([("a", bytes("a", 2))], now: 10_000)
        // An hour passes here without a look: the verdict is still that of the last one.
        #expect(verdict(liveness, "a") == .live)
        liveness.observe([("a", bytes("a", 300))], now: 3_610_000)
        #expect(verdict(liveness, "a") == .live)
    }

    @Test func aTornFileIsSeenToChangeAndKeepsWhatWasReadBefore() {
        var liveness = Liveness(own: "me")
        liveness.observe([("a", bytes("a", 1))], now: 0)
        liveness.observe([("a", bytes("a", 2)[0..<20])], now: 1_000)
        #expect(verdict(liveness, "a") == .live)
        #expect(liveness.peers.first?.heartbeat?.counter == 1)
    }

    @Test func theLaterOfTwoProcessesKeepsTheId() {
        let earlier = Heartbeat(node: "me", processStart: Heartbeat.start(at: 1_000, after: nil))
        // The clock was set back between the two starts.
        let later = Heartbeat(node: "me", processStart: Heartbeat.start(at: 10, after: earlier))
        #expect(Liveness.taken(later, own: "me", processStart: earlier.processStart)?.code == .nodeIDTaken)
        #expect(Liveness.taken(earlier, own: "me", processStart: later.processStart) == nil)
        #expect(Liveness.taken(later, own: "me", processStart: later.processStart) == nil)
        #expect(Liveness.taken(nil, own: "me", processStart: 5) == nil)
    }

    @Test func aHeartbeatIsReadBackAndDamageIsSeen() throws {
        var heartbeat = Heartbeat(node: "n-1", processStart: 12)
        heartbeat.counter = 3
        heartbeat.applied = Position(.first, Offset(9))
        heartbeat.adopted = Heartbeat.Adopted(number: BlockNumber(4), position: Position(.first, Offset(5)))
        heartbeat.settings = Heartbeat.digest(of: Settings())
        heartbeat.oldestBlock = BlockNumber(2)
        heartbeat.version = "0.1.0"
        heartbeat.address = "localhost:8080"
        heartbeat.stopped = Position(.first, Offset(9))
        heartbeat.trouble = "STORAGE_FULL"
        let encoded = heartbeat.encoded()
        #expect(try Heartbeat.decode(encoded) == heartbeat)
        for i in 0..<encoded.count {
            var damaged = encoded.array
            damaged[i] ^= 0x10
            #expect(throws: CBORFault.self) { try Heartbeat.decode(Bytes(damaged)) }
            #expect(throws: CBORFault.self) { try Heartbeat.decode(encoded[0..<i]) }
        }
        let claim = Claim(node: "n-1", processStart: 12)
        #expect(try Claim.decode(claim.encoded()) == claim)
        #expect(throws: CBORFault.self) { try Claim.decode(claim.encoded()[0..<6]) }
    }
}
