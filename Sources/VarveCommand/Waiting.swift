// A long wait says what it waits for: one line on a terminal's standard error after two seconds, never into a file.

import Synchronization
import VarveModel
import VarveTerminal

/// One wait after another of one command: `during` bounds each, `because` adds what is known of the reason.
final class Waiting: Sendable {
    private struct State {
        var what = ""
        var reason: VarveError?
        var since: ContinuousClock.Instant?
        var wasTold = false
    }

    private let state = Mutex(State())
    private let say: (@Sendable (String) -> Void)?

    static let silence = Duration.seconds(2)
    private let silence: Duration

    convenience init(_ surroundings: Surroundings) {
        let errors = surroundings.errors
        guard errors.isTerminal else {
            self.init(say: nil)
            return
        }
        // A terminal that went away is no reason to stop the work.
        self.init { line in try? errors.line(line) }
    }

    /// `say` shows a line; nil shows nothing.
    init(silence: Duration = Waiting.silence, say: (@Sendable (String) -> Void)?) {
        (self.silence, self.say) = (silence, say)
    }

    /// Why it takes longer: told once, when two seconds have gone by.
    func because(_ reason: VarveError) {
        guard say != nil else { return }
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
        guard say != nil else { return try await body() }
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
            guard let since = state.since, !state.wasTold, ContinuousClock.now - since >= silence else {
                return nil
            }
            state.wasTold = true
            return Self.line(state.what, state.reason)
        }
        if let line { say?(line) }
    }

    static func line(_ what: String, _ reason: VarveError?) -> String {
        "waiting for \(what) (Ctrl-C ends it)" + (reason.map { ": \($0.code): \($0.message)" } ?? "")
    }
}
