/// The program `varve` as processes of its own: a node, and `varve load` filling it over loopback HTTP.

internal import VarveHTTPClient
internal import VarveIO
internal import VarveModel

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

struct Program {
    var loadSeconds: Double
    /// From starting the process to `/healthz/ready`, all data in blocks.
    var restartSeconds: Double
    var residentMB: Double
    var peakMB: Double

    /// Beside this program: both come from one build.
    static var path: String {
        let own = CommandLine.arguments[0]
        let directory = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "."
        return directory + "/varve"
    }

    static func run(_ data: DataSet) async throws -> Program {
        guard access(path, X_OK) == 0 else { throw Fault("\(path) is not built: make build") }
        return try await Scratch.with { scratch in
            let input = scratch + "/documents.ndjson"
            try write(data.text, to: input)
            var node = try await NodeProcess.start(path, in: scratch)
            let began = ContinuousClock.now
            try Child.run([path, "load", input, "--table", "packages", "--url", node.url])
            let loadSeconds = (ContinuousClock.now - began).inSeconds
            try await node.flush()
            let memory = Machine.memory(of: node.process)
            try node.end()
            let restarting = ContinuousClock.now
            node = try await NodeProcess.start(path, in: scratch)
            let restartSeconds = (ContinuousClock.now - restarting).inSeconds
            try node.end()
            return Program(
                loadSeconds: loadSeconds, restartSeconds: restartSeconds, residentMB: memory?.now ?? 0,
                peakMB: memory?.peak ?? 0)
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        guard let file = fopen(path, "w") else { throw Fault("\(path) cannot be written") }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Fault("\(path) cannot be written") }
    }
}

/// One `varve node`.
struct NodeProcess {
    let process: Int32
    let url: String
    private let client: HTTPClient

    static func start(_ program: String, in scratch: String) async throws -> NodeProcess {
        try await start(
            program, "bench", in: scratch,
            """
            log: !Local { path: log }
            storage: !Local { path: storage }
            logging: { level: warning }
            """)
    }

    /// - Parameters:
    ///   - sections: of the configuration, but for `http` and `node`.
    ///   - log: a file for the node's log; nil shows it.
    static func start(
        _ program: String, _ name: String, in scratch: String, _ sections: String, log: String? = nil
    ) async throws -> NodeProcess {
        guard access(program, X_OK) == 0 else { throw Fault("\(program) is not built: make build") }
        let port = try freePort()
        let configuration = "\(scratch)/\(name).yaml"
        guard let file = fopen(configuration, "w") else { throw Fault("\(configuration) cannot be written") }
        fputs(
            """
            \(sections)
            http: { host: 127.0.0.1, port: \(port) }
            node: { id: \(name), directory: \(name) }

            """, file)
        fclose(file)
        let process = try Child.spawn([program, "node", "--config", configuration], errors: log)
        let node = NodeProcess(process: process, url: "http://127.0.0.1:\(port)", client: try HTTPClient())
        do {
            try await node.waitUntilReady()
        } catch {
            kill(process, SIGKILL)
            _ = Child.wait(process)
            throw error
        }
        return node
    }

    private func waitUntilReady() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let answer = try? await client.send(HTTPRequest("GET", url + "/healthz/ready", timeout: .seconds(5)))
            if answer?.status == 200 { return }
            var status: Int32 = 0
            guard waitpid(process, &status, WNOHANG) == 0 else { throw Fault("the node ended with status \(status)") }
            try await Task.sleep(for: .milliseconds(2))
        }
        throw Fault("the node was not ready within 30 s")
    }

    func flush() async throws {
        let answer = try await client.send(HTTPRequest("POST", url + "/v1/flush?await=true"))
        guard answer.status == 200 else {
            throw Fault("flush: \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
        }
    }

    func end() throws {
        kill(process, SIGTERM)
        let status = Child.wait(process)
        guard status == 0 else { throw Fault("the node ended with status \(status)") }
    }

    private static func freePort() throws -> UInt16 {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0
            }
        }
        guard isBound else { throw Fault("no free port") }
        return UInt16(bigEndian: address.sin_port)
    }
}

enum Child {
    /// Starts a program with its output thrown away and its errors shown, or in a file; returns its id.
    static func spawn(_ arguments: [String], errors: String? = nil) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        if let errors { posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o644) }
        var process: pid_t = 0
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        guard posix_spawn(&process, arguments[0], &actions, nil, &pointers, environ) == 0 else {
            throw Fault("\(arguments[0]) cannot be started")
        }
        return process
    }

    static func wait(_ process: Int32) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        return status
    }

    static func run(_ arguments: [String], errors: String? = nil) throws {
        let status = wait(try spawn(arguments, errors: errors))
        guard status == 0 else { throw Fault("\(arguments.joined(separator: " ")) ended with status \(status)") }
    }
}

enum Progress {
    static func step(_ what: String) {
        print(", \(what)", terminator: "")
        flush()
    }

    static func flush() { fflush(nil) }
}
