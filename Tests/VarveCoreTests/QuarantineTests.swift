import Testing
import VarveCore
import VarveModel

@Suite struct QuarantineTests {
    private func at(_ offset: Int64) -> Position { Position(.first, Offset(offset)) }

    /// Three puts; the second, at offset 2, is quarantined.
    private func script(_ settings: Settings = Settings()) throws -> (Script, id: SubmissionID) {
        var script = try Script(settings)
        let id = SubmissionID(high: 5, low: 5)
        try script.submit([put("users", "ada", [.init("age", 36)])])
        _ = try script.machine.step(.quarantine(script.machine.open.number, at(2)), reading: script.blocks)
        try script.submit([put("users", "eve", [.init("age", 1)])], id: id)
        try script.submit([put("users", "bob", [.init("age", 5)])])
        return (script, id)
    }

    @Test func aQuarantinedRecordHasNoEffectAndADefiniteOutcome() throws {
        let (script, id) = try script()
        #expect(try script.document("users", "eve") == nil)
        #expect(try script.document("users", "ada") != nil)
        #expect(try script.document("users", "bob") != nil)
        let decision = try #require(script.machine.window[id])
        #expect(decision.outcome == .aborted)
        #expect(decision.failure?.code == .poison)
        #expect(decision.failure?.detail.contains("0-2") == true)
        #expect(decision.position == at(2))
    }

    @Test func theBlockEndsWithTheRecordAndSaysWhy() throws {
        let (script, id) = try script()
        let block = try #require(script.machine.frozen.first)
        #expect(block.draft.cut == .quarantine)
        #expect(block.draft.last == at(2))
        #expect(block.draft.recordDigest == Digest(of: script.entries[2].bytes))
        #expect(block.decisions[at(2)]?.id == id)
        #expect(script.machine.open.number == BlockNumber(1))
        #expect(script.machine.open.first?.position == at(3))
    }

    @Test func sentAgainWithOtherContentItIsAnsweredTheSame() throws {
        var (script, id) = try script()
        let again = try script.submit([put("users", "other", [])], id: id)
        #expect(again?.outcome == .aborted)
        #expect(try script.document("users", "other") == nil)
    }

    @Test func twoMachinesThatSkipItAgreeAndOneThatDoesNotDiverges() throws {
        var (skipping, _) = try script()
        var executing = try Script()
        for entry in skipping.entries.dropFirst() {
            _ = try executing.machine.step(.records(.first, [entry]), reading: executing.blocks)
        }
        #expect(executing.machine.inputChain.value == skipping.machine.inputChain.value)
        #expect(executing.machine.effectChain.value != skipping.machine.effectChain.value)
        // Told late, it stops instead of going on with another history.
        let effects = try executing.machine.step(.quarantine(.first, at(2)), reading: executing.blocks)
        guard case .stopped(let error)? = effects.first else {
            Issue.record("\(effects)")
            return
        }
        #expect(error.code == .divergence)
        #expect(error.message.contains("0-2"))
        try skipping.adopt()
        #expect(skipping.machine.adopted?.position == at(2))
    }

    @Test func aRecordIsQuarantinedInAnEmptyBlockToo() throws {
        // The poison directly behind a cut, and one directly behind a quarantine.
        var script = try Script(Settings(transactionsPerBlock: 1))
        try script.submit([put("users", "ada", [])])
        for offset in Int64(2)...3 {
            _ = try script.machine.step(.quarantine(script.machine.open.number, at(offset)), reading: script.blocks)
            try script.submit([put("users", "eve", [])])
        }
        #expect(script.machine.frozen.map(\.draft.cut) == [.transactions, .quarantine, .quarantine])
        #expect(script.machine.frozen.map(\.draft.last) == [at(1), at(2), at(3)])
        #expect(script.machine.frozen[2].draft.first == at(3))
    }

    @Test func whateverTheRecordWouldHaveDoneToTheClusterItDoesNot() throws {
        var script = try Script()
        let settings = script.machine.settings
        _ = try script.machine.step(.quarantine(.first, at(1)), reading: script.blocks)
        let other = Settings(rowsPerBlock: 7)
        var writer = CBORWriter()
        other.encode(to: &writer)
        try script.append(.settings, id: script.nextID(), payload: Bytes(writer.bytes))
        #expect(script.machine.settings == settings)
        _ = try script.machine.step(.quarantine(BlockNumber(1), at(2)), reading: script.blocks)
        try script.seal(GenesisID(high: 9, low: 9))
        #expect(script.machine.ending == nil)
        #expect(script.machine.frozen.map(\.draft.cut) == [.quarantine, .quarantine])
    }

    @Test func ofAnotherBlockOrEpochItIsNoNews() throws {
        var script = try Script()
        let open = script.machine.open.number
        #expect(try script.machine.step(.quarantine(BlockNumber(9), at(1)), reading: script.blocks).isEmpty)
        let elsewhere = Position(Epoch(1)!, Offset(1))
        #expect(try script.machine.step(.quarantine(open, elsewhere), reading: script.blocks).isEmpty)
        #expect(try script.submit([put("users", "ada", [])])?.outcome == .committed)
    }

    @Test func aLogWithoutTheRecordIsAnother() throws {
        var script = try Script()
        _ = try script.machine.step(.quarantine(.first, at(1)), reading: script.blocks)
        script.offset = 2
        let effects = try script.append(.barrier, id: script.nextID())
        guard case .stopped(let error)? = effects.first else {
            Issue.record("\(effects)")
            return
        }
        #expect(error.code == .logDiverged)
        #expect(script.machine.applied == at(0))
    }
}
