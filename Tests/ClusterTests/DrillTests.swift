import Foundation
import Testing
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

    @Test func withoutPagesItSaysWhereToFindThem() throws {
        let (status, text) = try runProgram(["drill", "run", "log-lost", "--runbooks", "/nowhere/at/all"])
        #expect(status == 1)
        #expect(text.contains("/nowhere/at/all") && text.contains("--runbooks"), "\(text)")
        let (usage, said) = try runProgram(["drill", "run", "no-such-drill"])
        #expect(usage == 64)
        #expect(said.contains("varve drill list"))
    }
}
