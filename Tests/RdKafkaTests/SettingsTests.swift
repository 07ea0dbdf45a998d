import RdKafka
import Testing

@Suite struct SettingsTests {
    @Test func theUsersOwnPropertiesPass() throws {
        let settings = try RdKafkaSettings(
            bootstrapServers: "127.0.0.1:9092",
            properties: ["client.id": "a", "compression.type": "lz4", "linger.ms": "2", "acks": "all"])
        #expect(settings.properties["linger.ms"] == "2")
    }

    @Test(arguments: [
        ("message.timeout.ms", "30000"), ("acks", "1"), ("enable.idempotence", "false"), ("check.crcs", "false"),
        ("max.in.flight.requests.per.connection", "5"), ("isolation.level", "read_committed"),
        ("allow.auto.create.topics", "true"), ("auto.offset.reset", "earliest"), ("transactional.id", "x"),
        ("delivery.timeout.ms", "1000"), ("no.such.property", "1"), ("linger.ms", "soon"),
        ("bootstrap.servers", "elsewhere:9092"),
    ])
    func whatDecidesCorrectnessIsNotTheUsers(name: String, value: String) {
        #expect {
            try RdKafkaSettings(bootstrapServers: "127.0.0.1:9092", properties: [name: value])
        } throws: {
            ($0 as? RdKafkaError)?.message.contains(name) == true
        }
    }

    @Test func oneErrorNamesAllBadPropertiesAndNoValue() {
        #expect {
            try RdKafkaSettings(
                bootstrapServers: "127.0.0.1:9092", properties: ["no.such": "secret", "acks": "0", "linger.ms": "pw"])
        } throws: {
            let text = ($0 as? RdKafkaError)?.message ?? ""
            return text.contains("no.such") && text.contains("acks") && text.contains("linger.ms")
                && !text.contains("secret") && !text.contains("pw")
        }
    }

    @Test(arguments: ["", " ", ","])
    func noServersAreRefused(servers: String) {
        #expect(throws: RdKafkaError.self) { try RdKafkaSettings(bootstrapServers: servers) }
    }
}
