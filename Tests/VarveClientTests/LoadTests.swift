import Glibc
import Synchronization
import Testing
import VarveClient
import VarveGzip
import VarveHTTPServer
import VarveModel
import VarveWire

final class Lines: Sendable {
    private let bytes = Mutex<[UInt8]>([])
    func add(_ more: [UInt8]) { bytes.withLock { $0 += more } }
    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
}

@Suite struct LoadTests {
    private static let documents = (0..<300).map {
        "{\"_id\":\($0),\"text\":\"\(String(repeating: "x", count: $0))\"}\n"
    }
    .joined()
    private static let options = LoadOptions(table: "things", batchRows: 10, pieceBytes: 4096)

    private func file(_ bytes: [UInt8], _ body: (String) async throws -> Void) async throws {
        var template = Array("/tmp/varve-load-XXXXXX\0".utf8).map { CChar(bitPattern: $0) }
        let descriptor = mkstemp(&template)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        #expect(write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
        try await body(path)
    }

    private static let answer: StubNode.Answer = { request, _ in
        .loaded(request, batchRows: 10)
    }

    @Test func everyLineArrivesOnceInPiecesOfWholeBatches() async throws {
        try await file(Array(Self.documents.utf8)) { path in
            try await withStubs([Self.answer]) { stubs in
                let client = try Client(ClientOptions(urls: [stubs[0].url]))
                let summary = try await client.load(.file(path), Self.options)
                let pieces = stubs[0].asked.map(\.text)
                #expect(pieces.count > 5)
                #expect(
                    pieces.dropLast().allSatisfy { $0.split(separator: "\n").count % 10 == 0 && $0.hasSuffix("\n") })
                let sent = pieces.joined().split(separator: "\n").sorted()
                #expect(sent == Self.documents.split(separator: "\n").sorted())
                #expect(summary.documents == 300)
                #expect(summary.bytes == Self.documents.utf8.count)
                #expect(stubs[0].asked.allSatisfy { $0.target == "/v1/tables/things/rows?batch=10" })
            }
        }
    }

    @Test func theSameContentIsTheSameLoadEvenInGzip() async throws {
        let plain = Array(Self.documents.utf8)
        try await withStubs([Self.answer, Self.answer, Self.answer, Self.answer]) { stubs in
            func load(_ bytes: [UInt8], _ stub: StubNode, _ options: LoadOptions) async throws {
                try await file(bytes) { path in
                    _ = try await Client(ClientOptions(urls: [stub.url])).load(.file(path), options)
                }
            }
            try await load(plain, stubs[0], Self.options)
            try await load(try GzipWriter.deflate(plain), stubs[1], Self.options)
            var other = Self.options
            other.table = "others"
            try await load(plain, stubs[2], other)
            var again = Self.options
            again.salt = Bytes16(high: 1, low: 2)
            try await load(plain, stubs[3], again)
            let ids = stubs.map { Set($0.asked.map(\.loadID)) }
            #expect(ids[0].count == stubs[0].asked.count)
            #expect(ids[0] == ids[1])
            #expect(ids[0].isDisjoint(with: ids[2]))
            #expect(ids[0].isDisjoint(with: ids[3]))
            #expect(Set(stubs[0].asked.map(\.text)) == Set(stubs[1].asked.map(\.text)))
        }
    }

    @Test func aPieceThatBreaksIsSentAgainUnderItsID() async throws {
        try await file(Array(Self.documents.utf8)) { path in
            let unknown = Problem(VarveError(.unknownOutcome, "the node stops"))
            try await withStubs([
                { request, before in before == 1 ? .loaded(request, batchRows: 10, fault: unknown) : .problem(.notReady)
                },
                Self.answer,
            ]) { stubs in
                let client = try Client(ClientOptions(urls: stubs.map(\.url)))
                let summary = try await client.load(.file(path), Self.options)
                #expect(summary.documents == 300)
                let broken = stubs[0].asked.map(\.loadID)
                #expect(Set(broken).isSubset(of: Set(stubs[1].asked.map(\.loadID))))
            }
        }
    }

    @Test func aBadLineIsNamedByItsPlaceInTheFile() async throws {
        try await file(Array(Self.documents.utf8)) { path in
            let bad: StubNode.Answer = { request, _ in
                request.text.contains("\"_id\":200,")
                    ? .problem(.badRequest, "_id is missing", line: 1) : .loaded(request, batchRows: 10)
            }
            try await withStubs([bad]) { stubs in
                var options = Self.options
                options.concurrency = 1
                let client = try Client(ClientOptions(urls: [stubs[0].url]))
                let failure = await #expect(throws: LoadFailure.self) { try await client.load(.file(path), options) }
                let before = stubs[0].asked.dropLast().map(\.text).joined().split(separator: "\n").count
                #expect(failure?.error.code == .badRequest)
                #expect(failure?.line == before + 1)
                #expect(failure?.durable.documents == before)
            }
        }
    }

    @Test func aLoadInAnotherWayIsRefusedWithWhatToDo() async throws {
        try await file(Array(Self.documents.utf8)) { path in
            try await withStubs([{ _, _ in .problem(.idConflict) }]) { stubs in
                let client = try Client(ClientOptions(urls: [stubs[0].url]))
                let failure = await #expect(throws: LoadFailure.self) {
                    try await client.load(.file(path), Self.options)
                }
                #expect(failure?.error.next?.contains("--again") == true)
            }
        }
    }

    @Test func brokenGzipAndMissingFilesAreRefused() async throws {
        let client = try Client(ClientOptions(urls: ["http://127.0.0.1:1"]))
        let cut = Array(try GzipWriter.deflate(Array(Self.documents.utf8)).dropLast(20))
        try await file(cut) { path in
            let failure = await #expect(throws: LoadFailure.self) { try await client.load(.file(path), Self.options) }
            #expect(failure?.error.message.contains("gzip") == true)
        }
        let failure = await #expect(throws: LoadFailure.self) {
            try await client.load(.file("/no/such/file"), Self.options)
        }
        #expect(failure?.error.code == .notFound)
    }

    @Test func aStreamIsSentAsItComes() async throws {
        try await withStubs([Self.answer]) { stubs in
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            let (reading, writing) = (ends[0], ends[1])
            defer { close(reading) }
            let client = try Client(ClientOptions(urls: [stubs[0].url]))
            async let summary = client.load(.stream(reading), Self.options)
            let half = Array(Self.documents.utf8.prefix(20_000))
            #expect(write(writing, half, half.count) == half.count)
            while stubs[0].asked.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            let rest = Array(Self.documents.utf8.dropFirst(20_000))
            #expect(write(writing, rest, rest.count) == rest.count)
            close(writing)
            #expect(try await summary.documents == 300)
        }
    }
}
