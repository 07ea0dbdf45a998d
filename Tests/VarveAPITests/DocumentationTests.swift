// docs/http-api.md is run: every example's request is sent, in order, to one fresh node, and the answer compared.

import Testing
import VarveModel
import VarveNode

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

private struct Example: Sendable {
    var method: String
    var path: String
    var headers: [(name: String, value: String)]
    var body: String?
    var status: Int
    var answer: String
}

/// Pairs of blocks fenced as `http`: a request, and its status and body.
private func examples(in text: String) -> [Example] {
    var blocks: [[String]] = []
    var isInside = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
        if line == "```http" {
            isInside = true
            blocks.append([])
        } else if line == "```" {
            isInside = false
        } else if isInside {
            blocks[blocks.count - 1].append(line)
        }
    }
    return stride(from: 0, to: blocks.count - 1, by: 2).map { i in
        let request = blocks[i]
        let target = request[0].split(separator: " ").map(String.init)
        let blank = request.firstIndex(of: "")
        let headers = request[1..<(blank ?? request.count)].map { line in
            let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
            return (name: parts[0], value: String(parts[1].dropFirst()))
        }
        return Example(
            method: target[0], path: target[1], headers: headers,
            body: blank.map { request[($0 + 1)...].joined(separator: "\n") },
            status: Int(blocks[i + 1][0]) ?? 0, answer: blocks[i + 1].dropFirst().joined(separator: "\n"))
    }
}

/// With what differs from run to run made the same: ids, chains, instants, elapsed times, and positions (a barrier may
/// stand between two transactions).
private func normalized(_ text: String) -> String {
    var text = text
    text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/, with: "<instant>")
    text.replace(/(\d+-\d+)-[0-9a-f]{16}/, with: { "\($0.1)-<chain>" })
    text.replace(/"0-[1-9]\d*/, with: "\"<position>")
    text.replace(/"[0-9a-f]{32}"/, with: "<id>")
    text.replace(/"elapsedMs":[0-9.e-]+/, with: "<elapsed>")
    while text.last == "\n" { text.removeLast() }
    return text
}

private func readFile(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while case let count = read(descriptor, &chunk, chunk.count), count > 0 { bytes += chunk[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}

@Suite struct DocumentationTests {
    @Test func theExamplesOfTheReferenceAreTrue() async throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = try #require(readFile("/\(root)/docs/http-api.md"))
        let list = examples(in: text)
        #expect(list.count > 8)
        try await serving { served in
            var token = ""
            for example in list {
                let answer = try await served.ask(
                    example.method, example.path.replacing("{token}", with: token),
                    example.body?.replacing("{token}", with: token), headers: example.headers)
                #expect(answer.status == example.status, "\(example.method) \(example.path): \(answer.text)")
                #expect(normalized(answer.text) == normalized(example.answer), "\(example.method) \(example.path)")
                if let new = answer.lines.last?["token"]?.asText { token = new }
            }
        }
    }
}
