import RdKafka
import Testing
import VarveCore
import VarveIndexing
import VarveKafka
import VarveLog
import VarveModel
import VarveNode
import VarveTestSupport

private let skip = KafkaAvailability.skipReason
private let skipOwn = KafkaAvailability.skipReasonForOwnBroker

/// A topic that is no longer the one that storage belongs to, on a real broker: whatever stands in its place, nothing of
/// it is served, acknowledged or published, and the message says where log and storage stand and which page helps.
@Suite(.serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(5)))
struct IdentityTests {
    enum Damage: String, CaseIterable, Sendable {
        case recreatedEmpty, refilledByStrangers, refilledByAnotherVarve, copiedWithOneRecordChanged, deletedBelow

        var code: ErrorCode {
            switch self {
            case .recreatedEmpty: .logBehind
            case .refilledByStrangers, .refilledByAnotherVarve: .logReplaced
            case .copiedWithOneRecordChanged: .logDiverged
            case .deletedBelow: .logGap
            }
        }
    }

    @Test(arguments: Damage.allCases)
    func aNodeThatStartsRefuses(damage: Damage) async throws {
        let servers = try await KafkaBroker.shared().bootstrapServers
        let database = try Database()
        defer { database.remove() }
        let node = try await database.node("a", at: servers)
        for i in 0..<5 { _ = try await node.put("\(i)") }
        let flushed = try await node.flush(awaitAdoption: true, timeout: .seconds(30)).position
        _ = try await node.put("only in the log")
        await node.stop()
        let before = database.files()
        let end = try await self.damage(database, damage, servers)
        let error = await refusal { await (try database.node("a", at: servers)).stop() }
        #expect(error?.code == damage.code, "\(error.map(String.init(describing:)) ?? "it serves")")
        let message = error?.message ?? ""
        #expect(message.contains("docs/runbooks/log-"))
        #expect(message.contains("\(flushed.offset)"), "\(message) does not say where storage stands")
        #expect(database.files() == before)
        // Nothing was appended to what stands there now.
        #expect(try await range(database, servers).upperBound == end)
        try await delete(database, servers)
    }

    /// - Parameter unseen: the node is cut off until the other log stands there in full length, so that no error and no
    ///   short log tells it anything. Else it sees it happen, and may stop before the log is filled again.
    @Test(
        .disabled(if: skipOwn != nil, "kafka skipped: \(skipOwn ?? "")"),
        arguments: Damage.allCases.filter { $0 != .deletedBelow }, [true, false])
    func aNodeThatRunsStopsBeforeItAppliesOrAcknowledgesAnything(damage: Damage, unseen: Bool) async throws {
        let way = try await Clusters.proxied()
        let servers = way.direct
        let database = try Database()
        defer { database.remove() }
        way.proxy.become(.clear)
        let node = try await database.node("a", at: way.proxied)
        for i in 0..<5 { _ = try await node.put("\(i)") }
        _ = try await node.flush(awaitAdoption: true, timeout: .seconds(30))
        _ = try await node.put("last")
        let applied = try #require(node.status().standing?.applied)
        let before = database.files()
        if unseen { way.proxy.become(.cut) }
        _ = try await self.damage(database, damage, servers)
        way.proxy.become(.clear)
        // Asked again and again: whatever is answered, it is not that a transaction was committed.
        // A refusal may come at once, long before the node has stopped.
        for _ in 0..<600 where node.status().standing?.stopped == nil {
            let error = await refusal { _ = try await node.put("too late", timeout: .seconds(2)) }
            try #require(error != nil, "acknowledged on another log")
            try await Task.sleep(for: .milliseconds(50))
        }
        let stopped = try #require(node.status().standing?.stopped, "goes on with another log")
        // An empty log may have got the record that was on its way: then that stands where the genesis was.
        let isSettled = unseen && damage != .recreatedEmpty
        let codes = isSettled ? [damage.code] : [damage.code, .logBehind, .logMissing, .logReplaced]
        #expect(codes.contains(stopped.code), "\(stopped)")
        #expect("\(stopped)".contains("docs/runbooks/log-"))
        #expect(stopped.message.contains("applied here up to \(applied), in storage up to 0-"))
        #expect(node.status().standing?.applied == applied)
        #expect(database.files() == before)
        // A strict read would have to read its barrier back.
        #expect(await refusal { _ = try await node.read(ReadOptions(isStrict: true, timeout: .seconds(2))) } != nil)
        await node.stop()
        try await delete(database, servers)
    }

