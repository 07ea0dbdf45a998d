import Testing
import VarveClient
import VarveModel
import VarveTerminal
import VarveWire

@testable import VarveCommand

/// The table of `varve status` at every width, and what it calls a node that does not tell.
@Suite struct StatusTableTests {
    private func row(_ node: String, warnings: [String] = []) -> StatusTable.Row {
        var status = StatusAnswer(node: node, version: "1", state: .ready, warnings: warnings)
        status.applied = .init(
            position: .zero, systemTime: nil, inputChain: "0123456789abcdef", effectChain: "fedcba9876543210")
        status.rpo = .init(transactions: 3, seconds: 28)
        return StatusTable.Row(url: "http://127.0.0.1:8080", result: .success(status))
    }

    private func lines(_ rows: [StatusTable.Row], _ width: Int?) -> [String] {
        StatusTable(rows).render(width: width, palette: .plain).split(separator: "\n").map(String.init)
    }

    @Test func warningsAreCounted() {
        let shown = lines([row("node-1"), row("node-2", warnings: ["a", "b"])], nil)
        #expect(shown[0].contains("  warnings  input chain"))
        #expect(shown[2].contains("  –  0123"))
        #expect(shown[3].contains("  2  0123"))
    }

    @Test(arguments: [200, 130, 100, 80, 60])
    func itFitsTheWidth(width: Int) {
        for line in lines([row("node-1"), row("node-2")], width) { #expect(displayWidth(line) <= width, "\(line)") }
    }

    @Test func aNarrowTerminalKeepsWhatTellsNodesApart() {
        #expect(lines([row("node-1")], 200)[2].contains("0123456789abcdef  fedcba9876543210  http://127.0.0.1:8080"))
        let narrow = lines([row("node-1")], 80)[2]
        #expect(narrow.contains("01234567 fedcba98"))
        #expect(!narrow.contains("http://"))
    }

    @Test func aNodeThatWantsATokenIsNotUnreachable() {
        func shown(_ code: ErrorCode) -> String {
            lines([.init(url: "http://h:1", result: .failure(VarveError(code, "x")))], 80)[2]
        }
        #expect(shown(.unauthenticated).contains("wants token"))
        #expect(shown(.nodeUnreachable).contains("unreachable"))
        #expect(shown(.overloaded).contains("refused"))
        #expect(shown(.nodeUnreachable).contains("http://h:1"))
    }
}
