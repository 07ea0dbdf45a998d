import Foundation
import Testing
import RdKafka
import VarveClient
import VarveModel
import VarveTestSupport
import VarveWire

/// What an operator or a client does wrong, and what a node process then says and keeps.
@Suite(.serialized) struct EdgeTests {
    func local(_ directory: String, log: String = "log", storage: String = "storage") -> String {
        """
        log: !Local { path: \(directory)/\(log) }
        storage: !Local { path: \(directory)/\(storage) }
        """
    }

    /// Starts a node that must refuse; returns its exit status and what it printed.
    func refusal(_ node: NodeProcess) throws -> (status: Int32, text: String) {
        try node.start()
        return (node.waitForEnd(), node.log)
    }

    @Test func anUnknownKeyIsNamedWithItsLine() async throws {
        try await withScratch { directory in
            let (status, text) = try refusal(NodeProcess("n", in: directory, "lgo: !InMemory"))
            #expect(status == 78)
            #expect(text.contains("CONFIG_INVALID"))
            #expect(text.contains("n.yaml:1"))
        }
    }

    @Test func aTakenPortIsOneClearLine() async throws {
        try await withScratch { directory in
            let first = try NodeProcess("first", in: directory, local(directory))
            try await first.startAndWait()
            let port = first.url.split(separator: ":").last!
            let file = "\(directory)/second.yaml"
            try Data("http: { host: 127.0.0.1, port: \(port) }\n".utf8).write(to: URL(filePath: file))
            let process = Process()
            process.executableURL = URL(filePath: VarveProgram.path)
            process.arguments = ["node", "--config", file]
            let pipe = Pipe()
            process.standardError = pipe
            process.standardOutput = pipe
            try process.run()
            let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 1)
            #expect(text.contains("ADDRESS_IN_USE"))
            #expect(text.contains("\(port)"))
        }
    }

    @Test func aStorageThatIsNoDirectoryIsDenied() async throws {
        try await withScratch { directory in
            try Data("x".utf8).write(to: URL(filePath: "\(directory)/file"))
            let (status, text) = try refusal(NodeProcess("n", in: directory, local(directory, storage: "file")))
            #expect(status == 1)
            #expect(text.contains("STORAGE_DENIED"))
        }
    }

    @Test func aSecondNodeOnTheSameLocalLogIsRefused() async throws {
        try await withScratch { directory in
            let first = try NodeProcess("first", in: directory, local(directory))
            try await first.startAndWait()
            let (status, text) = try refusal(NodeProcess("second", in: directory, local(directory)))
            #expect(status == 1)
            #expect(text.contains("LOG_LOCKED"))
            #expect(try await first.client.readiness() == nil)
        }
    }

    @Test func anUnreachableBrokerIsWaitedForAndNamed() async throws {
        try await withScratch { directory in
            let port = try freePort()
            let node = try NodeProcess(
                "n", in: directory,
                """
                log: !Kafka { bootstrapServers: "127.0.0.1:\(port)", topic: t }
                storage: !Local { path: \(directory)/storage }
                """)
            try node.start()
            let client = try Client(ClientOptions(urls: [node.url], patience: .zero))
            var said: String?
            for _ in 0..<400 where said == nil {
                try await Task.sleep(for: .milliseconds(50))
                said = (try? await client.status())?.error?.error.code.rawValue
            }
            #expect(said == "LOG_UNREACHABLE")
            #expect(node.log.contains("127.0.0.1:\(port)"))
            #expect(await client.readiness() != nil)
            #expect(node.stop() == 0)
        }
    }

    @Test func everythingAcknowledgedIsThereAfterAKill() async throws {
        try await withScratch { directory in
            let node = try NodeProcess("n", in: directory, local(directory))
            try await node.startAndWait()
            let client = try Client(ClientOptions(urls: [node.url], patience: .zero))
            let acknowledged = try await withThrowingTaskGroup(of: [Int].self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        var done: [Int] = []
                        for i in 0..<10_000 {
                            let number = writer * 10_000 + i
                            var transaction = Transaction()
                            try transaction.put(into: "t", ["_id": .integer(Int64(number))])
                            guard (try? await client.submit(transaction)) != nil else { break }
                            done.append(number)
                        }
                        return done
                    }
                }
                group.addTask {
                    try await Task.sleep(for: .milliseconds(700))
                    node.kill()
                    return []
                }
                return try await group.reduce([]) { $0 + $1 }
            }
            #expect(!acknowledged.isEmpty)
            try await node.startAndWait()
            let rows = try await node.client.query("SELECT _id FROM t").rows
            let found = Set(rows.compactMap { $0[0].asInteger })
            let lost = acknowledged.filter { !found.contains(Int64($0)) }
            #expect(lost.isEmpty, "\(lost.count) of \(acknowledged.count) acknowledged are gone")
        }
    }

    @Test func aTerminatedNodeEndsWithZeroAndKeepsEverything() async throws {
        try await withScratch { directory in
            let node = try NodeProcess("n", in: directory, local(directory))
            try await node.startAndWait()
            var transaction = Transaction()
            try transaction.put(into: "t", ["_id": "a", "n": 1])
            let before = try await node.client.submit(transaction)
            #expect(node.stop() == 0)
            try await node.startAndWait()
            #expect(try await node.client.get("t", id: "a", after: before.token) == ["_id": "a", "n": 1])
        }
    }

    @Test(.enabled(if: KafkaAvailability.skipReason == nil, "\(KafkaAvailability.skipReason ?? "")"))
    func foreignBytesInTheTopicAreSkippedAndCounted() async throws {
        let broker = try await KafkaBroker.shared()
        try await withScratch { directory in
            let topic = "varve-foreign-\(UUID().uuidString)"
            let node = try NodeProcess(
                "n", in: directory,
                """
                log: !Kafka { bootstrapServers: "\(broker.bootstrapServers)", topic: \(topic) }
                storage: !Local { path: \(directory)/storage }
                """)
            try await node.startAndWait()
            try await write(["not a record", ""], to: "\(topic)-e0", broker)
            var transaction = Transaction()
            try transaction.put(into: "t", ["_id": "a"])
            let outcome = try await node.client.submit(transaction)
            #expect(outcome.outcome == .committed)
            _ = try await node.client.flush()
            let lines = node.log.split(separator: "\n").filter { $0.contains("foreign record") }
            #expect(lines.count == 1)
            #expect(node.stop() == 0)
            // They are part of the history: a restart reads past them to the same state.
            try await node.startAndWait()
            #expect(try await node.client.get("t", id: "a") == ["_id": "a"])
        }
    }

    private func write(_ texts: [String], to topic: String, _ broker: KafkaBroker) async throws {
        let settings = try RdKafkaSettings(bootstrapServers: broker.bootstrapServers, properties: [:])
        let appender = try Appender(settings, topic: topic, messageBytesMax: 1 << 20, onNotice: { _ in })
        for report in try await appender.append(texts.map { Array($0.utf8) }) {
            guard case .stored = report else { throw NodeFailure("not written: \(report)") }
        }
        await appender.close(withinMilliseconds: 5_000)
    }
}
