// What a page says one will see, held against what was seen.
//
// `…` stands for anything within a line; a line that is only `…` for any number of lines, none too. Runs of blanks count as
// one and rules below titles as nothing, so that tables may shift. A word of `Expectation.names` stands for one word, which later commands of the page use
// under the same name.

package struct Expectation: Sendable, Equatable {
    /// Without blank lines at either end; never empty.
    package let lines: [String]

    /// Words that a page takes from what it sees.
    package static let names: Set<String> = ["DIGEST", "ID"]

    package init?(_ lines: [String]) {
        let kept = lines.map(Self.squeezed).filter { !$0.isEmpty }
        guard !kept.isEmpty else { return nil }
        self.lines = kept
    }

    package init?(_ text: String) { self.init(text.split(separator: "\n").map(String.init)) }

    /// What the names stand for when the text is as expected, else nil.
    package func match(_ text: String) -> [String: String]? {
        let seen = text.split(whereSeparator: \.isNewline).map { Self.squeezed(String($0)) }.filter { !$0.isEmpty }
        return Self.match(lines[...], seen[...])
    }

    /// The same for one line somewhere in a text, whatever stands before it in its line: what a node has said.
    package func find(in text: String) -> (line: String, names: [String: String])? {
        for line in text.split(whereSeparator: \.isNewline) {
            let seen = Self.squeezed(String(line))
            for expected in lines {
                if let found = Self.match(Array("…" + expected)[...], Array(seen)[...]) { return (String(line), found) }
            }
        }
        return nil
    }

    /// The first line that nothing fits, for the message.
    package func firstMissing(in text: String) -> String {
        let seen = text.split(whereSeparator: \.isNewline).map { Array(Self.squeezed(String($0)))[...] }
        return lines.first { line in
            line != "…" && !seen.contains { Self.match(Array(line)[...], $0) != nil }
        } ?? "the same lines, in another order or with others between them"
    }

    private static func match(_ expected: ArraySlice<String>, _ seen: ArraySlice<String>) -> [String: String]? {
        guard let first = expected.first else { return seen.isEmpty ? [:] : nil }
        if first == "…" {
            var rest = seen
            while true {
                if let found = match(expected.dropFirst(), rest) { return found }
                if rest.popFirst() == nil { return nil }
            }
        }
        guard let line = seen.first, let found = match(Array(first)[...], Array(line)[...]),
            let others = match(expected.dropFirst(), seen.dropFirst())
        else { return nil }
        return found.merging(others) { first, _ in first }
    }

    private static func match(_ expected: ArraySlice<Character>, _ seen: ArraySlice<Character>) -> [String: String]? {
        var (expected, seen) = (expected, seen)
        while let next = expected.first {
            if next == "…" {
                // The shortest that fits.
                while true {
                    if let found = match(expected.dropFirst(), seen) { return found }
                    if seen.popFirst() == nil { return nil }
                }
            }
            let word = expected.prefix { $0.isLetter && $0.isUppercase }
            if names.contains(String(word)) {
                let value = seen.prefix { !$0.isWhitespace }
                guard !value.isEmpty, var found = match(expected.dropFirst(word.count), seen.dropFirst(value.count))
                else { return nil }
                found[String(word)] = String(value)
                return found
            }
            // A whole word at once, so that no name is found in the middle of one.
            for character in word.isEmpty ? [next] : Array(word) {
                guard seen.popFirst() == character else { return nil }
                expected.removeFirst()
            }
        }
        return seen.isEmpty ? [:] : nil
    }

    /// Without what only looks good: the width of blanks, and the rule below a table's titles.
    private static func squeezed(_ line: String) -> String {
        let words = line.split(whereSeparator: \.isWhitespace)
        return words.allSatisfy { $0.allSatisfy { $0 == "─" } } ? "" : words.joined(separator: " ")
    }
}
