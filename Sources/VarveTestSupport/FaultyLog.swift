/// A log that does all that the contract allows and no real one does often: it delays, splits batches, refuses, and loses
/// reports of what it stored or did not store. A seed decides; the same calls in the same order meet the same faults.

import Synchronization
package import VarveLog
package import VarveModel

package final class FaultyLogProvider: LogProvider {
    private let base: any LogProvider
    private let seed: UInt64

    package init(_ base: any LogProvider, seed: UInt64) {
        self.base = base
        self.seed = seed
    }

    package var isEphemeral: Bool { base.isEphemeral }
    package var impliesEphemeral: Bool { base.impliesEphemeral }
    package var warnings: [String] { base.warnings }

    package func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference { try await base.reference(epoch) }
    package func named(_ name: String) -> any LogProvider { FaultyLogProvider(base.named(name), seed: seed) }
    package func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence { try await base.probe(epoch) }
    package func create(_ epoch: Epoch) async throws(VarveError) { try await base.create(epoch) }
    package func open(_ epoch: Epoch) async throws(VarveError) -> any Log {
        FaultyLog(try await base.open(epoch), seed: seed)
    }
}

final class FaultyLog: Log {
    private enum Fault: UInt64 {
        case refused, reportLost, recordLost
    }

    /// One in so many pieces of an append meets a fault.
    private static let piecesPerFault: UInt64 = 8
    private static let pieceRecordsMax: UInt64 = 20
    private static let delayMicrosecondsMax: UInt64 = 300

    private let base: any Log
    private let chance: Chance
    private let turns = Turns()
    private let purges = Mutex(0)

    init(_ base: any Log, seed: UInt64) {
        self.base = base
        chance = Chance(seed)
    }

    var reference: LogReference { base.reference }
    var recordBytesMax: Int { base.recordBytesMax }

    /// Calls take effect in the order in which they are made, whatever delays them. Where a piece fails, what is behind it
    /// in its call is refused: a writer can go on there without changing the order.
    func append(_ records: [Bytes]) async -> [AppendResult] {
        let purged = purges.withLock { $0 }
        await turns.take()
        defer { turns.pass() }
        var results: [AppendResult] = []
        while results.count < records.count {
            let rest = records.count - results.count
            await chance.delay(microsecondsMax: Self.delayMicrosecondsMax)
            if purges.withLock({ $0 }) != purged {
                return results + [AppendResult](repeating: .refused(Self.error(.overloaded)), count: rest)
            }
            let piece = Array(records[results.count...].prefix(1 + Int(chance.next(Self.pieceRecordsMax))))
            switch chance.next(Self.piecesPerFault) == 0 ? Fault(rawValue: chance.next(3)) : nil {
            case nil: results += await base.append(piece)
            case .reportLost: results += await base.append(piece).map(Self.unreported)
            case .recordLost:
                let lost = piece.map {
                    $0.count > recordBytesMax ? Self.oversize : .unknown(Self.error(.logUnreachable))
                }
                return results + lost + refusals(records[(results.count + piece.count)...])
            case .refused: return results + refusals(records[results.count...])
            }
        }
        return results
    }

    private func refusals(_ records: ArraySlice<Bytes>) -> [AppendResult] {
        records.map { $0.count > recordBytesMax ? Self.oversize : .refused(Self.error(.logUnreachable)) }
    }

    private static let oversize = AppendResult.refused(error(.oversize))

    private static func unreported(_ result: AppendResult) -> AppendResult {
        if case .stored = result { .unknown(error(.logUnreachable)) } else { result }
    }

    private static func error(_ code: ErrorCode) -> VarveError { VarveError(code, "a simulated fault") }

    func purge() {
        purges.withLock { $0 += 1 }
        base.purge()
    }

    func range() async throws(VarveError) -> Range<Offset> { try await base.range() }
    func read(at offset: Offset) async throws(VarveError) -> LogEntry? { try await base.read(at: offset) }
    func trim(below offset: Offset) async { await base.trim(below: offset) }

    func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        FaultyTail(try await base.tail(from: offset), Chance(chance.next(.max)))
    }

    func close() async { await base.close() }
}

/// Gives the batches of another tail late, in pieces, and now and then with a suspicion.
private final class FaultyTail: LogTail {
    private static let pieceRecordsMax: UInt64 = 50
    private static let delayMicrosecondsMax: UInt64 = 200

    private let base: any LogTail
    private let chance: Chance
    private let held = Mutex<[LogEntry]>([])
    private let isClosed = Mutex(false)

    init(_ base: any LogTail, _ chance: Chance) {
        self.base = base
        self.chance = chance
    }

    func next() async throws(VarveError) -> LogBatch? {
        await chance.delay(microsecondsMax: Self.delayMicrosecondsMax)
        if held.withLock({ $0.isEmpty }) {
            guard let batch = try await base.next() else { return nil }
            held.withLock { $0 = batch.entries }
        }
        if Task.isCancelled || isClosed.withLock({ $0 }) { return nil }
        let count = 1 + Int(chance.next(Self.pieceRecordsMax))
        let piece = held.withLock { held in
            defer { held.removeFirst(min(count, held.count)) }
            return Array(held.prefix(count))
        }
        return LogBatch(piece, suspicion: chance.next(10) == 0 ? "a simulated suspicion" : nil)
    }

    func close() async {
        isClosed.withLock { $0 = true }
        await base.close()
    }
}

/// Callers one at a time, in the order in which they came.
private final class Turns: Sendable {
    private struct Line {
        var isTaken = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let line = Mutex(Line())

    func take() async {
        await withCheckedContinuation { waiter in
            let isFree = line.withLock { line in
                defer { line.isTaken = true }
                if line.isTaken { line.waiting.append(waiter) }
                return !line.isTaken
            }
            if isFree { waiter.resume() }
        }
    }

    func pass() {
        let next = line.withLock { line -> CheckedContinuation<Void, Never>? in
            if line.waiting.isEmpty {
                line.isTaken = false
                return nil
            }
            return line.waiting.removeFirst()
        }
        next?.resume()
    }
}

/// Numbers that a seed decides.
private final class Chance: Sendable {
    private let state: Mutex<UInt64>

    init(_ seed: UInt64) { state = Mutex(seed &* 0x9E37_79B9_7F4A_7C15 | 1) }

    /// Below `bound`.
    func next(_ bound: UInt64) -> UInt64 {
        state.withLock { state in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return (state >> 11) % bound
        }
    }

    func delay(microsecondsMax: UInt64) async {
        switch next(4) {
        case 0: try? await Task.sleep(for: .microseconds(Int64(next(microsecondsMax))))
        case 1: await Task.yield()
        default: break
        }
    }
}
