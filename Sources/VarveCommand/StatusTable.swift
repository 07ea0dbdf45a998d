// The table of `varve status`: a line for each node. Where the terminal is narrow, what helps least goes first: half of
// each chain, then the URL of nodes that told their name, then the chains.

import VarveClient
import VarveModel
import VarveTerminal
import VarveWire

struct StatusTable {
    struct Row {
        var url: String
        var result: Result<StatusAnswer, VarveError>
    }

    private let rows: [Row]

    init(_ rows: [Row]) { self.rows = rows }

    /// How much is shown, from most to least.
    private struct Detail {
        var chainDigits: Int
        var hasURL: Bool
        /// Short titles, and both chains in one column.
        var isNarrow = false
        static let all = [
            Detail(chainDigits: 16, hasURL: true), Detail(chainDigits: 8, hasURL: true),
            Detail(chainDigits: 8, hasURL: false, isNarrow: true),
            Detail(chainDigits: 0, hasURL: false, isNarrow: true),
        ]
    }

    func render(width: Int?, palette: Palette) -> String {
        var table = Table([] as [Table.Column])
        for detail in Detail.all {
            table = self.table(detail)
            guard let width, table.width > width else { break }
        }
        return table.render(width: width, palette: palette)
    }

    private func table(_ detail: Detail) -> Table {
        var columns: [Table.Column] = [
            .init("node"), .init("state"), .init("applied"), .init("lag", .right), .init("block", .right),
            .init(detail.isNarrow ? "open" : "open rows", .right), .init("rpo", .right),
            .init(detail.isNarrow ? "warn" : "warnings", .right),
        ]
        if detail.chainDigits > 0 {
            columns +=
                detail.isNarrow
                ? [.init("chains", .left)] : [.init("input chain", .left), .init("effect chain", .left)]
        }
        if detail.hasURL { columns.append(.init("url", .left)) }
        return Table(columns, rows: rows.map { cells($0, detail) })
    }

    private func cells(_ row: Row, _ detail: Detail) -> [String] {
        switch row.result {
        case .failure(let error):
            let blank = Array(repeating: "", count: detail.chainDigits == 0 ? 6 : detail.isNarrow ? 7 : 8)
            let name = detail.hasURL ? "–" : row.url
            return [name, Self.state(of: error)] + blank + (detail.hasURL ? [row.url] : [])
        case .success(let status):
            var cells = [
                status.node, status.state.rawValue, status.applied?.position.description ?? "–",
                status.lag.map { Quantity.count($0.records) } ?? "–", status.adopted?.block.description ?? "–",
                status.openBlock.map { Quantity.count($0.rows) } ?? "–", rpo(status),
                status.warnings.isEmpty ? "–" : Quantity.count(status.warnings.count),
            ]
            if detail.chainDigits > 0 {
                let chains = [status.applied?.inputChain ?? "", status.applied?.effectChain ?? ""]
                    .map { String($0.prefix(detail.chainDigits)) }
                cells += detail.isNarrow ? [chains.joined(separator: " ")] : chains
            }
            return cells + (detail.hasURL ? [row.url] : [])
        }
    }

    /// `unreachable`; `refused` when something answered, a node that wants another token for one.
    static func state(of error: VarveError) -> String {
        switch error.code {
        case .nodeUnreachable: "unreachable"
        case .unauthenticated: "wants token"
        default: "refused"
        }
    }

    /// Transactions that only the log holds, and since when.
    private func rpo(_ status: StatusAnswer) -> String {
        guard let rpo = status.rpo else { return "–" }
        guard rpo.transactions > 0 else { return "0" }
        return "\(Quantity.count(rpo.transactions)) / \(Quantity.clock(.seconds(rpo.seconds)))"
    }
}
