import Testing
import VarveCore
import VarveModel

@Suite struct IdleRuleTests {
    private let block = BlockNumber(3)

    @Test func aTransactionIsCutAfterTheFlushDuration() {
        var rule = IdleRule(retentionMs: nil, share: 0)
        #expect(rule.look(open: block, records: 1, transactions: 1, flushDurationMs: 5_000, now: 0) == nil)
        #expect(rule.look(open: block, records: 1, transactions: 1, flushDurationMs: 5_000, now: 5_000) == nil)
        #expect(rule.look(open: block, records: 1, transactions: 1, flushDurationMs: 5_000, now: 5_001) == block)
    }

    @Test func anyRecordIsCutAfterAnHourOrAnEighthOfTheRetention() {
        var hour = IdleRule(retentionMs: nil, share: 0)
        var eighth = IdleRule(retentionMs: 8_000, share: 0)
        for rule in 0..<2 {
            let bound: Int64 = rule == 0 ? 3_600_000 : 1_000
            func look(_ now: Int64) -> BlockNumber? {
                rule == 0
                    ? hour.look(open: block, records: 1, transactions: 0, flushDurationMs: 1 << 40, now: now)
                    : eighth.look(open: block, records: 1, transactions: 0, flushDurationMs: 1 << 40, now: now)
            }
            #expect(look(0) == nil)
            #expect(look(bound) == nil)
            #expect(look(bound + 1) == block)
        }
    }

    @Test func anEmptyBlockIsNeverCut() {
        var rule = IdleRule(retentionMs: 8, share: 0)
        for now in stride(from: Int64(0), to: 1_000_000_000, by: 10_000_000) {
            #expect(rule.look(open: block, records: 0, transactions: 0, flushDurationMs: 1, now: now) == nil)
        }
    }

    @Test func theJitterIsThirtySecondsForTransactionsAndASixthOtherwise() {
        var transactions = IdleRule(retentionMs: nil, share: 1)
        _ = transactions.look(open: block, records: 1, transactions: 1, flushDurationMs: 1_000, now: 0)
        #expect(transactions.look(open: block, records: 1, transactions: 1, flushDurationMs: 1_000, now: 30_999) == nil)
        #expect(
            transactions.look(open: block, records: 1, transactions: 1, flushDurationMs: 1_000, now: 31_000) == block)
        var records = IdleRule(retentionMs: 48_000, share: 1)
        _ = records.look(open: block, records: 1, transactions: 0, flushDurationMs: 1_000, now: 0)
        #expect(records.look(open: block, records: 1, transactions: 0, flushDurationMs: 1_000, now: 6_999) == nil)
        #expect(records.look(open: block, records: 1, transactions: 0, flushDurationMs: 1_000, now: 7_000) == block)
    }

    @Test func oneRequestIsOutstandingAtATime() {
        var rule = IdleRule(retentionMs: 8_000, share: 0)
        func look(_ open: BlockNumber, _ now: Int64) -> BlockNumber? {
            rule.look(open: open, records: 2, transactions: 1, flushDurationMs: 1_000, now: now)
        }
        #expect(look(block, 0) == nil)
        #expect(look(block, 2_000) == block)
        #expect(look(block, 3_000) == nil)
        #expect(look(block, 31_999) == nil)
        // Not read back: perhaps it was lost.
        #expect(look(block, 32_000) == block)
        rule.refused()
        #expect(look(block, 32_500) == block)
        // Cut: the next block's age begins now.
        #expect(look(block.next, 33_000) == nil)
        #expect(look(block.next, 34_001) == block.next)
    }
}
