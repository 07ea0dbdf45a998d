/// One node's view of logs that others share: what it does not see of them, a test says. So a node can fall behind, lose its
/// log while others keep theirs, or have a record arrive when everything is decided.

import Synchronization
package import VarveLog
package import VarveModel

package final class SteeredLogProvider: LogProvider {
    package enum View: Sendable, Equatable {
        case whole
        /// Nothing that was not read already comes.
        case standingStill
        /// No call is answered.
        case unreachable
        /// The topic or directory was deleted.
        case gone
    }

    private struct State {
        var views: [Epoch: View] = [:]
        var areAppendsHeld = false
        /// Nil for all.
        var heldType: RecordType?
        var isAway = false
        var heldCount = 0
    }

    private let base: any LogProvider
    private let state = Mutex(State())

    package init(_ base: any LogProvider) { self.base = base }

    package func see(_ epoch: Epoch, _ view: View) { state.withLock { $0.views[epoch] = view } }
    package func view(_ epoch: Epoch) -> View {
        state.withLock { $0.isAway ? .unreachable : $0.views[epoch] ?? .whole }
    }

    /// The cluster does not answer at all, whatever it is asked.
    package func goAway() { state.withLock { $0.isAway = true } }

    /// Appends wait before they reach the log, all of them or those with such a record, until they are let go.
    package func holdAppends(of type: RecordType? = nil) {
        state.withLock { state in
            state.areAppendsHeld = true
            state.heldType = type
        }
    }
    package func letAppendsGo() { state.withLock { $0.areAppendsHeld = false } }
    /// Calls that wait.
    package var heldCount: Int { state.withLock { $0.heldCount } }

    package var isEphemeral: Bool { base.isEphemeral }
    package var impliesEphemeral: Bool { base.impliesEphemeral }
    package var warnings: [String] { base.warnings }

    package func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference {
        if state.withLock({ $0.isAway }) { throw Self.unreachable }
        return try await base.reference(epoch)
    }

    package func named(_ name: String) -> any LogProvider { self }
    package func create(_ epoch: Epoch) async throws(VarveError) { try await base.create(epoch) }

    package func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence {
        switch view(epoch) {
        case .gone: return .missing
        case .unreachable: throw Self.unreachable
        case .whole, .standingStill: return try await base.probe(epoch)
        }
    }

    package func open(_ epoch: Epoch) async throws(VarveError) -> any Log {
        try check(epoch)
        return SteeredLog(try await base.open(epoch), self, epoch)
    }

    func check(_ epoch: Epoch) throws(VarveError) {
        switch view(epoch) {
        case .gone: throw VarveError(.logMissing, "the log of epoch \(epoch) was deleted")
        case .unreachable: throw Self.unreachable
        case .whole, .standingStill: break
        }
    }

    private static let unreachable = VarveError(.logUnreachable, "nobody answers")

    func passGate(_ records: [Bytes]) async {
        let (isHeld, type) = state.withLock { ($0.areAppendsHeld, $0.heldType) }
        guard isHeld, type.map({ type in records.contains { Self.isRecord($0, of: type) } }) ?? true else { return }
        state.withLock { $0.heldCount += 1 }
        while state.withLock({ $0.areAppendsHeld }) { try? await Task.sleep(for: .milliseconds(1)) }
        state.withLock { $0.heldCount -= 1 }
    }

    private static func isRecord(_ bytes: Bytes, of type: RecordType) -> Bool {
        guard case .record(let record) = Record.decode(bytes, tag: nil) else { return false }
        return record.header.type == type
    }
}

private final class SteeredLog: Log {
    private let base: any Log
    private let provider: SteeredLogProvider
    private let epoch: Epoch

    init(_ base: any Log, _ provider: SteeredLogProvider, _ epoch: Epoch) {
        self.base = base
        self.provider = provider
        self.epoch = epoch
    }

    var reference: LogReference { base.reference }
    var recordBytesMax: Int { base.recordBytesMax }

    func append(_ records: [Bytes]) async -> [AppendResult] {
        await provider.passGate(records)
        return await base.append(records)
    }

    func purge() { base.purge() }

    func range() async throws(VarveError) -> Range<Offset> {
        try provider.check(epoch)
        return try await base.range()
    }

    func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        try provider.check(epoch)
        return try await base.read(at: offset)
    }

    func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        try provider.check(epoch)
        return SteeredTail(base, from: offset, provider, epoch)
    }

    func trim(below offset: Offset) async { await base.trim(below: offset) }
    func close() async { await base.close() }
}

/// Asks for the log's end again and again, so that what it sees can change at any time.
private final class SteeredTail: LogTail {
    private let base: any Log
    private let provider: SteeredLogProvider
    private let epoch: Epoch
    private let next: Mutex<Offset>
    private let isClosed = Mutex(false)

    init(_ base: any Log, from offset: Offset, _ provider: SteeredLogProvider, _ epoch: Epoch) {
        self.base = base
        self.provider = provider
        self.epoch = epoch
        next = Mutex(offset)
    }

    func next() async throws(VarveError) -> LogBatch? {
        while !Task.isCancelled && !isClosed.withLock({ $0 }) {
            try provider.check(epoch)
            let from = next.withLock { $0 }
            // A log that was closed ends its tails.
            guard let end = try? await base.range().upperBound else { return nil }
            if provider.view(epoch) == .whole, from < end, let entry = try await base.read(at: from) {
                next.withLock { $0 = entry.offset.next }
                return LogBatch([entry])
            }
            try? await Task.sleep(for: .milliseconds(1))
        }
        return nil
    }

    func close() async { isClosed.withLock { $0 = true } }
}
