/// `GET /v1/blocks`, `/v1/epochs` and `/v1/tables`: what storage holds.

package import VarveModel

package struct BlocksAnswer: Sendable, Equatable {
    package struct File: Sendable, Equatable {
        package var table: String
        package var name: String
        package var bytes: Int
        package var rows: Int
        /// SHA-256, 64 hexadecimal digits.
        package var digest: String

        package init(table: String, name: String, bytes: Int, rows: Int, digest: String) {
            self.table = table
            self.name = name
            self.bytes = bytes
            self.rows = rows
            self.digest = digest
        }
    }

    package struct Block: Sendable, Equatable {
        package var number: BlockNumber
        /// Position of the first record; nil where it is not known.
        package var first: Position?
        /// Position of the record it was cut at.
        package var last: Position
        package var transactions: Int
        package var rows: Int
        package var bytes: Int
        package var cut: String
        /// Newest system time given to any transaction up to the cut; nil from a node that does not tell.
        package var systemTime: Instant?
        /// SHA-256 of the manifest, 64 hexadecimal digits.
        package var digest: String
        package var files: [File]

        package init(
            number: BlockNumber, first: Position?, last: Position, transactions: Int, rows: Int, bytes: Int,
            cut: String, systemTime: Instant?, digest: String, files: [File]
        ) {
            self.number = number
            self.first = first
            self.last = last
            self.transactions = transactions
            self.rows = rows
            self.bytes = bytes
            self.cut = cut
            self.systemTime = systemTime
            self.digest = digest
            self.files = files
        }
    }

    /// Newest first.
    package var blocks: [Block]

    package static let limitDefault = 100
    package static let limitMax = 10_000

    package init(blocks: [Block]) { self.blocks = blocks }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        blocks = []
        for var block in try fields.objects("blocks") {
            var files: [File] = []
            for var file in try block.objects("files") {
                files.append(
                    File(
                        table: try file.text("table"), name: try file.text("name"), bytes: try file.count("bytes"),
                        rows: try file.count("rows"), digest: try file.text("digest")))
            }
            blocks.append(
                Block(
                    number: BlockNumber(UInt64(try block.count("number"))), first: try block.optionalPosition("first"),
                    last: try block.position("last"), transactions: try block.optionalCount("transactions") ?? 0,
                    rows: try block.count("rows"), bytes: try block.count("bytes"), cut: try block.text("cut"),
                    systemTime: try block.optionalInstant("systemTime"), digest: try block.text("digest"),
                    files: files))
        }
    }

    package var json: Value { .fields(["blocks": .array(blocks.map(\.json))]) }
}

extension BlocksAnswer.Block {
    package var json: Value {
        .fields([
            "number": .integer(Int64(number.value)), "first": first.map { .text(of: $0) } ?? .null,
            "last": .text(of: last), "transactions": .count(transactions), "rows": .count(rows),
            "bytes": .count(bytes), "cut": .text(cut), "systemTime": systemTime.map { .text(of: $0) } ?? .null,
            "digest": .text(digest), "files": .array(files.map(\.json)),
        ])
    }
}

extension BlocksAnswer.File {
    package var json: Value {
        .fields([
            "table": .text(table), "name": .text(name), "bytes": .count(bytes), "rows": .count(rows),
            "digest": .text(digest),
        ])
    }
}

package struct EpochsAnswer: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var epoch: Epoch
        /// `initial`, `sealed`, `lost` or `restored`.
        package var began: String
        package var logKind: String
        package var topic: String?
        /// Its own end; nil while it is the current one.
        package var end: Position?
        /// Of an epoch that ended: transactions that no block holds; nil when they cannot be counted.
        package var unindexedLost: Int?

        package init(
            epoch: Epoch, began: String, logKind: String, topic: String?, end: Position?, unindexedLost: Int?
        ) {
            self.epoch = epoch
            self.began = began
            self.logKind = logKind
            self.topic = topic
            self.end = end
            self.unindexedLost = unindexedLost
        }
    }

    /// Oldest first.
    package var epochs: [Entry]

    package init(epochs: [Entry]) { self.epochs = epochs }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        epochs = []
        for var entry in try fields.objects("epochs") {
            var log = try entry.object("log")
            epochs.append(
                Entry(
                    epoch: try entry.required("epoch", "an epoch") { $0.asCount.flatMap { Epoch($0) } },
                    began: try entry.text("began"), logKind: try log.text("kind"), topic: try log.optionalText("topic"),
                    end: try entry.optionalPosition("end"), unindexedLost: try entry.optionalCount("unindexedLost")))
        }
    }

    package var json: Value {
        .fields([
            "epochs": .array(
                epochs.map { entry in
                    .fields([
                        "epoch": .count(Int(entry.epoch.number)), "began": .text(entry.began),
                        "log": .fields(["kind": .text(entry.logKind), "topic": entry.topic.map { .text($0) }]),
                        "end": entry.end.map { .text(of: $0) } ?? .null,
                        "unindexedLost": entry.unindexedLost.map { .count($0) } ?? .null,
                    ])
                })
        ])
    }
}

package struct TablesAnswer: Sendable, Equatable {
    package struct Table: Sendable, Equatable {
        package var name: String
        package var rows: Int
        /// `_id`, then fields in byte order.
        package var columns: [String]

        package init(name: String, rows: Int, columns: [String]) {
            self.name = name
            self.rows = rows
            self.columns = columns
        }
    }

    package var tables: [Table]

    package init(tables: [Table]) { self.tables = tables }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        tables = []
        for var table in try fields.objects("tables") {
            var columns: [String] = []
            for column in try table.list("columns") {
                guard let name = column.asText else { throw table.fault("columns must be texts", "columns") }
                columns.append(name)
            }
            tables.append(Table(name: try table.text("name"), rows: try table.count("rows"), columns: columns))
        }
    }

    package var json: Value {
        .fields([
            "tables": .array(
                tables.map {
                    .fields([
                        "name": .text($0.name), "rows": .count($0.rows),
                        "columns": .array($0.columns.map { .text($0) }),
                    ])
                })
        ])
    }
}

/// `POST /v1/flush`.
package struct FlushAnswer: Sendable, Equatable {
    /// The block that was cut, or the newest when there was nothing to cut; nil while there is none.
    package var block: BlockNumber?
    package var position: Position
    package var isNoop: Bool

    package init(block: BlockNumber?, position: Position, isNoop: Bool) {
        self.block = block
        self.position = position
        self.isNoop = isNoop
    }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        block = try fields.optionalCount("block").map { BlockNumber(UInt64($0)) }
        position = try fields.position("position")
        isNoop = try fields.optionalBool("noop") ?? false
    }

    package var json: Value {
        .fields([
            "block": block.map { .integer(Int64($0.value)) } ?? .null, "position": .text(of: position),
            "noop": .bool(isNoop),
        ])
    }
}
