import Foundation
import RdKafka
import Testing
import VarveKafka
import VarveLog
import VarveModel
import VarveNode
import VarveTestSupport

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// A log that is to be moved to where it must not go: one refusal that names the reason, and nothing is changed.
@Suite(
    .serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(3))
) struct UnfitTargetTests {
    enum Flaw: CaseIterable {
        case notEmpty, twoPartitions, createTime, unreachable, withoutRights
    }

    @Test(arguments: Flaw.allCases) func nothingIsChangedByAnUnfitTarget(_ flaw: Flaw) async throws {
        let name = "unfit-\(UInt32.random(in: 0 ... .max))"
        let (target, words) = try await make(flaw, name)
        let database = try Database()
        defer { database.remove() }
        let configuration = Configuration(
            log: .local(LocalLogConfiguration(path: database.directory + "/log")),
            storage: .local(path: database.directory + "/storage"))
        let node = try await Node.start(configuration, clusters: ["k": KafkaLogProvider(target)])
        _ = try await node.put("before")
        _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
        let files = database.files()
        for isRehearsal in [true, false] {
            let found = await refusal {
                _ = try await node.migrate(
                    topic: nil, cluster: "k", isRehearsal: isRehearsal, timeout: .seconds(30))
            }
            // A rehearsal makes nothing, so it cannot see what making would be refused for.
            if isRehearsal, flaw == .withoutRights, found == nil { continue }
            #expect(found?.code == .targetUnfit, "\(flaw): \(String(describing: found))")
            #expect(found?.message.contains(words) == true, "\(flaw): \(String(describing: found))")
            #expect(found?.message.contains("Nothing was changed") == true)
        }
        #expect(database.files() == files)
        #expect(node.status().epoch == .first)
        #expect(try await node.submit(.put(into: "t", ["_id": "after"])).position.epoch == .first)
        await node.stop()
    }

    /// The target, and what the refusal has to say of it.
    private func make(_ flaw: Flaw, _ name: String) async throws -> (KafkaLogSettings, String) {
        let broker = try await KafkaBroker.shared()
        var settings = KafkaLogSettings(
            bootstrapServers: broker.bootstrapServers, topic: name, replicationFactor: 1, allowWeakLog: true)
        settings.answerMilliseconds = 3_000
        let times = ["message.timestamp.type": "LogAppendTime"]
        switch flaw {
        case .notEmpty:
            try await create(name, 1, times, at: broker.bootstrapServers)
            let log = try await KafkaLogProvider(settings).open(Epoch(1)!)
            _ = await log.append([Bytes("somebody's")])
            await log.close()
            return (settings, "\(name)-e1")
        case .twoPartitions:
            try await create(name, 2, times, at: broker.bootstrapServers)
            return (settings, "2 partitions")
        case .createTime:
            try await create(name, 1, [:], at: broker.bootstrapServers)
            return (settings, "CreateTime")
        case .unreachable:
            settings.bootstrapServers = "127.0.0.1:\(try freePorts(1)[0])"
            return (settings, "LOG_UNREACHABLE")
        case .withoutRights:
            let secured = try await KafkaBroker.sharedSecured()
            let security = try #require(secured.security)
            settings.bootstrapServers = security.saslServers
            settings.properties = try KafkaProperties(
                map: [
                    "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN",
                    "sasl.jaas.config": KafkaSecurity.bob.plainLogin, "ssl.truststore.location": security.authority,
                ], bootstrapServers: security.saslServers)
            return (settings, "LOG_DENIED")
        }
    }

    private func create(_ name: String, _ partitions: Int, _ settings: [String: String], at servers: String)
        async throws
    {
        let admin = try Admin(RdKafkaSettings(bootstrapServers: servers))
        try await admin.createTopic(
            "\(name)-e1", replication: 1, partitions: partitions, configuration: settings, withinMilliseconds: 10_000)
        await admin.close()
    }
}
