/// `migrate`: three `varve node` processes on one Kafka, clients that write at a steady rate, and their log moved to another
/// topic again and again; then everything that was acknowledged is looked for on every node. And a bump that salvages.
///
/// A pause is the longest time between two acknowledgements, from the call that migrates until two seconds behind its answer: all
/// that goes on in the machine meanwhile counts. The same between two migrations says what the machine does without one.

internal import VarveClient
internal import VarveIO
internal import VarveKafka
internal import VarveLog
internal import VarveModel
internal import VarveWire

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

struct MigrateBenchmark {
    var migrations = 20
    /// Transactions a second.
    var rate = 1_000
    /// To salvage by the bump.
    var records = 100_000
    /// Where the timeline is drawn; nil is beside the results.
    var image: String?

    private static let nodesCount = 3
    /// Writes go on so long before, between and behind migrations.
    private static let calmSeconds = 4
    /// A pause may follow the answer.
    private static let afterMicroseconds: Int64 = 2_000_000

    /// - Parameter part: `moves` or `bump`; nil is both, which is written down.
    func run(_ part: String?) async throws {
        if let part, !["moves", "bump"].contains(part) { throw Fault("unknown part \"\(part)\"\n\(Main.usage)") }
        var result = MigrateResult(rate: rate, machine: Machine.description)
        if part != "bump" {
            let place = try await MigrationPlace.here()
            print("\(migrations) migrations at \(rate) transactions/s; \(place.description)")
            result.place = place.description
            try await move(on: place, &result)
        }
        if part != "moves" {
            result.bumps = try await BumpBenchmark(records: records).run()
        }
        try Directory.create(".build/bench")
        let name = part.map { "migrate-\($0)" } ?? "migrate"
        try write(result.json.jsonBytes + [0x0a], ".build/bench/\(name).json")
        try write(Array(result.markdown.utf8), ".build/bench/\(name).md")
        if !result.moves.isEmpty {
            try write(Array(TimelineDrawing(result).svg.utf8), image ?? ".build/bench/\(name).svg")
        }
        print("\n\(result.markdown)\n.build/bench/\(name).json")
    }

    private func write(_ bytes: [UInt8], _ path: String) throws {
        guard let file = fopen(path, "w") else { throw Fault("\(path) cannot be written") }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Fault("\(path) cannot be written") }
    }

    // MARK: Moving

    private func move(on place: MigrationPlace, _ result: inout MigrateResult) async throws {
        try place.prepare(epochs: migrations + 1)
        try await Scratch.with { scratch in
            var nodes: [NodeProcess] = []
            defer { for node in nodes { try? node.end() } }
            for number in 0..<Self.nodesCount {
                nodes.append(
                    try await NodeProcess.start(
                        Program.path, Self.name(number), in: scratch,
                        """
                        log: !Kafka { bootstrapServers: "\(place.servers)", topic: \(place.base(of: 0)), allowWeakLog: true }
                        storage: !Local { path: storage }
                        logging: { level: info, format: json }
                        """, log: "\(scratch)/\(Self.name(number)).log"))
            }
            let urls = nodes.map(\.url)
            let load = SteadyLoad(urls, rate: rate)
            async let loaded = load.run()
            do {
                for number in 1...migrations {
                    try await Task.sleep(for: .seconds(Self.calmSeconds))
                    let move = try await migrate(number, urls, place)
                    result.moves.append(move)
                    print(", \(number)", terminator: "")
                    Progress.flush()
                }
                try await Task.sleep(for: .seconds(Self.calmSeconds))
            } catch {
                load.end()
                _ = try? await loaded
                throw error
            }
            load.end()
            result.load = try await loaded
            print(", looking for \(result.load.acknowledged.count) documents")
            try await judge(&result, urls, place, logs: scratch)
        }
    }

    static func name(_ node: Int) -> String { "node-\(node + 1)" }

    /// Asks one node after the other, and goes to and fro between two names.
    private func migrate(_ number: Int, _ urls: [String], _ place: MigrationPlace) async throws -> MigrateResult.Move {
        let asked = (number - 1) % urls.count
        let client = try Client(ClientOptions(urls: [urls[asked]], patience: .zero))
        let called = WallClock.now
        let answer = try await client.migrate(MigrateRequest(topic: place.base(of: number)))
        guard let seal = answer.seal else { throw Fault("migration \(number) was answered without a seal") }
        return MigrateResult.Move(
            number: number, asked: asked, topic: answer.topic ?? "", seal: seal, called: called, answered: WallClock.now
        )
    }

    // MARK: Afterwards

    private func judge(
        _ result: inout MigrateResult, _ urls: [String], _ place: MigrationPlace, logs: String
    ) async throws {
        let everyone = result.load.acknowledged.map(\.at)
        let perNode = (0..<Self.nodesCount).map { node in
            result.load.acknowledged.filter { $0.node == node }.map(\.at)
        }
        let said = try (0..<Self.nodesCount).map { try NodeLog(path: "\(logs)/\(Self.name($0)).log") }
        for index in result.moves.indices {
            let move = result.moves[index]
            let window = move.called...(move.answered + Self.afterMicroseconds)
            result.moves[index].pause = Gap.longest(in: everyone, window)
            result.moves[index].pauses = perNode.map { Gap.longest(in: $0, window) }
            result.moves[index].proposed = said[move.asked].proposal(in: window)
            result.moves[index].confirmed = said.map { $0.confirmation(in: window) }
            result.moves[index].crossings = said.map { $0.crossing(into: move.number) }
            result.moves[index].sealed = try await place.time(of: move.seal)
            let calm = result.moves.indices.contains(index + 1) ? result.moves[index + 1].called : everyone.last ?? 0
            if window.upperBound < calm { result.calm.append(Gap.longest(in: everyone, window.upperBound...calm)) }
        }
        result.checks = try await MigrationCheck(urls).run(result.load.acknowledged)
    }
}

/// The system's clock, which the nodes' log lines and the log's records have too; microseconds.
enum WallClock {
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

/// Between two acknowledgements.
struct Gap {
    var from: Int64
    var to: Int64
    var milliseconds: Double { Double(to - from) / 1_000 }

    /// - Parameter times: in order. A gap that begins or ends outside the window counts whole.
    static func longest(in times: [Int64], _ window: ClosedRange<Int64>) -> Gap {
        var longest = Gap(from: window.lowerBound, to: window.lowerBound)
        var before: Int64?
        for time in times {
            defer { before = time }
            guard let before, time >= window.lowerBound else { continue }
            if before > window.upperBound { break }
            if time - before > longest.to - longest.from { longest = Gap(from: before, to: time) }
        }
        return longest
    }
}
