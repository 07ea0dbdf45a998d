// `varve cluster`: node processes on this machine, from their configuration files to their orderly end.

import Glibc
import RdKafka
import VarveClient
import VarveHarness
import VarveModel
import VarveTerminal

struct ClusterCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    /// A node has to serve by then; Kafka may be slow to make the topic.
    private static let readyLimit = Duration.seconds(60)
    /// Longer than a node gives its requests.
    private static let endLimit = Duration.seconds(20)

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    private struct Member: Sendable {
        var number: Int
        var url: String
        var process: ChildProcess
        var name: String { "node-\(number)" }
    }

    func run() async throws -> ExitCode {
        let kafka = invocation[Parameters.kafka]
        guard kafka == nil || !invocation[Parameters.embedded] else {
            throw Failure("Error: --kafka and --embedded exclude each other", .usage)
        }
        let count = invocation[Parameters.nodes]
        guard invocation[Parameters.basePort] + count - 1 <= 65_535 else {
            throw Failure("Error: --base-port and the \(count) nodes go beyond port 65535", .usage)
        }
        for port in invocation[Parameters.basePort]..<invocation[Parameters.basePort] + count where Self.isTaken(port) {
            throw Failure(
                "ADDRESS_IN_USE: 127.0.0.1:\(port) is in use by another process; next: end that process, or choose other "
                    + "ports with --base-port", .failure)
        }
        let files = try ClusterFiles(invocation[Parameters.directory])
        var hasServed = false
        defer { if !hasServed { files.discard() } }
        let interruption = Interruption()
        let broker =
            kafka == nil ? try Broker.start(topic: invocation[Parameters.topic], from: files.epochs) : nil
        defer { broker?.close() }
        let servers = kafka ?? broker?.bootstrapServers ?? ""
        if broker != nil && !invocation[Parameters.json] {
            try surroundings.output.line("broker   \(servers)  (embedded: it forgets all when it ends)")
        }
        var members: [Member] = []
        do {
            for number in 1...count { members.append(try start(number, files, servers)) }
            guard try await waitUntilReady(members, files, interruption) else {
                await end(members)
                return .success
            }
            hasServed = true
            try announce(members, files, servers)
            try await watch(members, files, interruption)
        } catch {
            await end(members)
            throw error
        }
        await end(members)
        return .success
    }

    private func start(_ number: Int, _ files: ClusterFiles, _ servers: String) throws -> Member {
        let port = invocation[Parameters.basePort] + number - 1
        try files.writeConfiguration(
            number, bootstrapServers: servers, topic: invocation[Parameters.topic], port: port)
        let process = try ChildProcess(
            try Self.ownPath(), ["node", "--config", files.configuration(number), "--stop-with-input"],
            environment: surroundings.environment, output: files.output(number))
        try files.write("\(process.id)\n", to: files.processID(number))
        return Member(number: number, url: "http://127.0.0.1:\(port)", process: process)
    }

    /// False when the end was asked for; throws when a node ended or took too long.
    private func waitUntilReady(
        _ members: [Member], _ files: ClusterFiles, _ interruption: Interruption
    ) async throws -> Bool {
        let deadline = ContinuousClock.now + Self.readyLimit
        let waiting = Waiting(surroundings)
        for member in members {
            waiting.goesOn("\(member.name) to serve; its output is in \(files.output(member.number))")
            let client = try Client(
                ClientOptions(urls: [member.url], patience: .zero, answerTimeout: .seconds(5)))
            while let reason = await client.readiness() {
                if interruption.wasAsked { return false }
                waiting.because(reason)
                // Another process may listen where this node should, so the node is asked for, too.
                if let exit = member.process.exit { throw ended(member, exit, files) }
                guard ContinuousClock.now < deadline else {
                    throw Failure(
                        "NOT_READY: \(member.name) does not serve yet: \(reason); next: \(files.reading(files.output(member.number)))",
                        .unavailable)
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            if let exit = member.process.exit { throw ended(member, exit, files) }
        }
        return true
    }

    private func ended(_ member: Member, _ exit: ChildProcess.Exit, _ files: ClusterFiles) -> Failure {
        let reason = files.lastLine(ofNode: member.number) ?? "it left no output"
        return Failure("\(member.name) ended with \(exit): \(reason)", .failure)
    }

    private func announce(_ members: [Member], _ files: ClusterFiles, _ servers: String) throws {
        if invocation[Parameters.json] {
            let nodes = members.map { member -> Value in
                ["node": .text(member.name), "url": .text(member.url), "process": .integer(Int64(member.process.id))]
            }
            return try surroundings.output.json([
                "nodes": .array(nodes), "broker": .text(servers), "directory": .text(files.directory),
            ])
        }
        for member in members {
            try surroundings.output.line("\(member.name)   \(member.url)  process \(member.process.id)")
        }
        try surroundings.output.line("directory  \(files.directory)")
        try surroundings.output.line(
            "ready: \(members.count) \(members.count == 1 ? "node" : "nodes"); try: varve status --url \(members[0].url)"
        )
    }

    /// Comes back when the end is asked for, or when no node is left.
    private func watch(_ members: [Member], _ files: ClusterFiles, _ interruption: Interruption) async throws {
        enum Event: Sendable {
            case asked
            case ended(Member, ChildProcess.Exit)
        }
        try await withThrowingTaskGroup(of: Event.self) { group in
            group.addTask {
                await interruption.wait()
                return .asked
            }
            for member in members {
                group.addTask { .ended(member, await member.process.wait()) }
            }
            // Nothing is left to wait for when this comes back: nodes get their signal, the waiter its wake-up.
            defer {
                interruption.request()
                for member in members { member.process.send(SIGTERM) }
            }
            var left = members.count
            while let event = try await group.next() {
                guard case .ended(let member, let exit) = event else {
                    if invocation[Parameters.kafka] == nil { await flush(members) }
                    return
                }
                left -= 1
                try surroundings.errors.line(
                    "\(member.name) ended with \(exit); start it again: varve node --config "
                        + files.configuration(member.number))
                guard left > 0 else { throw Failure("no node is left", .failure) }
            }
        }
    }

    /// An embedded broker's log ends with the cluster: what is in no block by then is lost.
    private func flush(_ members: [Member]) async {
        for member in members where member.process.exit == nil {
            let options = ClientOptions(urls: [member.url], patience: .zero, answerTimeout: .seconds(10))
            if let client = try? Client(options), (try? await client.flush()) != nil { return }
        }
    }

    private func end(_ members: [Member]) async {
        await withTaskGroup(of: Void.self) { group in
            for member in members {
                group.addTask { await member.process.end(within: Self.endLimit) }
            }
        }
    }

    /// Whether somebody listens there: a node of another cluster would answer for ours.
    private static func isTaken(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(clamping: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return result != 0 && errno == EADDRINUSE
    }

    /// This program, as the system knows it.
    static func ownPath() throws(VarveError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else {
            throw VarveError(.internal, "the program's own path cannot be found: \(String(cString: strerror(errno)))")
        }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
