import Glibc
import Synchronization
import Testing
import VarveGzip
import VarveHTTPServer

@Suite struct StreamTests {
    /// The most memory this process ever held, in bytes.
    private static func peak() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }

    @Test func anUploadIsReadPieceByPieceAndTheSenderIsHeldBack() async throws {
        let total = 96 << 20
        let sum = Seen<Int>()
        try await serving(admit: { _ in .stream() }) { exchange in
            var count = 0
            do {
                // A consumer that is slow at first: what the client sends meanwhile must wait in the client.
                try await Task.sleep(for: .milliseconds(300))
                while let piece = try await exchange.next() {
                    count += piece.count
                    if piece.count > 1 << 20 { return .text(500, "a piece of \(piece.count) bytes") }
                }
            } catch {
                return .text(500, "\(error)")
            }
            sum.add(count)
            return .text(200, "\(count)")
        } _: { server in
            let before = Self.peak()
            let socket = try RawSocket(port: server.port)
            await socket.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(total)\r\nConnection: close\r\n\r\n")
            let piece = [UInt8](repeating: 7, count: 1 << 20)
            for _ in 0..<96 { #expect(await socket.send(piece)) }
            let answer = await socket.read()
            #expect(answer.hasSuffix("\r\n\r\n\(total)"), "\(answer)")
            #expect(Self.peak() - before < 48 << 20)
        }
        #expect(sum.all == [total])
    }

    @Test func aChunkedUploadArrivesAsItWasSent() async throws {
        try await serving(admit: { _ in .stream() }) { exchange in
            var body: [UInt8] = []
            do {
                while let piece = try await exchange.next() { body += piece }
            } catch {
                return .text(500, "\(error)")
            }
            return Response(status: 200, body: body)
        } _: { server in
            let socket = try RawSocket(port: server.port)
            await socket.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            var sent = ""
            var wire = ""
            for number in 0..<2_000 {
                let line = "line \(number)\n"
                sent += line
                wire += String(line.utf8.count, radix: 16) + "\r\n\(line)\r\n"
            }
            await socket.send(wire + "0\r\n\r\n")
            let answer = await socket.read()
            #expect(answer.hasSuffix("\r\n\r\n" + sent))
        }
    }

    @Test func aGzipUploadIsInflatedOnTheWay() async throws {
        let plain = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 >> 4) }
        let packed = try GzipWriter.deflate(plain) + GzipWriter.deflate(plain)
        let expected = plain + plain
        @Sendable func handler(_ exchange: Exchange) async -> Response {
            var body = exchange.body
            do {
                while let piece = try await exchange.next() { body += piece }
            } catch {
                return .text(400, "\(error)")
            }
            return .text(body == expected ? 200 : 500, "\(body.count)")
        }
        let admissions: [@Sendable (Head) -> Admission] = [
            { _ in .stream(gzip: true) }, { _ in .collect(maxBytes: 1 << 20, gzip: true) },
        ]
        for admit in admissions {
            try await withServer(admit: admit, handler: handler) { server in
                func post(_ body: [UInt8], _ encoding: String) async throws -> Int? {
                    let head =
                        "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: \(encoding)\r\n"
                        + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
                    return try await RawSocket.statuses(server.port, Array(head.utf8) + body).first
                }
                let good = try await [post(packed, "gzip"), post(expected, "identity")]
                #expect(good == [200, 200])
                let bad = try await [
                    post(packed + [1], "gzip"), post(packed.dropLast(), "gzip"), post(packed, "br"),
                ]
                #expect(bad == [400, 400, 415])
            }
        }
        try await withServer(admit: { _ in .collect(maxBytes: 100_000, gzip: true) }, handler: handler) { server in
            let head =
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
                + "Content-Length: \(packed.count)\r\nConnection: close\r\n\r\n"
            let answered = try await RawSocket.statuses(server.port, Array(head.utf8) + packed)
            #expect(answered == [413])
        }
    }

    @Test func aDownloadIsWrittenAsFastAsItIsRead() async throws {
        let total = 96 << 20
        let written = Atomic(0)
        let ahead = Atomic(0)
        try await serving { _ in
            Response(status: 200) { writer in
                let piece = [UInt8](repeating: 9, count: 64 * 1024)
                for _ in 0..<(total / piece.count) {
                    try await writer.write(piece)
                    written.add(piece.count, ordering: .relaxed)
                }
            }
        } _: { server in
            let before = Self.peak()
            let socket = try RawSocket(port: server.port, receiveBufferBytes: 64 * 1024)
            await socket.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            try await Task.sleep(for: .milliseconds(300))
            ahead.store(written.load(ordering: .relaxed), ordering: .relaxed)
            var received = 0
            while true {
                let piece = await socket.readBytes(bytesMax: 1 << 20)
                if piece.isEmpty { break }
                received += piece.count
            }
            #expect(received > total)
            #expect(received < total + (1 << 20))
            #expect(Self.peak() - before < 48 << 20)
        }
        #expect(written.load(ordering: .relaxed) == total)
        // Nobody read: what is in flight is our buffer and the kernel's.
        #expect(ahead.load(ordering: .relaxed) < 16 << 20)
    }

    @Test func piecesAreSentAsTheyAreWritten() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        try await serving { _ in
            Response(status: 200) { writer in
                try await writer.write("first\n")
                for await _ in gate { break }
                try await writer.write("second\n")
            }
        } _: { server in
            let socket = try RawSocket(port: server.port)
            await socket.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let first = await socket.read(until: "first\n")
            #expect(first.contains("first\n") && !first.contains("second"))
            open.yield()
            let rest = await socket.read()
            #expect(rest.contains("second\n"))
            #expect(rest.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func aFaultOfTheWriterCutsTheAnswerBeforeItsEnd() async throws {
        struct Fault: Error {}
        try await serving { _ in
            Response(status: 200) { writer in
                try await writer.write("half")
                throw Fault()
            }
        } _: { server in
            let answer = try await RawSocket.talk(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(statuses(answer) == [200])
            #expect(!answer.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func aStreamIsRefusedToHTTP10() async throws {
        try await serving { exchange in
            exchange.head.pathSegments == ["whole"]
                ? .text(200, "whole") : Response(status: 200) { writer in try await writer.write("never") }
        } _: { server in
            let streamed = try await RawSocket.talk(server.port, "GET / HTTP/1.0\r\n\r\n")
            #expect(streamed.contains(" 505 ") && !streamed.contains("never"))
            let whole = try await RawSocket.talk(server.port, "GET /whole HTTP/1.0\r\n\r\n")
            #expect(whole.contains(" 200 ") && whole.hasSuffix("whole"))
        }
    }

    @Test func anAnswerBeforeTheBodysEndWaitsForTheRestOfIt() async throws {
        try await serving(admit: { _ in .stream() }) { _ in
            .text(400, "no need for more")
        } _: { server in
            let socket = try RawSocket(port: server.port)
            await socket.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
            await socket.send([UInt8](repeating: 1, count: 5_000_000))
            let answer = await socket.read(until: "no need for more")
            #expect(statuses(answer) == [400])
            // The connection is still good.
            await socket.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            #expect(statuses(await socket.read()) == [400])
        }
    }
}
