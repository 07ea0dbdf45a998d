import Testing
import VarveLog

@testable import VarveKafka

/// Which record tells a log from one that was made anew.
@Suite struct LogProofTests {
    private func proof(_ records: [(offset: Int64, time: Int64)]) -> LogProof {
        var proof = LogProof()
        for record in records { proof.note(record.offset, time: record.time) }
        return proof
    }

    @Test func theNewestRecordThatIsTheFirstOfItsTimeIsTheAnchor() {
        #expect(proof([(0, 10), (1, 20), (2, 20), (3, 30), (4, 30)]).anchor == .init(offset: 3, time: 30))
    }

    @Test func theFirstRecordOfALogIsNone() {
        #expect(proof([(0, 10), (1, 10)]).anchor == nil)
    }

    @Test func behindAHoleOrAtTheFirstRecordReadNobodyKnowsWhetherItIsTheFirstOfItsTime() {
        #expect(proof([(5, 10), (6, 10)]).anchor == nil)
        #expect(proof([(5, 10), (6, 11), (9, 12)]).anchor == .init(offset: 6, time: 11))
    }

    @Test func aClockThatWasSetBackMakesNoAnchorUntilItHasCaughtUp() {
        #expect(proof([(0, 10), (1, 30), (2, 20), (3, 29)]).anchor == .init(offset: 1, time: 30))
        #expect(proof([(0, 10), (1, 30), (2, 20), (3, 31)]).anchor == .init(offset: 3, time: 31))
    }
}
