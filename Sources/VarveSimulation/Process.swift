/// Processes whose code is `async` in production, run in virtual time: start-up, crossing, migrations and the operator's
/// commands are the production code, suspended at each call of a log and each wait until its event comes.
///
/// A process dies between any two of its calls: then every call it still makes fails, so nothing it does is seen any more.

import Synchronization
internal import VarveIndexing
internal import VarveModel

// One simulation runs on one thread; production code asks for Sendable.
final class Process: @unchecked Sendable {
    let name: String
    /// The node it belongs to, which may be paused.
    let node: Int?
    var isGone = false
    /// Calls that it still makes before it dies by itself.
    var callsLeft: Int?
    var die: () -> Void = {}
    /// The nodes' files that the directory showed when it was last asked.
    var shownNodes: [String] = []

    init(_ name: String, node: Int? = nil) {
        self.name = name
        self.node = node
    }

    /// Counts a call; false once the process is gone.
    func makesCall() -> Bool {
        if let left = callsLeft {
            callsLeft = left - 1
            if left <= 0 {
                callsLeft = nil
                isGone = true
                die()
            }
        }
        return !isGone
    }

    static let gone = VarveError(.notReady, "the process is gone")
}

/// Runs every job where it is enqueued, on the thread of the simulation.
final class HereExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) { job.runSynchronously(on: asUnownedTaskExecutor()) }
}

extension World {
    struct Parked {
        let process: Process
        let continuation: UnsafeContinuation<Void, Never>
    }

    /// Begins a procedure; `done` is called with its outcome in the event in which it ends, or now. Never, when the process
    /// dies.
    func launch<R: Sendable>(
        _ process: Process, _ body: @escaping @Sendable () async throws(VarveError) -> R,
        done: @escaping @Sendable (Result<R, VarveError>) -> Void
    ) {
        let means = Means(
            wait: { [unowned self] in await self.pass(process, after: Int64($0 / .microseconds(1))) },
            elapsed: { [unowned self] in .microseconds(self.now) },
            makeID: { [unowned self] in self.random.bytes16() },
            breathe: { [unowned self] in await self.breathe(process) })
        procedures += 1
        launched.append(process)
        _ = Task(executorPreference: executor) { [unowned self] in
            let result = await Means.$current.withValue(means) { () -> Result<R, VarveError> in
                do throws(VarveError) {
                    return .success(try await body())
                } catch {
                    return .failure(error)
                }
            }
            self.procedures -= 1
            if !process.isGone { done(result) }
        }
    }

    /// Lets time go by in a process; false when it is gone.
    func pass(_ process: Process, after delay: Int64) async -> Bool {
        guard !process.isGone else { return false }
        let ticket = nextTicket
        nextTicket += 1
        await withUnsafeContinuation { continuation in
            parked[ticket] = Parked(process: process, continuation: continuation)
            push(.resume(ticket), after: max(1, delay))
        }
        return !process.isGone
    }

    /// A call of a process to something outside it takes a while, and may be its last.
    func call(_ process: Process) async throws(VarveError) {
        guard process.makesCall(), await pass(process, after: Int64(random.spread(20...2_000))) else {
            throw Process.gone
        }
    }

    /// Between two calls of a procedure that does not wait; drawn by its own kind, so that other draws stay as they are.
    func breathe(_ process: Process) async {
        guard process.makesCall() else { return }
        _ = await pass(process, after: Int64(faults.within(.collect, 20...2_000)))
    }

    func resume(_ ticket: Int) {
        guard let waiting = parked[ticket] else { return }
        if let node = waiting.process.node, nodes[node].pausedUntil > now, !waiting.process.isGone {
            return queueEvents.push(.resume(ticket), at: nodes[node].pausedUntil)
        }
        parked[ticket] = nil
        waiting.continuation.resume()
    }

    /// All that a process still waits for fails.
    func end(_ process: Process) {
        process.isGone = true
        for ticket in parked.keys.sorted() where parked[ticket]?.process === process {
            push(.resume(ticket), after: 0)
        }
    }

    /// The run is over: nothing may be left suspended.
    func abandon() {
        while let (ticket, waiting) = parked.first {
            waiting.process.isGone = true
            parked[ticket] = nil
            waiting.continuation.resume()
        }
        // How it dies holds the node, and the node holds the process.
        for process in launched { process.die = {} }
        launched = []
    }
}
