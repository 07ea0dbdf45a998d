/// What SQL reads from: the tables of one snapshot, as they were at one position.
///
/// A source is a value of the past: the same question has the same answer for as long as the source lives. It is read by
/// one thread at a time. `SnapshotSource` is the real one; tests bring their own.

package import VarveModel

package protocol QuerySource: AnyObject, Sendable {
    /// Every table ever seen, in order of names.
    var tables: [QueryTable] { get }

    /// The rows of `table` whose keys lie in `range`, in key order.
    ///
    /// - Parameter fields: names of the fields that will be asked for; `QueryRows.cell` counts in this list.
    func rows(of table: TableName, in range: KeyRange, fields: [Bytes]) throws(VarveError) -> any QueryRows

    /// Decided submissions behind `position` (nil: from the beginning), oldest first, at most `limit`.
    func transactions(after position: Position?, limit: Int) throws(VarveError) -> [QueryTransaction]

    /// Published blocks, oldest first.
    func blocks() throws(VarveError) -> [QueryBlock]

    /// The nodes of the database as the one that is asked sees them, by id. Of now, whatever position is read.
    func nodes() -> [QueryNode]
}

extension QuerySource {
    package func nodes() -> [QueryNode] { [] }
}

package struct QueryTable: Sendable {
    package var name: TableName
    /// UTF-8 names of all top-level fields, in the order they were first seen.
    package var fields: [Bytes]
    /// How many rows there are, roughly: the planner's only use of it is to order joins.
    package var estimatedRows: Int

    package init(name: TableName, fields: [Bytes], estimatedRows: Int) {
        self.name = name
        self.fields = fields
        self.estimatedRows = estimatedRows
    }
}

/// A walk over rows. Before the first `next()` there is no current row.
package protocol QueryRows: AnyObject {
    /// Moves to the next row in key order; false at the end.
    func next() throws(VarveError) -> Bool

    // Of the current row:
    var key: Key { get }
    /// Position of the transaction that wrote it.
    var version: Position { get }
    var systemFrom: Instant { get }

    /// The value of a field, counted in the list the walk was asked for.
    func cell(_ field: Int) throws(VarveError) -> Cell

    /// Whether the bytes of the cell asked for last stay where they are for as long as the *source* lives, not only until
    /// another cell is asked for.
    var bytesStay: Bool { get }

    /// Appends the whole document, `_id` first, as JSON.
    func appendDocument(to json: inout JSONWriter) throws(VarveError)
}

/// One value as it lies in memory; texts and binary are not copied.
package enum Cell {
    /// An absent field or an explicit null.
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case text(UnsafeRawBufferPointer)
    case binary(UnsafeRawBufferPointer)
    case timestamp(Instant)
    /// A timestamp as its fixed-width text.
    case timestampText(UnsafeRawBufferPointer)
    /// An array or an object: its JSON text, or its CBOR.
    case json(UnsafeRawBufferPointer)
    case nested(UnsafeRawBufferPointer)
}

/// Keys from `from` on, up to but not including `upTo`; nil is no bound. Bounds are compared as bytes and need not be
/// keys that could exist.
package struct KeyRange: Sendable, Equatable {
    package var from: Key?
    package var upTo: Key?

    package init(from: Key? = nil, upTo: Key? = nil) {
        self.from = from
        self.upTo = upTo
    }

    package static let all = KeyRange()

    /// The one key, or nothing.
    package static func exactly(_ key: Key) -> KeyRange { KeyRange(from: key, upTo: key.successor) }

    /// The key, when the range can hold only that one.
    package var single: Key? {
        guard let from, let upTo, upTo == from.successor else { return nil }
        return from
    }

    package func contains(_ key: Key) -> Bool {
        if let from, key < from { return false }
        if let upTo, !(key < upTo) { return false }
        return true
    }

    package var isEmpty: Bool {
        guard let from, let upTo else { return false }
        return !(from < upTo)
    }

    package mutating func narrow(from bound: Key) { from = from.map { max($0, bound) } ?? bound }
    package mutating func narrow(upTo bound: Key) { upTo = upTo.map { min($0, bound) } ?? bound }
}

extension Key {
    /// The least run of bytes behind this one.
    package var successor: Key { Key(unchecked: Bytes(bytes.array + [0])) }
}

/// A row of `varve.transactions`.
package struct QueryTransaction: Sendable {
    package var id: String
    package var position: Position
    package var systemTime: Instant
    package var outcome: String
    package var errorCode: String?
    package var errorOperation: Int64?
    package var errorDetail: String?
    package var token: String

    package init(
        id: String, position: Position, systemTime: Instant, outcome: String, errorCode: String?,
        errorOperation: Int64?, errorDetail: String?, token: String
    ) {
        self.id = id
        self.position = position
        self.systemTime = systemTime
        self.outcome = outcome
        self.errorCode = errorCode
        self.errorOperation = errorOperation
        self.errorDetail = errorDetail
        self.token = token
    }
}

/// A row of `varve.blocks`.
package struct QueryBlock: Sendable {
    package var number: Int64
    package var first: Position
    package var last: Position
    package var rows: Int64
    package var transactions: Int64
    package var bytes: Int64
    package var cut: String
    package var systemTime: Instant
    package var files: Int64

    package init(
        number: Int64, first: Position, last: Position, rows: Int64, transactions: Int64, bytes: Int64, cut: String,
        systemTime: Instant, files: Int64
    ) {
        self.number = number
        self.first = first
        self.last = last
        self.rows = rows
        self.transactions = transactions
        self.bytes = bytes
        self.cut = cut
        self.systemTime = systemTime
        self.files = files
    }
}

/// A row of `varve.nodes`.
package struct QueryNode: Sendable {
    package var node: String
    /// `this`, or what this node sees of another: `live`, `silent`, `stopped`, `watching`.
    package var state: String
    /// Since its file was last seen to change; 0 for the node itself.
    package var unchangedMs: Int64
    package var applied: Position?
    package var adopted: Position?
    package var block: Int64?
    package var inputChain: String?
    package var effectChain: String?
    package var version: String?
    package var address: String?
    package var errorCode: String?

    package init(node: String, state: String, unchangedMs: Int64) {
        self.node = node
        self.state = state
        self.unchangedMs = unchangedMs
    }
}
