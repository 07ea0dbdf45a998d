// A bulk load: what is loaded, how it is cut, and what is reported while it runs.

package import VarveModel
package import VarveWire

package struct LoadOptions: Sendable {
    package var table: String
    /// The field to take as `_id`; nil when documents bring theirs.
    package var idField: String?
    /// Documents of one transaction.
    package var batchRows: Int
    /// A request holds at least this many bytes, up to the end of a batch.
    package var pieceBytes: Int
    /// Requests at once.
    package var concurrency: Int
    /// Makes the load another one than that of the same file before.
    package var salt: Bytes16?

    package static let pieceBytesDefault = 4 << 20

    package init(
        table: String, idField: String? = nil, batchRows: Int = RowLoadOptions.batchRowsDefault,
        pieceBytes: Int = Self.pieceBytesDefault, concurrency: Int = 2, salt: Bytes16? = nil
    ) {
        self.table = table
        self.idField = idField
        self.batchRows = batchRows
        self.pieceBytes = pieceBytes
        self.concurrency = concurrency
        self.salt = salt
    }
}

/// Where the documents come from: NDJSON, plain or gzip.
package enum LoadInput: Sendable, Equatable {
    /// Read twice: its content names the load, so the same file loaded again applies nothing twice.
    case file(String)
    /// Read once, as it comes; each run is a load of its own. The descriptor stays open.
    case stream(Int32)
}

/// A piece that is durable and applied.
package struct LoadedPiece: Sendable {
    /// From 0.
    package var number: Int
    /// Of the input, from 1.
    package var firstLine: Int
    /// Of JSON, inflated.
    package var bytes: Int
    package var batches: [RowLoadLine.Batch]

    package var documents: Int { batches.reduce(0) { $0 + $1.rows } }
}

/// What a load has come to; after a failure, what is durable of it.
package struct LoadSummary: Sendable, Equatable {
    package var documents = 0
    package var transactions = 0
    package var bytes = 0
    /// The newest token of its transactions: a read `after` it sees all of them.
    package var token: Token?

    package init() {}

    mutating func add(_ piece: LoadedPiece) {
        documents += piece.documents
        transactions += piece.batches.count
        bytes += piece.bytes
        for batch in piece.batches {
            guard let decided = batch.transaction.decided else { continue }
            if token.map({ $0.position < decided.position }) ?? true { token = decided.token }
        }
    }
}

/// A load that ended early.
package struct LoadFailure: Error, Sendable {
    package var error: VarveError
    /// Of the input, from 1; where a line is at fault.
    package var line: Int?
    /// What is durable all the same.
    package var durable: LoadSummary
    /// What the callback threw.
    package var thrown: (any Error)?
}

/// What stands in a load's way, before it begins or while it reads.
enum LoadFault: Error {
    case error(VarveError, line: Int?)
}
