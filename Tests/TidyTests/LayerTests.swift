import Foundation
import Testing

/// The tree is the one that docs/architecture.md shows.
@Suite struct LayerTests {
    @Test func theTableOfLayersIsThatOfThePackage() throws {
        let page = try arrowsOfPage()
        for (target, imports) in try arrowsOfPackage() {
            guard let shown = page[target] else {
                Issue.record("docs/architecture.md, \"Layers\", has no row for \(target)")
                continue
            }
            #expect(
                shown == imports,
                "docs/architecture.md, \"Layers\": \(target) may import \(imports.sorted().joined(separator: ", "))")
        }
    }

    @Test(arguments: Repository.targets)
    func everyTargetSaysWhatItIs(target: String) throws {
        let readme = "Sources/\(target)/README.md"
        try #require(Repository.exists(readme), "\(readme) is missing")
        let lines = try Repository.text(readme).split(separator: "\n")
        #expect(lines.count >= 5, "\(readme) says nothing")
        #expect(lines.first == "# \(target)", "\(readme) begins with the target's name")
    }

    @Test func nothingIsHeldOpenByAPlaceholder() {
        #expect(Repository.files("Placeholder.swift", below: ["Sources", "Tests"]) == [])
    }

    /// Rows of the table: target and what it may import.
    private func arrowsOfPage() throws -> [String: Set<String>] {
        var arrows: [String: Set<String>] = [:]
        for line in try Repository.text("docs/architecture.md").split(separator: "\n") where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.trimmingPrefix(" ") }
            guard cells.count >= 4 else { continue }
            let imports = Set(try Repository.matches("`([A-Za-z]+)`", in: String(cells[3])))
            for target in try Repository.matches("`([A-Za-z]+)`", in: String(cells[1])) { arrows[target] = imports }
        }
        return arrows
    }

    /// Targets of `Package.swift`'s layers with their dependencies.
    private func arrowsOfPackage() throws -> [String: Set<String>] {
        let package = try Repository.text("Package.swift").replacing(try Regex("//[^\n]*"), with: "")
        let start = try #require(package.range(of: "let layers"))
        let end = try #require(package.range(of: "let package"))
        let layers = String(package[start.upperBound..<end.lowerBound])
        var arrows: [String: Set<String>] = [:]
        let declaration = try Regex(
            #"(?:layer\(\s*|name:\s*)"([A-Za-z]+)"(?:,\s*(?:dependencies:\s*)?\[([^\]]*)\])?"#,
            as: (Substring, Substring, Substring?).self)
        for match in layers.matches(of: declaration) {
            arrows[String(match.1)] = Set(try Repository.matches(#""([A-Za-z]+)""#, in: String(match.2 ?? "")))
        }
        #expect(arrows.count > 15)
        return arrows
    }
}
