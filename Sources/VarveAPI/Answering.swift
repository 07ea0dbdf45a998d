/// Answers in their outer form: JSON, problems, and the headers every read has.

package import VarveHTTPServer
package import VarveModel
import VarveNode
import VarveWire

typealias Headers = [(name: String, value: String)]

extension Response {
    static func json(status: Int = 200, _ body: [UInt8], _ headers: Headers = []) -> Response {
        Response(status: status, headers: [("Content-Type", "application/json")] + headers, body: body)
    }

    static func json(status: Int = 200, _ value: Value, _ headers: Headers = []) -> Response {
        json(status: status, value.jsonBytes, headers)
    }

    static func problem(_ error: VarveError, _ headers: Headers = []) -> Response {
        let problem = Problem(error)
        var headers = [("Content-Type", Problem.contentType)] + headers
        switch problem.status {
        case 401: headers.append(("WWW-Authenticate", "Bearer"))
        case 503: headers.append(("Retry-After", retryAfterSeconds(error.code)))
        default: break
        }
        return Response(status: problem.status, headers: headers, body: problem.json.jsonBytes)
    }

    /// Load and starting pass quickly; what stopped a node needs a person.
    private static func retryAfterSeconds(_ code: ErrorCode) -> String {
        switch code {
        case .overloaded, .notReady, .logUnreachable, .storageUnreachable: "1"
        case .storageFull: "10"
        default: "30"
        }
    }
}

/// What the server refuses by itself, in the form of everything else.
package func faultError(_ fault: Fault) -> VarveError {
    switch fault {
    case .malformed(let reason): VarveError(.badRequest, reason)
    case .headersTooLarge(let limit):
        VarveError(.headersTooLarge, "the request line and headers exceed \(limit) bytes (http.maxHeaderBytes)")
    case .bodyTooLarge(let limit):
        VarveError(
            .oversize, "the body exceeds \(limit) bytes (http.maxBodyBytes). Nothing was written",
            next: "send less at once; rows of any number go to POST /v1/tables/{table}/rows")
    case .badEncoding(let reason): VarveError(.badRequest, "the body is no gzip: \(reason). Nothing was written")
    case .unsupportedEncoding(let name):
        VarveError(.unsupportedMediaType, "Content-Encoding \(name) is not supported; gzip is")
    case .overloaded:
        VarveError(
            .overloaded, "more requests at once than http.maxConcurrentRequests. Nothing was written",
            next: "retry later")
    case .needsHTTP11: VarveError(.badRequest, "this answer is streamed and needs HTTP/1.1")
    case .badAnswer: VarveError(.internal, "the answer could not be sent")
    }
}

extension ReadView {
    var headers: Headers {
        var headers: Headers = [
            (WireHeader.position, position.description), (WireHeader.token, token.description),
            (WireHeader.age, String(ageMs)),
        ]
        if let asOf { headers.append((WireHeader.asOf, asOf.description)) }
        return headers
    }
}

/// Query parameters of one request, checked against what the route takes.
struct Parameters {
    private let items: [QueryItem]

    init(_ head: Head, _ route: Route) throws(VarveError) {
        items = head.query ?? []
        if items.isEmpty { return }
        var seen: Set<String> = []
        for item in items {
            guard route.parameters.contains(item.name) else {
                throw VarveError(.badRequest, "unknown query parameter \"\(item.name)\"", at: "?" + item.name)
            }
            guard seen.insert(item.name).inserted else {
                throw VarveError(.badRequest, "\(item.name) is given twice", at: "?" + item.name)
            }
        }
    }

    subscript(name: String) -> String? { items.first { $0.name == name }?.value }

    var pairs: [(name: String, value: String)] { items.map { ($0.name, $0.value) } }

    func flag(_ name: String) throws(VarveError) -> Bool {
        switch self[name] {
        case nil, "false": return false
        case "true": return true
        default: throw VarveError(.badRequest, "\(name) must be true or false", at: "?" + name)
        }
    }

    func integer(_ name: String, _ range: ClosedRange<Int>) throws(VarveError) -> Int? {
        guard let text = self[name] else { return nil }
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
            range.contains(number)
        else {
            throw VarveError(
                .badRequest, "\(name) must be an integer from \(range.lowerBound) to \(range.upperBound)",
                at: "?" + name)
        }
        return number
    }

    func timeout(_ most: Duration = ReadParameters.timeoutMax) throws(VarveError) -> Duration? {
        guard let text = self["timeout"] else { return nil }
        return try checkedTimeout(text, most: most, at: "?timeout")
    }
}
