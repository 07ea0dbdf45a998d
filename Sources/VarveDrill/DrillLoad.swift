// Clients that write while something is done to the cluster, and take no failure for an answer.

import Synchronization

final class DrillLoad: Sendable {
    private let cluster: DrillCluster
    private let clients: Int
    private let isOver = Mutex(false)

    /// Clients prefer one node each, in turn.
    init(_ cluster: DrillCluster, clients: Int) {
        self.cluster = cluster
        self.clients = clients
    }

    /// Writes until `body` is done. Whatever is not acknowledged at the first attempt is thrown.
    /// - Returns: how many documents were acknowledged meanwhile.
    func run(_ body: @escaping @Sendable () async throws -> Void) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<clients { group.addTask { try await self.write(as: client) } }
            group.addTask {
                defer { self.isOver.withLock { $0 = true } }
                try await body()
                return 0
            }
            return try await group.reduce(0, +)
        }
    }

    private func write(as client: Int) async throws -> Int {
        var count = 0
        while !isOver.withLock({ $0 }) {
            try await cluster.write(through: client % cluster.nodes.count)
            count += 1
            try await Task.sleep(for: .milliseconds(10))
        }
        return count
    }
}
