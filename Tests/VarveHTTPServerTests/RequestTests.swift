import Testing
import VarveHTTPServer

@Suite struct RequestTests {
    private func get(_ target: String) async throws -> String {
        var answer = ""
        try await withServer { server in
            answer = try await RawSocket.talk(
                server.port, "GET \(target) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        }
        return answer
    }

    @Test(arguments: [
        ("/", "GET []  0"),
        ("/v1/status", #"GET ["v1", "status"]  0"#),
        ("/rows/a%2Fb", #"GET ["rows", "a/b"]  0"#),
        ("/rows/ada%00x", #"GET ["rows", "ada\0x"]  0"#),
        ("/rows/a+b?x=a+b&y=%2B", #"GET ["rows", "a+b"] x=a+b&y=+ 0"#),
        ("/rows/%25%32%46", #"GET ["rows", "%2F"]  0"#),
        ("/rows/gr%C3%BC%C3%9Fe", #"GET ["rows", "grüße"]  0"#),
        ("/a//b/", #"GET ["a", "", "b", ""]  0"#),
        ("/a?b=1&b=2&c&d==", #"GET ["a"] b=1&b=2&c=&d== 0"#),
        ("http://elsewhere/x?y=1", #"GET ["x"] y=1 0"#),
    ])
    func aTargetIsSplitBeforeItIsDecoded(target: String, expected: String) async throws {
        let answer = try await get(target)
        #expect(answer.hasSuffix("\r\n\r\n" + expected), "\(answer)")
    }

    @Test(arguments: ["/%", "/%2", "/%zz", "/%FF", "/%C3", "/a?b=%", "/a?%G0=1", "*", "rows", "/\u{FF}%FF"])
    func abrokenTargetIsToldFromAGoodOne(target: String) async throws {
        let answer = try await get(target)
        #expect(statuses(answer) == [400], "\(answer)")
    }

    @Test func headersAreFoundWhateverTheirCase() async throws {
        let seen = Seen<[String]>()
        try await serving { exchange in
            let headers = exchange.head.headers
            seen.add([headers["CONTENT-type"] ?? "-", headers["absent"] ?? "-"] + headers.values("x-two"))
            return Response(status: 204)
        } _: { server in
            let answer = try await RawSocket.talk(
                server.port,
                "GET / HTTP/1.1\r\nHost: a\r\ncontent-TYPE: b/c\r\nX-Two: 1\r\nx-two: 2\r\nConnection: close\r\n\r\n")
            #expect(statuses(answer) == [204])
        }
        #expect(seen.all == [["b/c", "-", "1", "2"]])
    }

    @Test func aCollectedBodyArrivesWhole() async throws {
        let seen = Seen<[UInt8]>()
        let body = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await serving { exchange in
            seen.add(exchange.body)
            return Response(status: 200, body: exchange.body)
        } _: { server in
            let socket = try RawSocket(port: server.port)
            await socket.send(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n")
            await socket.send(body)
            let answer = await socket.readBytes()
            #expect(Array(answer.suffix(body.count)) == body)
        }
        #expect(seen.all == [body])
    }

    @Test func aBodyBeyondTheLimitIsRefused() async throws {
        try await withServer(admit: { _ in .collect(maxBytes: 10) }) { server in
            let declared = try await RawSocket.talk(
                server.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n12345678901")
            #expect(statuses(declared) == [413])
            let chunked = try await RawSocket.talk(
                server.port,
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                    + "6\r\n123456\r\n5\r\n12345\r\n0\r\n\r\n")
            #expect(statuses(chunked) == [413])
            let fits = try await RawSocket.talk(
                server.port,
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                    + "5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n")
            #expect(fits.hasSuffix(" 10"))
        }
    }

    @Test func headersBeyondTheLimitAreRefused() async throws {
        var options = HTTPServer.Options()
        options.maxHeaderBytes = 2_000
        try await withServer(options) { server in
            for bytes in [2_000, 20_000, 200_000] {
                let filler = String(repeating: "x", count: bytes)
                let inHeader = try await RawSocket.talk(
                    server.port, "GET / HTTP/1.1\r\nHost: a\r\nX: \(filler)\r\nConnection: close\r\n\r\n")
                #expect(statuses(inHeader) == [431] || inHeader.isEmpty, "\(inHeader.prefix(100))")
                let inTarget = try await RawSocket.talk(
                    server.port, "GET /\(filler) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(statuses(inTarget) == [431] || statuses(inTarget) == [414] || inTarget.isEmpty)
            }
        }
    }

    @Test func aRequestIsRefusedBeforeItsBody() async throws {
        try await withServer(
            admit: { $0.headers["Authorization"] == nil ? .refuse(.text(401, "who?")) : .collect(maxBytes: 100) }
        ) { server in
            let socket = try RawSocket(port: server.port)
            await socket.send(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\n")
            let answer = await socket.read()
            #expect(statuses(answer) == [401])
            #expect(answer.hasSuffix("who?"))
        }
    }

    @Test func oneConnectionCarriesManyRequests() async throws {
        try await withServer { server in
            let socket = try RawSocket(port: server.port)
            for number in 0..<20 {
                await socket.send("POST /\(number) HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
                let answer = await socket.read(until: #"POST ["\#(number)"]  3"#)
                #expect(statuses(answer) == [200])
            }
            #expect(server.connections == 1)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await withServer { server in
            let requests = (0..<10).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
            let answer = try await RawSocket.talk(
                server.port, requests + "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(statuses(answer).count == 11)
            let places = (0..<10).compactMap { answer.firstRange(of: #"GET ["\#($0)"]"#)?.lowerBound }
            #expect(places.count == 10 && places == places.sorted())
        }
    }

    @Test func headIsAnsweredWithoutABodyAndTheConnectionGoesOn() async throws {
        try await serving { exchange in
            if exchange.head.pathSegments == ["stream"] {
                return Response(status: 200) { writer in try await writer.write("streamed") }
            }
            return Response(status: 200, body: Array("whole".utf8))
        } _: { server in
            for path in ["/stream", "/whole"] {
                let answer = try await RawSocket.talk(
                    server.port,
                    "HEAD \(path) HTTP/1.1\r\nHost: a\r\n\r\n"
                        + "GET /whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(statuses(answer) == [200, 200])
                #expect(answer.contains("\r\n\r\nHTTP/1.1 200"), "\(answer)")
                #expect(answer.hasSuffix("\r\n\r\nwhole"))
            }
        }
    }
}
