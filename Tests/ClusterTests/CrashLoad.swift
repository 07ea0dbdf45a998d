import Synchronization
import Testing
import VarveClient
import VarveModel
import VarveWire

/// Clients that submit one transaction after the other, each again and again under its id until its outcome is known,
/// and remember what was acknowledged; at the end, whether a node holds exactly that.
final class CrashLoad: Sendable {
    static let clientsCount = 6
    /// Documents that each transaction adds; one more is the client's head, which each replaces.
    static let documents = 5

    struct Acknowledged: Sendable {
        let id: SubmissionID
        let client: Int
        let number: Int
        let position: Position
    }

    private let nodes: [NodeProcess]
    private let isOver = Atomic<Bool>(false)
    private let answers = Mutex<(acknowledged: [Acknowledged], refused: Set<SubmissionID>, again: Int, reads: Int)>(
        ([], [], 0, 0))

    init(_ nodes: [NodeProcess]) { self.nodes = nodes }

    var acknowledged: [Acknowledged] { answers.withLock { $0.acknowledged } }
    /// Submissions that were decided, but not committed: cancelled or expired while nodes were away.
    var refusedCount: Int { answers.withLock { $0.refused.count } }
    /// Calls that failed and were made again.
    var againCount: Int { answers.withLock { $0.again } }
    var readsCount: Int { answers.withLock { $0.reads } }

    func end() { isOver.store(true, ordering: .relaxed) }

    /// Until `end()`; every submission that was begun is decided when it returns.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<Self.clientsCount { group.addTask { try await self.submit(as: client) } }
            try await group.waitForAll()
        }
    }

    private func submit(as client: Int) async throws {
        // Each prefers another node and goes on to the next one when that is away.
        let urls = (0..<nodes.count).map { nodes[(client + $0) % nodes.count].url }
        func options(_ urls: [String]) -> ClientOptions {
            ClientOptions(urls: urls, patience: .seconds(1), answerTimeout: .seconds(1))
        }
        let submitter = try Client(options(urls))
        let reader = try Client(options(urls.reversed()))
        var random = SystemRandomNumberGenerator()
        var number = 0
        while !isOver.load(ordering: .relaxed) {
            var transaction = Transaction()
            for i in 0..<Self.documents {
                try transaction.put(
                    into: "events",
                    try parseJSON(
                        #"{"_id":"\#(client)-\#(number)-\#(i)","client":\#(client),"text":"what happened, \#(number)"}"#
                    ))
            }
            try transaction.put(into: "heads", try parseJSON(#"{"_id":\#(client),"number":\#(number)}"#))
            let id = SubmissionID.random(using: &random)
            let answer = try await decided(transaction, id, by: submitter)
            guard answer.outcome == .committed else {
                answers.withLock { _ = $0.refused.insert(id) }
                continue
            }
            answers.withLock {
                $0.acknowledged.append(
                    Acknowledged(id: id, client: client, number: number, position: answer.position))
            }
            // Another node, asked for no less than this write, shows it, or does not answer.
            if number % 8 == 0 {
                do throws(VarveError) {
                    let found = try await reader.get("heads", id: .integer(Int64(client)), after: answer.token)
                    #expect(found != nil, "client \(client) does not see its write \(answer.position)")
                    answers.withLock { $0.reads += 1 }
                } catch {
                    #expect(error.code.isOfANodeThatIsAway, "\(error)")
                }
            }
            number += 1
            // Steady rather than all that goes: a block of some hundred rows every second or two.
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func decided(
        _ transaction: Transaction, _ id: SubmissionID, by client: Client
    ) async throws -> SubmittedTransaction {
        var last: VarveError?
        let patience = ContinuousClock.now + .seconds(180)
        while ContinuousClock.now < patience {
            do throws(VarveError) {
                return try await client.submit(transaction, id: id, timeout: .seconds(2))
            } catch {
                guard error.code.isOfANodeThatIsAway else { throw error }
                last = error
                answers.withLock { $0.again += 1 }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw NodeFailure("submission \(id) was not decided in three minutes: \(last?.description ?? "")")
    }

    // MARK: at the end

    /// That the node holds what was acknowledged, each once and at the position that was answered, and nothing else.
    func expectAll(on node: NodeProcess) async throws {
        let acknowledged = acknowledged
        let client = try node.client

        // As the log decided them.
        var decided: [SubmissionID: Position] = [:]
        var since = Position.zero
        while true {
            let page = try await client.transactions(since: since, limit: 10_000)
            if page.transactions.isEmpty { break }
            for answer in page.transactions {
                guard let decision = answer.decided, decision.outcome == .committed else { continue }
                #expect(decided[answer.id] == nil, "\(answer.id) is listed twice on \(node.name)")
                decided[answer.id] = decision.position
            }
            since = page.next
        }
        let wrong = acknowledged.filter { decided[$0.id] != $0.position }
        #expect(wrong.isEmpty, "on \(node.name): \(wrong.prefix(3)) of \(wrong.count)")
        #expect(decided.count == acknowledged.count, "on \(node.name), which knows of more than was acknowledged")

        // As documents: one scan of them all, which after ten minutes takes longer than a query usually may.
        let scan = QueryRequest(
            "SELECT _id, _version FROM events", read: ReadParameters(timeout: .seconds(540)))
        let rows = try await client.query(scan).rows
        var found: [String: String] = [:]
        for row in rows { found[try #require(row[0].asText)] = try #require(row[1].asText) }
        var expected: [String: String] = [:]
        for one in acknowledged {
            for i in 0..<Self.documents { expected["\(one.client)-\(one.number)-\(i)"] = one.position.description }
        }
        #expect(found.count == rows.count, "a document is there twice on \(node.name)")
        let missing = expected.filter { found[$0.key] != $0.value }
        #expect(
            missing.isEmpty && found.count == expected.count,
            "on \(node.name): \(found.count) of \(expected.count), \(missing.prefix(3))")
        for number in 0..<Self.clientsCount {
            let own = acknowledged.filter { $0.client == number }
            let head = try await client.query("SELECT number, _version FROM heads WHERE _id = \(number)").rows
            let last = own.last.map { [[.integer(Int64($0.number)), .text($0.position.description)]] } ?? [[Value]]()
            #expect(head == last, "head of client \(number) on \(node.name)")
        }
    }
}

extension ErrorCode {
    /// What a client may be told while nodes are killed and paused: to try again, or that nobody knows yet.
    fileprivate var isOfANodeThatIsAway: Bool {
        let all: [ErrorCode] = [
            .unknownOutcome, .nodeUnreachable, .notReady, .overloaded, .logUnreachable, .requestTimeout, .queryTimeout,
        ]
        return all.contains(self)
    }
}
