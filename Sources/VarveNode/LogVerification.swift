/// Whether a log holds what storage says it holds: every record read, checked and chained again, and its effects computed
/// again, against the manifests.
///
/// Reads only. A statement is `proved`, `refuted` with the evidence, or `notCheckable` with the reason, which is never
/// taken for the first. Memory is bounded by one block: what was compared is let go.

package import VarveLog
package import VarveModel
package import VarveStorage
internal import VarveIndexing

package struct LogVerification: Sendable {
    package enum Verdict: Sendable, Equatable {
        case proved
        case refuted
        case notCheckable
    }

    /// What was looked at, in the order in which it is told.
    package enum Subject: String, Sendable, CaseIterable {
        case records
        case identity
        case inputChain = "input chain"
        case effectChain = "effect chain"
    }

    package struct Finding: Sendable, Equatable {
        package var subject: Subject
        package var verdict: Verdict
        /// What proves it, the evidence against it, or why it cannot be told.
        package var reason: String

        package init(_ subject: Subject, _ verdict: Verdict, _ reason: String) {
            self.subject = subject
            self.verdict = verdict
            self.reason = reason
        }
    }

    package struct Result: Sendable {
        package var epoch: Epoch
        package var log: LogReference
        package var range: Range<Offset>
        package var findings: [Finding]

        /// The worst: one refuted statement refutes the log, one that cannot be told leaves the whole untold.
        package var verdict: Verdict {
            if findings.contains(where: { $0.verdict == .refuted }) { return .refuted }
            return findings.allSatisfy { $0.verdict == .proved } ? .proved : .notCheckable
        }
    }

    private let log: any Log
    private let epoch: Epoch
    /// nil: storage is in memory, or holds no database.
    private let store: BlockStore?
    /// How long a log may seem to end before storage until that is believed.
    private let recheck: Duration

    package init(_ log: any Log, epoch: Epoch, store: BlockStore?, recheck: Duration = .seconds(5)) {
        self.recheck = recheck
        self.log = log
        self.epoch = epoch
        self.store = store
    }

    /// Throws what log and storage throw when they cannot be read at all.
    package func run() async throws(VarveError) -> Result {
        // Storage first: what is published afterwards is not asked for.
        let recorded = try recorded()
        let range = try await range(reaching: recorded.adopted)
        var reading = try LogReading(
            recorded, epoch: epoch, range: range, damage: try await log.damage(at: range.upperBound))
        if !range.isEmpty { try await read(range) { entry throws(VarveError) in try reading.take(entry) } }
        return Result(epoch: epoch, log: log.reference, range: range, findings: reading.findings())
    }

    /// A log beside its writer shows its newest records late: one that seems to end before storage is looked at again.
    private func range(reaching adopted: Position?) async throws(VarveError) -> Range<Offset> {
        var waited = Duration.zero
        while true {
            let range = try await log.range()
            guard let adopted, adopted.epoch == epoch, adopted.offset >= range.upperBound, waited < recheck,
                try await log.damage(at: range.upperBound) == nil
            else { return range }
            guard (try? await Task.sleep(for: .milliseconds(100))) != nil else { return range }
            waited += .milliseconds(100)
        }
    }

    private func recorded() throws(VarveError) -> RecordedLog {
        guard let store else { return .unknown("there is no storage, so nothing says what the log should hold") }
        guard let format = try store.readFormat() else {
            return .unknown("storage holds no database, so nothing says what the log should hold")
        }
        let epochs = try store.epochRecords()
        guard let at = epochs.firstIndex(where: { $0.record.epoch == epoch }),
            let genesis = epochs[at].record.log.genesis, let offset = epochs[at].record.log.genesisOffset
        else { return .unknown("storage has no record of epoch \(epoch)") }
        guard log.reference.isSamePlace(as: epochs[at].record.log) else {
            return .elsewhere(epochs[at].record.log, configured: log.reference)
        }
        return .known(
            RecordedLog.Facts(
                store: store, database: format.database, epochs: epochs, genesis: genesis, genesisOffset: offset,
                history: try store.manifests(of: epochs, database: format.database)))
    }

    /// Every record that was there when the range was read, in order.
    private func read(
        _ range: Range<Offset>, _ take: (LogEntry) throws(VarveError) -> Void
    ) async throws(VarveError) {
        guard let last = try await log.lastOffset(in: range) else { return }
        let tail = try await log.tail(from: range.lowerBound)
        do throws(VarveError) {
            var isBehind = false
            while !isBehind, let batch = try await tail.next() {
                for entry in batch.entries where entry.offset <= last { try take(entry) }
                isBehind = batch.entries.last.map { $0.offset >= last } ?? false
            }
        } catch {
            await tail.close()
            throw error
        }
        await tail.close()
    }
}

extension Log {
    /// Why what stands at the log's end cannot be read, although it was synced there: `LOG_CORRUPT`. nil when nothing stands
    /// there, as it should be. A log that was opened to be written has none: it does not open.
    package func damage(at end: Offset) async throws(VarveError) -> VarveError? {
        do throws(VarveError) {
            _ = try await read(at: end)
            return nil
        } catch {
            guard error.code == .logCorrupt else { throw error }
            return error
        }
    }
}
