import Foundation
import RdKafka
import Testing
import VarveClient
import VarveModel
import VarveTestSupport
import VarveWire

/// A record that ends every process that applies it, three nodes that are started again and again, and an operator.
///
/// The record is planted: a debug build of the program dies over the submission that its environment names.
@Suite(.serialized) struct PoisonTests {
    static let program: String? = {
        if VarveProgram.debug == nil { TestReport.note("poison", "skipped: there is no debug build of varve") }
        return VarveProgram.debug
    }()

    private static let poison = SubmissionID(hex: "00000000000000000000000000000bad")!
    private static let other = SubmissionID(hex: "0000000000000000000000000000b0b0")!

    /// - Parameter poisons: what ends each of the nodes.
    private static func nodes(
        in directory: String, _ broker: EmbeddedBroker, _ poisons: [SubmissionID]
    ) throws -> [NodeProcess] {
        let topic = "poison"
        for epoch in 0..<2 { try broker.createTopic("\(topic)-e\(epoch)") }
        let sections = """
            log: !Kafka { bootstrapServers: "\(broker.bootstrapServers)", topic: \(topic) }
            storage: !Local { path: \(directory)/storage }
            """
        return try poisons.enumerated().map { i, poison in
            try NodeProcess(
                "n\(i + 1)", in: directory, sections, program: program ?? "varve",
                environment: ["VARVE_PLANTED_POISON": "\(poison)", "SWIFT_BACKTRACE": "enable=no"])
        }
    }

    /// Three nodes that serve, and a client of the first one.
    private static func withNodes(
        _ poisons: [SubmissionID] = [poison, poison, poison],
        _ body: (_ directory: String, _ nodes: [NodeProcess], _ client: Client) async throws -> Void
    ) async throws {
        let broker = try EmbeddedBroker()
        defer { broker.close() }
        try await withScratch { directory in
            let nodes = try nodes(in: directory, broker, poisons)
            for node in nodes { try await node.startAndWait() }
            try await body(directory, nodes, try Client(ClientOptions(urls: [nodes[0].url], patience: .zero)))
        }
    }

