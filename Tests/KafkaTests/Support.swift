import Foundation
import RdKafka
import VarveKafka
import VarveLog
import VarveModel
import VarveNode
import VarveTestSupport

/// Longer variants of the tests of faults.
let isLong = ProcessInfo.processInfo.environment["VARVE_LONG_TESTS"] == "1"

/// Brokers that the suites of this process share, started when first asked for.
enum Clusters {
    private static let three = Task { try await KafkaCluster.start() }
    private static let one = Task {
        // A broker that would make every topic it is asked for.
        try await ProxiedBroker.start(properties: ["auto.create.topics.enable": "true"])
    }

    static func threeBrokers() async throws -> KafkaCluster { try await three.value }
    static func proxied() async throws -> ProxiedBroker { try await one.value }

    /// A fresh topic as a log has it.
    static func topic(at servers: String) async throws -> (name: String, provider: KafkaLogProvider) {
        let name = "t-\(UInt32.random(in: 0 ... .max))"
        let provider = KafkaLogProvider(KafkaLogSettings(bootstrapServers: servers, topic: name))
        try await provider.create(.first)
        return ("\(name)-e0", provider)
    }
}

/// Nodes of one database: a topic and a directory.
final class Database: Sendable {
    let name = "db-\(UInt32.random(in: 0 ... .max))"
    let directory: String

    init() throws {
        directory = NSTemporaryDirectory() + "/varve-kafka-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }

    var topic: String { "\(name)-e0" }

    func provider(_ servers: String, topic: String? = nil) -> KafkaLogProvider {
        KafkaLogProvider(KafkaLogSettings(bootstrapServers: servers, topic: topic ?? name))
    }

    /// A node that serves; throws its refusal.
    func node(_ id: String, at servers: String) async throws -> Node {
        let configuration = Configuration(
            log: .kafka(KafkaLogConfiguration(bootstrapServers: servers, topic: name)),
            storage: .local(path: directory + "/storage"),
            node: NodeConfiguration(id: id, directory: directory + "/" + id))
        return try await Node.start(configuration, log: provider(servers))
    }

    /// Every file of the storage with its size: what a node must not have changed. Heartbeats and claims come and go.
    func files() -> [String] {
        let root = directory + "/storage"
        let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return names.filter { name in
            ["blocks/", "epochs/", "tables/", "FORMAT"].contains { name.hasPrefix($0) }
        }.compactMap { name in
            let attributes = try? FileManager.default.attributesOfItem(atPath: root + "/" + name)
            guard attributes?[.type] as? FileAttributeType == .typeRegular else { return nil }
            return "\(name) \(attributes?[.size] as? Int ?? 0)"
        }.sorted()
    }
}

extension Node {
    func put(_ key: String, id: SubmissionID? = nil, timeout: Duration = .seconds(20)) async throws -> SubmitResult {
        try await submit(.put(into: "t", ["_id": .text(key)]), SubmitOptions(id: id, timeout: timeout))
    }
}

/// What `body` throws, or nil.
func refusal(_ body: () async throws -> Void) async -> VarveError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? VarveError
    }
}

/// Cuts the only segment of a stopped broker's partition to a part of its length, as a power failure would.
func truncateSegment(in directory: String, keeping share: Double) throws {
    let path = directory + "/00000000000000000000.log"
    let file = try FileHandle(forUpdating: URL(filePath: path))
    let length = try file.seekToEnd()
    try file.truncate(atOffset: UInt64(Double(length) * share))
    try file.close()
}

/// Changes one bit of a record's text in the only segment of a stopped broker's partition.
func flip(_ text: String, in directory: String) throws {
    let url = URL(filePath: directory + "/00000000000000000000.log")
    var bytes = try Data(contentsOf: url)
    guard let place = bytes.range(of: Data(text.utf8)) else { throw Failure("\(text) is not in the segment") }
    bytes[place.lowerBound] ^= 1
    try bytes.write(to: url)
}
