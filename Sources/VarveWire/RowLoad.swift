/// Loading rows: `POST /v1/tables/{t}/rows`, one document a line, one transaction a batch.
///
/// A load has an id and each batch an id that follows from it, so a load that broke is repeated with the same header and
/// applies nothing twice.

package import VarveModel

package struct RowLoadOptions: Sendable, Equatable {
    /// Documents in one transaction.
    package var batchRows: Int
    /// The field to take as `_id`; nil when documents bring theirs.
    package var idField: String?

    package static let batchRowsDefault = 1000
    package static let batchRowsMax = 100_000
    package static let names: Set<String> = ["batch", "id"]

    package init(batchRows: Int = Self.batchRowsDefault, idField: String? = nil) {
        self.batchRows = batchRows
        self.idField = idField
    }

    package init(query: some Sequence<(name: String, value: String)>) throws(VarveError) {
        self.init()
        var seen: Set<String> = []
        for (name, value) in query {
            guard seen.insert(name).inserted else {
                throw VarveError(.badRequest, "\(name) is given twice", at: "?" + name)
            }
            switch name {
            case "batch":
                let isNumber = !value.isEmpty && value.utf8.allSatisfy { (0x30...0x39).contains($0) }
                guard isNumber, let rows = Int(value), (1...Self.batchRowsMax).contains(rows) else {
                    throw VarveError(.badRequest, "batch must be an integer from 1 to 100000", at: "?batch")
                }
                batchRows = rows
            case "id":
                guard !value.isEmpty, value.utf8.count <= 255 else {
                    throw VarveError(.badRequest, "id must name a field, in at most 255 bytes", at: "?id")
                }
                idField = value
            default: throw VarveError(.badRequest, "unknown query parameter \"\(name)\"", at: "?" + name)
            }
        }
    }

    package var query: [(name: String, value: String)] {
        var items = [(name: "batch", value: String(batchRows))]
        if let idField { items.append(("id", idField)) }
        return items
    }
}

/// The id of batch `number` (from 0) of a load: SHA-256(load id ‖ number, 8 bytes big-endian)[0..16].
package func batchID(load: Bytes16, number: Int) -> SubmissionID {
    var hash = SHA256()
    hash.update(load)
    hash.update(UInt64(number).byteSwapped)
    return hash.digest().first
}

/// One line of a load's answer.
package enum RowLoadLine: Sendable, Equatable {
    case batch(Batch)
    /// The last line of a load that ended early; its problem names the line of the body where that is the fault.
    case fault(Problem)

    package struct Batch: Sendable, Equatable {
        package var number: Int
        package var rows: Int
        package var transaction: TransactionAnswer

        package init(number: Int, rows: Int, transaction: TransactionAnswer) {
            self.number = number
            self.rows = rows
            self.transaction = transaction
        }
    }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        if let error = fields.value("error"), fields.value("batch") == nil {
            self = .fault(try Problem(json: error))
            return
        }
        self = .batch(
            Batch(
                number: try fields.count("batch"), rows: try fields.count("rows"),
                transaction: try TransactionAnswer(fields)))
    }

    package var json: Value {
        switch self {
        case .fault(let problem): return problem.lastLine
        case .batch(let batch):
            var fields = batch.transaction.jsonFields
            fields.insert(Value.Field("batch", .count(batch.number)), at: 0)
            fields.insert(Value.Field("rows", .count(batch.rows)), at: 2)
            return .object(fields)
        }
    }
}
