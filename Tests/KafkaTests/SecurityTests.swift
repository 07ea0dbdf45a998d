import RdKafka
import Testing
import VarveKafka
import VarveLog
import VarveModel
import VarveTestSupport

private let skip = KafkaAvailability.skipReasonForOwnBroker

/// TLS, users and rights, on a real broker with certificates made for the run. What an operator writes is given as in a
/// configuration: under Java's names.
@Suite(
    .serialized, .disabled(if: skip != nil, "kafka skipped: \(skip ?? "")"), .timeLimit(.minutes(5))
) struct SecurityTests {
    private typealias Security = KafkaSecurity

    // MARK: who gets in

    @Test func everyWayInThatIsDocumentedWritesAndReads() async throws {
        let (security, admin) = try await secured()
        let tls = ["security.protocol": "SSL"]
        let sasl = [
            "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.jaas.config": Security.alice.plainLogin,
        ]
        var ways = [
            (security.saslServers, sasl.merging(["ssl.truststore.location": security.authority]) { $1 }),
            (
                security.saslServers,
                sasl.merging(["ssl.truststore.certificates": try security.contents(security.authority)]) { $1 }
            ),
            (
                security.tlsServers,
                tls.merging([
                    "ssl.truststore.location": security.authority, "ssl.keystore.location": security.client,
                    "ssl.keystore.type": "PEM",
                ]) { $1 }
            ),
            (
                security.tlsServers,
                tls.merging([
                    "ssl.truststore.location": security.authority, "ssl.keystore.location": security.clientStore,
                    "ssl.keystore.password": Security.storePassword,
                ]) { $1 }
            ),
            (
                security.tlsServers,
                tls.merging([
                    "ssl.truststore.location": security.authority,
                    "ssl.keystore.key": try security.contents(security.directory + "/client.key"),
                    "ssl.keystore.certificate.chain": try security.contents(security.directory + "/client.crt"),
                ]) { $1 }
            ),
        ]
        if let store = try security.makeTrustStore() {
            ways.append(
                (
                    security.saslServers,
                    sasl.merging([
                        "ssl.truststore.location": store, "ssl.truststore.password": Security.storePassword,
                        "ssl.truststore.type": "JKS",
                    ]) { $1 }
                ))
        }
        for principal in [Security.alice.principal, Security.certifiedPrincipal] {
            try await admin.grant(rights(principal, [.read, .write, .create, .describeConfigs], "open-"))
        }
        for (number, (servers, properties)) in ways.enumerated() {
            let provider = KafkaLogProvider(try settings(servers, "open-log", properties))
            try await provider.create(.first)
            let log = try await provider.open(.first)
            // Settings were seen: no warning but the one of a single broker.
            #expect(provider.warnings.count == 1, "\(provider.warnings)")
            let first = number * 100
            let all = records(first..<first + 100)
            #expect(await log.append(all).map(\.offset) == (first..<first + 100).map { Int64($0) })
            let tail = try await log.tail(from: Offset(Int64(first)))
            #expect(try await tail.entries(100).map(\.bytes) == all, "\(properties.keys.sorted())")
            await log.close()
        }
        await admin.close()
    }

    /// Each of these is answered at once and never waited for; SCRAM's answer depends on the library.
    @Test func whoIsNotLetInIsDeniedWithTheReason() async throws {
        let (security, admin) = try await secured()
        func refusal(_ mechanism: String, _ login: String) async throws -> VarveError? {
            await error(
                try settings(
                    security.saslServers, "open",
                    [
                        "security.protocol": "SASL_SSL", "sasl.mechanism": mechanism, "sasl.jaas.config": login,
                        "ssl.truststore.location": security.authority,
                    ]))
        }
        let wrong = Security.User(name: "alice", password: "s3cr3t-wrong")
        let denied = try #require(try await refusal("PLAIN", wrong.plainLogin))
        #expect(denied.code == .logDenied && denied.next?.contains("password") == true, "\(denied)")
        #expect(!"\(denied)".contains("s3cr3t"))
        let nobody = Security.User(name: "nobody", password: "s3cr3t-wrong")
        #expect(try await refusal("PLAIN", nobody.plainLogin)?.code == .logDenied)
        let scram = try await refusal("SCRAM-SHA-256", Security.carol.scramLogin)
        if RdKafkaError.speaksSCRAMToKafka4 {
            // She is let in, and has no rights.
            #expect(scram?.message.contains("TOPIC_AUTHORIZATION_FAILED") == true, "\(String(describing: scram))")
        } else {
            #expect(scram?.code == .logDenied)
            #expect(scram?.message.contains("librdkafka \(RdKafkaError.libraryVersion) cannot do SCRAM") == true)
            #expect(scram?.next?.contains("2.6.1") == true)
        }
        await admin.close()
    }

    @Test func aConnectionThatCannotBeTrustedIsUnreachableWithTheReason() async throws {
        let (security, admin) = try await secured()
        let ca = ["security.protocol": "SSL", "ssl.truststore.location": security.authority]
        let cases: [(String, [String: String], String)] = [
            (security.saslServers, ["security.protocol": "SSL"], "certificate verify failed"),
            (
                security.saslServers,
                ["security.protocol": "SSL", "ssl.truststore.location": security.stranger], "certificate verify failed"
            ),
            (security.misnamedServers, ca, "certificate verify failed"),
            (security.tlsServers, ca, "certificate"),
            (security.saslServers, ["client.id": "plain"], "SSL listener"),
        ]
        for (servers, properties, words) in cases {
            let found = await error(try settings(servers, "open", properties))
            #expect(found?.code == .logUnreachable, "\(properties): \(String(describing: found))")
            #expect(found?.message.contains(words) == true, "\(properties): \(String(describing: found))")
        }
        // The nearest healthy one: the same broker, whose name nobody asked to be checked.
        let unchecked = try settings(
            security.misnamedServers, "open", ca.merging(["ssl.endpoint.identification.algorithm": ""]) { $1 })
        #expect(await error(unchecked) == nil)
        await admin.close()
    }

    // MARK: who may do what

    @Test func withoutRightsNothingIsMadeReadOrWritten() async throws {
        let (security, admin) = try await secured()
        let bob = try bobsSettings(security, "closed")
        try await admin.createTopic(
            "closed-e0", replication: 1, configuration: ["message.timestamp.type": "LogAppendTime"],
            withinMilliseconds: 10_000)
        let provider = KafkaLogProvider(bob)
        #expect(await code { _ = try await provider.probe(.first) } == .logDenied)
        #expect(await code { _ = try await provider.open(.first) } == .logDenied)
        #expect(await code { try await provider.create(Epoch(1)!) } == .logDenied)
        // He may read and write, and not make.
        let granted = rights(Security.bob.principal, [.read, .write], "closed-")
        try await admin.grant(granted)
        try await eventually { try await provider.probe(.first) == .present }
        #expect(try await provider.probe(Epoch(1)!) == .missing)
        let denied = await #expect(throws: VarveError.self) { try await provider.create(Epoch(1)!) }
        #expect(denied?.code == .logDenied && denied?.next?.contains("CREATE") == true)
        #expect(try await admin.topic("closed-e1", withinMilliseconds: 5_000) == nil)
        // The right to see settings is not the right to the log: it opens, and says what it could not check.
        let log = try await provider.open(.first)
        #expect(provider.warnings.contains { $0.contains("DESCRIBE_CONFIGS") })
        #expect(await log.append(records(0..<1)).map(\.offset) == [0])
        await log.close()
        try await admin.withdraw(granted)
        await admin.close()
    }

    @Test func aWriterWithoutTheRightIsDefinitelyRefusedAndWritesOnceItIsGranted() async throws {
        let (security, admin) = try await secured()
        let reading = rights(Security.bob.principal, [.read, .describeConfigs], "mute-")
        let writing = rights(Security.bob.principal, [.write], "mute-")
        try await admin.grant(reading)
        try await admin.createTopic(
            "mute-e0", replication: 1, configuration: ["message.timestamp.type": "LogAppendTime"],
            withinMilliseconds: 10_000)
        let provider = KafkaLogProvider(try bobsSettings(security, "mute"))
        try await eventually { (try? await provider.probe(.first)) == .present }
        let log = try await provider.open(.first)
        let tail = try await log.tail(from: .zero)
        // Never granted: the producer does not even get its id.
        for _ in 0..<3 { #expect(await log.append(records(0..<2)).map(\.refusal) == [.logDenied, .logDenied]) }
        #expect(try await log.range() == Offset(0)..<Offset(0))
        try await admin.grant(writing)
        var written = 0
        func writeUntilAccepted() async throws {
            try await eventually {
                let result = await log.append([Bytes("r\(written)")])[0]
                if result.offset != nil { written += 1 }
                #expect(result.offset != nil || result.refusal == .logDenied)
                return result.offset != nil
            }
        }
        try await writeUntilAccepted()
        // Withdrawn while running: refused, nothing of it in the log, and the tail goes on.
        try await admin.withdraw(writing)
        try await eventually {
            let result = await log.append([Bytes("r\(written)")])[0]
            if result.offset != nil { written += 1 }
            return result.refusal == .logDenied
        }
        for _ in 0..<3 { #expect(await log.append([Bytes("refused")])[0].refusal == .logDenied) }
        try await admin.grant(writing)
        try await writeUntilAccepted()
        #expect(try await tail.entries(written).map(\.bytes) == (0..<written).map { Bytes("r\($0)") })
        #expect(try await log.range().upperBound == Offset(Int64(written)))
        await log.close()
        try await admin.withdraw(reading + writing)
        await admin.close()
    }

    @Test func aReaderWhoseRightIsWithdrawnIsDeniedWhileRunning() async throws {
        let (security, admin) = try await secured()
        let granted = rights(Security.bob.principal, [.read, .write], "blind-")
        try await admin.grant(granted)
        try await admin.createTopic(
            "blind-e0", replication: 1, configuration: ["message.timestamp.type": "LogAppendTime"],
            withinMilliseconds: 10_000)
        let provider = KafkaLogProvider(try bobsSettings(security, "blind"))
        try await eventually { (try? await provider.probe(.first)) == .present }
        let log = try await provider.open(.first)
        let tail = try await log.tail(from: .zero)
        _ = await log.append(records(0..<1))
        #expect(try await tail.entries(1).count == 1)
        try await admin.withdraw(granted)
        #expect(await code { while try await tail.next() != nil {} } == .logDenied)
        #expect(await code { _ = try await log.range() } == .logDenied)
        await log.close()
        await admin.close()
    }

    // MARK: support

    private func secured() async throws -> (KafkaSecurity, Admin) {
        let broker = try await KafkaBroker.sharedSecured()
        return (
            try #require(broker.security),
            try Admin(RdKafkaSettings(bootstrapServers: broker.bootstrapServers))
        )
    }

    private func settings(
        _ servers: String, _ topic: String, _ properties: [String: String]
    ) throws -> KafkaLogSettings {
        var settings = KafkaLogSettings(
            bootstrapServers: servers, topic: topic,
            properties: try KafkaProperties(map: properties, bootstrapServers: servers))
        settings.answerMilliseconds = 3_000
        return settings
    }

    private func bobsSettings(_ security: KafkaSecurity, _ topic: String) throws -> KafkaLogSettings {
        try settings(
            security.saslServers, topic,
            [
                "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN",
                "sasl.jaas.config": Security.bob.plainLogin, "ssl.truststore.location": security.authority,
            ])
    }

    private func rights(
        _ principal: String, _ operations: [RdKafkaRight.Operation], _ prefix: String
    ) -> [RdKafkaRight] {
        operations.map { RdKafkaRight(principal, $0, topicPrefix: prefix) }
    }

    /// Of the first question; nil when it is answered.
    private func error(_ settings: KafkaLogSettings) async -> VarveError? {
        do throws(VarveError) {
            _ = try await KafkaLogProvider(settings).probe(.first)
            return nil
        } catch {
            return error
        }
    }

    /// Rights take a moment to reach the broker.
    private func eventually(_ condition: () async throws -> Bool) async throws {
        for _ in 0..<200 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("it never came")
    }
}

extension Admin {
    fileprivate func grant(_ rights: [RdKafkaRight]) async throws {
        try await grant(rights, withinMilliseconds: 10_000)
    }

    fileprivate func withdraw(_ rights: [RdKafkaRight]) async throws {
        try await withdraw(rights, withinMilliseconds: 10_000)
    }
}
