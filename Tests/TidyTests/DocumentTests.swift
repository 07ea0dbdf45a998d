import Foundation
import Testing
import VarveModel
import VarveWire

/// What documents say about files, codes and metrics is so.
@Suite struct DocumentTests {
    @Test(arguments: Repository.files(".md"))
    func everyLinkLeadsSomewhere(page: String) throws {
        let directory = page.split(separator: "/").dropLast().joined(separator: "/")
        for link in try Repository.matches(#"\]\(([^)\s]+)\)"#, in: try prose(page)) {
            if link.hasPrefix("http://") || link.hasPrefix("https://") || link.hasPrefix("mailto:") { continue }
            let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let target = parts[0].isEmpty ? page : resolve(parts[0], from: directory)
            guard let target, Repository.exists(target) else {
                Issue.record("\(page) links to \(link), which is not there")
                continue
            }
            if parts.count == 2, target.hasSuffix(".md") {
                #expect(try anchors(target).contains(parts[1]), "\(page) links to \(link), which has no such heading")
            }
        }
    }

    @Test func everyDocumentThatTheSourcesNameIsThere() throws {
        for file in Repository.files(".swift", below: ["Sources", "Tests", "Package.swift"]) {
            for document in try Repository.matches(#"\b(docs/[A-Za-z0-9_/.-]+\.md)"#, in: try Repository.text(file)) {
                #expect(Repository.exists(document), "\(file) names \(document)")
            }
        }
    }

    @Test func everyErrorCodeIsExplained() throws {
        let codes = try Repository.matches(
            #"ErrorCode\("([A-Z_]+)"\)"#, in: try Repository.text("Sources/VarveModel/VarveError.swift"))
        #expect(codes.count > 40)
        let page = try Repository.text("docs/errors.md")
        for code in codes where !page.contains("`\(code)`") { Issue.record("docs/errors.md does not explain \(code)") }
    }

    /// Each row of the page of codes leads to the same runbook, or section of one, as the answer that carries the code.
    @Test func everyErrorCodeLeadsToARunbook() throws {
        let codes = try Repository.matches(
            #"ErrorCode\("([A-Z_]+)"\)"#, in: try Repository.text("Sources/VarveModel/VarveError.swift"))
        let rows = try Repository.text("docs/errors.md").split(separator: "\n").filter { $0.hasPrefix("| `") }
        #expect(codes.count > 40)
        for code in codes {
            let row = rows.filter { $0.hasPrefix("| `\(code)` |") }
            #expect(row.count == 1, "docs/errors.md has \(row.count) rows of \(code)")
            let links = try Repository.matches(
                #"\]\((runbooks/[^)]+)\)"#, in: row.joined(separator: "\n")
            ).map { "docs/" + $0 }
            #expect(!links.isEmpty, "the row of \(code) leads to no runbook")
            guard let runbook = runbook(of: ErrorCode(stored: code)) else {
                // Faults of a request, whose answer says all.
                #expect(
                    links.allSatisfy { $0.hasPrefix("docs/runbooks/requests.md#") },
                    "\(code) has a page, but not in the table")
                continue
            }
            #expect(links.contains(runbook), "\(code) leads to \(runbook), its row to \(links)")
            let parts = runbook.split(separator: "#").map(String.init)
            guard Repository.exists(parts[0]) else {
                Issue.record("\(code) leads to \(parts[0]), which is not there")
                continue
            }
            if parts.count == 2 {
                #expect(
                    try anchors(parts[0]).contains(parts[1]), "\(code) leads to \(runbook), which has no such heading")
            }
        }
    }

    /// The number stands in the program; what has to repeat it says the same.
    @Test func theVersionIsTheProgramsEverywhere() throws {
        let version = try #require(
            try Repository.matches(
                #"static let version = "([^"]+)""#, in: try Repository.text("Sources/VarveNode/Node+Operating.swift")
            ).first)
        #expect(try Repository.text("Dockerfile").contains("\nARG VARVE_VERSION=\(version)\n"))
        #expect(try Repository.text("README.md").contains("## This version: \(version)"))
        for page in ["docker-compose.yml", "Scripts/test-compose", "docs/operations.md", "Makefile"] {
            #expect(try !Repository.text(page).contains(version), "\(page) repeats the version")
        }
    }

    @Test func everyMetricIsExplained() throws {
        let page = try Repository.text("docs/observability.md")
        var count = 0
        for file in Repository.files(".swift", below: ["Sources"]) {
            for name in try Repository.matches(#""(varve_[a-z_]+)""#, in: try Repository.text(file)) {
                count += 1
                if !page.contains("`\(name)") {
                    Issue.record("docs/observability.md does not explain \(name) of \(file)")
                }
            }
        }
        #expect(count > 15)
    }

    @Test func everyRunbookAndDecisionIsListed() throws {
        for directory in ["docs/runbooks", "docs/decisions"] {
            let list = try Repository.text(directory + "/README.md")
            for file in Repository.files(".md", below: [directory]) where !file.hasSuffix("README.md") {
                let name = String(file.split(separator: "/").last!)
                if !list.contains("(\(name))") { Issue.record("\(directory)/README.md does not list \(name)") }
            }
        }
    }

    @Test func aLinkToNothingIsNoticed() throws {
        #expect(resolve("../sql.md", from: "docs/runbooks") == "docs/sql.md")
        #expect(resolve("../../..", from: "docs") == nil)
        #expect(slug("What this version can do, and cannot") == "what-this-version-can-do-and-cannot")
        #expect(slug("A `LOG_GAP`, explained") == "a-log_gap-explained")
        #expect(try !anchors("README.md").contains("no such heading"))
    }

    /// The page without code, in which brackets mean other things.
    private func prose(_ page: String) throws -> String {
        var isCode = false
        var lines: [String] = []
        for line in try Repository.text(page).split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") { isCode.toggle() }
            if !isCode && !line.hasPrefix("    ") { lines.append(String(line)) }
        }
        return lines.joined(separator: "\n").replacing(try Regex("`[^`\n]*`"), with: "code")
    }

    private func anchors(_ page: String) throws -> Set<String> {
        var isCode = false
        var anchors: Set<String> = []
        for line in try Repository.text(page).split(separator: "\n") {
            if line.hasPrefix("```") { isCode.toggle() }
            if !isCode, line.hasPrefix("#") { anchors.insert(slug(line.drop { $0 == "#" }.dropFirst())) }
        }
        return anchors
    }

    /// As GitHub makes an anchor of a heading.
    private func slug(_ heading: some StringProtocol) -> String {
        heading.lowercased().filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
            .replacing(" ", with: "-")
    }

    /// nil when it leads out of the repository.
    private func resolve(_ link: String, from directory: String) -> String? {
        var parts = directory.split(separator: "/").map(String.init)
        for part in link.split(separator: "/") where part != "." {
            if part == ".." {
                guard parts.popLast() != nil else { return nil }
            } else {
                parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }
}
