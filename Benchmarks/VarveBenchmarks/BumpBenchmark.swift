/// A bump that salvages: no block holds the old log's transactions, and `varve epoch bump --salvage` appends them all to the next
/// one. The whole command is timed: it reads the old log twice (plan and salvage), looks every id up, appends, and reads back what it
/// appended. Afterwards a node is started and has to find every document.

internal import VarveKafka
internal import VarveLog
internal import VarveModel
internal import VarveNode
internal import VarveTestSupport

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

struct BumpBenchmark {
    struct Outcome {
        var log: String
        var records: Int
        var seconds: Double
        /// nil where the log cannot hold enough for a rate to mean something.
        var target: Double?
        var rate: Double { Double(records) / seconds }
    }

    let records: Int
    /// The embedded broker keeps 5 MiB of a topic, and a node over it writes a block after 10,000 transactions.
    private static let embeddedRecordsMax = 9_000
    private static let target = 20_000.0
    private static let topic = "bench"

    func run() async throws -> [Outcome] {
        var outcomes: [Outcome] = []
        print("bump of a directory", terminator: "")
        Progress.flush()
        outcomes.append(
            try await Scratch.with { directory in
                try await bump(
                    "local log", "!Local { path: log }", records, Self.target, in: directory,
                    .local(LocalLogConfiguration(path: directory + "/log")), nil)
            })
        print(", of the embedded broker", terminator: "")
        Progress.flush()
        let broker = try BrokerProcess.start()
        defer { broker.end() }
        outcomes.append(
            try await onKafka(
                "embedded broker, which holds no more", broker.servers, Self.topic,
                min(records, Self.embeddedRecordsMax), nil))
        switch KafkaAvailability.here {
        case .missing(let reason): print(", of a real Kafka: skipped: \(reason)")
        case .running, .distribution:
            print(", of a real Kafka")
            var generator = SystemRandomNumberGenerator()
            let number: UInt32 = generator.next()
            outcomes.append(
                try await onKafka(
                    "real Kafka", try await KafkaBroker.shared().bootstrapServers, "varve-bench-\(number)", records,
                    Self.target))
        }
        return outcomes
    }

    private func onKafka(
        _ name: String, _ servers: String, _ topic: String, _ records: Int, _ target: Double?
    ) async throws -> Outcome {
        let provider = KafkaLogProvider(
            KafkaLogSettings(bootstrapServers: servers, topic: topic, allowWeakLog: true))
        return try await Scratch.with { directory in
            try await bump(
                name, "!Kafka { bootstrapServers: \"\(servers)\", topic: \(topic), allowWeakLog: true }", records,
                target,
                in: directory, .kafka(KafkaLogConfiguration(bootstrapServers: servers, topic: topic)), provider)
        }
    }

    private func bump(
        _ name: String, _ section: String, _ records: Int, _ target: Double?, in directory: String,
        _ log: LogConfiguration, _ provider: (any LogProvider)?
    ) async throws -> Outcome {
        // All in one open block, so that no block holds any of it.
        var configuration = Configuration(
            log: log, storage: .local(path: directory + "/storage"),
            node: NodeConfiguration(id: "bench", directory: directory + "/node"))
        configuration.indexer.transactionsPerBlock = 10_000_000
        configuration.indexer.rowsPerBlock = 10_000_000
        configuration.indexer.bytesPerBlock = 4 << 30
        func start() async throws -> Node {
            if let provider { return try await Node.start(configuration, log: provider) }
            return try await Node.start(configuration)
        }
        var node = try await start()
        try await fill(node, records)
        await node.stop()
        let path = directory + "/node.yaml"
        guard let file = fopen(path, "w") else { throw Fault("\(path) cannot be written") }
        fputs("log: \(section)\nstorage: !Local { path: storage }\nnode: { id: bench, directory: node }\n", file)
        fclose(file)
        let began = ContinuousClock.now
        try Child.run([Program.path, "epoch", "bump", "--salvage", "--config", path], errors: "/dev/null")
        let seconds = (ContinuousClock.now - began).inSeconds
        node = try await start()
        let found = try await node.snapshot(isStrict: true).query("SELECT count(*) FROM users").first?[0]
        let epoch = node.status().epoch
        await node.stop()
        guard found == .integer(Int64(records)), epoch == Epoch(1) else {
            throw Fault("\(name): of \(records) salvaged documents the node finds \(found.map { "\($0)" } ?? "none")")
        }
        return Outcome(log: name, records: records, seconds: seconds, target: target)
    }

    private func fill(_ node: Node, _ count: Int) async throws {
        let table = try TableName("users")
        let inFlight = 500
        let lines = DataSet.synthetic(count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<inFlight {
                group.addTask {
                    var scanner = JSONScanner()
                    for number in stride(from: client, to: count, by: inFlight) {
                        let row = try lines[number].withUnsafeBytes { text throws(JSONFault) in
                            try scanner.document(text)
                        }
                        _ = try await node.submit(Transaction([.put(table, [row])]), timeout: .seconds(120))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
