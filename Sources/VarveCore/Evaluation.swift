/// Executing a transaction's operations in order, all or nothing, without changing anything yet.
///
/// Operations see the effects of the operations before them. What is read of older versions comes from the live index,
/// the frozen blocks and the adopted blocks, in this order. The result is a list of writes or the reason of the abort.

package import VarveModel

package struct Evaluation {
    package var requestDigest: Bytes16
    package var result: Result<[Write], Decision.Failure>
    /// Bytes by which the documents that patches make are longer than the patches: a block's threshold counts them, since
    /// a node holds those documents, not the patches.
    package var grownBytes = 0

    /// Of the documents that the patches of one transaction make: a record of a kilobyte could ask for gigabytes.
    package static let patchedBytesMax = 64 << 20

    package struct Write {
        package var table: TableName
        package var key: Key
        package var kind: EffectKind
        package var document: Bytes?
        /// Fields the table's catalogue did not have when the transaction was evaluated.
        package var newFields: [Bytes]
    }
}

extension Decision.Failure: Error {}

extension NodeMachine {
    func evaluate(
        _ payload: Bytes, _ position: Position, _ blocks: some BlockLookup
    ) throws(VarveError) -> Evaluation {
        let transaction: Transaction
        let digest: Bytes16
        do throws(CBORFault) {
            (transaction, digest) = try Transaction.decode(payload)
        } catch {
            let failure = Decision.Failure(code: .badRequest, operation: 0, detail: "malformed: \(error)")
            return Evaluation(requestDigest: Digest(of: payload).first, result: .failure(failure))
        }
        var run = Run(position: position)
        for (i, operation) in transaction.operations.enumerated() {
            if let failure = try run.execute(operation, index: i, on: self, blocks) {
                return Evaluation(requestDigest: digest, result: .failure(failure))
            }
        }
        return Evaluation(requestDigest: digest, result: .success(run.writes), grownBytes: run.grownBytes)
    }

    /// One transaction being evaluated. The machine is passed along: a copy of it would cost more than a small
    /// transaction.
    private struct Run {
        let position: Position
        var writes: [Evaluation.Write] = []
        private(set) var grownBytes = 0
        private var patchedBytes = 0
        /// The newest write of each key so far: made when the first operation reads, kept up from then on.
        private var newest: [TableKey: Int]?

        init(position: Position) {
            self.position = position
        }

        struct TableKey: Hashable {
            let table: TableName
            let key: Key
        }

        /// Returns why the operation fails, or nil.
        mutating func execute(
            _ operation: Operation, index: Int, on machine: NodeMachine, _ blocks: some BlockLookup
        ) throws(VarveError) -> Decision.Failure? {
            func malformed(_ fault: CBORFault) -> Decision.Failure {
                Decision.Failure(code: .badRequest, operation: index, detail: "malformed document: \(fault)")
            }
            switch operation {
            case .put(let table, let rows):
                let catalog = machine.catalog[table]
                writes.reserveCapacity(writes.count + rows.count)
                for row in rows {
                    do throws(CBORFault) {
                        add(table, row.key, .write, row.document, try newFields(row.document, catalog))
                    } catch { return malformed(error) }
                }
            case .patch(let table, let rows):
                let catalog = machine.catalog[table]
                for row in rows {
                    let base = try current(table, row.key, machine, blocks)?.document
                    do throws(CBORFault) {
                        try Document.validate(row.document, as: .patch)
                        let merged = try (base.map(Document.init) ?? .empty).patched(with: Document(row.document)).bytes
                        patchedBytes += merged.count
                        guard patchedBytes <= Evaluation.patchedBytesMax else { return tooLarge(index) }
                        grownBytes += max(0, merged.count - row.document.count)
                        add(table, row.key, .write, merged, try newFields(merged, catalog))
                    } catch { return malformed(error) }
                }
            case .delete(let table, let keys):
                for key in keys { add(table, key, .delete, nil, []) }
            case .erase(let table, let keys):
                for key in keys { add(table, key, .erase, nil, []) }
            case .assert(let table, let key, let condition):
                let found = try current(table, key, machine, blocks)
                do throws(CBORFault) {
                    if let detail = try violated(condition, found, "\(table)/\(key)") {
                        return Decision.Failure(code: .assertFailed, operation: index, detail: detail)
                    }
                } catch { return malformed(error) }
            }
            return nil
        }

        private func tooLarge(_ index: Int) -> Decision.Failure {
            Decision.Failure(
                code: .oversize, operation: index,
                detail:
                    "the documents that its patches make are more than \(Evaluation.patchedBytesMax) bytes together; "
                    + "patch them in several transactions")
        }

        private mutating func add(
            _ table: TableName, _ key: Key, _ kind: EffectKind, _ document: Bytes?, _ newFields: [Bytes]
        ) {
            newest?[TableKey(table: table, key: key)] = writes.count
            writes.append(
                Evaluation.Write(table: table, key: key, kind: kind, document: document, newFields: newFields))
        }

        /// Checks a document and names the fields that are new to its table.
        private func newFields(_ document: Bytes, _ catalog: FieldCatalog?) throws(CBORFault) -> [Bytes] {
            try Document.validate(document)
            var unseen: [Bytes] = []
            try Document(document).forEachField { name, _ in
                if catalog?.contains(name) != true { unseen.append(Bytes(Array(name))) }
            }
            return unseen
        }

        /// The document as this operation sees it: nil when it does not exist.
        private mutating func current(
            _ table: TableName, _ key: Key, _ machine: NodeMachine, _ blocks: some BlockLookup
        ) throws(VarveError) -> (document: Bytes, position: Position)? {
            if newest == nil {
                var map: [TableKey: Int] = [:]
                for (i, write) in writes.enumerated() { map[TableKey(table: write.table, key: write.key)] = i }
                newest = map
            }
            if let i = newest?[TableKey(table: table, key: key)] {
                return writes[i].document.map { ($0, position) }
            }
            return try machine.current(table, key, blocks)
        }

        private func violated(
            _ condition: Operation.Condition, _ found: (document: Bytes, position: Position)?, _ name: String
        ) throws(CBORFault) -> String? {
            switch condition {
            case .exists(true): return found == nil ? "\(name) does not exist" : nil
            case .exists(false): return found == nil ? nil : "\(name) exists"
            case .version(let wanted):
                guard let found else { return "\(name) does not exist" }
                return found.position == wanted ? nil : "\(name) is at version \(found.position), not \(wanted)"
            case .equals(let expected):
                guard let found else { return "\(name) does not exist" }
                try Document.validate(expected)
                return try Document(found.document).matches(Document(expected))
                    ? nil : "\(name) is not equal in the named fields"
            }
        }
    }

    /// The newest version of a key before the record at hand; nil when it does not exist or was deleted or erased.
    func current(
        _ table: TableName, _ key: Key, _ blocks: some BlockLookup
    ) throws(VarveError) -> (document: Bytes, position: Position)? {
        if let entry = liveEntry(table, key) {
            return entry.newest.flatMap { version in version.document.map { ($0, version.position) } }
        }
        return try blocks.newest(table, key).flatMap { stored in stored.document.map { ($0, stored.position) } }
    }

    /// What the newest block in memory that knows the key holds of it.
    private func liveEntry(_ table: TableName, _ key: Key) -> LiveEntry? {
        if let entry = open.live.entry(table, key) { return entry }
        for block in frozen.reversed() {
            if let entry = block.live.entry(table, key) { return entry }
        }
        return nil
    }
}
