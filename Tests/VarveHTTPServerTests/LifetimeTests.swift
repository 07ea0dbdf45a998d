import Testing
import VarveHTTPServer

@Suite struct LifetimeTests {
    private let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    @Test func aTakenPortIsNamed() async throws {
        try await withServer { server in
            let port = server.port
            let second = HTTPServer(.init(host: "127.0.0.1", port: port), admit: { _ in .stream() }, handler: echo)
            #expect(throws: HTTPServerError.addressInUse(host: "127.0.0.1", port: port)) { try second.start() }
            await second.stop()
        }
    }

    @Test func aHostThatIsNotHereIsNamed() {
        for host in ["192.0.2.1", "no such host", "999.1.1.1"] {
            let server = HTTPServer(.init(host: host), admit: { _ in .stream() }, handler: echo)
            let error = #expect(throws: HTTPServerError.self) { try server.start() }
            guard case .addressUnavailable(host, 0, _) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
    }

    @Test(arguments: ["127.0.0.1", "localhost", "0.0.0.0"])
    func itListensWhereItIsTold(host: String) async throws {
        try await withServer(.init(host: host)) { server in
            #expect(server.port != 0)
            let answered = try await RawSocket.statuses(server.port, request)
            #expect(answered == [200])
        }
    }

    @Test func aPortIsFreeAgainAfterTheStop() async throws {
        var port: UInt16 = 0
        for _ in 0..<3 {
            try await withServer(.init(host: "127.0.0.1", port: port)) { server in
                port = server.port
                let answered = try await RawSocket.statuses(port, request)
                #expect(answered == [200])
            }
        }
        #expect(throws: RawSocket.Refused.self) { try RawSocket(port: port) }
    }

    @Test func aServerStartsOnce() async throws {
        try await withServer { server in
            #expect(throws: HTTPServerError.alreadyStarted) { try server.start() }
        }
    }

    @Test func requestsInFlightEndBeforeTheStop() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        let seen = Seen<String>()
        let server = HTTPServer(
            admit: { _ in .collect(maxBytes: 0) },
            handler: { _ in
                seen.add("begun")
                for await _ in gate { break }
                return .text(200, "late")
            })
        try server.start()
        let idle = try RawSocket(port: server.port)
        let socket = try RawSocket(port: server.port)
        await socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try await eventually("the handler is at work") { seen.all == ["begun"] }
        async let stopped: Void = server.stop(grace: .seconds(30))
        // The kept-alive connection is closed at once, and nobody is let in any more.
        #expect(await idle.read().isEmpty)
        #expect(throws: RawSocket.Refused.self) { try RawSocket(port: server.port) }
        open.yield()
        let answer = await socket.read()
        #expect(answer.hasSuffix("late"))
        #expect(answer.contains("Connection: close"))
        await stopped
        #expect(server.connections == 0)
    }

    @Test func whatOutlastsTheGraceIsCut() async throws {
        let seen = Seen<String>()
        let server = HTTPServer(
            admit: { $0.pathSegments == ["up"] ? .stream() : .collect(maxBytes: 0) },
            handler: { exchange in
                seen.add("begun")
                switch exchange.head.pathSegments {
                case ["up"]: while (try? await exchange.next()) != nil {}
                case ["down"]:
                    return Response(status: 200) { writer in
                        try await writer.write("one")
                        try await Task.sleep(for: .seconds(60))
                    }
                default: try? await Task.sleep(for: .seconds(60))
                }
                return Response(status: 200)
            })
        try server.start()
        let sockets = try ["/", "/up", "/down"].map { _ in try RawSocket(port: server.port) }
        await sockets[0].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await sockets[1].send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        await sockets[2].send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n")
        try await eventually("all are at work") { seen.all.count == 3 }
        await server.stop(grace: .milliseconds(100))
        #expect(server.connections == 0)
        for socket in sockets { #expect(!(await socket.read()).hasSuffix("0\r\n\r\n")) }
        try await eventually("the handlers have ended") { server.requestsInFlight == 0 }
    }

    @Test func runServesUntilItIsCancelled() async throws {
        let server = HTTPServer(admit: { _ in .collect(maxBytes: 0) }, handler: echo)
        let running = Task { try await server.run() }
        try await eventually("it listens") { server.port != 0 }
        let answered = try await RawSocket.statuses(server.port, request)
        #expect(answered == [200])
        running.cancel()
        try await running.value
        #expect(throws: RawSocket.Refused.self) { try RawSocket(port: server.port) }
    }

    @Test func moreRequestsThanAllowedAreRefusedWhileOthersGoOn() async throws {
        var options = HTTPServer.Options()
        options.maxConcurrentRequests = 2
        let (gate, open) = AsyncStream<Void>.makeStream()
        let seen = Seen<String>()
        try await withServer(
            options,
            admit: { $0.pathSegments == ["health"] ? .refuse(.text(200, "well")) : .collect(maxBytes: 0) },
            handler: { _ in
                seen.add("begun")
                for await _ in gate { break }
                return .text(200, "late")
            }
        ) { server in
            let sockets = try (0..<2).map { _ in try RawSocket(port: server.port) }
            for socket in sockets { await socket.send(request) }
            try await eventually("two are at work") { seen.all.count == 2 }
            let third = try await RawSocket.talk(server.port, request)
            #expect(statuses(third) == [503])
            #expect(third.contains("Retry-After: 1"))
            let health = try await RawSocket.talk(
                server.port, "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(health.hasSuffix("well"))
            open.finish()
            for socket in sockets { #expect(statuses(await socket.read()) == [200]) }
        }
    }

    @Test func moreConnectionsThanAllowedAreRefused() async throws {
        var options = HTTPServer.Options()
        options.maxConnections = 4
        try await withServer(options) { server in
            let sockets = try (0..<4).map { _ in try RawSocket(port: server.port) }
            try await eventually("four are in") { server.connections == 4 }
            let fifth = try RawSocket(port: server.port)
            #expect(statuses(await fifth.read()) == [503])
            await sockets[0].send(request)
            #expect(statuses(await sockets[0].read()) == [200])
        }
    }

    @Test func aThousandRequestsAndManyAtOnceAreAllAnswered() async throws {
        try await serving { exchange in
            await Task.yield()
            return Response(status: 200, body: exchange.body)
        } _: { server in
            let port = server.port
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<64 {
                    group.addTask {
                        let socket = try RawSocket(port: port)
                        var good = 0
                        for turn in 0..<16 {
                            let body = "<\(number)-\(turn)>"
                            await socket.send(
                                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                            if await socket.read(until: body).hasSuffix("\r\n\r\n" + body) { good += 1 }
                        }
                        return good
                    }
                }
                var good = 0
                for try await count in group { good += count }
                #expect(good == 1_024)
            }
        }
    }
}
