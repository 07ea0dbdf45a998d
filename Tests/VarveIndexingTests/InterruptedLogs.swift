import Synchronization
import VarveLog
import VarveModel

/// Logs in memory that count as durable; something may happen while one is asked for or made.
final class InterruptedLogs: LogProvider {
    enum Moment: Sendable {
        /// A log of any epoch is looked for.
        case probing
        /// The place of a log is made, or was there.
        case creating
    }

    let base = MemoryLogProvider()
    private let interruption = Mutex<(at: Moment, body: @Sendable () async -> Void)?>(nil)
    private let gone = Mutex<Set<Epoch>>([])

    var isEphemeral: Bool { false }
    var impliesEphemeral: Bool { false }
    var warnings: [String] { [] }

    func interruptOnce(_ moment: Moment, _ body: @escaping @Sendable () async -> Void) {
        interruption.withLock { $0 = (moment, body) }
    }
    func lose(_ epoch: Epoch) { gone.withLock { _ = $0.insert(epoch) } }

    func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference { try await base.reference(epoch) }
    func named(_ name: String) -> any LogProvider { self }
    func open(_ epoch: Epoch) async throws(VarveError) -> any Log { try await base.open(epoch) }

    func create(_ epoch: Epoch) async throws(VarveError) {
        try await base.create(epoch)
        await interrupt(.creating)
    }

    func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence {
        let found = try await base.probe(epoch)
        await interrupt(.probing)
        return gone.withLock { $0.contains(epoch) } ? .missing : found
    }

    private func interrupt(_ moment: Moment) async {
        let body = interruption.withLock { standing in
            guard standing?.at == moment else { return nil as (@Sendable () async -> Void)? }
            defer { standing = nil }
            return standing?.body
        }
        await body?()
    }
}
