import Foundation
import Synchronization
import VarveHTTPClient

/// Kills and pauses node processes at random, by a seed, and starts and continues them again.
///
/// What each process said that it wrote is asked for again and again: a counter dies with its process, so what it was
/// last seen at counts.
final class Chaos: Sendable {
    struct Seen {
        var kills = 0
        var pauses = 0
        /// Processes that were killed while they stood still.
        var killedAsleep = 0
    }

    /// Longer than a node may be without progress before others take over from it (`Publication.takeoverMs`).
    private static let takeover = Duration.milliseconds(3_000)

    private let nodes: [NodeProcess]
    private let counters = Mutex<[String: Double]>([:])
    private let generations: Mutex<[String: Int]>
    private let counted = Mutex(Seen())
    private let http: HTTPClient

    init(_ nodes: [NodeProcess]) throws {
        self.nodes = nodes
        generations = Mutex([:])
        http = try HTTPClient()
    }

    var seen: Seen { counted.withLock { $0 } }

    /// Bytes of block files that all processes, dead ones too, were seen to have written.
    var bytesWritten: Double { counters.withLock { $0.values.reduce(0, +) } }

    /// Until `end`; returns when every node serves again. The first two rounds are one kill and one pause.
    func run(until end: ContinuousClock.Instant, seed: UInt64) async throws {
        var random = Random(seed)
        var round = 0
        while ContinuousClock.now < end || round < 2 {
            let struck = nodes.shuffled(using: &random).prefix(
                [1, 1, 1, 1, 1, 1, 2, 2, 2, 3].randomElement(using: &random)!)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for node in struck {
                    let kind = round < 2 ? round : [0, 0, 1, 1, 2].randomElement(using: &random)!
                    let before = Duration.milliseconds(Int.random(in: 0...700, using: &random))
                    let away = Duration.milliseconds(Int.random(in: 0...2_500, using: &random))
                    group.addTask { try await self.strike(node, kind, after: before, away: away) }
                }
                try await group.waitForAll()
            }
            for node in nodes { try await node.waitUntilReady() }
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...1_200, using: &random)))
            round += 1
        }
    }

    /// Kinds: 0 killed and started again; 1 paused and continued; 2 paused, then killed and started again.
    private func strike(_ node: NodeProcess, _ kind: Int, after before: Duration, away: Duration) async throws {
        try await Task.sleep(for: before)
        await look(at: node)
        if kind > 0 {
            node.pause()
            counted.withLock { $0.pauses += 1 }
            try await Task.sleep(for: Self.takeover + .milliseconds(300) + away)
        }
        if kind == 1 { return node.resume() }
        node.kill()
        generations.withLock { $0[node.name, default: 0] += 1 }
        counted.withLock {
            $0.kills += 1
            $0.killedAsleep += kind == 2 ? 1 : 0
        }
        if kind == 0 { try await Task.sleep(for: away) }
        try await node.startAndWait()
    }

    // MARK: what they wrote

    /// Asks every node again and again, until it is cancelled.
    func watch() async {
        await withTaskGroup(of: Void.self) { group in
            for node in nodes {
                group.addTask {
                    while !Task.isCancelled {
                        await self.look(at: node)
                        try? await Task.sleep(for: .milliseconds(250))
                    }
                }
            }
        }
    }

    func look(at node: NodeProcess) async {
        let generation = generations.withLock { $0[node.name, default: 0] }
        let request = HTTPRequest("GET", node.url + "/metrics", timeout: .seconds(1))
        guard let answer = try? await http.send(request), answer.status == 200 else { return }
        let name = "varve_storage_bytes_written_total "
        let line = String(decoding: answer.body, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name) }
        guard let value = line.flatMap({ Double($0.dropFirst(name.count)) }) else { return }
        counters.withLock { counters in
            let process = "\(node.name) \(generation)"
            // An answer that comes late says less than is known.
            counters[process] = max(counters[process] ?? 0, value)
        }
    }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Random: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
