import Testing
import Varve

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The example of README.md, run as it stands there; the lines between the marks are compared with the page.
@Suite struct ReadmeTests {
    @Test func theExampleWorks() async throws {
        // begin
        let node = try await Node.start()  // in memory; Configuration(…) names a log and a storage
        let outcome = try await node.submit(.put(into: "users", ["_id": "ada", "name": "Ada", "age": 36]))
        try await node.submit(.patch(in: "users", ["_id": "ada", "age": 37]))

        let rows = try await node.query("SELECT name, age FROM users WHERE age > ?", parameters: [30])
        let past = try await node.snapshot(asOf: outcome.position).get("users", id: "ada")
        print(rows[0]["age"]!, past!["age"]!)  // integer(37) integer(36)
        await node.stop()
        // end
        #expect("\(rows[0]["age"]!) \(past!["age"]!)" == "integer(37) integer(36)")
    }

    @Test func theExampleIsTheOneOnThePage() throws {
        let here = try lines(of: #filePath)
        let begin = try #require(here.firstIndex(of: "        // begin"))
        let end = try #require(here.firstIndex(of: "        // end"))
        let code = here[(begin + 1)..<end].map { $0.hasPrefix("        ") ? String($0.dropFirst(8)) : $0 }

        let page = try lines(
            of: #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/README.md")
        let opening = try #require(page.firstIndex(of: "```swift"))
        let example = page[(opening + 1)...].prefix { $0 != "```" }
        #expect(Array(example) == code)
    }

    private func lines(of path: String) throws -> [String] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map {
            String($0)
        }
    }
}
