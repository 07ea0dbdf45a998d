// One drill being held: its cluster, its page, and the shell that types the page's commands.

import Glibc
import Synchronization
import VarveHarness
import VarveIO
import VarveModel

package final class Rehearsal: Sendable {
    /// What a reader of the page does by other means, by the words of its mark.
    typealias Hand = @Sendable () async throws -> String

    let drill: Drill
    let site: DrillSite
    let venue: DrillVenue
    private let narrator: Narrator
    private let directory: String
    private struct State {
        var cluster: DrillCluster?
        var names: [String: String] = [:]
        var undo: [(command: String, body: @Sendable () -> Void)] = []
        var scripts = 0
    }
    private let state = Mutex(State())

    /// Longest that a block of commands may take: one that plans watches nodes for 25 s.
    private static let commandLimit = Duration.seconds(120)
    /// For a line that a node has to say.
    private static let symptomLimit = Duration.seconds(40)

    /// Holds a drill in a directory of its own.
    static func hold(_ drill: Drill, _ site: DrillSite, at venue: DrillVenue, _ narrator: Narrator) async
        -> DrillVerdict
    {
        let start = ContinuousClock.now
        let verdict = await verdict(drill, site, venue, narrator)
        narrator.ends(drill, on: venue.name, verdict, after: ContinuousClock.now - start)
        return verdict
    }

    private static func verdict(
        _ drill: Drill, _ site: DrillSite, _ venue: DrillVenue, _ narrator: Narrator
    ) async -> DrillVerdict {
        do {
            let page = try site.shelf.page(drill.name)
            narrator.begins(drill, on: venue.name, page: page.path)
            if let obstacle = drill.obstacle(site) { return .skipped(obstacle) }
            let rehearsal = Rehearsal(
                drill, site, venue, narrator, in: try ScratchDirectory.make("varve-drill-\(drill.name)"))
            let verdict: DrillVerdict
            do {
                try await drill.rehearse(rehearsal)
                verdict = .passed
            } catch {
                verdict = Task.isCancelled ? .interrupted : .failed(rehearsal.explained(error))
            }
            // In a task of its own: an interruption ends the drill, not the clearing up behind it.
            await Task { await rehearsal.end() }.value
            return verdict
        } catch {
            return Task.isCancelled ? .interrupted : .failed("\(error)")
        }
    }

    private init(
        _ drill: Drill, _ site: DrillSite, _ venue: DrillVenue, _ narrator: Narrator, in directory: String
    ) {
        (self.drill, self.site, self.venue, self.narrator, self.directory) = (drill, site, venue, narrator, directory)
    }

    // MARK: What drills say

    /// A cluster of nodes that serve.
    /// - Parameters:
    ///   - sections: further lines of every node's configuration.
    ///   - log: further lines of its section log, without their indent.
    ///   - prepare: is called before the nodes start.
    ///   - isEphemeral: leaves the embedded broker what it is by nature, a log that ends with its process.
    func build(
        nodes count: Int = 3, sections: String = "", log: [String] = [], isEphemeral: Bool = false,
        prepare: (DrillCluster) throws -> Void = { _ in }
    ) async throws -> DrillCluster {
        let broker = try await venue.startBroker(site, directory, DrillCluster.topic)
        let cluster: DrillCluster
        do {
            let isTakenAtItsWord = broker.word == "embedded" && !isEphemeral
            cluster = try DrillCluster(
                site, in: directory, broker: broker, nodes: count, sections: sections,
                log: log + (isTakenAtItsWord ? ["allowEphemeral: false"] : []))
        } catch {
            await broker.end()
            throw error
        }
        state.withLock { $0.cluster = cluster }
        try prepare(cluster)
        let ended = try await cluster.startNodes()
        guard ended.isEmpty else {
            throw DrillFailure("\(ended.joined(separator: ", ")) did not start: \(try cluster.node(ended[0]).lastLine)")
        }
        narrator.tell(.built, "broker \(broker.servers), \(count) \(count == 1 ? "node" : "nodes"), in \(directory)")
        return cluster
    }

    /// Another broker of the same kind, for a log that moves there. Whoever asks for it dismisses it.
    func anotherBroker() async throws -> any DrillBroker {
        let place = "\(directory)/other"
        try Directory.create(place)
        return try await venue.startBroker(site, place, DrillCluster.topic)
    }

    /// Ends it; with `--keep` it stays, as everything does.
    func dismiss(_ broker: any DrillBroker) async {
        if site.keeps {
            return narrator.tell(.kept, "to end the other broker: \(broker.howToStop.joined(separator: "; "))")
        }
        await broker.end()
    }

    /// What was written, or done before anything broke.
    func built(_ text: String) { narrator.tell(.built, text) }

    /// What was broken just now.
    func broken(_ text: String) { narrator.tell(.broken, text) }

    func checked(_ text: String) { narrator.tell(.checked, text) }

    /// Done when nodes and broker have ended, the last one first; if they are kept, `command` is told instead.
    func undoAtEnd(_ command: String, _ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.undo.append((command, body)) }
    }

    /// Runs `body` beside something that goes on meanwhile, and is given up with it.
    func beside<R: Sendable>(
        _ work: @escaping @Sendable () async throws -> R,
        _ body: (_ task: Task<R, any Error>) async throws -> Void
    ) async throws {
        let task = Task { try await work() }
        defer { task.cancel() }
        try await withTaskCancellationHandler {
            try await body(task)
        } onCancel: {
            task.cancel()
        }
    }

    /// All that must hold after every drill.
    func check() async throws { narrator.tell(.checked, try await cluster().check()) }

    /// Goes through a page from top to bottom: what nodes must have said, its commands, and what its reader does otherwise.
    /// - Parameters:
    ///   - name: of the page; the drill's own.
    ///   - words: what steps of the page may be `only` for, beside the venue and the drill's name.
    ///   - hands: what can be done beside stopping and starting nodes and setting their epoch.
    func follow(_ name: String? = nil, words: Set<String> = [], hands: [String: Hand] = [:]) async throws {
        let page = try site.shelf.page(name ?? drill.name)
        let all = words.union([venue.word, drill.name])
        for step in page.steps where step.holds(for: all) {
            do {
                switch step.kind {
                case .symptom(let expected): try await see(expected)
                case .command(let script, let expected, let code): try await type(script, expected, code)
                case .hand(let action): try await act(action, hands)
                }
            } catch let failure as DrillFailure {
                throw DrillFailure("\(page.path):\(step.line): \(failure)")
            }
        }
    }

    /// What an operator did some time ago, and is to be mended now: the newest epoch was ended with a bump that gives up
    /// what no block holds.
    func giveUp() async throws {
        try await type("varve epoch plan", Expectation("…\ndigest DIGEST\n…"), [0])
        try await type("varve epoch bump --drop --accept-loss DIGEST", nil, [0])
    }

    private func cluster() throws -> DrillCluster {
        guard let cluster = state.withLock({ $0.cluster }) else { throw DrillFailure("nothing is built") }
        return cluster
    }

    // MARK: Steps of a page

    /// A node says so, or has said so since it was last started.
    private func see(_ expected: Expectation) async throws {
        let cluster = try cluster()
        let deadline = ContinuousClock.now + Self.symptomLimit
        while true {
            for node in cluster.nodes {
                guard let found = expected.find(in: node.news) else { continue }
                state.withLock { $0.names.merge(found.names) { $1 } }
                return narrator.tell(.seen, "\(node.name): \(found.line)")
            }
            guard ContinuousClock.now < deadline else {
                let said = cluster.nodes.map { "\($0.name): \($0.lastLine)" }.joined(separator: "\n      ")
                throw DrillFailure(
                    "no node says \"\(expected.lines.joined(separator: " "))\"; their last lines:\n      \(said)")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func type(_ script: String, _ expected: Expectation?, _ exitCodes: Set<Int32>) async throws {
        let names = state.withLock { $0.names }
        let typed = names.reduce(script) { $0.replacing($1.key, with: $1.value) }
        let (said, code) = try await run(typed)
        narrator.typed(typed, said, exitCode: code)
        guard exitCodes.contains(code) else {
            let known = exitCodes.sorted().map { "\($0)" }.joined(separator: " or ")
            throw DrillFailure("exit code \(code), where the page has \(known)")
        }
        guard let expected else { return }
        guard let found = expected.match(said) else {
            throw DrillFailure("the page shows what was not seen: \(expected.firstMissing(in: said))")
        }
        state.withLock { $0.names.merge(found) { $1 } }
    }

    /// As the reader's shell would, in a directory with nothing in the way.
    private func run(_ script: String) async throws -> (String, Int32) {
        let cluster = try cluster()
        let bin = try makeTools(cluster)
        var environment = site.environment.filter { !$0.key.hasPrefix("VARVE_") }
        environment["PATH"] = "\(bin):\(environment["PATH"] ?? "/usr/bin:/bin")"
        environment["VARVE_CONFIG"] = cluster.nodes[0].configuration
        environment["VARVE_URL"] = (cluster.nodes.first(where: \.isRunning) ?? cluster.nodes[0]).url
        environment["KAFKA"] = cluster.broker.servers
        environment["STORAGE"] = cluster.storage
        environment["LC_ALL"] = "C.UTF-8"
        let number = state.withLock { state in
            state.scripts += 1
            return state.scripts
        }
        let output = "\(directory)/typed-\(number).txt"
        let shell = try ChildProcess(
            "/bin/sh", ["-eu", "-c", "cd '\(directory)'\n\(script)"], environment: environment, output: output)
        shell.closeInput()
        let deadline = ContinuousClock.now + Self.commandLimit
        while shell.exit == nil {
            guard ContinuousClock.now < deadline else {
                shell.sendToGroup(SIGKILL)
                throw DrillFailure(
                    "\"\(script)\" has not ended after \(Self.commandLimit): \(try TextFile.read(output))")
            }
            do {
                try await Task.sleep(for: .milliseconds(10))
            } catch {
                // Interrupted: what it typed does not go on behind our back.
                shell.sendToGroup(SIGKILL)
                _ = await shell.wait()
                throw error
            }
        }
        guard case .code(let code) = await shell.wait() else { throw DrillFailure("\"\(script)\" was killed") }
        return (try TextFile.read(output), code)
    }

    /// `varve`, and what a Kafka brings along, where the shell finds them.
    private func makeTools(_ cluster: DrillCluster) throws -> String {
        let bin = "\(directory)/bin"
        guard !Directory.isDirectory(bin) else { return bin }
        try Directory.create(bin)
        guard symlink(site.program, "\(bin)/varve") == 0 else {
            throw DrillFailure("\(bin)/varve cannot be made: \(String(cString: strerror(errno)))")
        }
        for (name, script) in cluster.broker.tools {
            try TextFile.write(script, to: "\(bin)/\(name)")
            chmod("\(bin)/\(name)", 0o755)
        }
        return bin
    }

    private func act(_ action: String, _ hands: [String: Hand]) async throws {
        if let hand = hands[action] { return narrator.tell(.byHand, try await hand()) }
        let cluster = try cluster()
        var words = action.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("stop", 2...):
            try await cluster.stopNodes(try names(words[1...]))
            narrator.tell(.byHand, "stopped \(spoken(words[1...]))")
        case ("start", 2...):
            let ended = try await cluster.startNodes(try names(words[1...]))
            guard ended.isEmpty else {
                throw DrillFailure("\(ended[0]) does not start: \(try cluster.node(ended[0]).lastLine)")
            }
            narrator.tell(.byHand, "started \(spoken(words[1...])), ready")
        case ("epoch", 2...):
            let value = words.remove(at: 1)
            guard value == "none" || Int(value) != nil else { fallthrough }
            try cluster.setEpoch(Int(value), of: words.count > 1 ? try names(words[1...]) : nil)
            narrator.tell(
                .byHand,
                "section log of \(words.count > 1 ? words[1] : "every node"): "
                    + (value == "none" ? "the line epoch is gone" : "epoch: \(value)"))
        default:
            let known = hands.keys.sorted() + ["stop nodes", "start nodes", "epoch N", "epoch none"]
            throw DrillFailure("this drill has no hand for \"\(action)\"; it knows \(known.joined(separator: ", "))")
        }
    }

    /// `nodes` are all of them.
    private func names(_ words: ArraySlice<String>) throws -> [String]? { words.first == "nodes" ? nil : Array(words) }

    private func spoken(_ words: ArraySlice<String>) -> String {
        words.first == "nodes" ? "all nodes" : words.joined(separator: ", ")
    }

    // MARK: The end

    private func explained(_ error: any Error) -> String {
        let said = state.withLock { $0.cluster }.map { cluster in
            cluster.nodes.map { "\n      \($0.name): \($0.lastLine)" }.joined()
        }
        return "\(error)" + (error is DrillFailure ? "" : said ?? "")
    }

    private func end() async {
        let (cluster, undo) = state.withLock { ($0.cluster, $0.undo) }
        if site.keeps {
            narrator.tell(.kept, directory)
            let commands = (cluster?.howToStop ?? []) + undo.reversed().map(\.command) + ["rm -r \(directory)"]
            narrator.tell(.kept, "to end it: \(commands.joined(separator: "; "))")
            return
        }
        await cluster?.end()
        for step in undo.reversed() { step.body() }
        ScratchDirectory.remove(directory)
    }
}
