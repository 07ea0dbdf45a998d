/// Why a request has no answer. What a caller may do next depends on whether the server can have seen it.
package enum HTTPClientError: Error, Equatable, Sendable {
    /// Nothing of the request was sent: it is safe to ask another node.
    case couldNotConnect(String)
    /// The request was sent, in whole or in part, and no complete answer came in time.
    case timedOut
    /// The connection broke after the request had begun: its outcome is unknown.
    case brokenOff(String)
    /// The answer is longer than the request allows.
    case answerTooLarge(limit: Int)
    /// The body's source threw.
    case bodyFailed(String)
    /// The task that waited was cancelled, or the client was closed.
    case cancelled
    /// The URL or a header is none.
    case badRequest(String)

    /// The server cannot have seen the request.
    package var wasNotSent: Bool {
        switch self {
        case .couldNotConnect, .badRequest: true
        default: false
        }
    }
}

extension HTTPClientError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .couldNotConnect(let reason): "could not connect: \(reason)"
        case .timedOut: "no answer in time"
        case .brokenOff(let reason): "the connection broke off: \(reason)"
        case .answerTooLarge(let limit): "the answer exceeds \(limit) bytes"
        case .bodyFailed(let reason): "the request's body could not be read: \(reason)"
        case .cancelled: "cancelled"
        case .badRequest(let reason): "not a request: \(reason)"
        }
    }
}
