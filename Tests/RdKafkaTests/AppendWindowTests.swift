import Synchronization
import Testing

@testable import RdKafka

@Suite struct AppendWindowTests {
    private final class Seen: Sendable {
        let reports = Mutex<[[AppendReport]]>([])
        var all: [[AppendReport]] { reports.withLock { $0 } }
        func note(_ some: [AppendReport]) { reports.withLock { $0.append(some) } }
    }

    private func finish(_ window: inout AppendWindow) {
        for batch in window.takeFinished() { batch.completion(batch.reports) }
    }

    @Test func batchesCompleteInOrderWhateverTheOrderOfReports() {
        var window = AppendWindow(size: 4)
        let seen = Seen()
        window.submit([[1], [2]], completion: seen.note)
        window.submit([[3]], completion: seen.note)
        window.handOver { _, _ in .taken }
        window.report(2, .stored(offset: 12, time: nil))
        window.report(1, .stored(offset: 11, time: nil))
        finish(&window)
        #expect(seen.all.isEmpty)
        window.report(0, .stored(offset: 10, time: nil))
        finish(&window)
        #expect(
            seen.all == [
                [.stored(offset: 10, time: nil), .stored(offset: 11, time: nil)], [.stored(offset: 12, time: nil)],
            ])
        #expect(window.isIdle)
    }

    @Test func aBatchLargerThanTheWindowGoesThroughInPieces() {
        var window = AppendWindow(size: 4)
        let seen = Seen()
        window.submit((0..<11).map { [UInt8($0)] }, completion: seen.note)
        var given: [UInt8] = []
        while !window.isIdle {
            window.handOver { _, record in
                given += record
                return .taken
            }
            #expect(window.inFlight <= 4)
            window.report(window.done, .stored(offset: Int64(window.done), time: nil))
            finish(&window)
        }
        #expect(given == Array(0..<11))
        #expect(seen.all.map { $0.compactMap(\.offset) } == [Array(0..<11)])
        #expect(window.waitingBytes == 0)
    }

    @Test func aSecondReportChangesNothing() {
        var window = AppendWindow(size: 4)
        let seen = Seen()
        window.submit([[1]], completion: seen.note)
        window.handOver { _, _ in .taken }
        window.report(0, .stored(offset: 7, time: nil))
        window.report(0, .unknown(RdKafkaError(.purgedQueue)))
        window.report(9, .unknown(RdKafkaError(.purgedQueue)))
        finish(&window)
        window.report(0, .unknown(RdKafkaError(.purgedQueue)))
        finish(&window)
        #expect(seen.all == [[.stored(offset: 7, time: nil)]])
    }

    @Test func givingUpSaysUnknownOfWhatWasHandedOverAndRefusedOfTheRest() {
        var window = AppendWindow(size: 2)
        let seen = Seen()
        window.submit([[1], [2], [3], [4]], completion: seen.note)
        window.submit([[5]], completion: seen.note)
        window.handOver { _, _ in .taken }
        let error = RdKafkaError(.destroyed)
        window.abandon(error)
        finish(&window)
        #expect(
            seen.all == [
                [.unknown(error), .unknown(error), .refused(error), .refused(error)], [.refused(error)],
            ])
        #expect(window.isIdle)
    }

    @Test func anEmptyBatchHasNoReportsAndKeepsItsPlace() {
        var window = AppendWindow(size: 2)
        let seen = Seen()
        window.submit([[1]], completion: seen.note)
        window.submit([], completion: seen.note)
        window.handOver { _, _ in .taken }
        finish(&window)
        #expect(seen.all.isEmpty)
        window.report(0, .stored(offset: 1, time: nil))
        finish(&window)
        #expect(seen.all.map(\.count) == [1, 0])
    }

    @Test func manyBatchesPassThroughASmallWindow() {
        var window = AppendWindow(size: 8)
        let seen = Seen()
        var sequence: [Int64] = []
        for batch in 0..<3_000 {
            window.submit([[UInt8(batch & 255)], [0]], completion: seen.note)
            if batch % 7 == 0 {
                while !window.isIdle {
                    window.handOver { number, _ in
                        sequence.append(Int64(number))
                        return .taken
                    }
                    for number in window.done..<window.handed {
                        window.report(number, .stored(offset: Int64(number), time: nil))
                    }
                    finish(&window)
                }
            }
        }
        #expect(sequence == Array(0..<Int64(sequence.count)))
        #expect(seen.all.flatMap { $0.compactMap(\.offset) } == sequence)
    }
}
