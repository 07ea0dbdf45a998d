/// When a query has to stop: at its deadline, or because nobody waits for it any more.
///
/// Asked by SQLite's progress handler and by our own loops, once per batch of work.

import Synchronization
import VarveModel

final class QueryControl: Sendable {
    private let deadline: ContinuousClock.Instant
    private let isCancelled = Atomic<Bool>(false)

    init(deadline: ContinuousClock.Instant) { self.deadline = deadline }

    func cancel() { isCancelled.store(true, ordering: .relaxed) }

    var hasToStop: Bool { isCancelled.load(ordering: .relaxed) || ContinuousClock.now >= deadline }

    var reason: VarveError {
        isCancelled.load(ordering: .relaxed)
            ? VarveError(.queryTimeout, "the query was cancelled")
            : VarveError(
                .queryTimeout, "the query took longer than its timeout allows",
                next: "narrow it (by _id where possible), or ask with a longer \"timeout\"")
    }

    func check() throws(VarveError) {
        if hasToStop { throw reason }
    }
}
