import VarveIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The program VarveLogWorker as a child process, whose lines are read and which is killed.
struct Worker {
    /// It stands beside the test's own program.
    static let program: String? = {
        var own = [CChar](repeating: 0, count: 4096)
        guard readlink("/proc/self/exe", &own, own.count - 1) > 0 else { return nil }
        let path = String(decoding: own.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let worker = Directory.join(Directory.parent(of: path), "VarveLogWorker")
        return access(worker, X_OK) == 0 ? worker : nil
    }()

    private let process: pid_t
    private let output: Int32
    private var text: [UInt8] = []

    init(_ arguments: String...) throws {
        let program = Self.program ?? ""
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw IOError(code: errno, operation: "pipe", path: "") }
        // Other children must not hold this one's output open.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        let strings = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for string in strings { free(string) } }
        var child = pid_t()
        let code = posix_spawn(&child, program, &actions, nil, strings, environ)
        close(ends[1])
        guard code == 0 else { throw IOError(code: code, operation: "posix_spawn", path: program) }
        process = child
        output = ends[0]
    }

    /// Reads until at least `count` lines are there; false when the process ended before.
    mutating func readLines(_ count: Int) -> Bool {
        while text.count(where: { $0 == 10 }) < count { if !readSome() { return false } }
        return true
    }

    func kill() { _ = systemKill(process, SIGKILL) }

    /// The lines that the process said in all, once it has ended.
    mutating func finish() -> [Substring] {
        while readSome() {}
        close(output)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        return String(decoding: text, as: UTF8.self).split(separator: "\n")
    }

    private mutating func readSome() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(output, &buffer, buffer.count)
        if count > 0 { text += buffer[..<count] }
        return count > 0
    }
}

private func systemKill(_ process: pid_t, _ signal: Int32) -> Int32 { kill(process, signal) }
