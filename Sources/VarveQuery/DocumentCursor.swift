/// Walks over the rows of one table of documents: all of them, a range of keys, one key, or the hits of a hash.

import CVarveSQLite
import VarveModel

final class DocumentCursor: VirtualCursor {
    private let table: DocumentTable
    private var plan: DocumentTable.Plan?
    private var rows: (any QueryRows)?
    private var range = KeyRange.all
    /// Keys still to be looked up, in place of one walk.
    private var hits: ArraySlice<Key>?

    init(_ table: DocumentTable) { self.table = table }

    override func filter(
        plan number: Int, _ arguments: UnsafeBufferPointer<OpaquePointer?>
    ) throws(VarveError) {
        let plan = table.plan(number)
        self.plan = plan
        isAtEnd = true
        rows = nil
        hits = nil
        range = .all
        for (i, use) in plan.uses.enumerated() {
            guard let value = arguments[i] else { return }
            switch use {
            case .id(let comparison):
                guard range.narrow(comparison, value) else { return }
            case .field(let field):
                // Nothing equals NULL.
                guard sqlite3_value_type(value) != SQLITE_NULL else { return }
                hits = try table.keys(whereField: field, equals: value)
            }
        }
        isAtEnd = false
        if hits == nil { try open(range) }
        try advance()
    }

    private func open(_ range: KeyRange) throws(VarveError) {
        guard let plan else { return }
        rows = try table.source.rows(of: table.name, in: range, fields: plan.wanted)
    }

    override func advance() throws(VarveError) {
        if hits == nil {
            isAtEnd = try rows?.next() != true
            return
        }
        while let key = hits?.popFirst() {
            guard range.contains(key) else { continue }
            try open(.exactly(key))
            if try rows?.next() == true { return }
        }
        isAtEnd = true
    }

    override func column(_ index: Int, _ result: OpaquePointer) throws(VarveError) {
        guard let rows, let plan else { return }
        switch table.column(index) {
        case .id:
            let key = rows.key
            if let integer = key.integer {
                table.kinds[index].insert(.integer)
                sqlite3_result_int64(result, integer)
            } else {
                table.kinds[index].insert(.text)
                key.bytes.withUnsafeBytes { raw in
                    SQLResult.text(result, UnsafeRawBufferPointer(rebasing: raw[1...]), stays: false)
                }
            }
        case .field(let field):
            guard plan.places[field] >= 0 else { return }
            let cell = try rows.cell(plan.places[field])
            table.kinds[index].formUnion(cell.kind)
            try SQLResult.set(result, cell, bytesStay: rows.bytesStay)
        case .asOf: break
        case .document:
            var json = JSONWriter(reservingCapacity: 512)
            try rows.appendDocument(to: &json)
            json.bytes.withUnsafeBytes { SQLResult.text(result, $0, stays: false) }
        case .version: SQLResult.text(result, rows.version.description)
        case .systemFrom: SQLResult.text(result, rows.systemFrom.description)
        case .systemTo:
            // At the position that is read every row that shows is the current one.
            break
        }
    }
}
