import Testing
import VarveCore
import VarveModel

/// What the next epoch's record means to a node that is still in this one.
@Suite struct SuccessionTests {
    private func record(_ began: EpochBeginning) -> EpochRecord { StartUpTests.record(1, began) }

    private func block(_ number: UInt64, effects: UInt64 = 5) -> Manifest {
        var end = StartUpTests.end(0, 100)
        end.effectChain = Bytes16(high: effects, low: effects)
        var block = StartUpTests.newest(end)
        block.number = BlockNumber(number)
        return block
    }

    @Test func blocksUpToTheEndArePublishedAndNoneBehindIt() {
        let sealed = Succession(record(.sealed), isKnown: true)
        #expect(!sealed.leavesOut(block(2)))
        #expect(!sealed.leavesOut(block(3)))
        #expect(sealed.leavesOut(block(4)))
        #expect(!Succession(nil, isKnown: false).leavesOut(block(4)))
    }

    @Test func aLastBlockThatIsNotWhatTheRecordSaysIsNeverPublished() {
        for began in [EpochBeginning.sealed, .lost] {
            let ended = Succession(record(began), isKnown: true)
            #expect(ended.leavesOut(block(3, effects: 6)), "storage with it would open for nobody")
            #expect(!ended.leavesOut(block(2, effects: 6)), "an earlier one is compared with its manifest")
        }
    }

    @Test func whoDidNotKnowOfADeclaredEndPublishesNothing() {
        let unknown = Succession(record(.lost), isKnown: false)
        #expect(unknown.endsNode)
        #expect(unknown.leavesOut(block(2)))
        let sealed = Succession(record(.sealed), isKnown: false)
        #expect(!sealed.endsNode, "a seal is read up to")
        #expect(!sealed.leavesOut(block(3)))
    }
}