    /// Starts a node again whenever it ends, until it says that it stands before a poison record. Returns how often.
    private static func superviseUntilPoison(_ node: NodeProcess) async throws -> Int {
        let client = try Client(ClientOptions(urls: [node.url], patience: .zero))
        var starts = 0
        for _ in 0..<1_200 {
            if !node.isRunning {
                starts += 1
                try node.start()
            }
            if (try? await client.status())?.error?.error.code == .poison { return starts }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw NodeFailure("\(node.name) does not say POISON within a minute:\n\(node.log.suffix(2_000))")
    }

    private func put(_ id: String, _ client: Client, as submission: SubmissionID? = nil) async throws {
        var transaction = Transaction()
        try transaction.put(into: "t", ["_id": .text(id)])
        _ = try await client.submit(transaction, id: submission)
    }

    private func ids(_ node: NodeProcess) async throws -> String {
        try runProgram(["sql", "SELECT _id FROM t ORDER BY _id", "--format", "ndjson", "--url", node.url]).text
    }

    @Test(.enabled(if: program != nil, "there is no debug build of varve"))
    func aPoisonRecordIsFoundQuarantinedAndSkippedByAllNodesAlike() async throws {
        try await Self.withNodes { directory, nodes, client in
            try await put("a", client)
            _ = try await client.flush()
            try await put("b", client)
            // Its node dies before it can answer, and so do the others.
            await #expect(throws: (any Error).self) { try await put("c", client, as: Self.poison) }
            for node in nodes { #expect(node.waitForEnd() != 0) }
            var position: Position?
            for node in nodes {
                let starts = try await Self.superviseUntilPoison(node)
                // Alone in its batch it is poison at the second end, with others (the client's retry of it, a barrier) one
                // later: the end between finds out which of them it is.
                #expect(starts <= 3, "a poison record is found out, it is no loop")
                let error = try #require(try await node.client.status().error?.error)
                #expect(error.message.contains("\(Self.poison)"))
                position = try #require(
                    error.next?.split(separator: " ").compactMap { Position(String($0)) }.first)
                // It serves what was before.
                #expect(try await ids(node).contains("\"b\"") == true)
            }
            let at = try #require(position)
            await #expect(throws: VarveError.self) { try await put("d", client) }

            try expectRefusals(nodes[0], at)
            try quarantine(nodes[0], at)
            // All go on by themselves, and what is written now comes behind.
            for node in nodes { try await node.waitUntilReady() }
            try await put("e", client, as: Self.other)
            try await expectAgreement(nodes)
            let decision = try #require(try await nodes[1].client.transaction(Self.poison)?.decided)
            #expect(decision.outcome == .aborted && decision.failure?.code == .poison)
            #expect(decision.position == at)
            let again = try runProgram([
                "quarantine", "--position", "\(at)", "--config", nodes[0].configuration,
            ])
            #expect(again.status == 1 && again.text.contains("quarantined already"))

            // From storage alone, and one with an empty directory of its own.
            _ = try await client.flush()
            for node in nodes[1...] { node.stop() }
            try FileManager.default.removeItem(atPath: "\(directory)/n3")
            for node in nodes[1...] { try await node.startAndWait() }
            try await expectAgreement(nodes)
            let log = try runProgram(["log", "verify", "--config", nodes[2].configuration])
            #expect(log.status == 0 && log.text.contains("quarantined, so skipped: \(at)"), "\(log.text)")
            let shown = try runProgram([
                "log", "show", "--from", "\(at)", "--limit", "1", "--config", nodes[0].configuration,
            ])
            #expect(shown.text.contains("quarantined by block 1"), "\(shown.text)")
            #expect(try runProgram(["blocks", "verify", "--config", nodes[0].configuration]).status == 0)
            #expect(try runProgram(["blocks", "list", "--url", nodes[0].url]).text.contains("quarantine"))
            try expectLastWords(nodes[0])
            for node in nodes { #expect(node.stop() == 0, "\(node.name): \(node.log.suffix(2_000))") }
        }
    }

    /// A command that executes a record which ends it: one of a block that another node could make, say.
    private func expectLastWords(_ node: NodeProcess) throws {
        let ended = try runProgram(
            ["log", "verify", "--config", node.configuration],
            ["VARVE_PLANTED_POISON": "\(Self.other)", "SWIFT_BACKTRACE": "enable=no"], program: Self.program)
        #expect(ended.status == 1, "\(ended.text)")
        #expect(ended.text.contains("varve: POISON: this command ended while it executed the record at 0-"))
        #expect(ended.text.contains("if none can: varve quarantine --position 0-"))
    }

    private func expectRefusals(_ node: NodeProcess, _ position: Position) throws {
        let before = try storage(node)
        for (arguments, why) in [
            (["--position", "0-0"], "block 0 holds it"), (["--position", "0-4000"], "holds no record"),
            (["--position", "\(position)", "--confirm", "0123456789abcdef"], "PLAN_STALE"),
        ] {
            let (status, text) = try runProgram(["quarantine", "--config", node.configuration] + arguments)
            #expect(status == 1 && text.contains(why) && text.contains("Nothing was changed"), "\(arguments): \(text)")
        }
        #expect(try storage(node) == before)
    }

    private func quarantine(_ node: NodeProcess, _ position: Position) throws {
        let looked = try runProgram([
            "quarantine", "--position", "\(position)", "--config", node.configuration, "--json",
        ])
        #expect(looked.status == 0, "\(looked.text)")
        let json = try parseJSON(String(looked.text.split(separator: "\n").last ?? ""))
        #expect(json["id"] == .text("\(Self.poison)") && json["published"] == .bool(false))
        #expect(json["standingBefore"] == .array([.text("n1"), .text("n2"), .text("n3")]))
        let digest = try #require(json["confirm"]?.asText)
        let done = try runProgram([
            "quarantine", "--position", "\(position)", "--config", node.configuration, "--confirm", digest,
        ])
        #expect(done.status == 0 && done.text.contains("every node skips it"), "\(done.text)")
    }

    private func expectAgreement(_ nodes: [NodeProcess]) async throws {
        let answers = try await settled(nodes)
        #expect(Set(answers.map { $0.applied?.inputChain }).count == 1)
        #expect(Set(answers.map { $0.applied?.effectChain }).count == 1)
        for node in nodes {
            #expect(try await ids(node) == "{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n{\"_id\":\"e\"}\n", "\(node.name)")
        }
    }

    /// Names of everything in storage but what nodes say of themselves.
    private func storage(_ node: NodeProcess) throws -> [String] {
        let root = "\(node.directory)/storage"
        return try FileManager.default.subpathsOfDirectory(atPath: root)
            .filter { !$0.hasPrefix("nodes") && !$0.hasPrefix("tmp") }.sorted()
    }

    /// Each node ends over another record, so all stand, and none can make a block. What ends the foremost is quarantined: its
    /// block holds the earlier ones, and the others go on behind it.
    @Test(.enabled(if: program != nil, "there is no debug build of varve"))
    func nodesThatStandBeforeDifferentRecordsComeToOneQuarantine() async throws {
        try await Self.withNodes([Self.poison, Self.other, Self.poison]) { directory, nodes, client in
            try await put("a", client)
            await #expect(throws: (any Error).self) { try await put("c", client, as: Self.poison) }
            for node in [nodes[0], nodes[2]] { #expect(node.waitForEnd() != 0) }
            await #expect(throws: (any Error).self) { try await put("d", nodes[1].client, as: Self.other) }
            #expect(nodes[1].waitForEnd() != 0)
            var positions: [Position] = []
            for node in nodes {
                _ = try await Self.superviseUntilPoison(node)
                let error = try #require(try await node.client.status().error?.error)
                positions.append(
                    try #require(error.next?.split(separator: " ").compactMap { Position(String($0)) }.first))
            }
            let (first, last) = (positions[0], positions[1])
            #expect(positions[2] == first && first < last)

            // The first one's id is decided where the second node stands: it has applied it.
            let refused = try runProgram([
                "quarantine", "--position", "\(first)", "--config", nodes[0].configuration,
            ])
            #expect(
                refused.status == 1 && refused.text.contains("n2 applied the record at \(first)"), "\(refused.text)")
            #expect(refused.text.contains("varve quarantine --position \(last) --config"), "\(refused.text)")
            let looked = try runProgram([
                "quarantine", "--position", "\(last)", "--config", nodes[0].configuration, "--json",
            ])
            let json = try parseJSON(String(looked.text.split(separator: "\n").last ?? ""))
            #expect(json["standingBefore"] == .array([.text("n2")]), "\(looked.text)")
            let digest = try #require(json["confirm"]?.asText)
            let done = try runProgram([
                "quarantine", "--position", "\(last)", "--config", nodes[0].configuration, "--confirm", digest,
            ])
            #expect(done.status == 0, "\(done.text)")

            for node in nodes { try await node.waitUntilReady() }
            try await put("e", client)
            _ = try await settled(nodes)
            for node in nodes {
                #expect(try await ids(node) == "{\"_id\":\"a\"}\n{\"_id\":\"c\"}\n{\"_id\":\"e\"}\n", "\(node.name)")
                let decision = try #require(try await node.client.transaction(Self.other)?.decided)
                #expect(decision.outcome == .aborted && decision.failure?.code == .poison)
            }
            for node in nodes { #expect(node.stop() == 0, "\(node.name): \(node.log.suffix(2_000))") }
        }
    }

    /// The same record, but one node can apply it: the others take its block.
    @Test(.enabled(if: program != nil, "there is no debug build of varve"))
    func whatOneNodeCanApplyTheOthersTakeFromItsBlock() async throws {
        try await Self.withNodes { directory, nodes, client in
            try await put("a", client)
            for node in nodes[1...] { node.stop() }
            await #expect(throws: (any Error).self) { try await put("c", client, as: Self.poison) }
            _ = nodes[0].waitForEnd()
            _ = try await Self.superviseUntilPoison(nodes[0])

            // Another version, say: without what ends the others.
            let sound = try NodeProcess(
                "sound", in: directory,
                String(contentsOfFile: nodes[0].configuration, encoding: .utf8)
                    .split(separator: "\n").prefix(2).joined(separator: "\n"))
            try await sound.startAndWait()
            _ = try await sound.client.flush()
            try await nodes[0].waitUntilReady()
            #expect(try await ids(nodes[0]).contains("\"c\""))
            _ = try await settled([nodes[0], sound])
            for node in [nodes[0], sound] { #expect(node.stop() == 0) }
        }
    }
}
