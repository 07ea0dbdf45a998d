// Cuts a text into statements at semicolons, but not at those inside quotes and comments.

struct StatementSplitter {
    private enum Place: Equatable {
        case code
        case quoted(until: Character)
        case lineComment
        case blockComment
    }

    private var statement = ""
    private var place = Place.code
    private var last: Character?

    /// Nothing but blanks was given since the last statement.
    var isEmpty: Bool { statement.allSatisfy(\.isWhitespace) }

    /// The statements that `text` completes, without their semicolons.
    mutating func add(_ text: String) -> [String] {
        var complete: [String] = []
        for character in text {
            if place == .code && character == ";" {
                if let whole = finish() { complete.append(whole) }
                continue
            }
            statement.append(character)
            move(over: character)
        }
        return complete
    }

    /// What is left, nil when that is nothing.
    mutating func finish() -> String? {
        let trimmed = statement.trimmed
        let hasCode = StatementSplitter.hasCode(trimmed)
        statement = ""
        place = .code
        last = nil
        return hasCode ? trimmed : nil
    }

    /// A last statement may lack its semicolon.
    static func all(of text: String) -> [String] {
        var splitter = StatementSplitter()
        let complete = splitter.add(text)
        return complete + [splitter.finish()].compactMap { $0 }
    }

    private mutating func move(over character: Character) {
        defer { last = character }
        switch place {
        case .code:
            switch character {
            case "'", "\"", "`": place = .quoted(until: character)
            case "[": place = .quoted(until: "]")
            case "-" where last == "-": place = .lineComment
            case "*" where last == "/": place = .blockComment
            default: break
            }
        case .quoted(let end): if character == end { place = .code }
        case .lineComment: if character.isNewline { place = .code }
        case .blockComment:
            if character == "/" && last == "*" {
                place = .code
                last = nil
            }
        }
    }

    /// Whether there is more than comments.
    private static func hasCode(_ text: String) -> Bool {
        var splitter = StatementSplitter()
        for character in text {
            let before = splitter.place
            splitter.move(over: character)
            guard before == .code, splitter.place == .code else {
                if case .quoted = splitter.place { return true }
                continue
            }
            if !character.isWhitespace && character != "-" && character != "/" { return true }
        }
        return false
    }
}

extension String {
    var trimmed: String {
        var view = self[...]
        while view.first?.isWhitespace == true { view.removeFirst() }
        while view.last?.isWhitespace == true { view.removeLast() }
        return String(view)
    }
}
