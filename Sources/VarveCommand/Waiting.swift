// A long wait says why, on standard error after two seconds, and again when the reason is another one. A terminal is told
// what is waited for even while no reason is known; a file gets lines with a reason only. Standard output gets nothing.

import Synchronization
import VarveModel
import VarveTerminal

/// One wait after another of one command: `during` bounds each, `because` adds what is known of the reason.
final class Waiting: Sendable {
    private struct State {
        var what = ""
        var reason: VarveError?
        var since: ContinuousClock.Instant?
        /// That something is waited for.
        var wasTold = false
        /// The last reason that was told.
        var told: ErrorCode?
    }

    private let state = Mutex(State())
    private let say: @Sendable (String) -> Void

    static let silence = Duration.seconds(2)
    private let silence: Duration
    private let isTerminal: Bool

    /// `say` has a way of its own to show a line there.
    convenience init(_ surroundings: Surroundings, say: (@Sendable (String) -> Void)? = nil) {
        let errors = surroundings.errors
        // A terminal that went away is no reason to stop the work.
        self.init(isTerminal: errors.isTerminal, say: say ?? { line in try? errors.line(line) })
    }

    /// `say` shows a line.
    init(silence: Duration = Waiting.silence, isTerminal: Bool = true, say: @escaping @Sendable (String) -> Void) {
        (self.silence, self.isTerminal, self.say) = (silence, isTerminal, say)
    }

    /// Why it takes longer: told when two seconds have gone by, each reason once.
    func because(_ reason: VarveError) {
        state.withLock { state in
            state.reason = reason
            if state.since == nil { state.since = .now }
        }
        tellIfLate()
    }

    /// There was progress: what comes next is another wait, silent until a reason or what it is for is known.
    func goesOn(_ what: String? = nil) {
        state.withLock { state in
            state = State(what: what ?? state.what, since: what == nil ? nil : .now)
        }
    }

    /// Runs `body`; `what` reads on after "waiting for".
    func during<R>(_ what: String, _ body: () async throws -> R) async rethrows -> R {
        state.withLock { $0 = State(what: what, since: .now) }
        let timer = Task {
            while true {
                try await Task.sleep(for: .milliseconds(250))
                self.tellIfLate()
            }
        }
        defer { timer.cancel() }
        return try await body()
    }

    private func tellIfLate() {
        let line = state.withLock { state -> String? in
            guard let since = state.since, ContinuousClock.now - since >= silence else { return nil }
            let isFirst = !state.wasTold && isTerminal
            guard isFirst || state.reason.map({ $0.code != state.told }) ?? false else { return nil }
            state.wasTold = true
            state.told = state.reason?.code
            guard let reason = state.reason, !isFirst else { return Self.line(state.what, state.reason) }
            return "waiting: \(reason.code): \(reason.message)"
        }
        if let line { say(line) }
    }

    static func line(_ what: String, _ reason: VarveError?) -> String {
        "waiting for \(what) (Ctrl-C ends it)" + (reason.map { ": \($0.code): \($0.message)" } ?? "")
    }
}
