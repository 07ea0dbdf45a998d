// Speaks to the nodes of one cluster as if they were one: any of them answers anything.
//
// Invariants: a submission has one id through every attempt, so however often it is sent it is applied at most once;
// a call goes to another node when one is lost, not ready or overloaded; what a client says did not happen did not
// happen, and what it cannot know it says it cannot know (`UNKNOWN_OUTCOME` with the id).

import Synchronization
public import VarveModel
import VarveWire

public final class Client: Sendable {
    let nodes: [NodeURL]
    let options: ClientOptions
    let transport: Transport

    private struct State {
        /// The node that answered last.
        var preferred = 0
        var wasReached = false
    }

    private let state = Mutex(State())

    /// Throws `BAD_REQUEST` for what is no URL.
    public init(_ options: ClientOptions = ClientOptions()) throws(VarveError) {
        var nodes: [NodeURL] = []
        for url in options.urls { nodes.append(try NodeURL(url)) }
        guard !nodes.isEmpty else { throw VarveError(.badRequest, "a client needs the URL of a node") }
        self.nodes = nodes
        self.options = options
        transport = try Transport(token: options.token)
    }

    /// A client of the same cluster that speaks to one node only.
    package func only(_ url: String) throws(VarveError) -> Client {
        var copy = options
        copy.urls = [url]
        return try Client(copy)
    }

    // MARK: Calls

    /// The answer of the first node that gives one. `take` is given the body as it comes; once it was called there is
    /// no other attempt.
    func perform(
        _ call: Call, take: (@Sendable ([UInt8]) async throws -> Void)? = nil
    ) async throws(CallFailure) -> Reply {
        let deadline = ContinuousClock.now + options.patience
        let start = state.withLock { $0.preferred }
        var mayHaveArrived = false
        var round = Round()
        while true {
            let index = (start + round.attempts) % nodes.count
            let failure: VarveError
            do throws(CallFailure) {
                let reply = try await transport.send(call, to: nodes[index], take: take)
                state.withLock { $0.wasReached = true }
                guard let error = reply.error, error.isWorthAnotherNode else {
                    state.withLock { $0.preferred = index }
                    return reply
                }
                mayHaveArrived = mayHaveArrived || error.code == .unknownOutcome
                failure = error
            } catch {
                if error.isFinal { throw error }
                mayHaveArrived = mayHaveArrived || error.mayHaveArrived
                failure = error.error
            }
            round.attempts += 1
            round.canWait = round.canWait || failure.isWorthWaiting
            guard !Task.isCancelled else { throw CallFailure(failure, mayHaveArrived: mayHaveArrived) }
            guard round.attempts % nodes.count == 0 else { continue }
            let wasReached = state.withLock { $0.wasReached }
            guard wasReached, round.canWait, ContinuousClock.now < deadline else {
                throw CallFailure(unreached(failure), mayHaveArrived: mayHaveArrived)
            }
            options.onWait?(failure)
            try? await Task.sleep(for: round.pause())
        }
    }

    private struct Round {
        var attempts = 0
        var canWait = false
        var pauses = 0

        /// 50 ms, doubling, at most 2 s.
        mutating func pause() -> Duration {
            defer {
                pauses += 1
                canWait = false
            }
            return .milliseconds(min(2000, 50 << min(pauses, 6)))
        }
    }

    private func unreached(_ failure: VarveError) -> VarveError {
        guard failure.code == .nodeUnreachable, nodes.count > 1 else { return failure }
        var error = failure
        error.message = "none of \(nodes.count) nodes answers; the last one: \(failure.message)"
        return error
    }

    /// For calls that may be repeated at will: the reply, or the error that it is.
    func ask(_ call: Call) async throws(VarveError) -> Reply {
        let reply: Reply
        do throws(CallFailure) { reply = try await perform(call) } catch { throw error.error }
        if let error = reply.error { throw error }
        return reply
    }

    func get(_ target: String) async throws(VarveError) -> Reply {
        try await ask(Call(method: "GET", target: target, timeout: options.answerTimeout))
    }
}
