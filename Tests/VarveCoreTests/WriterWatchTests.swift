import Testing
import VarveCore
import VarveModel

/// What records tell of their writers, and that it never changes what is applied.
@Suite struct WriterWatchTests {
    let database = DatabaseID(high: 1, low: 2)
    let genesis = GenesisID(high: 7, low: 7)
    var tag: LogTag { LogTag(database: database, genesis: genesis) }

    /// A barrier of a writer; `observed` and the chains there as its sender had them.
    func logged(
        _ offset: Int64, writer: UInt64, _ sequence: UInt64, observed: Int64 = 0, input: UInt64 = 0,
        effect: UInt64 = 0, tag: LogTag? = nil
    ) -> NodeMachine.LoggedRecord {
        let header = RecordHeader(
            type: .barrier, logTag: tag ?? self.tag, id: Bytes16(high: writer, low: sequence), writer: writer,
            writerSequence: sequence, observed: Position(.first, Offset(observed)), inputChain: input.byteSwapped,
            effectChain: effect.byteSwapped)
        return NodeMachine.LoggedRecord(
            offset: Offset(offset), time: 1_000, bytes: Record(header: header, payload: Bytes()).encoded())
    }

    func scan(_ watch: inout WriterWatch, _ records: [NodeMachine.LoggedRecord]) -> String? {
        watch.scan(records, epoch: .first, tag: tag)
    }

