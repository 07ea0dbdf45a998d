import Foundation
import Testing
import VarveTerminal

@testable import VarveCommand

/// What a message says to type next can be typed as it stands, with no variable set: every `next:` of the sources.
@Suite struct NextCommandTests {
    private static let sources: URL = {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return URL(filePath: "/\(root)/Sources")
    }()

    /// Where each stands, and what it says, with `\u{0}` for what the program puts in.
    private static func found() throws -> [(place: String, text: String)] {
        let files = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
        var found: [(place: String, text: String)] = []
        for case let file as URL in files ?? .init() where file.pathExtension == "swift" {
            let place = "\(file.deletingLastPathComponent().lastPathComponent)/\(file.lastPathComponent)"
            for text in nextSteps(try String(contentsOf: file, encoding: .utf8)) { found.append((place, text)) }
        }
        return found
    }

    /// The literals behind a label `next:`, and what stands behind `next: ` within a literal.
    static func nextSteps(_ source: String) -> [String] {
        // One text is often several literals.
        let joined = source.replacing(/\\\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)/, with: "\u{0}")
            .replacing(/"\s*\+\s*"/, with: "")
        var steps: [String] = []
        for line in joined.matches(of: /next:\s*(?:[^"\n]*\?\s*)?"((?:[^"\\]|\\.)*)"(?:\s*:\s*"((?:[^"\\]|\\.)*)")?/) {
            steps.append(String(line.1))
            if let other = line.2 { steps.append(String(other)) }
        }
        for line in joined.matches(of: /"(?:[^"\\\n]|\\.)*next: ((?:[^"\\\n]|\\.)*)"/) { steps.append(String(line.1)) }
        return steps
    }

    /// The commands of a text, each up to the end of its sentence or clause; not where `varve` is the program in a sentence.
    static func commands(_ text: String) -> [[String]] {
        text.matches(of: /(?:^|[ (])(varve [a-z][^;,()]*)/).map { match in
            var words: [String] = []
            // A handler of signals writes the rest of it.
            let isCut = match.1.hasSuffix(" ") && match.range.upperBound == text.endIndex
            for word in (isCut ? match.1 + "\u{0} --config node.yaml" : match.1).split(separator: " ") {
                let bare = word.last == "." || word.last == ":" ? word.dropLast() : word
                words.append(String(bare))
                if bare.count < word.count { break }
            }
            return words
        }.filter { !["on", "takes"].contains($0[1]) }
    }

    /// Nil when the words begin with a command that can be typed, and none of its options are left over.
    static func refusal(_ words: [String]) -> String? {
        var last = "nothing"
        // What the program puts in is a number, a position, an address, a digest, a way, a file; or nothing.
        for standIn in ["17", "0-17", "http://127.0.0.1:1", "0123456789abcdef", "drop", ""] {
            let typed = words.map { $0.replacing("\u{0}", with: standIn) }.filter { !$0.isEmpty }
            for count in stride(from: typed.count, through: 2, by: -1) {
                let rest = typed[count...]
                switch CommandTable.program.parse(Array(typed[1..<count])) {
                case .run where !rest.contains { $0.hasPrefix("--") }: return nil
                case .print where typed[1..<count].contains("--help"): return nil
                case .refused(let error) where count == typed.count: last = error.message
                default: break
                }
            }
        }
        return last
    }

    @Test func everyNextCommandCanBeTyped() throws {
        var count = 0
        for (place, text) in try Self.found() {
            for words in Self.commands(text) {
                count += 1
                if let refusal = Self.refusal(words) {
                    Issue.record("\(place): \(words.joined(separator: " ")): \(refusal)")
                }
            }
        }
        // The sources are read, and read as they are written.
        #expect(count > 40)
    }

    @Test func aCommandThatLacksWhatItNeedsIsFound() {
        let source = """
            throw VarveError(.logBehind, "x; next: varve nothing", next: "do this, or " + "varve blocks gc")
            next: isOld ? "varve blocks list, then \\(f(x(1)))" : "varve blocks show \\(n) --config node.yaml"
            """
        let steps = Self.nextSteps(source)
        #expect(
            steps == [
                "do this, or varve blocks gc", "varve blocks list, then \u{0}",
                "varve blocks show \u{0} --config node.yaml", "varve nothing",
            ])
        #expect(
            steps.flatMap(Self.commands).map { Self.refusal($0) == nil } == [false, true, true, false])
        #expect(Self.refusal(["varve", "blocks", "flush", "--url"]) != nil)
        #expect(Self.refusal(["varve", "blocks", "flush", "says", "so"]) == nil)
    }
}
