/// A table of documents: `_id`, one column for each field, and the hidden columns.
///
/// Fields that differ only in ASCII case are one column for SQLite, named as the first seen; the others are reachable
/// through `_doc`. Columns stand in byte order of their names. SQLite allows 2,000 columns in all, so the first 1,994
/// fields seen have one. The first hidden column is `_as_of`, because SQLite makes an equality with it of `users('0-12')`.

import CVarveSQLite
import VarveModel

final class DocumentTable: VirtualTable {
    /// SQLite's own limit of columns, less `_id` and the hidden ones.
    static let fieldsMax = 2000 - 1 - hidden.count
    private static let hidden = ["_as_of", "_doc", "_version", "_system_from", "_system_to"]

    enum Column {
        case id
        case field(Int)
        case asOf, document, version, systemFrom, systemTo
    }

    let name: TableName
    let source: any QuerySource
    let control: QueryControl
    /// In the order of the columns.
    let fields: [Bytes]
    private let estimatedRows: Double
    private let memoryBytesMax: Int
    fileprivate var plans: [Plan] = []
    private var hashes: [Int: HashState] = [:]

    init(_ table: QueryTable, source: any QuerySource, control: QueryControl, limits: QueryLimits) {
        name = table.name
        self.source = source
        self.control = control
        estimatedRows = Double(max(1, table.estimatedRows))
        memoryBytesMax = limits.memoryBytesMax
        var seen: Set<[UInt8]> = []
        var fields: [Bytes] = []
        for field in table.fields where fields.count < Self.fieldsMax {
            let folded = field.array.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }
            if seen.insert(folded).inserted { fields.append(field) }
        }
        self.fields = fields.sorted()
        super.init()
        columns = [("_id", nil)] + self.fields.map { (String(decoding: $0.array, as: UTF8.self), nil) }
        columns += [("_as_of", .text), ("_doc", .text), ("_version", .text)]
        columns += [("_system_from", .timestamp), ("_system_to", .timestamp)]
        kinds = Array(repeating: [], count: columns.count)
    }

    override var declaration: String {
        var sql = "CREATE TABLE x("
        for (i, column) in columns.enumerated() {
            sql += quoted(column.name)
            if i == 0 { sql += " PRIMARY KEY" }
            if i > fields.count { sql += " HIDDEN" }
            sql += i + 1 < columns.count ? "," : ") WITHOUT ROWID"
        }
        return sql
    }

    func column(_ index: Int) -> Column {
        if index == 0 { return .id }
        if index <= fields.count { return .field(index - 1) }
        return switch index - fields.count {
        case 1: .asOf
        case 2: .document
        case 3: .version
        case 4: .systemFrom
        default: .systemTo
        }
    }

    override func makeCursor() -> VirtualCursor { DocumentCursor(self) }

    // MARK: Planning

    /// What one `xBestIndex` settled: how to use the arguments of `xFilter`, and which fields will be read.
    final class Plan {
        enum Use {
            case id(IDComparison)
            /// The field must equal the argument; SQLite checks it again, so more rows may be handed over.
            case field(Int)
        }
        let uses: [Use]
        let wanted: [Bytes]
        /// For each field of the table its place in `wanted`, -1 when it is not read.
        let places: [Int]

        init(uses: [Use], columnsUsed: UInt64, fields: [Bytes]) {
            self.uses = uses
            var wanted: [Bytes] = []
            var places = Array(repeating: -1, count: fields.count)
            for i in fields.indices where columnsUsed >> UInt64(min(i + 1, 63)) & 1 == 1 {
                places[i] = wanted.count
                wanted.append(fields[i])
            }
            self.wanted = wanted
            self.places = places
        }
    }

    func plan(_ number: Int) -> Plan { plans[number] }

    override func bestIndex(_ info: UnsafeMutablePointer<sqlite3_index_info>) throws(VarveError) {
        var equal: Int?
        var ranges: [(Int, IDComparison)] = []
        var field: (constraint: Int, field: Int)?
        for i in 0..<Int(info.pointee.nConstraint) {
            let constraint = info.pointee.aConstraint[i]
            if constraint.iColumn == fields.count + 1 {
                throw sqlError("\(name)(position) is not supported by this version")
            }
            guard constraint.usable != 0, let comparison = IDComparison(constraint: constraint.op),
                constraint.iColumn >= 0, isBinary(info, i)
            else { continue }
            switch column(Int(constraint.iColumn)) {
            case .id where comparison == .equal: equal = equal ?? i
            case .id: ranges.append((i, comparison))
            case .field(let number):
                // A list (IN) would ask once for each of its values; one scan does for them all.
                if field == nil, Int32(constraint.op) == SQLITE_INDEX_CONSTRAINT_EQ,
                    sqlite3_vtab_in(info, Int32(i), -1) == 0
                {
                    field = (i, number)
                }
            default: break
            }
        }
        var uses: [Plan.Use] = []
        func use(_ constraint: Int, _ use: Plan.Use, isSettled: Bool) {
            uses.append(use)
            info.pointee.aConstraintUsage[constraint].argvIndex = Int32(uses.count)
            info.pointee.aConstraintUsage[constraint].omit = isSettled ? 1 : 0
        }
        let rows: Double
        let cost: Double
        if let equal {
            use(equal, .id(.equal), isSettled: true)
            info.pointee.idxFlags |= Int32(SQLITE_INDEX_SCAN_UNIQUE)
            rows = 1
            cost = 4
        } else {
            for (constraint, comparison) in ranges { use(constraint, .id(comparison), isSettled: false) }
            let inRange = estimatedRows / (ranges.isEmpty ? 1 : ranges.count == 1 ? 4 : 16)
            if let field {
                use(field.constraint, .field(field.field), isSettled: false)
                rows = max(1, inRange / 20)
                // Looking up in a hash that costs one scan, spread over many look-ups.
                cost = 8 + 4 * rows
            } else {
                rows = max(1, inRange)
                cost = 10 + rows
            }
        }
        info.pointee.estimatedRows = Int64(rows)
        info.pointee.estimatedCost = cost
        // Every plan gives rows in the order of keys, which are unique: what else is asked for decides nothing.
        if info.pointee.nOrderBy > 0, info.pointee.aOrderBy[0].iColumn == 0, info.pointee.aOrderBy[0].desc == 0 {
            info.pointee.orderByConsumed = 1
        }
        info.pointee.idxNum = Int32(plans.count)
        plans.append(Plan(uses: uses, columnsUsed: info.pointee.colUsed, fields: fields))
    }

    private func isBinary(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ constraint: Int) -> Bool {
        guard let name = sqlite3_vtab_collation(info, Int32(constraint)) else { return false }
        return sqlite3_stricmp(name, "BINARY") == 0
    }

    // MARK: Hashes for joins

    private enum HashState {
        case askedOnce
        case built(JoinHash)
        /// Too large: every look-up is a scan, until the query's time is up.
        case refused
    }

    /// The keys of rows whose field may equal the value; nil when they are not known and a scan has to do.
    ///
    /// The first time a scan answers, which is all that a comparison with a constant needs; when the same field is asked
    /// for again it is a join, and a hash of the whole table is built.
    func keys(whereField field: Int, equals value: OpaquePointer) throws(VarveError) -> ArraySlice<Key>? {
        switch hashes[field] {
        case nil:
            hashes[field] = .askedOnce
            return nil
        case .refused: return nil
        case .built(let hash): return hash[value]
        case .askedOnce:
            guard let hash = try JoinHash(self, field: field, bytesMax: memoryBytesMax) else {
                hashes[field] = .refused
                return nil
            }
            hashes[field] = .built(hash)
            return hash[value]
        }
    }
}

/// An identifier for SQLite, whatever is in it.
func quoted(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
}
