// The one place that knows the HTTP library.

import VarveHTTPClient
import VarveModel

final class Transport: Sendable {
    private let client: HTTPClient
    private let authorization: [(name: String, value: String)]

    /// Beyond what a node sends unless it is told otherwise.
    private static let answerBytesMax = 300 << 20
    /// A streamed answer may take this long in all.
    private static let streamTimeout = Duration.seconds(3600)

    init(token: String?) throws(VarveError) {
        authorization = token.map { [("Authorization", "Bearer \($0)")] } ?? []
        do throws(HTTPClientError) {
            client = try HTTPClient()
        } catch {
            throw VarveError(.internal, "the HTTP client cannot start: \(error)")
        }
    }

    /// `take` is given the pieces of an answer that is no error; without it the body is in the reply.
    func send(
        _ call: Call, to node: NodeURL, take: (@Sendable ([UInt8]) async throws -> Void)? = nil
    ) async throws(CallFailure) -> Reply {
        var request = HTTPRequest(
            call.method, node.text + call.target, headers: authorization + call.headers,
            body: call.body.isEmpty && call.method == "GET" ? .none : .bytes(call.body), timeout: call.timeout,
            maxAnswerBytes: Self.answerBytesMax)
        guard let take else {
            do throws(HTTPClientError) {
                let response = try await client.send(request)
                return Reply(
                    status: response.status, headers: Self.fields(response.headers), body: response.body, node: node)
            } catch {
                throw Self.failure(error, node)
            }
        }
        request.timeout = Self.streamTimeout
        return try await stream(request, node, take)
    }

    private func stream(
        _ request: HTTPRequest, _ node: NodeURL, _ take: @Sendable ([UInt8]) async throws -> Void
    ) async throws(CallFailure) -> Reply {
        var wasTaken = false
        do {
            let answer = try await client.open(request)
            var reply = Reply(status: answer.status, headers: Self.fields(answer.headers), body: [], node: node)
            while let piece = try await answer.next() {
                if reply.status >= 400 {
                    reply.body += piece
                } else {
                    wasTaken = true
                    try await take(piece)
                }
            }
            return reply
        } catch let error as HTTPClientError {
            var failure = Self.failure(error, node)
            failure.isFinal = wasTaken
            throw failure
        } catch {
            // `take` refused: its reader went away.
            throw CallFailure(
                error: (error as? VarveError) ?? VarveError(.internal, "the answer could not be handed on: \(error)"),
                mayHaveArrived: true, isFinal: true, thrown: error)
        }
    }

    private static func failure(_ error: HTTPClientError, _ node: NodeURL) -> CallFailure {
        switch error {
        case .badRequest(let reason):
            CallFailure(error: VarveError(.badRequest, reason), mayHaveArrived: false, isFinal: true)
        case .answerTooLarge(let limit):
            CallFailure(
                error: VarveError(
                    .resultTooLarge, "the answer of \(node.text) is larger than \(limit) bytes",
                    next: "ask for less, or for rows as lines: --format ndjson"),
                mayHaveArrived: true, isFinal: true)
        default:
            CallFailure(
                error: VarveError(
                    .nodeUnreachable, "\(node.text): \(error)",
                    next: "check that the node runs, and name it with --url or VARVE_URL"),
                mayHaveArrived: !error.wasNotSent)
        }
    }

    private static func fields(_ headers: ResponseHeaders) -> [String: String] {
        Dictionary(headers.all.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}
