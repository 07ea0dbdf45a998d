// What is said of a record of the log, and which records are asked for.

import VarveCore
import VarveLog
import VarveModel
import VarveTerminal

/// Kinds of records as the command line names them.
enum RecordKind: String, CaseIterable, Sendable {
    case genesis, transaction, cancel, flush, barrier, settings, seal, foreign, damaged, unsupported

    init(_ type: RecordType) {
        switch type {
        case .genesis: self = .genesis
        case .transaction: self = .transaction
        case .cancel: self = .cancel
        case .flushRequest: self = .flush
        case .barrier: self = .barrier
        case .settings: self = .settings
        case .seal: self = .seal
        }
    }
}

struct RecordFacts {
    var position: Position
    /// nil where nothing can be read that would say it.
    var time: Instant?
    var kind: RecordKind
    var bytes: Int
    var digest: Digest
    var header: RecordHeader?
    var operations: [(name: String, table: String, count: Int)] = []
    /// In words; for what is no record of ours, why not.
    var content = ""

    init(_ entry: LogEntry, _ epoch: Epoch, _ own: LogTagging) {
        position = Position(epoch, entry.offset)
        // A foreign producer may give any time.
        let (microseconds, isTooFar) = entry.time.multipliedReportingOverflow(by: 1000)
        time = Instant(microseconds: isTooFar ? (entry.time < 0 ? .min : .max) : microseconds)
        bytes = entry.bytes.count
        digest = Digest(of: entry.bytes)
        switch Record.decode(entry.bytes, tag: own.tag) {
        case .record(let record)
        where record.header.type == .genesis && own.genesis.map({ $0 != record.header.id }) ?? false:
            (kind, content) = (.foreign, "a genesis that is not the first")
        case .record(let record):
            kind = RecordKind(record.header.type)
            header = record.header
            if let block = own.quarantined[position] {
                content = "quarantined by block \(block): skipped by every node"
            } else {
                describe(record.payload)
            }
        case .foreign(let reason): (kind, content) = (.foreign, reason)
        case .damaged(let reason): (kind, content) = (.damaged, reason)
        case .unsupported(let reason, _): (kind, content) = (.unsupported, reason)
        }
    }

    /// A place of the log whose bytes cannot be read.
    init(damaged position: Position, _ error: VarveError) {
        self.position = position
        time = nil
        kind = .damaged
        bytes = 0
        digest = .zero
        content = error.message
    }

    private mutating func describe(_ payload: Bytes) {
        switch kind {
        case .transaction:
            guard let decoded = try? Transaction.decode(payload) else {
                content = "unreadable"
                return
            }
            operations = decoded.transaction.operations.map { operation in
                let table = operation.table.text
                switch operation {
                case .put(_, let rows): return ("put", table, rows.count)
                case .patch(_, let rows): return ("patch", table, rows.count)
                case .delete(_, let keys): return ("delete", table, keys.count)
                case .erase(_, let keys): return ("erase", table, keys.count)
                case .assert: return ("assert", table, 1)
                }
            }
            content = operations.map { "\($0.name) \($0.table) \($0.count)" }.joined(separator: ", ")
        case .genesis:
            guard let genesis = try? Genesis.decode(payload) else { return }
            content = "database \(genesis.database.uuidText), epoch \(genesis.epoch), \(genesis.began)"
        case .seal:
            content = (try? Seal.decode(payload)).map { "epoch \($0.next) goes on in \($0.log.place)" } ?? "unreadable"
        case .flush: content = (try? FlushRequest.decode(payload)).map { "block \($0.block)" } ?? "unreadable"
        default: break
        }
    }

    var row: [String] {
        [
            position.description, time?.description ?? "", kind.rawValue, Quantity.count(bytes),
            header?.id.description ?? "", content,
        ]
    }

    var json: Value {
        var fields: [Value.Field] = [
            .init("position", .text(position.description)), .init("time", .text(of: time?.description)),
            .init("type", .text(kind.rawValue)), .init("bytes", .integer(Int64(bytes))),
            .init("digest", .text(digest.description)), .init("content", .text(content)),
        ]
        guard let header else { return .object(fields) }
        fields += [
            .init("id", .text(header.id.description)), .init("writer", .text(Self.hex(header.writer))),
            .init("sequence", .text(String(header.writerSequence))),
            .init("observed", .text(header.observed.description)),
        ]
        if kind == .transaction {
            fields.append(
                .init(
                    "operations",
                    .array(
                        operations.map {
                            ["op": .text($0.name), "table": .text($0.table), "rows": .integer(Int64($0.count))]
                        })))
        }
        return .object(fields)
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

struct RecordFilter {
    let kinds: [RecordKind]
    let tables: [String]
    let id: SubmissionID?

    init(_ invocation: Invocation) {
        kinds = invocation[Parameters.recordTypes]
        tables = invocation[Parameters.recordTables]
        id = invocation[Parameters.recordID]
    }

    var isEmpty: Bool { kinds.isEmpty && tables.isEmpty && id == nil }

    func accepts(_ facts: RecordFacts) -> Bool {
        if !kinds.isEmpty, !kinds.contains(facts.kind) { return false }
        if let id, facts.header?.id != id { return false }
        return tables.isEmpty || facts.operations.contains { tables.contains($0.table) }
    }
}
