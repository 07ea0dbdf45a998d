// The log's broker as a drill needs it: one that it may break.

import Glibc
import RdKafka
import Synchronization
import VarveHarness
import VarveModel

/// Each answers with what was done, in words for the narrator. Nodes that use the broker are stopped meanwhile, but for
/// `goDown` and `comeBack`.
package protocol DrillBroker: Sendable {
    /// `embedded` or `kafka`: what a page may make a step depend on.
    var word: String { get }
    /// What nodes are told, and what a page's tools of Kafka are told as $KAFKA.
    var servers: String { get }
    /// A tool of Kafka's distribution as a script, by its name; none for the embedded broker.
    var tools: [String: String] { get }
    /// The topic of an epoch is gone.
    func lose(_ epoch: Int) async throws -> String
    /// The topic of an epoch ends before `offset`.
    func cut(_ epoch: Int, to offset: Int64) async throws -> String
    /// The topic of an epoch is deleted and made anew, and somebody else writes to it.
    func replace(_ epoch: Int) async throws -> String
    func goDown() async throws -> String
    func comeBack() async throws -> String
    /// Commands for the one who finds it running later.
    var howToStop: [String] { get }
    func end() async
}

/// `varve broker`, whose topics live and die with it: whoever wants one gone, shorter or another starts a second broker in
/// its place, under another address. Standing still, it is one that does not answer.
final class EmbeddedDrillBroker: DrillBroker {
    let word = "embedded"
    let tools: [String: String] = [:]
    private let site: DrillSite
    private let directory: String
    private let topic: String
    private struct State {
        var process: ChildProcess?
        var servers = ""
        var count = 0
    }
    private let state = Mutex(State())

    private init(_ site: DrillSite, in directory: String, topic: String) {
        (self.site, self.directory, self.topic) = (site, directory, topic)
    }

    static func start(_ site: DrillSite, in directory: String, topic: String) async throws -> EmbeddedDrillBroker {
        let broker = EmbeddedDrillBroker(site, in: directory, topic: topic)
        try await broker.startAnother(from: 0)
        return broker
    }

    var servers: String { state.withLock { $0.servers } }

    var howToStop: [String] { state.withLock { $0.process }.map { ["kill -9 \($0.id)"] } ?? [] }

    func lose(_ epoch: Int) async throws -> String {
        await endPresent()
        try await startAnother(from: epoch + 1)
        return "another broker stands in its place, without the topic \(topic)-e\(epoch)"
    }

    func cut(_ epoch: Int, to offset: Int64) async throws -> String {
        let name = "\(topic)-e\(epoch)"
        let kept = try await Admin.asking(servers) { admin in
            try await admin.read(name, 0..<offset, withinMilliseconds: 10_000)
        }
        await endPresent()
        try await startAnother(from: epoch)
        try await TopicCopy.append(kept, to: name, at: servers)
        return "another broker stands in its place, with the first \(kept.count) records of \(name)"
    }

    func replace(_ epoch: Int) async throws -> String {
        let name = "\(topic)-e\(epoch)"
        await endPresent()
        try await startAnother(from: epoch)
        try await TopicCopy.append(strangers, to: name, at: servers)
        return "another broker stands in its place, and another program has written to its topic \(name)"
    }

    func goDown() async throws -> String {
        state.withLock { $0.process }?.send(SIGSTOP)
        return "the broker stands still: it takes requests and answers none"
    }

    func comeBack() async throws -> String {
        state.withLock { $0.process }?.send(SIGCONT)
        return "the broker goes on"
    }

    func end() async { await endPresent() }

    private func endPresent() async {
        guard let process = state.withLock({ $0.process.take() }) else { return }
        process.send(SIGCONT)
        await process.end(within: .seconds(5))
    }

    private func startAnother(from epoch: Int) async throws {
        let output = state.withLock { state -> String in
            state.count += 1
            return "\(directory)/broker-\(state.count).log"
        }
        let process = try ChildProcess(
            site.program,
            ["broker", "--topic", topic, "--first-epoch", "\(epoch)"] + (site.keeps ? [] : ["--stop-with-input"]),
            environment: site.environment, output: output)
        state.withLock { $0.process = process }
        for _ in 0..<400 {
            let text = try TextFile.read(output)
            if text.hasSuffix("\n"), let line = text.split(separator: "\n").first {
                return state.withLock { $0.servers = String(line) }
            }
            guard process.exit == nil else { break }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw DrillFailure("the embedded broker does not start: \(try TextFile.read(output))")
    }
}

/// Records of a program that knows nothing of ours.
let strangers: [RdKafkaRecord] = (0..<60).map { number in
    RdKafkaRecord(
        offset: Int64(number), time: RdKafkaTime(milliseconds: 1_700_000_000_000, isBrokers: false),
        value: Array("order \(number)".utf8))
}
