import Testing
import VarveCore
import VarveModel

@Suite struct BreadcrumbTests {
    private func at(_ offset: Int64) -> Position { Position(.first, Offset(offset)) }

    /// A process that begins behind `applied`, applies up to `dies` and ends while applying that record alone.
    private func next(_ caution: Caution, dies at: Position) -> Breadcrumb {
        Breadcrumb(applying: at...at, suspect: caution.suspect)
    }

    @Test func nothingBeingAppliedIsNoReasonForCaution() {
        let caution = Breadcrumb().caution(behind: at(5))
        #expect(caution == Caution())
        #expect(!caution.isAlone(at(6)) && caution.poison == nil)
    }

    @Test func aBatchThatEndedTheProcessIsAppliedRecordByRecord() {
        var caution = Breadcrumb(applying: at(6)...at(9)).caution(behind: at(5))
        #expect(caution.poison == nil && caution.suspect == nil)
        #expect(caution.isAlone(at(6)) && caution.isAlone(at(9)) && !caution.isAlone(at(10)))
        var wasSuspect = caution.passed(at(8))
        #expect(!wasSuspect && caution.isAlone(at(9)))
        wasSuspect = caution.passed(at(9))
        #expect(!wasSuspect)
        #expect(!caution.isAlone(at(9)))
    }

    @Test func oneRecordAloneIsPoisonAtTheSecondEnd() {
        let first = Breadcrumb(applying: at(6)...at(9)).caution(behind: at(5))
        let second = next(first, dies: at(8)).caution(behind: at(5))
        #expect(second.suspect == Breadcrumb.Suspect(at(8), crashes: 1))
        #expect(second.poison == nil && second.isAlone(at(8)))
        let third = next(second, dies: at(8)).caution(behind: at(5))
        #expect(third.poison == at(8))
        // And stays, however often the node is started.
        #expect(Breadcrumb(suspect: third.suspect).caution(behind: at(5)).poison == at(8))
    }

    @Test func anotherRecordBeginsToCountAgain() {
        let first = Breadcrumb(applying: at(6)...at(6)).caution(behind: at(5))
        let second = next(first, dies: at(7)).caution(behind: at(5))
        #expect(second.suspect == Breadcrumb.Suspect(at(7), crashes: 1))
    }

    @Test func whatWasAppliedAfterAllIsNoSuspect() {
        var caution = Breadcrumb(applying: at(6)...at(6)).caution(behind: at(5))
        let wasSuspect = caution.passed(at(6))
        #expect(wasSuspect)
        #expect(caution.suspect == nil && !caution.isAlone(at(6)))
    }

    @Test func whatStorageHoldsIsNoSuspect() {
        let left = Breadcrumb(applying: at(6)...at(6), suspect: Breadcrumb.Suspect(at(6), crashes: 2))
        #expect(left.caution(behind: at(6)) == Caution())
        #expect(left.caution(behind: at(5)).poison == at(6))
        #expect(left.caution(behind: nil).poison == at(6))
    }

    @Test func aBlockIsLeftToOthersAtTheThirdEnd() {
        var left = Breadcrumb(encoding: BlockNumber(7))
        for crashes in UInt64(1)...3 {
            let caution = left.caution(behind: at(5), adopted: BlockNumber(6))
            #expect(caution.suspectBlock == Breadcrumb.SuspectBlock(BlockNumber(7), crashes: crashes))
            #expect((caution.unencodable == BlockNumber(7)) == (crashes == 3))
            #expect(caution.poison == nil && !caution.isAlone(at(6)))
            left = Breadcrumb(encoding: BlockNumber(7), suspectBlock: caution.suspectBlock)
        }
        // Another block begins to count again; one that is in storage does not count.
        left.encoding = BlockNumber(8)
        #expect(left.caution(behind: at(5)).suspectBlock == Breadcrumb.SuspectBlock(BlockNumber(8), crashes: 1))
        #expect(left.caution(behind: at(5), adopted: BlockNumber(8)).suspectBlock == nil)
        var caution = Breadcrumb(suspectBlock: left.suspectBlock).caution(behind: nil)
        let wasSuspect = caution.encoded(BlockNumber(7))
        #expect(wasSuspect && caution.suspectBlock == nil)
    }

    @Test func anEndSomewhereElseKeepsThePoison() {
        // Stopped before 8; started again, and killed in the batch before it.
        let left = Breadcrumb(applying: at(6)...at(7), suspect: Breadcrumb.Suspect(at(8), crashes: 2))
        let caution = left.caution(behind: at(5))
        #expect(caution.poison == at(8) && caution.isAlone(at(6)))
    }

    @Test func anEndInFrontOfAPoisonRecordIsLookedIntoLikeAnyOther() {
        // 9 is known; now 7 ends the process as well.
        let records: (Int) -> Position = { Position(.first, Offset(Int64(6 + $0))) }
        var left = Breadcrumb(suspect: Breadcrumb.Suspect(at(9), crashes: 2))
        var caution = left.caution(behind: at(5))
        #expect(caution.together(10, records) == 3)
        left.applying = at(6)...at(8)
        caution = left.caution(behind: at(5))
        #expect(caution.poison == at(9) && caution.together(10, records) == 1)
        for crashes in UInt64(1)...2 {
            left = next(caution, dies: at(7))
            caution = left.caution(behind: at(5))
            #expect(caution.suspect == Breadcrumb.Suspect(at(7), crashes: crashes))
        }
        #expect(caution.poison == at(7) && caution.together(10, records) == 1)
    }

    @Test func withoutCautionRecordsAreAppliedTogether() {
        #expect(Caution().together(10) { _ in at(1) } == 10)
        #expect(!Caution().isNeeded)
    }
}
