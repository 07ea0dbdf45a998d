/// An answer: bytes, or a writer that streams them.
///
/// `Content-Length`, `Transfer-Encoding` and `Date` are set by the library and not to be given.
package struct Response: Sendable {
    package typealias Writer = @Sendable (ResponseWriter) async throws -> Void

    package enum Body: Sendable {
        case bytes([UInt8])
        /// Called once the status line is on its way; what it writes is sent in chunks. An error thrown cuts the
        /// connection before the terminating chunk, so that the client sees a broken answer, never a short one.
        /// Not called for HEAD, which is answered with the headers alone.
        case writer(Writer)
    }

    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: Body

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = .bytes(body)
    }

    package init(status: Int, headers: [(name: String, value: String)] = [], writer: @escaping Writer) {
        self.status = status
        self.headers = headers
        self.body = .writer(writer)
    }

    package static func text(
        _ status: Int, _ text: String, _ headers: [(name: String, value: String)] = []
    ) -> Response {
        Response(
            status: status, headers: headers + [("Content-Type", "text/plain; charset=utf-8")], body: Array(text.utf8))
    }
}

/// What is to be done with a request, decided from its head alone, before its body.
package enum Admission: Sendable {
    /// Answer at once, on the library's thread, without calling the handler. Not only for refusals: what is at hand
    /// without waiting (a health check) is cheapest so, and is answered also when the server is overloaded.
    case refuse(Response)
    /// Call the handler when the whole body is there. `gzip` decodes `Content-Encoding: gzip`; then any other encoding
    /// is refused and `maxBytes` bounds the decoded body too.
    case collect(maxBytes: Int, gzip: Bool = false)
    /// Call the handler now; it reads the body by `Exchange.next()`.
    case stream(gzip: Bool = false)
}
