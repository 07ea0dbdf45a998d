// A process that this one started: spawned with its output in a file, ended by its id, waited for.
//
// Invariants: it is in a process group of its own, so Ctrl-C reaches it only through us; its standard input is a pipe
// that only we hold, so it learns of our end however we ended.

import Dispatch
package import Glibc
import Synchronization
package import VarveModel

package final class ChildProcess: Sendable {
    package enum Exit: Sendable, Equatable, CustomStringConvertible {
        case code(Int32)
        case signal(Int32)

        package var description: String {
            switch self {
            case .code(let code): "exit code \(code)"
            case .signal(let number): "signal \(number)"
            }
        }
    }

    package let id: pid_t
    /// Our end of its standard input; closed with this, or before.
    private let lifeline: Mutex<Int32?>
    private struct State {
        var exit: Exit?
        var waiting: [CheckedContinuation<Exit, Never>] = []
    }
    private let state = Mutex(State())

    /// Starts `path`; both outputs are appended to the file `output`.
    package init(_ path: String, _ arguments: [String], environment: [String: String], output: String)
        throws(VarveError)
    {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Self.failed("a pipe", errno) }
        // No other child may hold our end. Children are started one after the other.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        let file = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            let code = errno
            close(ends[1])
            throw Self.failed(output, code)
        }
        defer { close(file) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_adddup2(&actions, file, 1)
        posix_spawn_file_actions_adddup2(&actions, file, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Signals that we ignore or handle are its own again.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for number in [SIGINT, SIGTERM, SIGPIPE] { sigaddset(&defaults, number) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF))
        var child = pid_t()
        let code = withCStrings([path] + arguments) { argv in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { envp in
                posix_spawn(&child, path, &actions, &attributes, argv, envp)
            }
        }
        guard code == 0 else {
            close(ends[1])
            throw Self.failed(path, code)
        }
        id = child
        lifeline = Mutex(ends[1])
        reap()
    }

    deinit { closeInput() }

    /// What it reads ends here.
    package func closeInput() {
        if let descriptor = lifeline.withLock({ $0.take() }) { close(descriptor) }
    }

    /// Its end, once it is there.
    package var exit: Exit? { state.withLock { $0.exit } }

    package func send(_ signal: Int32) {
        // Under the lock the id is ours: it is reaped under the same lock.
        state.withLock { if $0.exit == nil { kill(id, signal) } }
    }

    /// The same to it and everything it started, as long as it lives itself.
    package func sendToGroup(_ signal: Int32) {
        state.withLock { if $0.exit == nil { kill(-id, signal) } }
    }

    package func wait() async -> Exit {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Exit? in
                if state.exit == nil { state.waiting.append(continuation) }
                return state.exit
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    /// SIGTERM, and SIGKILL when it has not ended in time.
    package func end(within limit: Duration) async {
        send(SIGTERM)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = await self.wait() }
            group.addTask {
                try? await Task.sleep(for: limit)
                if !Task.isCancelled { self.send(SIGKILL) }
            }
            await group.next()
            group.cancelAll()
        }
        _ = await wait()
    }

    private func reap() {
        DispatchQueue(label: "varve.child.\(id)").async { [self] in
            var information = siginfo_t()
            // Waits without reaping, so that the id stays taken until the lock is held.
            while waitid(P_PID, id_t(id), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
            let (exit, waiting) = state.withLock { state -> (Exit, [CheckedContinuation<Exit, Never>]) in
                var status: Int32 = 0
                while waitpid(id, &status, 0) < 0 && errno == EINTR {}
                let exit: Exit = status & 0x7f == 0 ? .code(status >> 8 & 0xff) : .signal(status & 0x7f)
                state.exit = exit
                defer { state.waiting = [] }
                return (exit, state.waiting)
            }
            for continuation in waiting { continuation.resume(returning: exit) }
        }
    }

    private static func failed(_ what: String, _ code: Int32) -> VarveError {
        VarveError(.internal, "a process could not be started: \(what): \(String(cString: strerror(code)))")
    }
}

/// The texts as a C array that ends with NULL.
private func withCStrings<R>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
    let copies = texts.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
}
