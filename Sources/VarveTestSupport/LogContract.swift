/// The contract of `Log.swift` as checks that run over any implementation. Each says in its name which sentence it holds.

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

        /// Appends and requires that all are stored.
        @discardableResult
        func append(_ records: [Bytes], to log: any Log) async throws -> [AppendResult] {
            let results = await log.append(records)
            try requireEqual(results.count, records.count, "results of an append")
            for result in results {
                guard case .stored = result else { throw ContractViolation(description: "not stored: \(result)") }
            }
            return results
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

    /// `count` records that tell their number.
    static func records(_ range: Range<Int>, _ prefix: String = "record", bytes: Int = 0) -> [Bytes] {
        range.map { number in
            let text = Array("\(prefix) \(number)".utf8)
            return Bytes(
                text + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: max(0, bytes - text.count)))
        }
    }
}
