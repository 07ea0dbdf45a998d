import Foundation
import Testing
import VarveHarness
import VarveTestSupport

/// A few drills as a user holds them; all of them: `make test-drills`.
@Suite(.serialized, .timeLimit(.minutes(3))) struct DrillTests {
    @Test func theQuickDrillsPassOnTheEmbeddedBroker() throws {
        let quick = ["log-lost", "storage-full"]
        let (status, text) = try runProgram(["drill", "run"] + quick, ["VARVE_URL": "", "NO_COLOR": "1"])
        #expect(status == 0, "\(text)")
        for name in quick {
            // Only the small disk may be out of reach here, and says so.
            let mayBeSkipped = name == "storage-full" && text.contains("skipped  \(name)")
            #expect(mayBeSkipped || text.contains("passed  \(name) on the embedded broker"), "\(text)")
        }
        TestReport.note(
            "drills", "ran (\(quick.joined(separator: ", ")) on the embedded broker; all of them: make test-drills)")
    }

    /// A page that shows what is not there fails the drill, with the page's line; nothing is left behind.
    @Test func aPageThatIsWrongFailsItsDrill() throws {
        let directory = NSTemporaryDirectory() + "/varve-pages-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let page = "# A page\n```sh\nvarve --version\n```\n```text\nvarve of yesterday\n```\n"
        try Data(page.utf8).write(to: URL(filePath: "\(directory)/node-lost.md"))
        let (status, text) = try runProgram(
            ["drill", "run", "node-lost", "--runbooks", directory], ["NO_COLOR": "1", "TMPDIR": directory])
        #expect(status == 1)
        #expect(text.contains("node-lost.md:2: the page shows what was not seen: varve of yesterday"), "\(text)")
        let left = try FileManager.default.contentsOfDirectory(atPath: directory)
        #expect(left == ["node-lost.md"], "\(left)")
    }

    /// Ctrl-C in the middle: it is called what it is, and nothing is left, neither directory nor process.
    @Test func anInterruptedDrillSaysSoAndLeavesNothing() async throws {
        try await withScratch { directory in
            let output = "\(directory)/said"
            let scratch = "\(directory)/tmp"
            try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
            let environment = ProcessInfo.processInfo.environment.merging(["NO_COLOR": "1", "TMPDIR": scratch]) { $1 }
            let drill = try ChildProcess(
                VarveProgram.path, ["drill", "run", "node-lost", "kafka-down"], environment: environment,
                output: output)
            while try !TextFile.read(output).contains("built"), drill.exit == nil {
                try await Task.sleep(for: .milliseconds(20))
            }
            drill.send(SIGINT)
            #expect(await drill.wait() == .code(130))
            let said = try TextFile.read(output)
            #expect(said.contains("interrupted  node-lost on the embedded broker"), "\(said)")
            #expect(!said.contains("FAILED") && !said.contains("kafka-down"), "\(said)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: scratch).isEmpty)
            let left = try runningCommands().filter { $0.contains(scratch) }
            #expect(left.isEmpty, "\(left)")
        }
    }

    private func runningCommands() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int($0) != nil }.compactMap { id in
            (try? String(contentsOfFile: "/proc/\(id)/cmdline", encoding: .utf8))?.replacing("\0", with: " ")
        }
    }

    @Test func withoutPagesItSaysWhereToFindThem() throws {
        let (status, text) = try runProgram(["drill", "run", "log-lost", "--runbooks", "/nowhere/at/all"])
        #expect(status == 1)
        #expect(text.contains("/nowhere/at/all") && text.contains("--runbooks"), "\(text)")
        let (usage, said) = try runProgram(["drill", "run", "no-such-drill"])
        #expect(usage == 64)
        #expect(said.contains("varve drill list"))
    }
}
