/// Clients that write at a steady rate, whatever comes back: each transaction has a time at which it is due, so one that waits for
/// a pause to end is late by all of it, and those behind it follow at once.
///
/// Every client prefers a node, as `VarveClient` documents: it goes to another one when that is lost, not ready or overloaded. What
/// it throws is a failed request.

internal import Synchronization
internal import VarveClient
internal import VarveModel

final class SteadyLoad: Sendable {
    static let clientsPerNode = 4
    /// Transactions that a client has under way at most.
    static let submittersPerClient = 8

    struct Acknowledged: Sendable {
        /// Microseconds of the system's clock.
        var due: Int64
        var at: Int64
        /// The one its client prefers.
        var node: Int
        var submitter: Int
        var number: Int
        var position: Position
    }

    struct Result: Sendable {
        /// In the order of their times.
        var acknowledged: [Acknowledged] = []
        var failures: [String] = []
        var began: Int64 = 0
    }

    private let urls: [String]
    private let rate: Int
    private let isOver = Atomic<Bool>(false)

    init(_ urls: [String], rate: Int) {
        self.urls = urls
        self.rate = rate
    }

    func end() { isOver.store(true, ordering: .relaxed) }

    /// Until `end()`.
    func run() async throws -> Result {
        let began = WallClock.now
        let count = urls.count * Self.clientsPerNode * Self.submittersPerClient
        var result = Result(began: began)
        try await withThrowingTaskGroup(of: Result.self) { group in
            for number in 0..<(urls.count * Self.clientsPerNode) {
                let node = number % urls.count
                let client = try Client(ClientOptions(urls: urls.indices.map { urls[(node + $0) % urls.count] }))
                for submitter in 0..<Self.submittersPerClient {
                    group.addTask {
                        await self.submit(
                            client, node, number * Self.submittersPerClient + submitter, of: count, since: began)
                    }
                }
            }
            for try await part in group {
                result.acknowledged += part.acknowledged
                result.failures += part.failures
            }
        }
        result.acknowledged.sort { $0.at < $1.at }
        return result
    }

    private func submit(
        _ client: Client, _ node: Int, _ submitter: Int, of count: Int, since began: Int64
    ) async -> Result {
        var result = Result()
        var number = 0
        while !isOver.load(ordering: .relaxed) {
            let due = began + Int64(number * count + submitter) * 1_000_000 / Int64(rate)
            let early = due - WallClock.now
            if early > 0 { try? await Task.sleep(for: .microseconds(early)) }
            do throws(VarveError) {
                var transaction = Transaction()
                try transaction.put(
                    into: "events",
                    [
                        "_id": .text("\(submitter)-\(number)"), "submitter": .integer(Int64(submitter)),
                        "text": .text("what was written at \(due) and is looked for at the end"),
                    ])
                let answer = try await client.submit(transaction)
                if answer.outcome == .committed {
                    result.acknowledged.append(
                        Acknowledged(
                            due: due, at: WallClock.now, node: node, submitter: submitter, number: number,
                            position: answer.position))
                } else {
                    result.failures.append("\(answer.outcome): \(answer.error?.description ?? "")")
                }
            } catch {
                result.failures.append("\(error)")
            }
            number += 1
        }
        return result
    }
}
