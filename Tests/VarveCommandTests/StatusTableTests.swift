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

    @Test func nodesThatWereNotAskedAreShownAsTheOthersSeeThem() {
        var asked = [
            StatusAnswer(node: "n1", version: "1", state: .ready), .init(node: "n2", version: "1", state: .ready),
        ]
        asked[0].peers = [
            .init(node: "n2", state: .live, silentMilliseconds: 3),
            .init(node: "n3", state: .watching, silentMilliseconds: 0),
            .init(node: "n4", state: .silent, silentMilliseconds: 125_000, error: "STORAGE_FULL"),
        ]
        asked[1].peers = [
            .init(node: "n3", state: .live, silentMilliseconds: 9_000, applied: .zero, block: .first),
            .init(node: "n5", state: .stopped, silentMilliseconds: 1),
        ]
        let shown = PeerTable(asked).render(width: nil, palette: .plain).split(separator: "\n").map(String.init)
        #expect(shown.count == 5)
        #expect(shown[2].hasPrefix("n3") && shown[2].contains("live") && shown[2].contains("0-0"))
        #expect(shown[3].contains("silent for 2 min 05 s, STORAGE_FULL"))
        #expect(shown[4].contains("stopped"))
        #expect(
            PeerTable([asked[1]].map { _ in .init(node: "n", version: "1", state: .ready) })
                .render(width: nil, palette: .plain).isEmpty)
    }
}
