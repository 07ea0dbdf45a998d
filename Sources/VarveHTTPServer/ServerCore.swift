// What the library's callbacks share: options, the program's functions, open connections, and the first look at each
// request.

import CVarveMicroHTTPD
import Synchronization

final class ServerCore: Sendable {
    let options: HTTPServer.Options
    let faultResponse: @Sendable (Fault, Head?) -> Response
    let admit: @Sendable (Head) -> Admission
    let handler: @Sendable (Exchange) async -> Response

    let links = Mutex<[ObjectIdentifier: Link]>([:])
    let inFlight = Atomic(0)
    /// Every answer says `Connection: close`.
    let isStopping = Atomic(false)
    /// No request is begun any more.
    let isAborting = Atomic(false)

    let headerNanoseconds: UInt64
    let idleNanoseconds: UInt64

    init(
        _ options: HTTPServer.Options, faultResponse: @escaping @Sendable (Fault, Head?) -> Response,
        admit: @escaping @Sendable (Head) -> Admission, handler: @escaping @Sendable (Exchange) async -> Response
    ) {
        self.options = options
        self.faultResponse = faultResponse
        self.admit = admit
        self.handler = handler
        headerNanoseconds = Clock.nanoseconds(options.headerTimeout)
        idleNanoseconds = Clock.nanoseconds(options.idleTimeout)
    }

    /// The first call for a request: its header is complete, its body is not touched.
    func begin(_ call: Call, _ connection: OpaquePointer, method: String, version: String) -> MHD_Result {
        call.link.headerComplete()
        if isAborting.load(ordering: .acquiring) { return .NO }

        let headers = Self.headers(of: connection)
        let httpVersion: Head.Version
        switch version {
        case "HTTP/1.1": httpVersion = .http11
        case "HTTP/1.0": httpVersion = .http10
        default: return refuse(.malformed("the version is neither HTTP/1.1 nor HTTP/1.0"), nil, connection)
        }
        if call.isCut { return refuse(.malformed("the request line has a NUL byte"), nil, connection) }
        let length: FramingGuard.Length
        switch FramingGuard.check(headers, version: httpVersion, method: method) {
        case .success(let value): length = value
        case .failure(let malformed): return refuse(.malformed(malformed.reason), nil, connection)
        }
        let wireBytes = headers.wireBytes + method.utf8.count + call.target.count + version.utf8.count + 4
        guard wireBytes <= options.maxHeaderBytes else {
            return refuse(.headersTooLarge(limit: options.maxHeaderBytes), nil, connection)
        }
        let head = Head(method: method, rawTarget: call.target, headers: headers, version: httpVersion)

        let mode: Exchange.Mode
        var expectedBytes = 0
        switch admit(head) {
        case .refuse(let response):
            return answer(response, connection, close: length != .known(0))
        case .collect(let maxBytes, let gzip):
            if case .known(let bytes) = length {
                guard bytes <= maxBytes else { return refuse(.bodyTooLarge(limit: maxBytes), head, connection) }
                expectedBytes = bytes
            }
            guard let decodes = decodes(headers, gzip) else { return unsupportedEncoding(head, connection) }
            mode = .collect(maxBytes: maxBytes, gzip: decodes)
        case .stream(let gzip):
            guard let decodes = decodes(headers, gzip) else { return unsupportedEncoding(head, connection) }
            mode = .stream(gzip: decodes)
        }
        // Counted here and given back when the exchange is no more, its handler included.
        if inFlight.add(1, ordering: .relaxed).newValue > options.maxConcurrentRequests {
            inFlight.subtract(1, ordering: .relaxed)
            return refuse(.overloaded, head, connection, close: length != .known(0))
        }
        let exchange = Exchange(
            head: head, mode: mode, expectedBytes: expectedBytes, connection: connection, link: call.link, core: self)
        call.exchange = exchange
        call.link.admitted(exchange)
        exchange.start()
        return .YES
    }

    private static func headers(of connection: OpaquePointer) -> RequestHeaders {
        var headers = RequestHeaders()
        headers.reserve()
        withUnsafeMutablePointer(to: &headers) { headers in
            _ = MHD_get_connection_values_n(
                connection, .HEADER_KIND,
                { headers, _, name, nameCount, value, valueCount in
                    guard let headers, let name else { return .NO }
                    headers.assumingMemoryBound(to: RequestHeaders.self).pointee.append(
                        UnsafeBufferPointer(bytes: name, nameCount), UnsafeBufferPointer(bytes: value, valueCount))
                    return .YES
                }, headers)
        }
        return headers
    }

    /// Nil: an encoding that is not ours to decode.
    private func decodes(_ headers: RequestHeaders, _ wanted: Bool) -> Bool? {
        guard wanted, let encoding = headers["Content-Encoding"]?.lowercased(), encoding != "identity" else {
            return false
        }
        return encoding == "gzip" || encoding == "x-gzip" ? true : nil
    }

    private func unsupportedEncoding(_ head: Head, _ connection: OpaquePointer) -> MHD_Result {
        refuse(.unsupportedEncoding(head.headers["Content-Encoding"] ?? ""), head, connection)
    }

    private func refuse(
        _ fault: Fault, _ head: Head?, _ connection: OpaquePointer, close: Bool = true
    ) -> MHD_Result {
        answer(faultResponse(fault, head), connection, close: close)
    }

    /// An answer before the body, which nobody will read: the connection cannot go on behind it (`close`).
    private func answer(_ response: Response, _ connection: OpaquePointer, close: Bool) -> MHD_Result {
        guard let prepared = Answer.whole(response) ?? Answer.whole(Fault.badAnswer.response) else { return .NO }
        return Answer.queue(prepared, connection, close: close || isStopping.load(ordering: .relaxed))
    }
}

extension UnsafeBufferPointer<UInt8> {
    init(bytes: UnsafePointer<CChar>?, _ count: Int) {
        self.init(start: UnsafeRawPointer(bytes)?.assumingMemoryBound(to: UInt8.self), count: bytes == nil ? 0 : count)
    }
}
