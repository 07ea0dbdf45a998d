import Foundation
import Testing
import VarveSimulation

/// The bugs of Tests/PlantedBugs fit the code as it is, and the seeds that find them find nothing without them.
@Suite struct PlantedBugTests {
    struct PlantedBug: Sendable, CustomTestStringConvertible {
        var name: String
        var file: String
        var old: String
        var new: String
        var breaks: String
        var seed: UInt64?
        var testDescription: String { name }
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static let bugs: [PlantedBug] = {
        let directory = root.appendingPathComponent("Tests/PlantedBugs")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return names.filter { $0.hasSuffix(".patch") }.sorted().compactMap { name in
            guard let text = try? String(contentsOf: directory.appendingPathComponent(name), encoding: .utf8) else {
                return nil
            }
            var bug = PlantedBug(name: name, file: "", old: "", new: "", breaks: "", seed: nil)
            for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
                if let rest = line.after("Breaks: ") { bug.breaks = rest }
                if let rest = line.after("Seed: ") { bug.seed = UInt64(rest) }
                if let rest = line.after("+++ b/") {
                    bug.file = rest
                } else if line.hasPrefix("-"), !line.hasPrefix("---") {
                    bug.old = String(line.dropFirst())
                } else if let rest = line.after("+") {
                    bug.new += rest
                }
            }
            return bug
        }
    }()

    @Test func thereAreFortyOfThem() {
        #expect(Self.bugs.count >= 40)
        let numbers = Self.bugs.compactMap { Int($0.name.prefix(2)) }
        #expect(numbers == Array(1...Self.bugs.count), "numbers rise by one")
    }

    @Test(arguments: bugs)
    func aBugFitsTheCode(bug: PlantedBug) throws {
        let text = try String(contentsOf: Self.root.appendingPathComponent(bug.file), encoding: .utf8)
        let places = text.split(separator: "\n", omittingEmptySubsequences: false).count { $0 == bug.old }
        #expect(places == 1, "\(bug.file) has the line \(places) times: \(bug.old)")
        #expect(bug.new.contains("planted(\(Int(bug.name.prefix(2)) ?? 0))"))
        #expect(!bug.breaks.isEmpty)
        #expect(bug.seed != nil, "no seed is named that finds it: Scripts/planted-bugs")
    }

    @Test func theSeedsThatFindThemFindNothingWithoutThem() {
        for seed in Set(Self.bugs.compactMap(\.seed)).sorted() {
            let failure = Simulation.run(Options(seed: seed, events: 1_000)).failure
            #expect(failure == nil, "varve-simulate --seed \(seed) --events 1000")
        }
    }
}

extension Substring {
    fileprivate func after(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
