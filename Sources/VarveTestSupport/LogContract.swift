/// The contract of `Log.swift` as checks that run over any implementation. Each says in its name which sentence it holds.

import Synchronization
import VarveLog
package import VarveModel

package enum LogContract {
    /// One sentence of the contract.
    package struct Check: Sendable, CustomStringConvertible {
        package let description: String
        let body: @Sendable (Bench) async throws -> Void

        init(_ description: String, _ body: @escaping @Sendable (Bench) async throws -> Void) {
            self.description = description
            self.body = body
        }

        /// Runs this check over a fresh place. Throws `ContractViolation` where the sentence does not hold.
        package func run(_ factory: @Sendable () async throws -> LogSubject) async throws {
            let subject = try await factory()
            LogContract.noteRun(of: subject.name)
            do { try await body(Bench(subject: subject)) } catch {
                await subject.remove()
                throw error
            }
            await subject.remove()
        }
    }

    package static let checks: [Check] =
        providerChecks + appendChecks + orderChecks + readChecks + tailChecks + endChecks

    /// A genesis record for a log under test.
    package static func genesis(_ epoch: Epoch, database: DatabaseID = DatabaseID(high: 1, low: 2)) -> Bytes {
        let payload = Genesis(
            database: database, epoch: epoch, log: LogReference(kind: .local, topic: "test"), began: .initial,
            settings: Settings())
        let header = RecordHeader(
            type: .genesis, logTag: .none, id: GenesisID(high: 7, low: UInt64(epoch.number)))
        return Record(header: header, payload: payload.encoded()).encoded()
    }

    /// What a check works with.
    struct Bench: Sendable {
        let subject: LogSubject

        var provider: any LogProvider { subject.provider }

        /// The log of the subject's epoch, holding its genesis only; its end is `first`.
        func begun() async throws -> (log: any Log, first: Offset) {
            let log = try await opened()
            try await append([LogContract.genesis(subject.epoch)], to: log)
            return (log, try await log.range().upperBound)
        }

        /// The same, not begun.
        func opened(_ epoch: Epoch? = nil) async throws -> any Log {
            let epoch = epoch ?? subject.epoch
            try await provider.create(epoch)
            return try await provider.open(epoch)
        }

        /// Appends until all are in the log, in this order, each once: as a writer does who takes the contract at its word.
        /// What is refused for now is appended again, what is unknown looked for first. Any other refusal is a violation.
        @discardableResult
        func append(_ records: [Bytes], to log: any Log) async throws -> [AppendResult] {
            var all: [AppendResult] = []
            for _ in 0..<Self.attemptsMax {
                let left = Array(records[all.count...])
                let before = try await log.range().upperBound
                let results = await log.append(left)
                try requireEqual(results.count, left.count, "results of an append")
                for (record, result) in zip(left, results) {
                    guard try await isIn(record, log, from: before, result) else { break }
                    all.append(result)
                }
                if all.count == records.count { return all }
            }
            throw ContractViolation(description: "not stored after \(Self.attemptsMax) attempts")
        }

        private static let attemptsMax = 200

        /// Whether the record is in the log after this result.
        private func isIn(
            _ record: Bytes, _ log: any Log, from offset: Offset, _ result: AppendResult
        ) async throws -> Bool {
            switch result {
            case .stored: return true
            case .unknown: return try await entries(of: log, from: offset).contains { $0.bytes == record }
            case .refused(let error):
                try requireEqual(error.code, .logUnreachable, "code of a refusal")
                return false
            }
        }

        /// What of `records` is in the log, of which an append said `results`: what it stored, nothing that it refused.
        func kept(_ records: [Bytes], _ results: [AppendResult], in log: any Log, from offset: Offset) async throws
            -> [Bytes]
        {
            try requireEqual(results.count, records.count, "results of an append")
            let found = try await entries(of: log, from: offset).map(\.bytes)
            for (record, result) in zip(records, results) {
                let times = found.count { $0 == record }
                switch result {
                case .stored: try requireEqual(times, 1, "times that a stored record is in the log")
                case .unknown: try require(times <= 1, "an unknown record is in the log \(times) times")
                case .refused: try requireEqual(times, 0, "times that a refused record is in the log")
                }
            }
            return found
        }

        /// Everything from `offset` to the present end, by a tail of its own.
        func entries(of log: any Log, from offset: Offset) async throws -> [LogEntry] {
            let end = try await log.range().upperBound
            guard offset < end else { return [] }
            let tail = try await log.tail(from: offset)
            var entries: [LogEntry] = []
            while entries.last.map({ $0.offset.next < end }) ?? true {
                guard let batch = try await tail.next() else { break }
                try require(!batch.entries.isEmpty, "a tail delivered an empty batch")
                entries += batch.entries
                // An end behind a hole is never reached by an entry: what was appended last tells.
                if let next = try await log.read(at: entries[entries.count - 1].offset.next) {
                    try require(next.offset > entries[entries.count - 1].offset, "read went back")
                } else {
                    break
                }
            }
            await tail.close()
            return entries
        }
    }

    private static let ran = Mutex<[String]>([])

    private static func noteRun(of name: String) {
        let line = ran.withLock { ran -> String? in
            if ran.contains(name) { return nil }
            ran.append(name)
            return ran.sorted().joined(separator: ", ")
        }
        if let line { TestReport.note("log contract", "ran over \(line)") }
    }

    /// Sentences that only some logs can break, or that need a fault: the tests that hold them, by a part of their name.
    package static let elsewhere: [(sentence: String, test: String)] = [
        ("A4", "a new log takes nothing before its genesis"),
        ("A5", "a full disk refuses the append, tears nothing"),
        ("A5", "a failed sync is IO_FATAL"),
        ("A6", "whenTheReportedPlaceLiesBelowWhatWasReadTheLogIsCondemned"),
        ("A6", "anAppendToADeletedTopicEnds"),
        ("A7", "a reader beside the writer sees what is durable"),
        ("C4", "at most bufferSize records are in flight"),
        ("T2", "log time comes from the source given and never goes back"),
        ("R3", "anUnreachableBrokerIsNamedWithTheReason"),
        ("R3", "a path that is a file is LOG_DENIED"),
        ("R6", "damage in an earlier segment stops the reader there"),
        ("R6", "who reads beside the writer is told LOG_CORRUPT where opening would say so"),
        ("N7", "only what is synced is delivered"),
        ("N8", "damage in an earlier segment stops the reader there"),
        ("N8", "aTopicDeletedUnderneathIsMissing"),
        ("N9", "aBrokerKilledAndStartedAgainHoldsEachRecordOnceAndInOrder"),
        ("N12", "aTopicDeletedUnderneathIsMissing"),
        ("N12", "nothing is acknowledged once the path leads elsewhere"),
        ("N13", "aBrokerThatGoesAwayRaisesASuspicionAtOnceAndLosesNothing"),
        ("N13", "nothingThatComesOverANewConnectionIsReadBeforeTheLossOfTheOldOneIsTold"),
        ("V8", "anUnreachableBrokerIsNamedWithTheReason"),
        ("V8", "withoutRightsNothingIsMadeReadOrWritten"),
        ("V9", "aTopicIsMadeOnlyWhereThatIsAllowedAndPossible"),
        ("V9", "withoutRightsNothingIsMadeReadOrWritten"),
        ("H1", "aBrokerKilledAndStartedAgainHoldsEachRecordOnceAndInOrder"),
        ("K1", "theEmbeddedBrokerIsKnownAndEachEpochHasItsTopic"),
        ("K2", "whatIsAllowedByAllowWeakLogIsWarnedOf"),
    ]

    /// `count` records that tell their number.
    static func records(_ range: Range<Int>, _ prefix: String = "record", bytes: Int = 0) -> [Bytes] {
        range.map { number in
            let text = Array("\(prefix) \(number)".utf8)
            return Bytes(
                text + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: max(0, bytes - text.count)))
        }
    }
}
