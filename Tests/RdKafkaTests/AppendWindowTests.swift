import Synchronization
import Testing

@testable import RdKafka

extension AppendWindow {
    fileprivate enum HandOver {
        case taken
    }

    fileprivate mutating func submit(_ records: [[UInt8]], completion: @escaping Completion) {
        submit(RdKafkaValues(records), completion: completion)
    }

    /// One by one.
    fileprivate mutating func handOver(_ hand: (_ number: UInt64, _ record: [UInt8]) -> HandOver) {
        handOver { (run: Run, _) in
            for (index, place) in run.range.enumerated() {
                let record = run.records.withValue(place) { Array($0) }
                _ = hand(run.first + UInt64(index), record)
            }
            return run.range.count
        }
    }
}

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

    @Test func whoIsFullIsAskedAgainForTheRestAndARefusalIsTheRecordsReport() {
        var window = AppendWindow(size: 8)
        let seen = Seen()
        window.submit([[1], [2], [3], [4]], completion: seen.note)
        let error = RdKafkaError(.messageSizeTooLarge)
        window.handOver { (run: AppendWindow.Run, refusals) in
            refusals.append((1, error))
            return 2
        }
        #expect(window.handed == 2 && window.waitingBytes == 2)
        window.handOver { (run: AppendWindow.Run, _) in
            #expect(run.first == 2 && run.range == 2..<4)
            return run.range.count
        }
        for number in [0, 2, 3] as [UInt64] { window.report(number, .stored(offset: Int64(number), time: nil)) }
        finish(&window)
        #expect(
            seen.all == [
                [
                    .stored(offset: 0, time: nil), .refused(error), .stored(offset: 2, time: nil),
                    .stored(offset: 3, time: nil),
                ]
            ])
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

    @Test(.timeLimit(.minutes(1))) func whatWaitsBehindAFullWindowIsGivenUpWhileTheRestIsStillOpen() {
        var window = AppendWindow(size: 2)
        let seen = Seen()
        window.submit([[1], [2], [3]], completion: seen.note)
        window.submit([[4]], completion: seen.note)
        window.handOver { _, _ in .taken }
        let error = RdKafkaError(.purgedQueue)
        window.abandonWaiting(error)
        #expect(window.waiting == 0 && window.waitingBytes == 0)
        finish(&window)
        #expect(seen.all.isEmpty)
        window.submit([[5]], completion: seen.note)
        for number in [0, 1] as [UInt64] { window.report(number, .stored(offset: Int64(number), time: nil)) }
        finish(&window)
        let stored = [AppendReport.stored(offset: 0, time: nil), .stored(offset: 1, time: nil)]
        #expect(seen.all == [stored + [.refused(error)], [.refused(error)]])
        window.handOver { number, record in
            #expect(number == 4 && record == [5])
            return .taken
        }
        window.report(4, .stored(offset: 2, time: nil))
        finish(&window)
        #expect(seen.all.last == [.stored(offset: 2, time: nil)] && window.isIdle)
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
