import Testing
import VarveCore
import VarveModel

/// How an epoch ends, as every node that reads its log sees it.
@Suite struct SealTests {
    let next = GenesisID(high: 8, low: 8)
    let other = GenesisID(high: 9, low: 9)

    func ending(_ effects: [NodeMachine.Effect]) -> EpochEnding? {
        for case .ended(let ending) in effects { return ending }
        return nil
    }

    func stop(_ effects: [NodeMachine.Effect]) -> ErrorCode? {
        for case .stopped(let error) in effects { return error.code }
        return nil
    }

    @Test func theSealCutsTheBlockAndNamesWhatItLeavesBehind() throws {
        var script = try Script()
        try script.submit([put("t", "a", [.init("n", 1)])])
        let effects = try script.seal(next)
        let end = try #require(ending(effects))
        #expect(end.end.position == Position(.first, Offset(2)))
        #expect(end.end.block == .first)
        #expect(end.end.inputChain == script.machine.inputChain.value)
        #expect(end.seal?.log.genesis == next)
        #expect(script.machine.frozen.map(\.draft.cut) == [.seal])
        #expect(script.machine.frozen[0].draft.last == end.end.position)
    }

    @Test func recordsBehindTheSealAreVoidAndNotEvenHashed() throws {
        var script = try Script()
        try script.seal(next)
        let before = script.machine
        #expect(try script.submit([put("t", "a", [])]) == nil)
        try script.seal(other)
        #expect(script.machine.applied == before.applied)
        #expect(script.machine.inputChain == before.inputChain)
        #expect(script.machine.ending == before.ending)
    }

    @Test func recordsBehindTheSealInOneBatchAreVoidToo() throws {
        var script = try Script()
        try script.seal(next)
        try script.submit([put("t", "a", [])])
        var again = try Script()
        let rest = Array(script.entries.dropFirst())
        _ = try again.machine.step(.records(.first, rest), reading: again.blocks)
        #expect(again.machine.applied == script.machine.applied)
        #expect(again.machine.open.counts.transactions == 0)
    }

    @Test(arguments: [0, 2, 7])
    func aSealThatDoesNotLeadToTheNextEpochEndsNothing(_ number: Int) throws {
        var script = try Script()
        #expect(ending(try script.seal(next, to: number)) == nil)
        #expect(try script.submit([put("t", "a", [])])?.outcome == .committed)
    }

    @Test func aSealThatNamesItsOwnLogOrNothingEndsNothing() throws {
        var script = try Script()
        #expect(ending(try script.seal(script.genesis)) == nil)
        #expect(ending(try script.append(.seal, id: script.nextID(), payload: Bytes([1, 2, 3]))) == nil)
        #expect(ending(try script.append(.seal, id: script.nextID())) == nil)
        #expect(try script.submit([put("t", "a", [])])?.outcome == .committed)
    }

    @Test func theFirstOfTwoSealsWins() throws {
        var script = try Script()
        let end = try #require(ending(try script.seal(next)))
        #expect(ending(try script.seal(other)) == nil)
        #expect(script.machine.ending == end)
    }

