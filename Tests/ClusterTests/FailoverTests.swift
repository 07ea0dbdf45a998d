import Testing
import VarveClient
import VarveHTTPClient
import VarveModel
import VarveTestSupport
import VarveWire

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// A process killed between its append and its acknowledgement, on a real broker: the client goes to another node with the
/// same id, gets the first outcome, and the transaction is applied once.
@Suite(.serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(3)))
struct FailoverTests {
    let id = SubmissionID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))

    /// One broker for all of these tests; each has a topic of its own.
    private static let broker = Task { try await ProxiedBroker.start() }

    /// Two processes of one database: `far` reaches the broker through a network that a test can spoil, `near` past it.
    private func withNodes(
        _ body: (_ far: NodeProcess, _ near: NodeProcess, _ way: ProxiedBroker) async throws -> Void
    ) async throws {
        let way = try await Self.broker.value
        way.proxy.become(.clear)
        try await withScratch { directory in
            let topic = "failover-\(id)"
            func node(_ name: String, _ servers: String) throws -> NodeProcess {
                try NodeProcess(
                    name, in: directory,
                    """
                    log: !Kafka { bootstrapServers: "\(servers)", topic: \(topic) }
                    storage: !Local { path: \(directory)/storage }
                    """)
            }
            let far = try node("far", way.proxied)
            let near = try node("near", way.direct)
            try await far.startAndWait()
            try await near.startAndWait()
            let before = try await batchesReported(to: far)
            _ = try await far.client.submit(put("before"))
            // It is answered when it is read back, which may be before its report: and one request is in flight at a time.
            while try await batchesReported(to: far) == before { try await Task.sleep(for: .milliseconds(20)) }
            try await body(far, near, way)
            far.kill()
            near.kill()
        }
    }

    private func batchesReported(to node: NodeProcess) async throws -> Double {
        let client = try HTTPClient()
        let answer = try await client.send(HTTPRequest("GET", node.url + "/metrics"))
        let name = "varve_append_seconds_count "
        let line = String(decoding: answer.body, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name) }
        return try #require(line.flatMap { Double($0.dropFirst(name.count)) })
    }

    private func put(_ key: String) throws -> Transaction {
        let document = #"{"_id":"\#(key)","n":1}"#
        return Transaction([.put(try TableName("t"), [try scanDocument(Bytes(document))])])
    }

    /// Versions of the document, on one node: more than one says that it was applied twice.
    private func versions(_ node: NodeProcess) async throws -> Int {
        guard let key = Key("x") else { return 0 }
        return try await node.client.history("t", key).versions.count
    }

    /// Answers do not pass: the record is in the log, and the process that sent it never learns that. Then it is killed.
    ///
    /// Red when a node applies an id again that it has decided: two versions, and another position.
    @Test func aClientWhoseNodeIsKilledBeforeItsAnswerGetsTheFirstOutcomeElsewhere() async throws {
        try await withNodes { far, near, way in
            way.proxy.become(.deaf)
            let client = try Client(ClientOptions(urls: [far.url, near.url]))
            let transaction = try put("x")
            async let answer = client.submit(transaction, id: id, timeout: .seconds(60))
            // The other node reads it: it is appended, and acknowledged to nobody.
            var first: TransactionAnswer?
            for _ in 0..<600 where first?.decided == nil {
                first = try await near.client.transaction(id)
                try await Task.sleep(for: .milliseconds(20))
            }
            let decided = try #require(first?.decided, "the record never came")
            far.kill()
            let outcome = try await answer
            #expect(outcome.outcome == .committed)
            #expect(outcome.position == decided.position)
            #expect(try await near.client.transaction(id, resolve: true)?.decided?.position == decided.position)
            #expect(try await versions(near) == 1)
            // The killed one, back, says the same.
            way.proxy.become(.clear)
            try await far.startAndWait()
            #expect(try await far.client.submit(transaction, id: id).position == decided.position)
            #expect(try await far.client.transaction(id, resolve: true)?.decided?.position == decided.position)
            #expect(try await versions(far) == 1)
        }
    }

    /// The broker stands still while the record is on its way; the process is killed; the broker goes on.
    @Test func aNodeKilledWhileTheBrokerStandsStillLeavesOneOutcomeForAll() async throws {
        try await withNodes { far, near, way in
            try way.broker.pause()
            let client = try Client(ClientOptions(urls: [far.url, near.url]))
            let transaction = try put("x")
            async let answer = client.submit(transaction, id: id, timeout: .seconds(60))
            // Long enough for the record to leave the process; the broker reads it, or not, when it goes on.
            try await Task.sleep(for: .milliseconds(500))
            far.kill()
            try await Task.sleep(for: .milliseconds(500))
            try way.broker.resume()
            let outcome = try await answer
            #expect(outcome.outcome == .committed)
            let resolved = try #require(try await near.client.transaction(id, resolve: true)?.decided)
            #expect(resolved.position == outcome.position)
            try await far.startAndWait()
            #expect(try await far.client.transaction(id, resolve: true)?.decided?.position == outcome.position)
            #expect(try await far.client.submit(transaction, id: id).position == outcome.position)
            #expect(try await versions(far) == 1)
            #expect(try await versions(near) == 1)
        }
    }

    /// Nobody waits for the answer any more: asked with `resolve=true`, every node gives the same one, and it stays.
    @Test func anIdThatIsResolvedOverHTTPHasOneOutcomeOnEveryNode() async throws {
        try await withNodes { far, near, way in
            way.proxy.become(.still)
            let client = try Client(ClientOptions(urls: [far.url], patience: .zero))
            let transaction = try put("x")
            var code: ErrorCode?
            do {
                _ = try await client.submit(transaction, id: id, timeout: .seconds(2))
            } catch let error as VarveError { code = error.code }
            #expect([.unknownOutcome, .logUnreachable].contains(code))
            let resolved = try #require(try await near.client.transaction(id, resolve: true)?.decided)
            #expect(resolved.outcome == .cancelled)
            // What was held up comes now, behind its cancel.
            way.proxy.become(.clear)
            #expect(try await far.client.transaction(id, resolve: true)?.decided?.position == resolved.position)
            #expect(try await far.client.submit(transaction, id: id).position == resolved.position)
            #expect(try await versions(near) == 0)
            #expect(try await versions(far) == 0)
        }
    }
}