    @Test func numbersThatFollowEachOtherAreNoSuspicionWhoeverWritesBetween() {
        var watch = WriterWatch()
        #expect(
            scan(
                &watch,
                [logged(1, writer: 1, 41), logged(2, writer: 2, 7), logged(3, writer: 1, 42), logged(9, writer: 2, 8)])
                == nil)
        #expect(scan(&watch, [logged(10, writer: 1, 43), logged(11, writer: 3, 900)]) == nil)
    }

    @Test(arguments: [42, 41, 3, 44, 100])
    func aNumberThatIsRepeatedBackwardOrMissingIsASuspicion(sequence: UInt64) throws {
        var watch = WriterWatch()
        _ = scan(&watch, [logged(1, writer: 1, 41), logged(2, writer: 1, 42)])
        let reason = try #require(scan(&watch, [logged(3, writer: 1, sequence)]))
        #expect(reason.contains("numbers \(sequence) after 42 at 0-3"))
        // Told once: the next one is held against this.
        #expect(scan(&watch, [logged(4, writer: 1, sequence + 1)]) == nil)
    }

    @Test(arguments: [5, 6, 1_000])
    func whoeverHadReadWhatIsNotThereYetReadAnotherLog(observed: Int64) {
        var watch = WriterWatch()
        #expect(scan(&watch, [logged(5, writer: 1, 1, observed: observed, input: 1)]) != nil)
        #expect(scan(&watch, [logged(6, writer: 1, 2, observed: 4, input: 1)]) == nil)
    }

    @Test func aRecordOfAnotherLogIsASuspicionAndALateGenesisIsNone() throws {
        var watch = WriterWatch()
        let other = LogTag(raw: 99)
        #expect(try #require(scan(&watch, [logged(5, writer: 1, 1, tag: other)])).contains("0-5 is of another log"))
        let noise = NodeMachine.LoggedRecord(offset: Offset(6), time: 0, bytes: Bytes("something else"))
        #expect(scan(&watch, [noise]) != nil)
        let late = Record(header: RecordHeader(type: .genesis, logTag: .none, id: genesis), payload: Bytes())
        #expect(
            scan(&watch, [NodeMachine.LoggedRecord(offset: Offset(7), time: 0, bytes: late.encoded())]) == nil)
    }

    @Test func chainsAreComparedWithThoseAtThatPositionAlsoWithinABatch() throws {
        var script = try Script()
        try script.append(.barrier, id: Bytes16(high: 1, low: 1))
        let mark = try #require(script.machine.trail[script.machine.applied!])
        // Where the record stands that claims something.
        try script.append(.barrier, id: Bytes16(high: 1, low: 2))
        func findings(input: UInt64, effect: UInt64, observed: Int64 = 1) -> [WriterWatch.Finding] {
            var watch = WriterWatch()
            #expect(
                scan(&watch, [logged(2, writer: 5, 1, observed: observed, input: input, effect: effect)]) == nil)
            return watch.compare(with: script.machine.trail)
        }
        #expect(findings(input: mark.input, effect: mark.effect) == [])
        // Nothing is known of the time before, and a sender without a history claims nothing.
        #expect(findings(input: mark.input ^ 1, effect: 0, observed: 0).count == 1)
        #expect(findings(input: 0, effect: 0) == [])
        guard case .otherInput(let reason)? = findings(input: mark.input ^ 1, effect: mark.effect).first else {
            Issue.record("no finding")
            return
        }
        #expect(reason.contains("0-1"))
        #expect(
            findings(input: mark.input, effect: mark.effect ^ 1)
                == [.otherEffect(writer: 5, at: Position(.first, Offset(1)), isFirst: true)])
    }

    @Test func aRecordThatWasNotAppliedMayHaveBeenDamagedOnItsWayAndClaimsNothing() throws {
        var script = try Script()
        try script.append(.barrier, id: Bytes16(high: 1, low: 1))
        let mark = try #require(script.machine.trail[script.machine.applied!])
        var watch = WriterWatch()
        _ = scan(&watch, [logged(2, writer: 5, 1, observed: 1, input: mark.input, effect: mark.effect ^ 1)])
        #expect(watch.compare(with: script.machine.trail) == [])
        // Read again, it is whole.
        try script.append(.barrier, id: Bytes16(high: 1, low: 2))
        _ = scan(&watch, [logged(2, writer: 5, 1, observed: 1, input: mark.input, effect: mark.effect)])
        #expect(watch.compare(with: script.machine.trail) == [])
    }

    @Test func oneNodeWithOtherEffectsIsSuspectHoweverOftenItIsStartedAndTwoMeanThatThisNodeIsWrong() throws {
        var script = try Script()
        try script.append(.barrier, id: Bytes16(high: 1, low: 1))
        let mark = try #require(script.machine.trail[script.machine.applied!])
        // Where the record stands that claims something.
        try script.append(.barrier, id: Bytes16(high: 1, low: 2))
        var watch = WriterWatch()
        func say(_ writer: UInt64, _ sequence: UInt64) -> [WriterWatch.Finding] {
            _ = scan(
                &watch,
                [logged(2, writer: writer, sequence, observed: 1, input: mark.input, effect: mark.effect ^ 1)])
            return watch.compare(with: script.machine.trail)
        }
        let at = Position(.first, Offset(1))
        #expect(say(5, 1) == [.otherEffect(writer: 5, at: at, isFirst: true)])
        #expect(say(5, 2) == [.otherEffect(writer: 5, at: at, isFirst: false)])
        // Started again, twice: each time another writer, and the one before is silent for ever.
        #expect(say(8, 1) == [.otherEffect(writer: 8, at: at, isFirst: true)])
        #expect(say(6, 1) == [.otherEffect(writer: 6, at: at, isFirst: true)])
        #expect(say(6, 2) == [.otherEffect(writer: 6, at: at, isFirst: false)])
        // Now one speaks that another came after: both live.
        let second = say(5, 3)
        #expect(second.first == .otherEffect(writer: 5, at: at, isFirst: false))
        guard case .divergence(let error)? = second.last else {
            Issue.record("goes on")
            return
        }
        #expect(error.code == .divergence)
        #expect(error.message.contains("0000000000000005") && error.message.contains("0000000000000006"))
    }

    @Test func theTrailRemembersTheNewestPositionsOnly() throws {
        var script = try Script()
        for i in 0..<UInt64(ChainTrail.marksMax) { try script.append(.barrier, id: Bytes16(high: 3, low: i)) }
        let trail = script.machine.trail
        #expect(trail[Position(.first, Offset(0))] == nil)
        let newest = Position(.first, Offset(Int64(ChainTrail.marksMax)))
        #expect(trail[newest]?.input == script.machine.token.chainPrefix)
        #expect(trail[Position(.first, Offset(1))] != nil)
        #expect(trail[Position(.first, newest.offset.next)] == nil)
    }
}
