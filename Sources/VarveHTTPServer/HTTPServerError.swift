/// Why a server could not start.
package enum HTTPServerError: Error, Equatable, Sendable {
    /// Someone listens there already.
    case addressInUse(host: String, port: UInt16)
    /// The host has no address on this machine, or binding is not allowed; `reason` is the system's.
    case addressUnavailable(host: String, port: UInt16, reason: String)
    /// The library or the system gave no resources.
    case failed(reason: String)
    case alreadyStarted
}

extension HTTPServerError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .addressInUse(let host, let port): "\(host):\(port) is in use by another process"
        case .addressUnavailable(let host, let port, let reason): "cannot listen on \(host):\(port): \(reason)"
        case .failed(let reason): "the HTTP server did not start: \(reason)"
        case .alreadyStarted: "the HTTP server was started before"
        }
    }
}

/// What went wrong with an exchange while a handler was at it.
package enum ExchangeError: Error, Equatable, Sendable {
    /// The connection is closed; nobody will see the answer.
    case clientGone
    /// The body is not the gzip stream that its `Content-Encoding` promises.
    case badEncoding(String)
}

/// A request that the server refuses by itself; the program that embeds it may choose the words of the answer.
package enum Fault: Equatable, Sendable {
    /// Framing that could be read in two ways, header names or a target that are none. The connection is closed.
    case malformed(String)
    case headersTooLarge(limit: Int)
    case bodyTooLarge(limit: Int)
    /// A collected body is not the gzip stream it should be.
    case badEncoding(String)
    /// A content encoding that nobody speaks here, on a body to be decoded.
    case unsupportedEncoding(String)
    /// More requests at once than `maxConcurrentRequests`.
    case overloaded
    /// A streamed answer to HTTP/1.0, where a broken one would look complete.
    case needsHTTP11
    /// The handler's answer cannot be sent (a header with a line break): a defect of the program.
    case badAnswer

    /// The answer that is given where the program names no other.
    package var response: Response {
        switch self {
        case .malformed(let reason): .text(400, "Bad request: \(reason)\n")
        case .headersTooLarge(let limit): .text(431, "The request line and headers exceed \(limit) bytes.\n")
        case .bodyTooLarge(let limit): .text(413, "The body exceeds \(limit) bytes.\n")
        case .badEncoding(let reason): .text(400, "Bad request body: \(reason)\n")
        case .unsupportedEncoding(let name): .text(415, "Content-Encoding \(name) is not supported.\n")
        case .overloaded: .text(503, "Too many requests at once.\n", [("Retry-After", "1")])
        case .needsHTTP11: .text(505, "This answer is streamed and needs HTTP/1.1.\n")
        case .badAnswer: .text(500, "Internal error.\n")
        }
    }
}
