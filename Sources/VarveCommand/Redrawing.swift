// Text that is drawn again in its place. On a terminal each drawing is one write that goes up over the last one and
// clears only what is left of it, so nothing flickers; elsewhere drawings follow one another.

import VarveTerminal

final class Redrawing {
    private let output: Output
    private let isTerminal: Bool
    private let width: @Sendable () -> Int?
    private var rows = 0

    init(_ surroundings: Surroundings) {
        output = surroundings.output
        isTerminal = surroundings.output.isTerminal && surroundings.environment["TERM"] != "dumb"
        width = { surroundings.width }
    }

    func draw(_ text: String) throws {
        guard isTerminal else { return try output.write(text + "\n") }
        let (bytes, count) = Self.drawing(text, over: rows, width: width() ?? 80)
        rows = count
        try output.write(bytes)
    }

    /// What to write, and how many rows of the screen it takes.
    static func drawing(_ text: String, over rows: Int, width: Int) -> (text: String, rows: Int) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        // A line longer than the screen is wide takes several of its rows.
        let taken = lines.reduce(0) { $0 + max(1, (displayWidth(uncoloured(String($1))) + width - 1) / max(1, width)) }
        let up = rows > 0 ? "\r\u{1b}[\(rows)A" : ""
        return (up + lines.map { "\($0)\u{1b}[K\n" }.joined() + "\u{1b}[J", taken)
    }

    private static func uncoloured(_ text: String) -> String {
        text.replacing(/\u{1b}\[[0-9;]*m/, with: "")
    }
}
