import Foundation
import RdKafka
import Synchronization

/// A real Kafka broker for tests: combined broker and controller, on free ports of loopback, with its data in a
/// temporary directory. It can be killed, stopped and started again on the same ports and data.
///
/// Nothing stays behind, even when the test process is killed: a small shell waits for this process to be gone, then
/// kills the broker and removes the directory.
package final class KafkaBroker: Sendable {
    package let bootstrapServers: String
    /// False for a cluster that was there before: `kill`, `stop` and `start` are then refused.
    package let isOwn: Bool
    private let home: String
    private let java: String
    private let directory: String
    /// Listeners with TLS, users and certificates; nil for a broker that lets everybody in.
    package let security: KafkaSecurity?
    private let process = Mutex<Process?>(nil)
    private static let shared = SharedBroker(secured: false)
    private static let sharedSecured = SharedBroker(secured: true)

    /// The broker that all tests of this process share, started when first asked for. Tests that kill one start their
    /// own. Throws when there is none; ask `KafkaAvailability.skipReason` before.
    package static func shared() async throws -> KafkaBroker { try await shared.get() }

    /// The same for one with TLS, users and rights beside its open listener. It is always our own.
    package static func sharedSecured() async throws -> KafkaBroker { try await sharedSecured.get() }

    /// A broker of one's own. `properties` go on top of the usual ones.
    package static func start(
        properties: [String: String] = [:], secured: Bool = false
    ) async throws -> KafkaBroker {
        let broker = try await formatted(properties: properties, secured: secured)
        try await broker.start()
        return broker
    }

    /// The same, not yet started. `ports` are its own and its controller's, then those of the secured listeners.
    static func formatted(
        properties: [String: String], secured: Bool = false, ports: [Int]? = nil
    ) async throws -> KafkaBroker {
        guard case .distribution(let home, _, let java) = KafkaAvailability.here else {
            throw KafkaFailure(KafkaAvailability.skipReasonForOwnBroker ?? "no distribution")
        }
        let broker = try KafkaBroker(
            home: home, java: java, properties: properties,
            ports: ports ?? freePorts(2 + (secured ? KafkaSecurity.listenersCount : 0)), secured: secured)
        try broker.security?.make()
        try await broker.format()
        return broker
    }

    fileprivate init(running servers: String) {
        bootstrapServers = servers
        isOwn = false
        home = ""
        java = ""
        directory = ""
        security = nil
    }

    private init(
        home: String, java: String, properties: [String: String], ports: [Int], secured: Bool
    ) throws {
        self.home = home
        self.java = java
        isOwn = true
        bootstrapServers = "127.0.0.1:\(ports[0])"
        directory =
            FileManager.default.temporaryDirectory.appending(
                path: "varve-kafka-\(ProcessInfo.processInfo.processIdentifier)-\(ports[0])"
            ).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        var all = [
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": "PLAINTEXT://127.0.0.1:\(ports[0]),CONTROLLER://127.0.0.1:\(ports[1])",
            "advertised.listeners": "PLAINTEXT://127.0.0.1:\(ports[0])",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": "1@127.0.0.1:\(ports[1])",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": directory + "/data",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "2",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "2",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "auto.create.topics.enable": "false",
            // A broker killed and started again is refused until its old session is over.
            "broker.session.timeout.ms": "1500",
            "broker.heartbeat.interval.ms": "250",
            "log.initial.task.delay.ms": "500",
            "log.retention.check.interval.ms": "1000",
        ]
        security = secured ? KafkaSecurity(directory: directory, ports: Array(ports[2...])) : nil
        if let security { security.extend(&all) }
        all.merge(properties) { _, given in given }
        let text = all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined()
        try Data(text.utf8).write(to: URL(filePath: directory + "/server.properties"))
        try keepWatch()
    }

    // MARK: what tests do to it

    /// `kill -9`.
    package func kill() async throws { try await end(SIGKILL) }

    /// An orderly stop.
    package func stop() async throws { try await end(SIGTERM) }

    /// Stands still with everything open, as a machine that swaps or a garbage collection that takes long (`SIGSTOP`).
    package func pause() throws { try signal(SIGSTOP) }

    package func resume() throws { try signal(SIGCONT) }

    private func signal(_ signal: Int32) throws {
        try requireOwn()
        guard let running = process.withLock({ $0 }), running.isRunning else { throw KafkaFailure("no broker runs") }
        Foundation.kill(running.processIdentifier, signal)
    }

    package func restart() async throws {
        try await stop()
        try await start()
    }

    /// Starts it (again), on the same ports and data, and returns when a client sees it.
    package func start() async throws {
        try requireOwn()
        let launched = try launchJava("kafka.Kafka", [directory + "/server.properties"], log: directory + "/broker.log")
        process.withLock { $0 = launched }
        let admin = try Admin(RdKafkaSettings(bootstrapServers: bootstrapServers))
        for _ in 0..<240 {
            if !launched.isRunning { break }
            if let found = try? await admin.brokers(withinMilliseconds: 500), !found.isEmpty {
                await admin.close()
                return
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        await admin.close()
        throw KafkaFailure("the broker does not start:\n" + tail(of: directory + "/broker.log"))
    }

    /// Stops it and removes its data.
    package func close() async throws {
        guard isOwn else { return }
        try await end(SIGKILL)
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Runs one of Kafka's own programs to its end, or as long as the broker lives; what it prints is dropped.
    package func run(_ program: String, _ arguments: [String]) throws {
        _ = try launch(
            "exec \"$@\"", ["", java, "-Xmx64m", "-cp", home + "/libs/*", program] + arguments, log: "/dev/null")
    }

    /// Limits how many bytes a second the producers of a client id may send.
    package func limit(clientID: String, producerBytesPerSecond: Int) async throws {
        let process = try launch(
            "exec \"$@\"",
            [
                "", java, "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", home + "/libs/*", "kafka.admin.ConfigCommand",
                "--bootstrap-server", bootstrapServers, "--alter", "--entity-type", "clients", "--entity-name",
                clientID,
                "--add-config", "producer_byte_rate=\(producerBytesPerSecond)",
            ], log: directory + "/quota.log")
        while process.isRunning { try await Task.sleep(for: .milliseconds(20)) }
        guard process.terminationStatus == 0 else {
            throw KafkaFailure("no quota is set:\n" + tail(of: directory + "/quota.log"))
        }
    }

    /// The directory of a topic's only partition, for tests that damage files of a stopped broker.
    package func partitionDirectory(of topic: String) -> String { "\(directory)/data/\(topic)-0" }

    // MARK: processes

    private func requireOwn() throws {
        guard isOwn else { throw KafkaFailure("this broker was there before: it is not ours to stop") }
    }

    private func end(_ signal: Int32) async throws {
        try requireOwn()
        let running = process.withLock { process in
            defer { process = nil }
            return process
        }
        guard let running, running.isRunning else { return }
        Foundation.kill(running.processIdentifier, signal)
        // One that was paused hears nothing but a kill.
        Foundation.kill(running.processIdentifier, SIGCONT)
        // An orderly stop takes 2 s; one that takes 20 is none.
        for _ in 0..<1_000 where running.isRunning { try await Task.sleep(for: .milliseconds(20)) }
        if running.isRunning { Foundation.kill(running.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(atPath: directory + "/pid")
    }

    private func format() async throws {
        let log = directory + "/format.log"
        let process = try launchJava(
            "kafka.tools.StorageTool",
            ["format", "-t", "5L6g3nShT-eMCtK--X86sw", "-c", directory + "/server.properties"]
                + (security?.formatArguments ?? []), log: log)
        while process.isRunning { try await Task.sleep(for: .milliseconds(20)) }
        guard process.terminationStatus == 0 else { throw KafkaFailure("formatting fails:\n" + tail(of: log)) }
    }

    /// Waits, in a shell, for this process to end; then ends the broker. Deaf to what a terminal sends to the group.
    private func keepWatch() throws {
        let script = """
            trap '' INT TERM HUP
            while [ -d "$0" ] && kill -0 "$1" 2>/dev/null; do sleep 0.3; done
            [ ! -f "$0/pid" ] || kill -9 "$(cat "$0/pid")" 2>/dev/null
            rm -rf "$0"
            """
        _ = try launch(script, [directory, "\(ProcessInfo.processInfo.processIdentifier)"], log: "/dev/null")
    }

    /// One of Kafka's programs, without its shell scripts: they differ between distributions, the classes do not. The
    /// process writes its id where the watch finds it before it becomes the Java machine.
    private func launchJava(_ name: String, _ arguments: [String], log: String) throws -> Process {
        let options = [
            "-Xms128m", "-Xmx512m",
            // Quick to start rather than quick to run.
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
            "-Dkafka.logs.dir=" + directory, "-cp", home + "/libs/*", name,
        ]
        return try launch(
            "echo $$ >\"$0/pid\" && exec \"$@\"", [directory, java] + options + arguments, log: log)
    }

    private func launch(_ script: String, _ arguments: [String], log: String) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", script] + arguments
        if log != "/dev/null" { _ = FileManager.default.createFile(atPath: log, contents: nil) }
        let output = try FileHandle(forWritingTo: URL(filePath: log))
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        return process
    }
}

package struct KafkaFailure: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

/// Starts the shared broker once, however many tests ask at once.
private actor SharedBroker {
    private let secured: Bool
    private var starting: Task<KafkaBroker, any Error>?

    init(secured: Bool) { self.secured = secured }

    func get() async throws -> KafkaBroker {
        if let starting { return try await starting.value }
        let task = Task { [secured] () async throws -> KafkaBroker in
            if secured { return try await KafkaBroker.start(secured: true) }
            switch KafkaAvailability.here {
            case .running(let servers): return KafkaBroker(running: servers)
            case .distribution: return try await KafkaBroker.start()
            case .missing(let reason): throw KafkaFailure(reason)
            }
        }
        starting = task
        return try await task.value
    }
}

private func tail(of path: String) -> String {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").suffix(20).joined(separator: "\n")
}

/// Ports of loopback that nobody listens on. They are all held while being chosen, so they differ.
package func freePorts(_ count: Int) throws -> [Int] {
    var sockets: [Int32] = []
    defer { for socket in sockets { close(socket) } }
    return try (0..<count).map { _ in
        #if canImport(Glibc)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        sockets.append(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0
            }
        }
        guard bound else { throw KafkaFailure("no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
