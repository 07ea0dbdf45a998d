import Testing
import VarveCore
import VarveIndexing
import VarveModel
import VarveNode
import VarveTestSupport

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// Answers that are lost between append and acknowledgement: every submission has one outcome, the same on every node,
/// and no document is there twice or without it.
@Suite(.serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(5)))
struct DefiniteAnswerTests {
    let id = SubmissionID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))

    /// Two nodes of one database: `far` behind a network that a test can spoil, `near` past it.
    private func withNodes(
        _ body: (_ far: Node, _ near: Node, _ way: ProxiedBroker, _ database: Database) async throws -> Void
    ) async throws {
        let way = try await Clusters.proxied()
        let database = try Database()
        defer { database.remove() }
        way.proxy.become(.clear)
        let far = try await database.node("far", at: way.proxied)
        let near = try await database.node("near", at: way.direct)
        // The first submission after a quiet time asks for a barrier; ours shall not.
        _ = try await far.put("first")
        _ = try await near.put("second")
        do {
            try await body(far, near, way, database)
        } catch {
            way.proxy.become(.clear)
            await far.stop()
            await near.stop()
            throw error
        }
        way.proxy.become(.clear)
        await far.stop()
        await near.stop()
    }

    private func decision(_ result: SubmitResult?) throws -> Decision {
        guard case .decided(let decision)? = result else { throw Failure("not decided") }
        return decision
    }

    private func rows(_ node: Node) async throws -> Int {
        let view = try await node.read(ReadOptions(isStrict: true))
        return try view.snapshot.count(try TableName("t"), asOf: view.position)
    }

    @Test func theAnswerIsLostTheNodeDiesAndARetryElsewhereGetsTheFirstOutcome() async throws {
        try await withNodes { (far: Node, near: Node, way: ProxiedBroker, database: Database) async throws in
            way.proxy.become(.deaf)
            let error = await refusal { _ = try await far.put("x", id: id, timeout: .seconds(2)) }
            #expect(error?.code == .unknownOutcome)
            #expect(error?.id == id)
            #expect(error?.expiresAt != nil)
            // It arrived all the same.
            let first = try decision(try await near.put("x", id: id))
            #expect(first.outcome == .committed)
            // The node goes without having heard of it; nothing more of it reaches the log.
            way.proxy.become(.cut)
            await far.stop()
            #expect(try decision(try await near.transaction(id, resolve: true, timeout: .seconds(20))) == first)
            way.proxy.become(.clear)
            let again = try await database.node("far", at: way.proxied)
            #expect(try decision(try await again.put("x", id: id)) == first)
            #expect(try decision(try await again.transaction(id, resolve: false, timeout: .seconds(20))) == first)
            #expect(try await rows(again) == 3)
            await again.stop()
        }
    }

    @Test func theRequestIsHeldUpAndComesAfterTheRetryElsewhere() async throws {
        try await withNodes { (far: Node, near: Node, way: ProxiedBroker, _: Database) async throws in
            way.proxy.become(.still)
            let error = await refusal { _ = try await far.put("x", id: id, timeout: .seconds(2)) }
            #expect(error?.code == .unknownOutcome)
            let first = try decision(try await near.put("x", id: id))
            #expect(first.outcome == .committed)
            way.proxy.become(.clear)
            // What was held up arrives now, is read by both, and changes nothing.
            #expect(try decision(try await far.put("x", id: id)) == first)
            #expect(try await rows(far) == 3)
            #expect(try await rows(near) == 3)
        }
    }

    @Test(arguments: [false, true])
    func theBrokerStandsStillAtThatMomentAndTheOutcomeIsTheSameEverywhere(resolved: Bool) async throws {
        try await withNodes { (far: Node, near: Node, way: ProxiedBroker, _: Database) async throws in
            try way.broker.pause()
            let error = await refusal { _ = try await far.put("x", id: id, timeout: .seconds(2)) }
            #expect([.unknownOutcome, .logUnreachable].contains(error?.code))
            try way.broker.resume()
            let first =
                resolved
                ? try decision(try await near.transaction(id, resolve: true, timeout: .seconds(20)))
                : try decision(try await near.put("x", id: id))
            #expect(try decision(try await far.transaction(id, resolve: true, timeout: .seconds(20))) == first)
            #expect(try decision(try await far.put("x", id: id)) == first)
            #expect(try await rows(far) == (first.outcome == .committed ? 3 : 2))
            #expect([.committed, .cancelled].contains(first.outcome))
        }
    }

    @Test func anIdThatWasResolvedIsCancelledOnEveryNodeForEver() async throws {
        try await withNodes { (far: Node, near: Node, _: ProxiedBroker, _: Database) async throws in
            let first = try decision(try await near.transaction(id, resolve: true, timeout: .seconds(20)))
            #expect(first.outcome == .cancelled)
            #expect(try decision(try await far.put("x", id: id)) == first)
            #expect(try decision(try await far.transaction(id, resolve: true, timeout: .seconds(20))) == first)
            #expect(try await rows(near) == 2)
        }
    }

    /// Two of three copies away: the leader can be read and takes nothing. Purged, cancelled, and decided when they are back.
    ///
    /// The ledger beside it is red with a finite `message.timeout.ms`: records twice, behind later ones.
    @Test func withTooFewReplicasTheOutcomeIsDecidedWhenTheyAreBack() async throws {
        let cluster = try await Clusters.threeBrokers()
        let database = try Database()
        defer { database.remove() }
        let node = try await database.node("a", at: cluster.bootstrapServers)
        let other = try await database.node("b", at: cluster.bootstrapServers)
        _ = try await node.put("first")
        let leader = try await cluster.leader(of: database.topic)
        let followers = cluster.brokers.filter { $0 !== leader }
        let topic = try await Clusters.topic(at: cluster.bootstrapServers).name
        let ledger = try Ledger(cluster.bootstrapServers, topic)
        try ledger.submit(10)
        try await ledger.settle()
        for follower in followers { try follower.pause() }
        async let patient = node.put("x", id: id, timeout: .seconds(60))
        let other1 = SubmissionID(high: id.high, low: id.low &+ 1)
        try await Task.sleep(for: .milliseconds(200))
        let hasty = await refusal { _ = try await node.put("y", id: other1, timeout: .seconds(1)) }
        #expect([.unknownOutcome, .logUnreachable].contains(hasty?.code))
        // Longer than reports are waited for.
        try await ledger.submit(perSecond: 20, seconds: 6)
        for follower in followers { try follower.resume() }
        let first = try decision(try await patient)
        #expect([.committed, .cancelled].contains(first.outcome))
        let second = try decision(try await other.transaction(other1, resolve: true, timeout: .seconds(60)))
        #expect(try decision(try await node.transaction(other1, resolve: true, timeout: .seconds(60))) == second)
        #expect(try decision(try await other.transaction(id, resolve: true, timeout: .seconds(60))) == first)
        let committed = [first, second].filter { $0.outcome == .committed }.count
        #expect(try await rows(other) == 1 + committed)
        #expect(try await rows(node) == 1 + committed)
        await node.stop()
        await other.stop()
        try await ledger.settle()
        #expect(ledger.stored == ledger.submitted)
        #expect(try await ledger.check(cluster.bootstrapServers, topic).count == ledger.submitted)
        await ledger.close()
        try await cluster.waitForBrokers(3)
    }
}
