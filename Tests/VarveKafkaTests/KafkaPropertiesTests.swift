import Foundation
import RdKafka
import Testing
import VarveModel

@testable import VarveKafka

private let plainLogin =
    "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"s3cr3t-pw\";"

/// What becomes of properties: Java's names and librdkafka's, given and refused, without a broker.
@Suite struct KafkaPropertiesTests {
    private func translated(_ map: [String: String]) throws(VarveError) -> KafkaProperties {
        try KafkaProperties(map: map, bootstrapServers: "b:1")
    }

    private func refusal(_ map: [String: String]) -> String {
        do throws(VarveError) {
            _ = try translated(map)
            return ""
        } catch {
            #expect(error.code == .configInvalid)
            return "\(error)"
        }
    }

    @Test func theExampleOfTheAnchorsDocumentationIsTranslated() throws {
        let found = try translated([
            "sasl.mechanism": "PLAIN", "security.protocol": "SASL_SSL", "sasl.jaas.config": plainLogin,
        ])
        #expect(
            found.values == [
                "sasl.mechanism": "PLAIN", "security.protocol": "sasl_ssl", "sasl.username": "alice",
                "sasl.password": "s3cr3t-pw",
            ])
        #expect(found.warnings == [])
        #expect(found.mechanism == "PLAIN")
    }

    @Test(arguments: [
        ("request.timeout.ms", "20000", ["socket.timeout.ms": "20000"]),
        ("fetch.max.wait.ms", "250", ["fetch.wait.max.ms": "250"]),
        ("max.request.size", "2000000", ["message.max.bytes": "2000000"]),
        ("buffer.memory", "33554432", ["queue.buffering.max.kbytes": "32768"]),
        ("send.buffer.bytes", "-1", ["socket.send.buffer.bytes": "0"]),
        ("receive.buffer.bytes", "65536", ["socket.receive.buffer.bytes": "65536"]),
        ("connections.max.idle.ms", "-1", ["connections.max.idle.ms": "0"]),
        (
            "metadata.max.age.ms", "60000",
            ["metadata.max.age.ms": "60000", "topic.metadata.refresh.interval.ms": "60000"]
        ),
        ("auto.offset.reset", "none", ["auto.offset.reset": "error"]),
        ("linger.ms", " 5 ", ["linger.ms": "5"]),
        ("acks", "-1", ["acks": "-1"]), ("acks", "all", ["acks": "all"]),
        ("enable.idempotence", "true", ["enable.idempotence": "true"]),
        ("max.in.flight.requests.per.connection", "1", ["max.in.flight.requests.per.connection": "1"]),
        ("compression.type", "zstd", ["compression.type": "zstd"]),
        ("client.id", "node 1", ["client.id": "node 1"]),
        ("bootstrap.servers", "b:1", [:]),
    ])
    func namesAreTranslated(name: String, value: String, expected: [String: String]) throws {
        let found = try translated([name: value])
        #expect(found.values == expected)
        #expect(found.warnings == [])
    }

    @Test(arguments: [
        ("acks", "1"), ("acks", "0"), ("enable.idempotence", "false"), ("max.in.flight.requests.per.connection", "5"),
        ("isolation.level", "read_committed"), ("check.crcs", "false"), ("allow.auto.create.topics", "true"),
        ("auto.offset.reset", "earliest"), ("auto.offset.reset", "latest"), ("enable.auto.commit", "true"),
        ("delivery.timeout.ms", "120000"), ("message.timeout.ms", "30000"), ("transactional.id", "t"),
        ("bootstrap.servers", "elsewhere:9092"), ("interceptor.classes", "com.example.I"),
        ("security.providers", "com.example.P"), ("config.providers", "file"), ("sasl.oauthbearer.scope", "x"),
        ("sasl.login.callback.handler.class", "com.example.H"), ("ssl.engine.factory.class", "com.example.E"),
        ("ssl.cipher.suites", "TLS_AES_256_GCM_SHA384"), ("ssl.enabled.protocols", "TLSv1.1,SSLv3"),
        ("ssl.truststore.type", "BCFKS"), ("security.protocol", "SASL_SLL"), ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.mechanism", "AWS_MSK_IAM"), ("sasl.mechanism", "DIGEST-MD5"), ("plugin.library.paths", "evil.so"),
        ("no.such.property", "x"), ("linger.ms", "soon"), ("linger.ms", "99999999"), ("buffer.memory", "lots"),
        ("ssl.endpoint.identification.algorithm", "maybe"), ("retries", "0"),
    ])
    func whatCannotBeHadIsRefusedByName(name: String, value: String) {
        let text = refusal([name: value])
        #expect(text.contains(name), "\(text)")
        if value.count > 4 { #expect(!text.contains(value), "\(text)") }
    }

    @Test func aValueThatCWouldCutShortIsRefused() {
        #expect(refusal(["client.id": "a\0b"]).contains("client.id (propertiesMap): the value holds a NUL character"))
    }

    @Test func allThatIsWrongIsOneMessageWithNamesAndPlacesAndNoValues() throws {
        try withFile("no.such=v4lue-1\nacks=1\n\nsasl.jaas.config=Plain required password=\"v4lue-2\";\n") { path in
            let error = #expect(throws: VarveError.self) {
                try KafkaProperties(
                    map: ["linger.ms": "v4lue-3", "group.id": "fine", "interceptor.classes": "v4lue-4"], file: path,
                    bootstrapServers: "b:1")
            }
            let text = "\(try #require(error))"
            for name in [
                "no.such (kafka.properties:1)", "acks (kafka.properties:2)", "sasl.jaas.config (kafka.properties:4)",
                "linger.ms (propertiesMap)", "interceptor.classes (propertiesMap)", "5 Kafka properties",
            ] { #expect(text.contains(name), "\(text)") }
            #expect(!text.contains("v4lue"), "\(text)")
        }
    }

    /// The second half of a password whose line was broken looks like a name.
    @Test(arguments: ["s3cr3t-pw", "s3cr3t.pw", "  password=\"s3cr3t-pw\";", "\"s3cr3t.pw\"; = x"])
    func aPieceOfASecretThatALineLeftAloneIsNotRepeated(line: String) throws {
        try withFile("security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n\(line)\n") { path in
            let error = #expect(throws: VarveError.self) { try KafkaProperties(file: path, bootstrapServers: "b:1") }
            let text = "\(try #require(error))"
            #expect(text.contains("kafka.properties:3"), "\(text)")
            #expect(!text.contains("s3cr3t"), "\(text)")
        }
    }

    @Test func whatOnlyAJavaClientKnowsIsOneWarningThatNamesAll() throws {
        let found = try translated([
            "key.serializer": "org.apache.kafka.common.serialization.StringSerializer",
            "value.deserializer": "x", "metric.reporters": "com.example.M", "group.id": "g", "max.poll.records": "500",
            "sasl.login.refresh.window.factor": "0.8", "ssl.protocol": "TLSv1.3", "linger.ms": "1",
        ])
        #expect(found.values == ["linger.ms": "1"])
        #expect(
            found.warnings == [
                "these Kafka properties mean something only inside a Java client and are ignored: group.id, "
                    + "key.serializer, max.poll.records, metric.reporters, sasl.login.refresh.window.factor, ssl.protocol, "
                    + "value.deserializer"
            ])
    }

    @Test func theFileOverridesTheMapAndBothOverrideOurDefaults() throws {
        try withFile("linger.ms=7\n") { path in
            let found = try KafkaProperties(
                map: ["linger.ms": "3", "retry.backoff.ms": "200"], file: path, bootstrapServers: "b:1")
            #expect(found.values == ["linger.ms": "7", "retry.backoff.ms": "200"])
        }
    }

    @Test func twoNamesForOneThingMustAgree() throws {
        #expect(try translated(["fetch.max.wait.ms": "5", "fetch.wait.max.ms": "5"]).values.count == 1)
        #expect(
            refusal(["fetch.max.wait.ms": "5", "fetch.wait.max.ms": "6"]).contains(
                "something else than fetch.max.wait.ms"))
    }

    @Test(arguments: [
        (["sasl.mechanism": "PLAIN"], "needs a username"), (["sasl.mechanism": "SCRAM-SHA-256"], "needs a username"),
        (["sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": plainLogin], "goes with sasl.mechanism PLAIN"),
        (["sasl.jaas.config": plainLogin], "PLAIN"),
        (["sasl.mechanism": "PLAIN", "sasl.jaas.config": "x.PlainLoginModule required username=\"a\";"], "password"),
        (
            ["sasl.mechanism": "PLAIN", "sasl.jaas.config": "software.amazon.msk.auth.iam.IAMLoginModule required;"],
            "SCRAM"
        ),
        (
            [
                "sasl.mechanism": "SCRAM-SHA-256",
                "sasl.jaas.config": "x.ScramLoginModule required tokenauth=true username=\"a\" password=\"b\";",
            ], "tokenauth"
        ),
    ])
    func aLoginThatCannotWorkIsRefused(map: [String: String], word: String) {
        let text = refusal(map.merging(["security.protocol": "SASL_SSL"]) { given, _ in given })
        #expect(text.contains("sasl.jaas.config"), "\(text)")
        #expect(!text.contains("s3cr3t"), "\(text)")
        #expect(text.contains(word), "\(text)")
    }

    @Test func scramAndKerberosAreTranslated() throws {
        let scram = try translated([
            "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required username='carol' password='x';",
        ])
        #expect(scram.values["sasl.mechanism"] == "SCRAM-SHA-512")
        #expect(scram.values["sasl.username"] == "carol" && scram.values["sasl.password"] == "x")
    }

    @Test(arguments: [
        (
            ["security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.jaas.config": plainLogin],
            "SASL_PLAINTEXT"
        ),
        (["sasl.mechanism": "PLAIN", "sasl.jaas.config": plainLogin], "sasl.* is not used"),
        (["ssl.endpoint.identification.algorithm": "", "security.protocol": "SSL"], "host names are not checked"),
        (["enable.ssl.certificate.verification": "false", "security.protocol": "SSL"], "pose as the broker"),
    ])
    func whatIsUnsafeIsWarnedOf(map: [String: String], words: String) throws {
        let found = try translated(map)
        #expect(found.warnings.count == 1)
        #expect(found.warnings.first?.contains(words) == true, "\(found.warnings)")
        #expect(!found.warnings.joined().contains("s3cr3t"))
    }

    @Test func noPrintOfThemHoldsAValue() throws {
        let found = try translated([
            "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.jaas.config": plainLogin,
        ])
        var text = ""
        dump(found, to: &text)
        let settings = KafkaLogSettings(bootstrapServers: "b:1", topic: "t", properties: found)
        dump(settings, to: &text)
        dump(try found.client("b:1"), to: &text)
        text +=
            "\(found) \(String(reflecting: found)) \(settings) \(String(reflecting: settings)) \(try found.client("b:1"))"
        #expect(text.contains("sasl.password") && !text.contains("s3cr3t"), "\(text)")
    }

    // MARK: stores

    @Test func aStoreThatOnlyJavaReadsSaysHowToConvertIt() throws {
        for name in ["ssl.truststore.location", "ssl.keystore.location"] {
            try withFile(named: "store.jks", [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]) { path in
                let text = refusal([name: path, "security.protocol": "SSL"])
                #expect(text.contains(name) && text.contains("keytool -importkeystore"), "\(text)")
                #expect(text.contains("-destkeystore \(path.dropLast(4)).p12"), "\(text)")
            }
        }
    }

    @Test func aStoreThatIsNoneOrNotThereIsRefused() throws {
        #expect(refusal(["ssl.truststore.location": "/no/such/file"]).contains("No such file"))
        try withFile(named: "x.pem", Array("hello - world".utf8)) { path in
            #expect(refusal(["ssl.truststore.location": path]).contains("neither PEM nor PKCS #12"))
        }
        try withFile(named: "x.pem", Array("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n".utf8)) {
            let text = refusal(["ssl.truststore.location": $0, "security.protocol": "SSL"])
            #expect(text.hasPrefix("CONFIG_INVALID"), "\(text)")
        }
        try withFile(named: "x.p12", [0x30, 0x82, 1, 0, 0x02, 0x01, 0x03, 0x30, 0, 0, 0]) { path in
            #expect(refusal(["ssl.truststore.location": path]).contains("ssl.truststore.password: is missing"))
            let text = refusal([
                "ssl.truststore.location": path, "ssl.truststore.password": "s3cr3t", "security.protocol": "SSL",
            ])
            #expect(text.hasPrefix("CONFIG_INVALID") && !text.contains("s3cr3t"), "\(text)")
        }
    }

    @Test func aFileThatCannotBeReadIsSaid() throws {
        #expect { try KafkaProperties(file: "/no/such/kafka.properties", bootstrapServers: "b:1") } throws: {
            "\($0)".contains("/no/such/kafka.properties cannot be read: No such file")
        }
        try withFile("a=1\nsasl.password=\\u00zz\n") { path in
            #expect { try KafkaProperties(file: path, bootstrapServers: "b:1") } throws: {
                "\($0)".contains("kafka.properties:2") && !"\($0)".contains("zz")
            }
        }
    }

    // MARK: support

    private func withFile(_ text: String, _ body: (String) throws -> Void) throws {
        try withFile(named: "kafka.properties", Array(text.utf8), body)
    }

    private func withFile(named name: String, _ bytes: [UInt8], _ body: (String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "varve-properties-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try Data(bytes).write(to: directory.appending(path: name))
        try body(directory.appending(path: name).path)
    }
}
