import Testing
import VarveHTTPServer

/// Bytes in which two parties could see different requests: none is served.
@Suite struct FramingTests {
    private static let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

    private func refused(_ request: String, _ label: String) async throws {
        let seen = Seen<String>()
        try await withServer(handler: { exchange in
            seen.add(exchange.head.rawTarget)
            return Response(status: 200)
        }) { server in
            let socket = try RawSocket(port: server.port)
            await socket.send(request + Self.smuggled)
            // What the server would leave open is closed from here, so that a wrong answer is seen and not waited for.
            socket.shutDownSending()
            let answer = await socket.read()
            #expect(!statuses(answer).contains(200), "\(label): \(answer)")
            // The library of Debian 12 sends its own 400 with its header doubled; after it the connection is closed.
            #expect(statuses(answer).count <= 2, "\(label): \(answer)")
            #expect(statuses(answer).allSatisfy { (400...505).contains($0) }, "\(label): \(answer)")
        }
        #expect(seen.all.isEmpty, "\(label)")
    }

    @Test(arguments: [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 40",
        "Content-Length: 4, 4",
        "Content-Length: +4",
        "Content-Length: -4",
        "Content-Length: 0x4",
        "Content-Length: 4 4",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked, identity",
        "Content-Length : 4",
        "Transfer-Encoding : chunked",
        "Content-Length: 4\r\n X: folded",
        "X[]: 1\r\nContent-Length: 4",
        "Host: b\r\nContent-Length: 4",
    ])
    func aBodyOfDoubtfulLengthIsRefused(headers: String) async throws {
        try await refused("POST / HTTP/1.1\r\nHost: a\r\n\(headers)\r\n\r\n0\r\n\r\n", headers)
    }

    @Test(arguments: [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcdef\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
    ])
    func junkBetweenChunksIsRefused(chunks: String) async throws {
        try await refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)", chunks)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{1}\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ])
    func aMalformedHeadIsRefused(head: String) async throws {
        try await refused(head, head)
    }
}
