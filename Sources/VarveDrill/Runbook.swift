// A page of docs/runbooks as something that can be followed: its commands, what it says one will see, and what its reader
// does with other tools, in the order of the page.
//
// The page is the only source: nothing that a drill types stands anywhere else. The rules, which a reader of the page need
// not know, are in this target's README.

package import VarveModel

package struct Runbook: Sendable, Equatable {
    /// `docs/runbooks/log-lost.md`.
    package var path: String
    package var title: String
    package var steps: [Step]

    package struct Step: Sendable, Equatable {
        package enum Kind: Sendable, Equatable {
            /// What a node has said: a block of text that follows no command.
            case symptom(Expectation)
            /// Lines for a shell, and what they print; nil where the page does not say.
            case command(String, Expectation?, exitCodes: Set<Int32>)
            /// What the reader does with tools that the page cannot know: `stop nodes`.
            case hand(String)
        }

        package var kind: Kind
        /// Of the page, from 1.
        package var line: Int
        /// Where it holds; empty everywhere.
        package var only: [String]

        package init(_ kind: Kind, line: Int, only: [String] = []) {
            self.kind = kind
            self.line = line
            self.only = only
        }

        func holds(for words: Set<String>) -> Bool { only.isEmpty || only.contains(where: words.contains) }
    }

    /// Throws, with the line, when a mark or a block of the page makes no sense.
    package init(path: String, text: String) throws(VarveError) {
        var reader = PageReader(path: path)
        try reader.read(text)
        guard let title = reader.title else { throw reader.fault(1, "the page has no title") }
        guard reader.steps.contains(where: { if case .command = $0.kind { true } else { false } }) else {
            throw reader.fault(1, "the page has no command: a block that begins with ```sh")
        }
        (self.path, self.title, steps) = (path, title, reader.steps)
    }
}

/// Reads a page line by line.
private struct PageReader {
    let path: String
    var title: String?
    var steps: [Runbook.Step] = []
    /// A block that is open: its language, its lines, and where it began.
    private var block: (language: String, indent: Int, lines: [String], line: Int)?
    /// What marks said of the next step, and where.
    private var next = Next()
    /// Whether a block of text is what the last step prints.
    private var isAfterCommand = false
    /// Whether the last command is left out, and with it what it prints.
    private var isLeftOut = false

    private struct Next {
        var only: [String] = []
        var exitCodes: Set<Int32>?
        var isNotRun = false
        var line: Int?
    }

    init(path: String) { self.path = path }

    func fault(_ line: Int, _ text: String) -> VarveError {
        VarveError(
            .badRequest, "\(path):\(line): \(text)",
            next: "the rules of a page that drills follow: Sources/VarveDrill/README.md")
    }

    mutating func read(_ text: String) throws(VarveError) {
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            try read(String(line), number)
        }
        if let block { throw fault(block.line, "the block that begins here does not end") }
        if let line = next.line { throw fault(line, "nothing follows that this mark could be about") }
    }

    private mutating func read(_ line: String, _ number: Int) throws(VarveError) {
        let bare = line.drop { $0 == " " }
        if let open = block {
            guard bare == "```" else {
                // Within a list a block is indented like its item.
                block?.lines.append(String(line.dropFirst(min(open.indent, line.count - bare.count))))
                return
            }
            block = nil
            return try take(open.language, open.lines, open.line)
        }
        if bare.hasPrefix("```") {
            block = (String(bare.dropFirst(3)), line.count - bare.count, [], number)
        } else if bare.hasPrefix("<!-- drill:") {
            guard bare.hasSuffix("-->") else { throw fault(number, "a mark ends on its own line with -->") }
            try mark(bare.dropFirst(11).dropLast(3).split(separator: " ").map(String.init), number)
        } else if bare.hasPrefix("#") {
            isAfterCommand = false
            if title == nil { title = String(bare.drop { $0 == "#" }.drop { $0 == " " }) }
        }
    }

    private mutating func mark(_ words: [String], _ number: Int) throws(VarveError) {
        isAfterCommand = false
        switch words.first {
        case "do" where words.count > 1:
            append(.hand(words.dropFirst().joined(separator: " ")), number)
        case "only" where words.count > 1:
            next.only = Array(words.dropFirst())
            next.line = number
        case "exit" where words.count > 1:
            var codes: Set<Int32> = []
            for word in words.dropFirst() {
                guard let code = Int32(word), (0...255).contains(code) else {
                    throw fault(number, "\(word) is no exit code")
                }
                codes.insert(code)
            }
            next.exitCodes = codes
            next.line = number
        case "not" where words == ["not", "run"]:
            next.isNotRun = true
            next.line = number
        default:
            throw fault(
                number,
                "drills do not know \"\(words.joined(separator: " "))\": write do ACTION, only WORD…, exit CODE or not run"
            )
        }
    }

    private mutating func take(_ language: String, _ lines: [String], _ number: Int) throws(VarveError) {
        switch language {
        case "sh":
            guard lines.contains(where: { !$0.allSatisfy(\.isWhitespace) }) else {
                throw fault(number, "a block of commands is empty")
            }
            isLeftOut = next.isNotRun
            if next.isNotRun {
                next = Next()
            } else {
                append(.command(lines.joined(separator: "\n"), nil, exitCodes: next.exitCodes ?? [0]), number)
            }
            isAfterCommand = true
        case "text":
            guard let expectation = Expectation(lines) else { throw fault(number, "a block of what is seen is empty") }
            guard isAfterCommand else { return append(.symptom(expectation), number) }
            isAfterCommand = false
            guard !isLeftOut, let last = steps.indices.last else { return }
            if case .command(let script, _, let code) = steps[last].kind {
                steps[last].kind = .command(script, expectation, exitCodes: code)
            }
        default:
            // For the reader only: an example, a piece of configuration.
            if let line = next.line { throw fault(line, "what follows is neither ```sh nor ```text") }
        }
    }

    private mutating func append(_ kind: Runbook.Step.Kind, _ line: Int) {
        steps.append(Runbook.Step(kind, line: line, only: next.only))
        next = Next()
    }
}
