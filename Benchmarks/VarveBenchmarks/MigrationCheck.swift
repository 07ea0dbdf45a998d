/// After all migrations: every node holds every acknowledged document, at the position that was answered and so once, and nothing
/// else; and all have the same chains.

internal import VarveClient
internal import VarveModel
internal import VarveWire

struct MigrationCheck {
    struct Result {
        var documents = 0
        /// Acknowledged and not there, or there at another position; over all nodes.
        var missing = 0
        /// There and never acknowledged, or there twice.
        var surplus = 0
        var chainsAgree = false
    }

    private let clients: [Client]

    init(_ urls: [String]) throws {
        clients = try urls.map { try Client(ClientOptions(urls: [$0], answerTimeout: .seconds(120))) }
    }

    func run(_ acknowledged: [SteadyLoad.Acknowledged]) async throws -> Result {
        var result = Result(documents: acknowledged.count)
        result.chainsAgree = try await settled()
        var expected: [String: String] = [:]
        for one in acknowledged { expected["\(one.submitter)-\(one.number)"] = one.position.description }
        for client in clients {
            let request = QueryRequest(
                "SELECT _id, _version FROM events", read: ReadParameters(timeout: .seconds(300)))
            let rows = try await client.query(request).rows
            var found: [String: String] = [:]
            for row in rows {
                guard let id = row[0].asText, let version = row[1].asText else { continue }
                if found.updateValue(version, forKey: id) != nil || expected[id] == nil { result.surplus += 1 }
            }
            result.missing += expected.count { found[$0.key] != $0.value }
        }
        return result
    }

    /// Waits until all stand at one position, and compares what they have there.
    private func settled() async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            var applied: [StatusAnswer.Applied?] = []
            for client in clients { applied.append(try await client.status().applied) }
            if let first = applied.first, first != nil, Set(applied.map { $0?.position }).count == 1 {
                return applied.allSatisfy {
                    $0?.inputChain == first?.inputChain && $0?.effectChain == first?.effectChain
                }
            }
            guard ContinuousClock.now < deadline else { throw Fault("the nodes did not come to one position in 60 s") }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
