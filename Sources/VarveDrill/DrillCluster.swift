// The cluster of a drill: a broker, nodes, the storage they share, and every document that was acknowledged.
//
// Invariant: a document is in `acknowledged` exactly if a node answered `committed`, and stays there until a drill says that
// the page declared it lost.

import Glibc
import Synchronization
import VarveClient
import VarveHarness
import VarveIO
import VarveModel
import VarveWire

package final class DrillCluster: Sendable {
    static let topic = "varve-log"

    let directory: String
    let broker: any DrillBroker
    let nodes: [DrillNode]
    private let site: DrillSite
    private let sections: String
    private struct State {
        /// Further lines of the section log, and the servers that it names.
        var log: [String]
        var servers: String?
        var acknowledged: Set<Int64> = []
        var lost: Set<Int64> = []
        var next: Int64 = 1
        var newest = Position.zero
        /// The line `epoch:` of each node that has one.
        var epochs: [String: Int] = [:]
    }
    private let state: Mutex<State>

    /// Nothing is started yet.
    /// - Parameters:
    ///   - sections: further lines of every node's configuration.
    ///   - log: further lines of its section log.
    init(
        _ site: DrillSite, in directory: String, broker: any DrillBroker, nodes count: Int, sections: String,
        log: [String]
    ) throws {
        (self.site, self.directory, self.broker) = (site, directory, broker)
        self.sections = sections
        state = Mutex(State(log: log))
        nodes = try freePorts(count).enumerated().map { index, port in
            DrillNode(name: "node-\(index + 1)", port: port, in: directory)
        }
        try writeConfigurations()
    }

    var storage: String { "\(directory)/storage" }
    var urls: [String] { nodes.map(\.url) }

    func node(_ name: String) throws -> DrillNode {
        guard let node = nodes.first(where: { $0.name == name }) else { throw DrillFailure("there is no \(name)") }
        return node
    }

    // MARK: Nodes

    /// Again, after the broker's address or an epoch has changed.
    func writeConfigurations() throws {
        let (epochs, log, servers) = state.withLock { ($0.epochs, $0.log, $0.servers) }
        for node in nodes {
            let more = log.map { "\n  " + $0 }.joined()
            let epoch = epochs[node.name].map { "\n  epoch: \($0)" } ?? ""
            try TextFile.write(
                """
                log: !Kafka
                  bootstrapServers: \(Value.text(servers ?? broker.servers).json)
                  topic: \(Self.topic)
                  replicationFactor: 1
                  allowWeakLog: true\(more)\(epoch)
                storage: !Local { path: storage }
                http: { host: 127.0.0.1, port: \(node.url.split(separator: ":").last ?? "0") }
                node: { id: \(node.name), directory: scratch/\(node.name) }
                \(sections)

                """, to: node.configuration)
        }
    }

    /// The section log names another cluster, or has other lines; nodes are restarted one after the other, as one does with a
    /// cluster that serves.
    func reconfigure(servers: String? = nil, log: [String]) async throws {
        state.withLock { state in
            state.servers = servers ?? state.servers
            state.log = log
        }
        try writeConfigurations()
        for node in nodes {
            try await stopNodes([node.name])
            guard try await startNodes([node.name]).isEmpty else {
                throw DrillFailure("\(node.name) does not start again: \(node.lastLine)")
            }
        }
    }

    /// Starts those that do not run, and waits until each serves or has ended. Returns the names of those that ended.
    @discardableResult
    func startNodes(_ names: [String]? = nil) async throws -> [String] {
        let chosen = try names.map { try $0.map(node) } ?? nodes
        for node in chosen where !node.isRunning {
            node.listen()
            try node.start(site)
        }
        var ended: [String] = []
        for node in chosen where try await !node.isReady(within: .seconds(60)) { ended.append(node.name) }
        return ended
    }

    /// In order, one after the other would take as long as all together.
    func stopNodes(_ names: [String]? = nil) async throws {
        let chosen = try names.map { try $0.map(node) } ?? nodes
        await withTaskGroup(of: Void.self) { group in
            for node in chosen { group.addTask { await node.stop() } }
        }
    }

    func killNodes() async {
        for node in nodes { await node.kill() }
    }

    /// The line `epoch:` of the nodes' configurations; nil deletes it.
    func setEpoch(_ epoch: Int?, of names: [String]? = nil) throws {
        state.withLock { state in
            for name in names ?? nodes.map(\.name) { state.epochs[name] = epoch }
        }
        try writeConfigurations()
    }

    /// Waits until the first node's status is so.
    func wait(_ what: String, _ holds: (StatusAnswer) -> Bool) async throws {
        for _ in 0..<600 {
            if holds(try await nodes[0].client.status()) { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw DrillFailure("in vain was waited until \(what)")
    }

    // MARK: Documents

    /// Writes documents one after the other, each through the next running node.
    /// - Returns: the ids of those that were acknowledged.
    @discardableResult
    func write(_ count: Int) async throws -> Set<Int64> {
        let running = nodes.filter(\.isRunning)
        guard !running.isEmpty else { throw DrillFailure("no node runs that could be written to") }
        var written: Set<Int64> = []
        for index in 0..<count {
            let id = state.withLock { state in
                defer { state.next += 1 }
                return state.next
            }
            try await write(id, through: running[index % running.count].client)
            written.insert(id)
        }
        return written
    }

    /// One document through that node, and no other.
    func write(through index: Int) async throws {
        let id = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        try await write(id, through: nodes[index].client)
    }

    /// As a client does that has patience: one document, sent again with its id until a node has decided it.
    func writePatiently() async throws {
        let id = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        var transaction = Transaction()
        try transaction.put(into: "drill", ["_id": .integer(id), "text": .text("document \(id)")])
        var random = SystemRandomNumberGenerator()
        let submission = SubmissionID.random(using: &random)
        let client = try Client(ClientOptions(urls: urls, patience: .zero, answerTimeout: .seconds(15)))
        for _ in 0..<600 {
            do throws(VarveError) {
                let outcome = try await client.submit(transaction, id: submission)
                // One that was cancelled for want of an answer is decided, too: it was not applied.
                if outcome.outcome == .committed { _ = state.withLock { $0.acknowledged.insert(id) } }
                return
            } catch {
                guard [.unknownOutcome, .nodeUnreachable, .notReady, .overloaded, .logUnreachable].contains(error.code)
                else { throw error }
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw DrillFailure("submission \(submission) is undecided after two minutes")
    }

    private func write(_ id: Int64, through client: Client) async throws {
        var transaction = Transaction()
        try transaction.put(into: "drill", ["_id": .integer(id), "text": .text("document \(id)")])
        let outcome = try await client.submit(transaction)
        guard outcome.outcome == .committed else { throw DrillFailure("document \(id) was \(outcome.outcome)") }
        state.withLock { state in
            state.acknowledged.insert(id)
            state.newest = outcome.position
        }
    }

    /// Where the document stands that was written last.
    var newest: Position { state.withLock { $0.newest } }

    /// All that was written so far goes into a block.
    func flush() async throws {
        guard let node = nodes.first(where: \.isRunning) else { throw DrillFailure("no node runs") }
        _ = try await node.client.flush()
    }

    /// The page has said that these are lost.
    func declareLost(_ ids: Set<Int64>) { state.withLock { $0.lost.formUnion(ids) } }

    // MARK: What holds in the end

    /// Every acknowledged document that was not declared lost is on every node, none other is, all nodes stand at one
    /// position with the same chains, and a new write through the last node is read on the first.
    /// - Returns: that in words.
    func check() async throws -> String {
        let running = nodes.filter(\.isRunning)
        guard let first = running.first, let last = running.last else { throw DrillFailure("no node runs") }
        let standing = try await settled(running)
        let (acknowledged, lost) = state.withLock { ($0.acknowledged, $0.lost) }
        for node in running {
            let found = Set(
                try await node.client.query("SELECT _id FROM drill").rows.compactMap { $0.first?.asInteger })
            let missing = acknowledged.subtracting(lost).subtracting(found)
            guard missing.isEmpty else {
                throw DrillFailure(
                    "\(node.name) has not \(missing.count) of \(acknowledged.count) acknowledged documents that nobody declared "
                        + "lost: \(missing.sorted().prefix(10))")
            }
            let strange = found.subtracting(acknowledged)
            guard strange.isEmpty else {
                throw DrillFailure("\(node.name) has documents that nobody wrote: \(strange.sorted().prefix(10))")
            }
        }
        let kept = acknowledged.subtracting(lost).count
        var transaction = Transaction()
        try transaction.put(into: "drill_after", ["_id": 1])
        let outcome = try await last.client.submit(transaction)
        guard try await first.client.get("drill_after", id: 1, after: outcome.token) != nil else {
            throw DrillFailure("\(first.name) does not see what \(last.name) has just committed")
        }
        return "\(kept) acknowledged documents on \(running.count) nodes"
            + (lost.isEmpty ? ", none lost" : ", \(lost.count) declared lost")
            + "; the same chains at \(standing); a new write goes through"
    }

    /// Waits until the nodes stand at one position with nothing left to read; their chains are equal there.
    private func settled(_ nodes: [DrillNode]) async throws -> Position {
        var seen = ""
        for _ in 0..<600 {
            var answers: [StatusAnswer] = []
            for node in nodes { answers.append(try await node.client.status()) }
            let positions = Set(answers.compactMap { $0.applied?.position })
            if positions.count == 1, let position = positions.first, answers.allSatisfy({ $0.lag?.records == 0 }) {
                let chains = Set(answers.compactMap { $0.applied.map { $0.inputChain + " " + $0.effectChain } })
                guard chains.count == 1 else { throw DrillFailure("the nodes have different chains at \(position)") }
                return position
            }
            seen = positions.map(\.description).sorted().joined(separator: ", ")
            try await Task.sleep(for: .milliseconds(50))
        }
        throw DrillFailure("the nodes do not come to one position: \(seen)")
    }

    /// Commands that end what was left running. At once: what comes behind them removes its files.
    var howToStop: [String] {
        let running = nodes.compactMap(\.processID).map { "\($0)" }
        return (running.isEmpty ? [] : ["kill -9 " + running.joined(separator: " ")]) + broker.howToStop
    }

    func end() async {
        await killNodes()
        await broker.end()
    }
}
