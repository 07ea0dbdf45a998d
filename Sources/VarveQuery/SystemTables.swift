/// The tables of the schema `varve`: decided submissions, blocks, nodes, and the catalogue itself.

import CVarveSQLite
import VarveModel

/// A read-only table whose rows are made page by page, without any index.
final class SystemTable: VirtualTable {
    typealias Page = [[Value]]

    let makePages: (_ columnsUsed: UInt64) -> () throws(VarveError) -> Page?
    private let estimatedRows: Int64
    fileprivate var columnsUsed: [UInt64] = []

    /// - Parameter makePages: makes a function that gives page after page, nil at the end.
    init(
        columns: [(String, QueryColumn.Kind)], estimatedRows: Int64,
        makePages: @escaping (_ columnsUsed: UInt64) -> () throws(VarveError) -> Page?
    ) {
        self.makePages = makePages
        self.estimatedRows = estimatedRows
        super.init()
        self.columns = columns.map { ($0.0, $0.1 == .any ? nil : $0.1) }
        kinds = Array(repeating: [], count: columns.count)
    }

    override var declaration: String {
        "CREATE TABLE x(" + columns.map { quoted($0.name) }.joined(separator: ",") + ")"
    }

    override func bestIndex(_ info: UnsafeMutablePointer<sqlite3_index_info>) throws(VarveError) {
        info.pointee.estimatedRows = estimatedRows
        info.pointee.estimatedCost = Double(estimatedRows) + 10
        info.pointee.idxNum = Int32(columnsUsed.count)
        columnsUsed.append(info.pointee.colUsed)
    }

    override func makeCursor() -> VirtualCursor { SystemCursor(self) }
}

private final class SystemCursor: VirtualCursor {
    private let table: SystemTable
    private var nextPage: (() throws(VarveError) -> SystemTable.Page?)?
    private var page: SystemTable.Page = []
    private var at = 0
    private var number: Int64 = 0

    init(_ table: SystemTable) { self.table = table }

    override func filter(plan: Int, _ arguments: UnsafeBufferPointer<OpaquePointer?>) throws(VarveError) {
        nextPage = table.makePages(table.columnsUsed[plan])
        page = []
        at = -1
        number = -1
        isAtEnd = false
        try advance()
    }

    override func advance() throws(VarveError) {
        at += 1
        number += 1
        while at >= page.count {
            guard let next = try nextPage?() else {
                isAtEnd = true
                return
            }
            page = next
            at = 0
        }
    }

    override var rowNumber: Int64 { number }

    override func column(_ index: Int, _ result: OpaquePointer) throws(VarveError) {
        switch page[at][index] {
        case .integer(let value): sqlite3_result_int64(result, value)
        case .text(let value): SQLResult.text(result, value)
        case .timestamp(let value): SQLResult.text(result, value.description)
        default: sqlite3_result_null(result)
        }
    }
}

enum SystemTables {
    static let schema = "varve"
    private static let pageRows = 10_000

    static func make(_ name: String, source: any QuerySource, control: QueryControl) -> VirtualTable? {
        switch name {
        case "transactions": transactions(source)
        case "blocks": blocks(source)
        case "nodes": nodes(source)
        case "tables": tables(source, control)
        default: nil
        }
    }

    static let names = ["transactions", "blocks", "nodes", "tables"]

    private static func transactions(_ source: any QuerySource) -> VirtualTable {
        SystemTable(
            columns: [
                ("_id", .text), ("position", .text), ("system_time", .timestamp), ("outcome", .text),
                ("error_code", .text), ("error_op", .integer), ("error_detail", .text), ("token", .text),
            ], estimatedRows: 100_000
        ) { _ in
            var last: Position?
            return { () throws(VarveError) in
                let rows = try source.transactions(after: last, limit: pageRows)
                guard let newest = rows.last else { return nil }
                last = newest.position
                return rows.map { row in
                    [
                        .text(row.id), .text(row.position.description), .timestamp(row.systemTime),
                        .text(row.outcome), row.errorCode.map { .text($0) } ?? .null,
                        row.errorOperation.map { .integer($0) } ?? .null,
                        row.errorDetail.map { .text($0) } ?? .null, .text(row.token),
                    ]
                }
            }
        }
    }

    private static func blocks(_ source: any QuerySource) -> VirtualTable {
        SystemTable(
            columns: [
                ("number", .integer), ("first", .text), ("last", .text), ("rows", .integer),
                ("transactions", .integer), ("bytes", .integer), ("cut", .text), ("system_time", .timestamp),
                ("files", .integer),
            ], estimatedRows: 100
        ) { _ in
            onePage { () throws(VarveError) in
                try source.blocks().map { block in
                    [
                        .integer(block.number), .text(block.first.description), .text(block.last.description),
                        .integer(block.rows), .integer(block.transactions), .integer(block.bytes),
                        .text(block.cut), .timestamp(block.systemTime), .integer(block.files),
                    ]
                }
            }
        }
    }

    private static func nodes(_ source: any QuerySource) -> VirtualTable {
        SystemTable(
            columns: [
                ("node", .text), ("state", .text), ("unchanged_ms", .integer), ("applied", .text), ("adopted", .text),
                ("block", .integer), ("input_chain", .text), ("effect_chain", .text), ("version", .text),
                ("address", .text), ("error_code", .text),
            ], estimatedRows: 5
        ) { _ in
            func text(_ value: String?) -> Value { value.map { .text($0) } ?? .null }
            return onePage { () throws(VarveError) in
                source.nodes().map { row in
                    [
                        .text(row.node), .text(row.state), .integer(row.unchangedMs), text(row.applied?.description),
                        text(row.adopted?.description), row.block.map { .integer($0) } ?? .null, text(row.inputChain),
                        text(row.effectChain), text(row.version), text(row.address), text(row.errorCode),
                    ]
                }
            }
        }
    }

    private static func tables(_ source: any QuerySource, _ control: QueryControl) -> VirtualTable {
        SystemTable(columns: [("name", .text), ("rows", .integer), ("columns", .text)], estimatedRows: 20) { used in
            onePage { () throws(VarveError) in
                var page: SystemTable.Page = []
                for table in source.tables {
                    // Counting is a scan: only when somebody asks.
                    let count: Value = used & 2 == 0 ? .null : .integer(try rowCount(of: table.name, source, control))
                    let names = ["_id"] + table.fields.sorted().map { String(decoding: $0.array, as: UTF8.self) }
                    page.append([.text(table.name.text), count, .text(Value.array(names.map { .text($0) }).json)])
                }
                return page
            }
        }
    }

    private static func onePage(
        _ make: @escaping () throws(VarveError) -> SystemTable.Page
    ) -> () throws(VarveError) -> SystemTable.Page? {
        var isDone = false
        return { () throws(VarveError) in
            guard !isDone else { return nil }
            isDone = true
            return try make()
        }
    }

    private static func rowCount(
        of table: TableName, _ source: any QuerySource, _ control: QueryControl
    ) throws(VarveError) -> Int64 {
        let rows = try source.rows(of: table, in: .all, fields: [])
        var count: Int64 = 0
        while try rows.next() {
            count += 1
            if count % 4096 == 0 { try control.check() }
        }
        return count
    }
}