    @Test func anIdleTopicWhoseRecordsAllExpiredStartsAndServes() async throws {
        let servers = try await KafkaBroker.shared().bootstrapServers
        let database = try Database()
        defer { database.remove() }
        let node = try await database.node("a", at: servers)
        let first = try await node.put("a")
        _ = try await node.flush(awaitAdoption: true, timeout: .seconds(30))
        let end = try await range(database, servers).upperBound
        let admin = try Admin(RdKafkaSettings(bootstrapServers: servers))
        try await admin.deleteRecords(database.topic, below: end.value, withinMilliseconds: 10_000)
        await admin.close()
        #expect(try await range(database, servers) == end..<end)
        // The node that runs goes on,
        _ = try await node.put("b")
        _ = try await node.flush(awaitAdoption: true, timeout: .seconds(30))
        await node.stop()
        // and one that starts proves the empty range by a barrier.
        let emptied = try Admin(RdKafkaSettings(bootstrapServers: servers))
        try await emptied.deleteRecords(
            database.topic, below: try await range(database, servers).upperBound.value, withinMilliseconds: 10_000)
        await emptied.close()
        let again = try await database.node("b", at: servers)
        #expect(again.status().identity?.contains("barrier") == true)
        _ = try await again.put("c")
        guard case .decided(let decision) = first,
            case .decided(let same)? = try await again.transaction(decision.id, resolve: false, timeout: .seconds(10))
        else {
            Issue.record("forgotten")
            return
        }
        #expect(same == decision)
        await again.stop()
        try await delete(database, servers)
    }

    // MARK: what is done to a topic

    /// Returns where its log ends afterwards.
    private func damage(_ database: Database, _ damage: Damage, _ servers: String) async throws -> Offset {
        let held = try await range(database, servers)
        switch damage {
        case .deletedBelow:
            let admin = try Admin(RdKafkaSettings(bootstrapServers: servers))
            try await admin.deleteRecords(database.topic, below: held.upperBound.value, withinMilliseconds: 10_000)
            await admin.close()
        case .recreatedEmpty: try await recreate(database, servers)
        case .refilledByStrangers:
            try await recreate(database, servers)
            try await fill(database, servers, (0..<held.upperBound.value + 10).map { Bytes("a stranger's \($0)") })
        case .refilledByAnotherVarve:
            let other = try Database()
            defer { other.remove() }
            let node = try await other.node("z", at: servers)
            for i in 0..<held.upperBound.value + 10 { _ = try await node.put("other \(i)") }
            await node.stop()
            let records = try await self.records(other, servers)
            try await delete(other, servers)
            try await recreate(database, servers)
            try await fill(database, servers, records)
        case .copiedWithOneRecordChanged:
            var records = try await self.records(database, servers)
            guard case .record(var changed) = Record.decode(records[3], tag: nil) else { throw Failure("no record") }
            changed.header.writerSequence += 1
            records[3] = changed.encoded()
            try await recreate(database, servers)
            try await fill(database, servers, records)
        }
        return try await range(database, servers).upperBound
    }

    private func recreate(_ database: Database, _ servers: String) async throws {
        try await delete(database, servers)
        try await database.provider(servers).create(.first)
    }

    private func fill(_ database: Database, _ servers: String, _ records: [Bytes]) async throws {
        let log = try await database.provider(servers).open(.first)
        _ = await log.append(records)
        await log.close()
    }

    private func records(_ database: Database, _ servers: String) async throws -> [Bytes] {
        let log = try await database.provider(servers).open(.first)
        let tail = try await log.tail(from: .zero)
        let all = try await tail.entries(Int(try await log.range().upperBound.value)).map(\.bytes)
        await log.close()
        return all
    }

    private func range(_ database: Database, _ servers: String) async throws -> Range<Offset> {
        let log = try await database.provider(servers).open(.first)
        let range = try await log.range()
        await log.close()
        return range
    }

    private func delete(_ database: Database, _ servers: String) async throws {
        let admin = try Admin(RdKafkaSettings(bootstrapServers: servers))
        try await admin.deleteTopic(database.topic, withinMilliseconds: 10_000)
        await admin.close()
    }
}
