import Testing
import VarveHTTPServer

@Suite struct ClientLossTests {
    @Test func aHeaderThatDripsInIsCutOff() async throws {
        var options = HTTPServer.Options()
        options.headerTimeout = .milliseconds(500)
        try await withServer(options) { server in
            let socket = try RawSocket(port: server.port)
            var isOpen = await socket.send("GET / HTTP/1.1\r\nHost: a\r\n")
            // A byte now and then: never silent, never done. Sending fails some time after the cut.
            for _ in 0..<200 where isOpen {
                isOpen = await socket.send("X")
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(!isOpen)
            #expect(statuses(await socket.read()).allSatisfy { $0 != 200 })
        }
    }

    @Test func aConnectionThatSaysNothingIsCutOff() async throws {
        var options = HTTPServer.Options()
        options.headerTimeout = .milliseconds(300)
        try await withServer(options) { server in
            let socket = try RawSocket(port: server.port)
            #expect(await socket.read().isEmpty)
            try await eventually("the connection is closed") { server.connections == 0 }
        }
    }

    @Test func aBodyThatStopsIsCutOffAndItsHandlerNeverCalled() async throws {
        var options = HTTPServer.Options()
        options.idleTimeout = .seconds(1)
        let seen = Seen<Int>()
        try await withServer(
            options,
            handler: { exchange in
                seen.add(exchange.body.count)
                return Response(status: 200)
            }
        ) { server in
            let answer = try await RawSocket.talk(
                server.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
            #expect(!statuses(answer).contains(200))
            #expect(server.requestsInFlight == 0)
        }
        #expect(seen.all.isEmpty)
    }

    @Test func aStreamThatBreaksOffIsAFaultForItsReader() async throws {
        let seen = Seen<String>()
        try await serving(admit: { _ in .stream() }) { exchange in
            do {
                while let piece = try await exchange.next() { seen.add(String(decoding: piece, as: UTF8.self)) }
                seen.add("the end")
            } catch {
                seen.add("\(error)")
            }
            return Response(status: 200)
        } _: { server in
            var socket: RawSocket? = try RawSocket(port: server.port)
            await socket?.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
            try await eventually("the first half arrives") { seen.all == ["half"] }
            socket = nil
            try await eventually("the reader is told") { seen.all.count == 2 }
        }
        #expect(seen.all.last != "the end")
    }

    @Test(arguments: [true, false])
    func aHandlerIsCancelledWhenItsClientHasGone(byReset: Bool) async throws {
        let seen = Seen<String>()
        try await serving { exchange in
            seen.add("begun")
            do {
                try await Task.sleep(for: .seconds(60))
            } catch {
                seen.add("cancelled, gone: \(exchange.isClientGone)")
            }
            return Response(status: 200)
        } _: { server in
            var socket: RawSocket? = try RawSocket(port: server.port)
            await socket?.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try await eventually("the handler is at work") { seen.all == ["begun"] }
            if byReset { socket?.reset() }
            socket = nil
            try await eventually("the handler is told") { seen.all.count == 2 }
            try await eventually("nothing is left of it") { server.requestsInFlight == 0 && server.connections == 0 }
        }
        #expect(seen.all == ["begun", "cancelled, gone: true"])
    }

    @Test func aWriterIsToldWhenItsReaderHasGone() async throws {
        let seen = Seen<String>()
        try await serving { _ in
            Response(status: 200) { writer in
                let piece = [UInt8](repeating: 1, count: 64 * 1024)
                do {
                    while true { try await writer.write(piece) }
                } catch {
                    seen.add("told")
                    throw error
                }
            }
        } _: { server in
            var socket: RawSocket? = try RawSocket(port: server.port)
            await socket?.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = await socket?.readBytes(bytesMax: 1 << 20)
            socket = nil
            try await eventually("the writer ends") { !seen.all.isEmpty }
            try await eventually("nothing is left of it") { server.requestsInFlight == 0 && server.connections == 0 }
        }
    }

    @Test func aReaderThatStandsStillIsCutOff() async throws {
        var options = HTTPServer.Options()
        options.idleTimeout = .seconds(1)
        let seen = Seen<String>()
        try await withServer(
            options,
            handler: { _ in
                Response(status: 200) { writer in
                    let piece = [UInt8](repeating: 1, count: 64 * 1024)
                    do {
                        while true { try await writer.write(piece) }
                    } catch {
                        seen.add("told")
                        throw error
                    }
                }
            }
        ) { server in
            let socket = try RawSocket(port: server.port, receiveBufferBytes: 16 * 1024)
            await socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try await eventually("the writer ends") { !seen.all.isEmpty }
        }
    }
}
