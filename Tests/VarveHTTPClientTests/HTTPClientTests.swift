import Synchronization
import Testing
import VarveHTTPClient
import VarveHTTPServer

/// A client and a server for one test.
private func withBoth(
    _ admission: Admission = .collect(maxBytes: 64 << 20),
    _ handler: @escaping @Sendable (Exchange) async -> Response,
    _ body: (HTTPClient, _ url: String, HTTPServer) async throws -> Void
) async throws {
    let server = HTTPServer(admit: { _ in admission }, handler: handler)
    try server.start()
    do {
        try await body(try HTTPClient(), "http://127.0.0.1:\(server.port)", server)
    } catch {
        await server.stop(grace: .zero)
        throw error
    }
    await server.stop(grace: .zero)
}

@Sendable private func echo(_ exchange: Exchange) async -> Response {
    let head = exchange.head
    return Response(
        status: 200,
        headers: [
            ("X-Method", head.method), ("X-Target", head.rawTarget), ("X-Sent", head.headers["X-Sent"] ?? "-"),
            ("X-Type", head.headers["Content-Type"] ?? "-"), ("X-Expect", head.headers["Expect"] ?? "-"),
        ], body: exchange.body)
}

/// A socket that is bound and not listened at: connecting to it is refused.
private func refusingURL() async throws -> String {
    let server = HTTPServer(admit: { _ in .stream() }, handler: echo)
    try server.start()
    let port = server.port
    await server.stop(grace: .zero)
    return "http://127.0.0.1:\(port)"
}

private final class Counter: Sendable {
    private let count = Atomic(0)
    func next() -> Int { count.add(1, ordering: .relaxed).newValue }
    var value: Int { count.load(ordering: .relaxed) }
}

@Suite struct HTTPClientTests {
    @Test(arguments: ["GET", "POST", "PUT", "PATCH", "DELETE"])
    func whatIsAskedArrivesAndWhatIsAnsweredComesBack(method: String) async throws {
        try await withBoth(.collect(maxBytes: 64 << 20), echo) { client, url, _ in
            let body: [UInt8] = method == "GET" ? [] : Array("the body".utf8)
            let response = try await client.send(
                HTTPRequest(
                    method, url + "/a%2Fb%00?x=+&y=%20", headers: [("X-Sent", "yes, \"quoted\"")],
                    body: body.isEmpty ? .none : .bytes(body)))
            #expect(response.status == 200)
            #expect(response.body == body)
            #expect(response.headers["x-METHOD"] == method)
            #expect(response.headers["X-Target"] == "/a%2Fb%00?x=+&y=%20")
            #expect(response.headers["X-Sent"] == "yes, \"quoted\"")
            #expect(response.headers["X-Type"] == "-")
            #expect(response.headers["absent"] == nil)
        }
    }

    @Test func emptyAndLargeBodiesArriveWithoutAskingFirst() async throws {
        try await withBoth(.collect(maxBytes: 64 << 20), echo) { client, url, _ in
            for count in [0, 1, 100_000, 5_000_000] {
                let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                let response = try await client.send(HTTPRequest("POST", url, body: .bytes(body)))
                #expect(response.body == body)
                #expect(response.headers["X-Expect"] == "-")
            }
        }
    }

    @Test func headHasNoBody() async throws {
        try await withBoth { _ in
            .text(200, "12345")
        } _: { client, url, _ in
            let response = try await client.send(HTTPRequest("HEAD", url))
            #expect(response.status == 200)
            #expect(response.headers["Content-Length"] == "5")
            #expect(response.body.isEmpty)
        }
    }

    @Test func aConnectionIsUsedAgain() async throws {
        try await withBoth(.collect(maxBytes: 64 << 20), echo) { client, url, server in
            for number in 0..<1_000 {
                let body = Array("\(number)".utf8)
                let response = try await client.send(HTTPRequest("POST", url, body: .bytes(body)))
                #expect(response.body == body)
            }
            #expect(server.connections == 1)
        }
    }

