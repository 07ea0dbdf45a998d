/// What can be told from the text of a statement before SQLite compiles it.
///
/// Not a parser: it knows literals, comments and words, which is enough to find the first keyword,
/// every name that could be a table's, and the forms of later versions that deserve a better answer than
/// "syntax error".

import VarveModel

struct StatementText {
    /// Bare words (keywords and unquoted names), lower-cased, in order.
    private var words: [String] = []
    /// Every run of letters, digits and `_` in the text, quoted or not, lower-cased: a superset of the tables it names.
    private(set) var names: Set<String> = []
    /// Whether there is nothing but white space, comments and `;`.
    private(set) var isEmpty = true

    init(_ sql: String) {
        var sql = sql
        sql.withUTF8 { scan($0) }
    }

    private mutating func scan(_ text: UnsafeBufferPointer<UInt8>) {
        var at = 0
        var nameStart: Int?
        func endOfName(_ end: Int) {
            if let start = nameStart { names.insert(lowercased(text[start..<end])) }
            nameStart = nil
        }
        for (i, byte) in text.enumerated() {
            if isWord(byte) {
                if nameStart == nil { nameStart = i }
            } else {
                endOfName(i)
            }
        }
        endOfName(text.count)

        func skip(to close: UInt8) {
            at += 1
            while at < text.count {
                if text[at] == close {
                    // A doubled quote stands for itself.
                    guard at + 1 < text.count, text[at + 1] == close, close != UInt8(ascii: "]") else { break }
                    at += 1
                }
                at += 1
            }
            at += 1
        }
        while at < text.count {
            let byte = text[at]
            let following = at + 1 < text.count ? text[at + 1] : 0
            if byte == 0x20 || (0x09...0x0d).contains(byte) {
                at += 1
                continue
            }
            if byte == UInt8(ascii: "-"), following == UInt8(ascii: "-") {
                while at < text.count, text[at] != 0x0a { at += 1 }
                continue
            }
            if byte == UInt8(ascii: "/"), following == UInt8(ascii: "*") {
                at += 3
                while at < text.count, !(text[at] == 0x2f && text[at - 1] == 0x2a) { at += 1 }
                at += 1
                continue
            }
            if byte == UInt8(ascii: ";") {
                at += 1
                continue
            }
            isEmpty = false
            switch byte {
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"): skip(to: byte)
            case UInt8(ascii: "["): skip(to: UInt8(ascii: "]"))
            case _ where isWord(byte):
                let start = at
                while at < text.count, isWord(text[at]) || text[at] == UInt8(ascii: "$") { at += 1 }
                words.append(lowercased(text[start..<at]))
            default: at += 1
            }
        }
    }

    /// The keyword that says what kind of statement it is.
    var verb: String { words.first ?? "" }

    /// Statements that would change something.
    var isWrite: Bool {
        let verb = verb == "explain" ? words.dropFirst().first { $0 != "query" && $0 != "plan" } ?? "" : verb
        return Self.writes.contains(verb)
    }

    private static let writes: Set<String> = [
        "insert", "replace", "update", "delete", "create", "drop", "alter", "reindex", "analyze", "vacuum",
    ]

    /// `FOR SYSTEM_TIME …`
    var namesSystemTime: Bool {
        zip(words, words.dropFirst()).contains { $0 == "for" && $1 == "system_time" }
    }
}

private func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x5f, 0x61...0x7a, 0x80...: true
    default: false
    }
}

private func lowercased(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> String {
    String(decoding: bytes.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
}
