import Foundation
import Testing

/// The tour of README.md, run by a shell as a newcomer would paste it; only program, directory and port are ours.
@Suite struct TourTests {
    /// `VARVE_PROGRAM`, else what `swift build` left.
    static let program: String? = {
        let named = ProcessInfo.processInfo.environment["VARVE_PROGRAM"].flatMap { $0.isEmpty ? nil : $0 }
        let built = ["release", "debug"].map {
            Repository.root.appending(path: ".build/\($0)/varve").path(percentEncoded: false)
        }
        return ([named].compactMap(\.self) + built).first(where: FileManager.default.isExecutableFile(atPath:))
    }()

    @Test(.enabled(if: TourTests.program != nil, "the program was not built: swift build --product varve"))
    func theTourShowsWhatItSays() throws {
        let program = try #require(Self.program)
        let scratch = FileManager.default.temporaryDirectory.appending(path: "varve-tour-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }

        let port = Int.random(in: 20_000..<30_000)
        var tour = try section()
        for (theirs, ours) in [
            ("make build && ", ""),
            ("$PWD/.build/release", URL(filePath: program).deletingLastPathComponent().path(percentEncoded: false)),
            ("$(mktemp -d)", scratch.path(percentEncoded: false)),
            ("path: data/storage }\n", "path: data/storage }\nhttp: { port: \(port) }\n"),
        ] {
            try #require(tour.contains(theirs), "the tour no longer says \(theirs)")
            tour.replace(theirs, with: ours)
        }
        let output = try run("trap 'kill $(jobs -p) 2>/dev/null || true; wait || true' EXIT\n" + tour, port)
        #expect(output.contains("committed"), "\(output)")
        #expect(output.contains("ada  Ada    37"), "\(output)")
        #expect(output.contains(#"{"_id":"ada","age":36,"name":"Ada"}"#), "\(output)")
        #expect(output.contains("ready"), "\(output)")
    }

    /// The first block of shell on the page.
    private func section() throws -> String {
        let page = try Repository.text("README.md")
        let start = try #require(page.range(of: "```sh\n"))
        let end = try #require(page.range(of: "```", range: start.upperBound..<page.endIndex))
        return String(page[start.upperBound..<end.lowerBound])
    }

    private func run(_ script: String, _ port: Int) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["timeout", "60", "bash", "-e", "-c", script]
        var environment = ProcessInfo.processInfo.environment
        environment["VARVE_URL"] = "http://127.0.0.1:\(port)"
        environment["VARVE_TOKEN"] = nil
        process.environment = environment
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(output)")
        return output
    }
}
