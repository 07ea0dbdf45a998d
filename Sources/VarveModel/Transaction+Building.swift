/// How an embedding program says what it wants: documents and ids as values.
///
///     var transaction = try Transaction.put(into: "users", ["_id": "ada", "name": "Ada"])
///     try transaction.delete(from: "users", "bob", 7)
///
/// Everything throws `BAD_REQUEST` with a JSON pointer in `at`, counted within the arguments given.

extension Transaction {
    /// No operations: a transaction that only takes a position.
    public init() { self.init([]) }

    public static func put(into table: String, _ documents: Value...) throws(VarveError) -> Transaction {
        try put(into: table, documents)
    }

    public static func put(into table: String, _ documents: [Value]) throws(VarveError) -> Transaction {
        Transaction([.put(try TableName(table), try rows(documents, .document))])
    }

    /// Merges top-level fields; `.absent` removes one. A document that does not exist comes to be.
    public static func patch(in table: String, _ documents: Value...) throws(VarveError) -> Transaction {
        Transaction([.patch(try TableName(table), try rows(documents, .patch))])
    }

    public static func delete(from table: String, _ ids: Value...) throws(VarveError) -> Transaction {
        Transaction([.delete(try TableName(table), try keys(ids))])
    }

    /// Removes every version of the documents for ever.
    public static func erase(from table: String, _ ids: Value...) throws(VarveError) -> Transaction {
        Transaction([.erase(try TableName(table), try keys(ids))])
    }

    /// The transaction aborts unless the document exists (or does not).
    public static func assert(_ table: String, _ id: Value, exists: Bool) throws(VarveError) -> Transaction {
        Transaction([.assert(try TableName(table), try Key(id: id), .exists(exists))])
    }

    /// The transaction aborts unless `version` is the position that last wrote the document.
    public static func assert(_ table: String, _ id: Value, version: Position) throws(VarveError) -> Transaction {
        Transaction([.assert(try TableName(table), try Key(id: id), .version(version))])
    }

    /// The transaction aborts unless the named top-level fields have these values.
    public static func assert(_ table: String, _ id: Value, equals fields: Value) throws(VarveError) -> Transaction {
        Transaction([.assert(try TableName(table), try Key(id: id), .equals(try encodeFields(of: fields)))])
    }

    /// The operations of both, in order.
    public static func + (a: Transaction, b: Transaction) -> Transaction {
        Transaction(a.operations + b.operations)
    }

    public static func += (a: inout Transaction, b: Transaction) { a.operations += b.operations }

    public mutating func put(into table: String, _ documents: Value...) throws(VarveError) {
        self += try .put(into: table, documents)
    }

    public mutating func patch(in table: String, _ documents: Value...) throws(VarveError) {
        operations.append(.patch(try TableName(table), try Self.rows(documents, .patch)))
    }

    public mutating func delete(from table: String, _ ids: Value...) throws(VarveError) {
        operations.append(.delete(try TableName(table), try Self.keys(ids)))
    }

    public mutating func erase(from table: String, _ ids: Value...) throws(VarveError) {
        operations.append(.erase(try TableName(table), try Self.keys(ids)))
    }

    private static func rows(_ documents: [Value], _ role: Document.Role) throws(VarveError) -> [Operation.Row] {
        var rows: [Operation.Row] = []
        rows.reserveCapacity(documents.count)
        for (index, document) in documents.enumerated() {
            do {
                rows.append(try encodeDocument(document, as: role))
            } catch {
                throw inside(index, error)
            }
        }
        return rows
    }

    private static func keys(_ ids: [Value]) throws(VarveError) -> [Key] {
        var keys: [Key] = []
        for (index, id) in ids.enumerated() {
            do {
                keys.append(try Key(id: id))
            } catch {
                var error = error
                error.at = "/\(index)"
                throw error
            }
        }
        return keys
    }

    private static func inside(_ index: Int, _ error: VarveError) -> VarveError {
        var error = error
        error.at = "/\(index)" + (error.at ?? "")
        return error
    }
}