    @Test func theNextEpochGoesOnWithChainsTimesAndIds() throws {
        var script = try Script()
        let id = script.nextID()
        let first = try #require(try script.submit([put("t", "a", [.init("n", 1)])], id: id))
        let end = try #require(ending(try script.seal(next)))
        script.clock = 0
        try script.cross(end)
        #expect(script.machine.applied == Position(try #require(Epoch(1)), .zero))
        #expect(script.machine.effectiveTime >= end.end.effectiveTime)
        #expect(script.machine.open.number == BlockNumber(1))
        #expect(try script.submit([put("t", "a", [.init("n", 1)])], id: id) == first)
        let second = try #require(
            try script.submit([patch("t", "a", [.init("m", 2)]), .assert(try TableName("t"), Key("a")!, .exists(true))])
        )
        #expect(second.outcome == .committed)
        #expect(second.systemTime > first.systemTime)
        #expect(try script.document("t", "a") == .object([.init("n", 1), .init("m", 2)]))
    }

    @Test func theNextEpochsGenesisCountsAndOthersAreForeign() throws {
        var script = try Script()
        let end = try #require(ending(try script.seal(next)))
        let next = try #require(Epoch(1))
        _ = try script.machine.step(.enter(next, self.next, end.end), reading: script.blocks)
        script.epoch = next
        let effects = try script.append(.genesis, id: other)
        guard case .foreign? = effects.first else {
            Issue.record("another genesis counted")
            return
        }
        #expect(stop(effects) == nil)
    }

    @Test func aNodeStartedFromTheSealsBlockIsTheSameAsOneThatCrossed() throws {
        var script = try Script()
        try script.submit([put("t", "a", [.init("n", 1)])])
        let end = try #require(ending(try script.seal(next)))
        let manifest = script.machine.frozen[0].manifest(previous: script.machine.expectedPrevious, files: [:])
        try script.adopt()
        let frozen = script.machine
        try script.cross(end)
        try script.submit([put("t", "b", [.init("n", 2)])])

        var late = NodeMachine(
            after: manifest, digest: Digest(of: manifest.encoded()), genesis: script.genesis,
            decisions: frozen.window.kept, catalog: frozen.catalog)
        _ = try late.step(.enter(try #require(Epoch(1)), next, end.end), reading: script.blocks)
        _ = try late.step(.records(try #require(Epoch(1)), Array(script.entries.suffix(2))), reading: script.blocks)
        #expect(late.inputChain == script.machine.inputChain)
        #expect(late.effectChain.value == script.machine.effectChain.value)
        #expect(late.anchors == script.machine.anchors)
    }

    @Test func aDeclaredEndCutsWhereItSaysAndNothingBehindItCounts() throws {
        var plain = try Script()
        try plain.submit([put("t", "a", [.init("n", 1)])])
        try plain.seal(next)
        var script = try Script()
        try script.submit([put("t", "a", [.init("n", 1)])])
        let machine = script.machine
        let declared = ParentEnd(
            position: Position(.first, Offset(1)), inputChain: machine.inputChain.value,
            effectChain: machine.effectChain.value, block: .first, effectiveTime: machine.effectiveTime,
            systemTime: machine.systemTime)
        var again = NodeMachine(
            database: script.database, genesis: script.genesis, settings: Settings(), epochRecord: .zero)
        _ = try again.step(.declaredEnd(declared), reading: script.blocks)
        try script.submit([put("t", "b", [])])
        let effects = try again.step(.records(.first, script.entries), reading: script.blocks)
        #expect(ending(effects)?.end == declared)
        #expect(ending(effects)?.seal == nil)
        #expect(again.frozen.map(\.draft.cut) == [.seal])
        #expect(again.applied == declared.position)
        #expect(plain.machine.frozen.count == 1)
    }

    @Test func aLogThatIsAnotherUpToTheDeclaredEndIsRefused() throws {
        var script = try Script()
        try script.submit([put("t", "a", [.init("n", 1)])])
        let declared = ParentEnd(
            position: Position(.first, Offset(1)), inputChain: .zero, effectChain: .zero, block: .first,
            effectiveTime: 0, systemTime: Instant(microseconds: 0))
        var again = NodeMachine(
            database: script.database, genesis: script.genesis, settings: Settings(), epochRecord: .zero)
        _ = try again.step(.declaredEnd(declared), reading: script.blocks)
        #expect(stop(try again.step(.records(.first, script.entries), reading: script.blocks)) == .logDiverged)
    }

    @Test func aLogWithoutARecordAtTheDeclaredEndIsNotReadPastIt() throws {
        var script = try Script()
        try script.submit([put("t", "a", [.init("n", 1)])])
        let (machine, last) = (script.machine, script.entries.count)
        try script.submit([put("t", "b", [])])
        let declared = ParentEnd(
            position: Position(.first, Offset(1)), inputChain: machine.inputChain.value,
            effectChain: machine.effectChain.value, block: .first, effectiveTime: machine.effectiveTime,
            systemTime: machine.systemTime)
        var again = NodeMachine(
            database: script.database, genesis: script.genesis, settings: Settings(), epochRecord: .zero)
        _ = try again.step(.declaredEnd(declared), reading: script.blocks)
        var entries = script.entries
        entries.remove(at: last - 1)
        #expect(stop(try again.step(.records(.first, entries), reading: script.blocks)) == .logDiverged)
        #expect(again.applied == Position(.first, .zero))
    }

    @Test func aNodeThatAppliedBeyondADeclaredEndIsStale() throws {
        var script = try Script()
        try script.submit([put("t", "a", [.init("n", 1)])])
        let declared = ParentEnd(
            position: Position(.first, .zero), inputChain: .zero, effectChain: .zero, block: nil, effectiveTime: 0,
            systemTime: Instant(microseconds: 0))
        #expect(stop(try script.machine.step(.declaredEnd(declared), reading: script.blocks)) == .epochStale)
    }
}