    @Test func manyRequestsGoOnAtOnce() async throws {
        try await withBoth { exchange in
            await Task.yield()
            return Response(status: 200, body: exchange.body)
        } _: { client, url, _ in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for worker in 0..<64 {
                    group.addTask {
                        var good = 0
                        for turn in 0..<20 {
                            let body = Array("\(worker) \(turn)".utf8)
                            if try await client.send(HTTPRequest("POST", url, body: .bytes(body))).body == body {
                                good += 1
                            }
                        }
                        return good
                    }
                }
                var good = 0
                for try await count in group { good += count }
                #expect(good == 64 * 20)
            }
        }
    }

    @Test(arguments: [true, false])
    func aStreamedBodyArrivesWhole(withLength: Bool) async throws {
        let piece = [UInt8](repeating: 3, count: 100_000)
        try await withBoth(.stream()) { exchange in
            var count = 0
            do {
                while let piece = try await exchange.next() { count += piece.count }
            } catch {
                return .text(500, "\(error)")
            }
            return .text(200, "\(count)")
        } _: { client, url, _ in
            let left = Atomic(100)
            let response = try await client.send(
                HTTPRequest(
                    "POST", url,
                    body: .stream(length: withLength ? 100 * piece.count : nil) {
                        left.subtract(1, ordering: .relaxed).newValue >= 0 ? piece : nil
                    }))
            #expect(String(decoding: response.body, as: UTF8.self) == "\(100 * piece.count)")
        }
    }

    @Test func aSourceIsNotAskedFasterThanTheServerTakes() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        let asked = Counter()
        try await withBoth(.stream()) { exchange in
            for await _ in gate { break }
            while (try? await exchange.next()) != nil {}
            return Response(status: 204)
        } _: { client, url, _ in
            async let response = client.send(
                HTTPRequest(
                    "POST", url,
                    body: .stream(length: nil) {
                        asked.next() <= 1_000 ? [UInt8](repeating: 1, count: 64_000) : nil
                    }))
            try await Task.sleep(for: .milliseconds(300))
            // 64 MB are there to be had; the buffers of both sides and of the kernel hold far less.
            #expect(asked.value < 400)
            open.yield()
            let status = try await response.status
            #expect(status == 204)
            #expect(asked.value == 1_001)
        }
    }

    @Test func aSourceThatFailsBreaksTheRequestOff() async throws {
        struct Fault: Error {}
        let (gate, arrived) = AsyncStream<Void>.makeStream()
        let seen = Mutex<[String]>([])
        try await withBoth(.stream()) { exchange in
            do {
                while try await exchange.next() != nil { arrived.yield() }
                seen.withLock { $0.append("whole") }
            } catch {
                seen.withLock { $0.append("broken") }
            }
            return Response(status: 200)
        } _: { client, url, _ in
            let first = Atomic(true)
            await #expect(throws: HTTPClientError.bodyFailed("Fault()")) {
                try await client.send(
                    HTTPRequest(
                        "POST", url,
                        body: .stream(length: nil) {
                            if first.exchange(false, ordering: .relaxed) { return [1, 2, 3] }
                            for await _ in gate { break }
                            throw Fault()
                        }))
            }
            for _ in 0..<12_000 where seen.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
            #expect(seen.withLock { $0 } == ["broken"])
        }
    }

    @Test func anAnswerIsReadPieceByPieceAndItsWriterHeldBack() async throws {
        let written = Atomic(0)
        try await withBoth { _ in
            Response(status: 200, headers: [("X-Kind", "stream")]) { writer in
                for _ in 0..<1_000 {
                    try await writer.write([UInt8](repeating: 1, count: 64_000))
                    written.add(1, ordering: .relaxed)
                }
            }
        } _: { client, url, _ in
            let answer = try await client.open(HTTPRequest("GET", url))
            #expect(answer.status == 200)
            #expect(answer.headers["x-kind"] == "stream")
            try await Task.sleep(for: .milliseconds(300))
            #expect(written.load(ordering: .relaxed) < 400)
            var count = 0
            while let piece = try await answer.next() {
                count += piece.count
                #expect(piece.count < 1 << 20)
            }
            #expect(count == 64_000_000)
            let end = try await answer.next()
            #expect(end == nil)
        }
    }

    @Test func linesAreSeenAsTheyAreWritten() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        try await withBoth { _ in
            Response(status: 200) { writer in
                try await writer.write("one\n")
                for await _ in gate { break }
                try await writer.write("two\n")
            }
        } _: { client, url, _ in
            let answer = try await client.open(HTTPRequest("GET", url))
            let first = try await answer.next()
            #expect(first == Array("one\n".utf8))
            open.yield()
            let second = try await answer.next()
            #expect(second == Array("two\n".utf8))
            let end = try await answer.next()
            #expect(end == nil)
        }
    }

    @Test func anAnswerThatIsCutIsNeverTakenForAWholeOne() async throws {
        struct Fault: Error {}
        try await withBoth { _ in
            Response(status: 200) { writer in
                try await writer.write("half")
                throw Fault()
            }
        } _: { client, url, _ in
            let error = await #expect(throws: HTTPClientError.self) { try await client.send(HTTPRequest("GET", url)) }
            guard case .brokenOff = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let answer = try? await client.open(HTTPRequest("GET", url))
            await #expect(throws: HTTPClientError.self) { while try await answer?.next() != nil {} }
        }
    }

    @Test func anAnswerBeyondTheLimitIsRefused() async throws {
        try await withBoth { _ in
            Response(status: 200, body: [UInt8](repeating: 1, count: 1_001))
        } _: {
            client, url, _ in
            await #expect(throws: HTTPClientError.answerTooLarge(limit: 1_000)) {
                try await client.send(HTTPRequest("GET", url, maxAnswerBytes: 1_000))
            }
            let response = try await client.send(HTTPRequest("GET", url, maxAnswerBytes: 1_001))
            #expect(response.body.count == 1_001)
        }
    }

    @Test func aServerThatIsNotThereWasNotAsked() async throws {
        let client = try HTTPClient()
        for url in [try await refusingURL(), "http://no-such-host.invalid"] {
            let error = await #expect(throws: HTTPClientError.self) { try await client.send(HTTPRequest("GET", url)) }
            guard case .couldNotConnect = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(error?.wasNotSent == true)
        }
        for url in ["", "http://", "ftp://127.0.0.1/", "http://a b/"] {
            let error = await #expect(throws: HTTPClientError.self) { try await client.send(HTTPRequest("GET", url)) }
            #expect(error?.wasNotSent == true, "\(url): \(String(describing: error))")
        }
    }

    @Test func anAnswerThatDoesNotComeTimesOutAndMayHaveBeenSeen() async throws {
        try await withBoth { _ in
            try? await Task.sleep(for: .seconds(60))
            return Response(status: 200)
        } _: { client, url, _ in
            // Time enough to be sent on a machine that does something else.
            let error = await #expect(throws: HTTPClientError.self) {
                try await client.send(HTTPRequest("POST", url, timeout: .seconds(1)))
            }
            #expect(error == .timedOut)
            #expect(error?.wasNotSent == false)
        }
    }

    @Test func aCancelledTaskBreaksItsRequestOff() async throws {
        let gone = Atomic(false)
        try await withBoth { exchange in
            try? await Task.sleep(for: .seconds(60))
            gone.store(exchange.isClientGone, ordering: .relaxed)
            return Response(status: 200)
        } _: { client, url, server in
            let task = Task { try await client.send(HTTPRequest("GET", url)) }
            for _ in 0..<12_000 where server.requestsInFlight == 0 { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            await #expect(throws: HTTPClientError.cancelled) { try await task.value }
            for _ in 0..<12_000 where !gone.load(ordering: .relaxed) { try await Task.sleep(for: .milliseconds(5)) }
            let wasTold = gone.load(ordering: .relaxed)
            #expect(wasTold)
        }
    }
}
