// A real Kafka broker: combined broker and controller, on free ports of loopback, with its data in a temporary directory. It
// can be killed, stopped and started again on the same ports and data.
//
// Nothing stays behind, even when this process is killed: a small shell waits for it to be gone, then kills the broker and
// removes the directory. Only one that is meant to stay has no such shell.

package import Glibc
import RdKafka
import Synchronization
import VarveIO
import VarveModel

package final class KafkaBroker: Sendable {
    package let bootstrapServers: String
    /// False for a cluster that was there before: `kill`, `stop` and `start` are then refused.
    package let isOwn: Bool
    package let directory: String
    /// What whoever prepared it wants to find again.
    package let attachment: (any Sendable)?
    private let home: String
    private let java: String
    private let process = Mutex<ChildProcess?>(nil)

    /// What a broker has beside its open listener.
    package struct Extras: Sendable {
        package var formatArguments: [String]
        package var attachment: (any Sendable)?

        package init(formatArguments: [String] = [], attachment: (any Sendable)? = nil) {
            (self.formatArguments, self.attachment) = (formatArguments, attachment)
        }
    }

    /// With its directory formatted, not yet started.
    /// - Parameters:
    ///   - properties: go on top of the usual ones.
    ///   - ports: its own and its controller's.
    ///   - stays: it outlives this process.
    ///   - prepare: is given the directory, and may change the properties.
    package static func formatted(
        _ kafka: KafkaAvailability, properties: [String: String] = [:], ports: [Int]? = nil, stays: Bool = false,
        prepare: (_ directory: String, _ properties: inout [String: String]) throws -> Extras = { _, _ in Extras() }
    ) async throws -> KafkaBroker {
        guard case .distribution(let home, _, let java) = kafka else {
            throw KafkaFailure(kafka.reasonAgainstOwnBroker ?? "no distribution")
        }
        let ports = try ports ?? freePorts(2)
        let directory = try ScratchDirectory.make("varve-kafka-\(getpid())-\(ports[0])")
        var all = usual(directory, ports)
        let extras = try prepare(directory, &all)
        all.merge(properties) { _, given in given }
        let broker = KafkaBroker(
            home: home, java: java, directory: directory, servers: "127.0.0.1:\(ports[0])", extras.attachment)
        if !stays { try broker.keepWatch() }
        let text = all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined()
        try TextFile.write(text, to: directory + "/server.properties")
        try await broker.format(
            clusterID: clusterID(of: all["controller.quorum.voters"] ?? directory), extras.formatArguments)
        return broker
    }

    /// One that was there before.
    package init(running servers: String) {
        bootstrapServers = servers
        isOwn = false
        home = ""
        java = ""
        directory = ""
        attachment = nil
    }

    private init(home: String, java: String, directory: String, servers: String, _ attachment: (any Sendable)?) {
        (self.home, self.java, self.directory, self.attachment) = (home, java, directory, attachment)
        bootstrapServers = servers
        isOwn = true
    }

    private static func usual(_ directory: String, _ ports: [Int]) -> [String: String] {
        [
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
    }

    // MARK: What is done to it

    /// `kill -9`.
    package func kill() async throws { try await end(SIGKILL) }

    /// An orderly stop.
    package func stop() async throws { try await end(SIGTERM) }

    /// Stands still with everything open, as a machine that swaps or a garbage collection that takes long (`SIGSTOP`).
    package func pause() throws { try signal(SIGSTOP) }

    package func resume() throws { try signal(SIGCONT) }

    private func signal(_ signal: Int32) throws {
        try requireOwn()
        guard let running = process.withLock({ $0 }), running.exit == nil else { throw KafkaFailure("no broker runs") }
        running.send(signal)
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
            if launched.exit != nil { break }
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
        ScratchDirectory.remove(directory)
    }

    /// Runs one of Kafka's own programs to its end, or as long as the broker lives; what it prints is dropped.
    package func run(_ program: String, _ arguments: [String]) throws {
        _ = try launch(
            "exec \"$@\"", ["", java, "-Xmx64m", "-cp", home + "/libs/*", program] + arguments, log: "/dev/null")
    }

    /// Limits how many bytes a second the producers of a client id may send.
    package func limit(clientID: String, producerBytesPerSecond: Int) async throws {
        let log = directory + "/quota.log"
        let process = try launch(
            "exec \"$@\"",
            [
                "", java, "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", home + "/libs/*", "kafka.admin.ConfigCommand",
                "--bootstrap-server", bootstrapServers, "--alter", "--entity-type", "clients", "--entity-name",
                clientID, "--add-config", "producer_byte_rate=\(producerBytesPerSecond)",
            ], log: log)
        guard await process.wait() == .code(0) else { throw KafkaFailure("no quota is set:\n" + tail(of: log)) }
    }

    /// One of them as a script for a shell, as the distribution has them in its `bin`.
    package func script(_ program: String) -> String {
        "#!/bin/sh\nexec '\(java)' -Xmx64m -XX:TieredStopAtLevel=1 -cp '\(home)/libs/*' \(program) \"$@\"\n"
    }

    /// The directory of a topic's only partition, for whoever damages files of a stopped broker.
    package func partitionDirectory(of topic: String) -> String { "\(directory)/data/\(topic)-0" }

    /// Its process, for one that stays.
    package var processID: pid_t? { process.withLock { $0 }.flatMap { $0.exit == nil ? $0.id : nil } }

    // MARK: Processes

    private func requireOwn() throws {
        guard isOwn else { throw KafkaFailure("this broker was there before: it is not ours to stop") }
    }

    private func end(_ signal: Int32) async throws {
        try requireOwn()
        guard let running = process.withLock({ $0.take() }), running.exit == nil else { return }
        running.send(signal)
        // One that was paused hears nothing but a kill.
        running.send(SIGCONT)
        // An orderly stop takes 2 s; one that takes 20 is none.
        for _ in 0..<1_000 where running.exit == nil { try await Task.sleep(for: .milliseconds(20)) }
        running.send(SIGKILL)
        _ = await running.wait()
        unlink(directory + "/pid")
    }

    /// The same for brokers that vote together, another for each other: a log that moves between two clusters is told apart. 16
    /// bytes in base 64, as Kafka makes them; of the last digit only two bits count.
    private static func clusterID(of voters: String) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        var state: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in voters.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let text = (0..<21).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return digits[Int((state >> 33) % UInt64(digits.count))]
        }
        return String(text) + "A"
    }

    private func format(clusterID: String, _ arguments: [String]) async throws {
        let log = directory + "/format.log"
        let process = try launchJava(
            "kafka.tools.StorageTool",
            ["format", "-t", clusterID, "-c", directory + "/server.properties"] + arguments, log: log)
        guard await process.wait() == .code(0) else { throw KafkaFailure("formatting fails:\n" + tail(of: log)) }
    }

    /// Waits, in a shell, for this process to end; then ends the broker. Deaf to what a terminal sends to the group.
    private func keepWatch() throws {
        let script = """
            trap '' INT TERM HUP
            while [ -d "$0" ] && kill -0 "$1" 2>/dev/null; do sleep 0.3; done
            [ ! -f "$0/pid" ] || kill -9 "$(cat "$0/pid")" 2>/dev/null
            rm -rf "$0"
            """
        _ = try launch(script, [directory, "\(getpid())"], log: "/dev/null")
    }

    /// One of Kafka's programs, without its shell scripts: they differ between distributions, the classes do not. The
    /// process writes its id where the watch finds it before it becomes the Java machine.
    private func launchJava(_ name: String, _ arguments: [String], log: String) throws -> ChildProcess {
        let options = [
            "-Xms128m", "-Xmx512m",
            // Quick to start rather than quick to run.
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
            "-Dkafka.logs.dir=" + directory, "-cp", home + "/libs/*", name,
        ]
        return try launch("echo $$ >\"$0/pid\" && exec \"$@\"", [directory, java] + options + arguments, log: log)
    }

    private func launch(_ script: String, _ arguments: [String], log: String) throws -> ChildProcess {
        if log != "/dev/null" { unlink(log) }
        return try ChildProcess(
            "/bin/sh", ["-c", script] + arguments, environment: processEnvironment(), output: log)
    }
}

private func tail(of path: String) -> String {
    ((try? TextFile.read(path)) ?? "").split(separator: "\n").suffix(20).joined(separator: "\n")
}
