import RdKafka
import Testing
import VarveModel
import VarveTestSupport

@testable import VarveKafka

@Suite struct PreflightTests {
    private let good = [
        "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "retention.ms": "604800000",
        "retention.bytes": "-1", "max.message.bytes": "16777216", "min.insync.replicas": "2",
        "unclean.leader.election.enable": "false", "flush.messages": "9223372036854775807",
    ]
    private let three = Admin.Topic(partitions: 1, replicas: 3, brokers: 3)
    private let one = Admin.Topic(partitions: 1, replicas: 1, brokers: 1)
    private let settings = KafkaLogSettings(bootstrapServers: "b:1", topic: "t")

    private func judge(
        _ topic: Admin.Topic, _ changes: [String: String] = [:], allowWeak: Bool = false
    ) -> KafkaPreflight {
        var settings = settings
        settings.allowWeakLog = allowWeak
        return KafkaPreflight(
            topic, named: "t-e0", configuration: good.merging(changes) { _, change in change }, settings: settings)
    }

    @Test func whatWeMakeOurselvesPasses() {
        for replication in [2, 3, 5] {
            let made = KafkaPreflight.configuration(replication: replication, flushMilliseconds: 4 * 3_600_000)
            let found = KafkaPreflight(
                Admin.Topic(partitions: 1, replicas: replication, brokers: 5), named: "t-e0", configuration: made,
                settings: settings)
            #expect(found.refusal == nil)
            #expect(found.warnings == [])
            #expect(found.messageBytesMax == 16 << 20)
        }
        let alone = KafkaPreflight.configuration(replication: 1, flushMilliseconds: 4 * 3_600_000)
        let found = KafkaPreflight(one, named: "t-e0", configuration: alone, settings: settings)
        #expect(found.refusal == nil)
        #expect(found.warnings.count == 1)
    }

    @Test func aTopicThatIsMadeOutlivesLongFlushDurations() {
        let week: Int64 = 7 * 24 * 3_600_000
        let made = KafkaPreflight.configuration(replication: 1, flushMilliseconds: week)
        #expect(made["retention.ms"] == String(8 * week))
    }

    @Test(arguments: [
        ("message.timestamp.type", "CreateTime"), ("cleanup.policy", "compact"), ("cleanup.policy", "compact,delete"),
    ])
    func whatMakesItNoLogIsRefusedWhateverIsAllowed(key: String, value: String) throws {
        for allowed in [true, false] {
            let refusal = try #require(judge(three, [key: value], allowWeak: allowed).refusal)
            #expect(refusal.code == .logWeak)
            #expect(refusal.message.contains(value) && refusal.message.contains("t-e0"))
        }
    }

    @Test func moreThanOnePartitionIsRefused() throws {
        let refusal = try #require(judge(Admin.Topic(partitions: 4, replicas: 3, brokers: 3)).refusal)
        #expect(refusal.message.contains("4 partitions"))
    }

    @Test func whatMayLoseRecordsIsRefusedUnlessAllowedAndThenWarnedOf() {
        let weak: [(Admin.Topic, [String: String])] = [
            (Admin.Topic(partitions: 1, replicas: 1, brokers: 2), [:]),
            (three, ["min.insync.replicas": "1"]),
            (three, ["retention.ms": String(15 * 3_600_000)]),
        ]
        for (topic, changes) in weak {
            #expect(judge(topic, changes).refusal?.code == .logWeak)
            let allowed = judge(topic, changes, allowWeak: true)
            #expect(allowed.refusal == nil)
            #expect(allowed.warnings.contains { $0.contains("allowWeakLog") })
        }
    }

    @Test func theNearestSafeSettingsPass() {
        #expect(judge(three, ["min.insync.replicas": "1", "flush.messages": "1"]).refusal == nil)
        #expect(judge(Admin.Topic(partitions: 1, replicas: 1, brokers: 2), ["flush.messages": "1"]).refusal == nil)
        #expect(judge(three, ["retention.ms": String(16 * 3_600_000)]).refusal == nil)
        #expect(judge(three, ["retention.ms": "-1"]).warnings == [])
        #expect(judge(one, ["min.insync.replicas": "1"]).refusal == nil)
    }

    @Test func doubtfulSettingsAreWarnedOf() {
        #expect(judge(three, ["unclean.leader.election.enable": "true"]).warnings.count == 1)
        #expect(judge(three, ["retention.ms": String(20 * 3_600_000)]).warnings.count == 1)
        #expect(judge(three, ["retention.bytes": "1000000"]).warnings.count == 1)
        #expect(judge(one).warnings.count == 1)
    }

    @Test func withoutTheRightToSeeSettingsTheLogOpensWithAWarningAndTheDefaultLimit() {
        let found = KafkaPreflight(three, named: "t-e0", configuration: nil, settings: settings)
        #expect(found.refusal == nil)
        #expect(found.warnings.contains { $0.contains("DESCRIBE_CONFIGS") })
        #expect(found.messageBytesMax == 1_048_588)
    }
}
