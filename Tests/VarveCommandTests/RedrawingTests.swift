import Testing

@testable import VarveCommand

/// What a terminal is told when something is shown again in its place.
@Suite struct RedrawingTests {
    @Test func theSecondDrawingGoesOverTheFirstAndNeverClearsTheScreenBefore() {
        let first = Redrawing.drawing("a\nb\n", over: 0, width: 80)
        #expect(first.text == "a\u{1b}[K\nb\u{1b}[K\n\u{1b}[J")
        #expect(first.rows == 2)
        let second = Redrawing.drawing("c\n", over: first.rows, width: 80)
        #expect(second.text == "\r\u{1b}[2Ac\u{1b}[K\n\u{1b}[J")
    }

    @Test func aLineThatWrapsCountsForItsRowsAndColoursForNone() {
        #expect(Redrawing.drawing("12345678901\n", over: 0, width: 10).rows == 2)
        #expect(Redrawing.drawing("\u{1b}[33m1234567890\u{1b}[0m\n", over: 0, width: 10).rows == 1)
        #expect(Redrawing.drawing("\n", over: 0, width: 10).rows == 1)
    }
}
