import Testing
import VarveModel

@testable import VarveStorage

@Suite("A block file")
struct BlockFileTests {
    private func expectSame(_ file: BlockFile, _ rows: [BlockRow]) throws {
        #expect(file.rowCount == rows.count)
        for (i, row) in rows.enumerated() {
            #expect(file.key(at: i) == row.key)
            #expect(file.position(at: i) == row.position)
            #expect(file.systemFrom(at: i) == row.systemFrom)
            #expect(file.systemTo(at: i) == row.systemTo)
            #expect(file.isDeleted(at: i) == (row.document == nil))
            #expect(try file.document(at: i) == row.document)
        }
    }

    @Test("gives back every document byte for byte")
    func everyKindOfValue() throws {
        let rows = try rowsOfEveryKind()
        try expectSame(try reopened(rows), rows)
    }

    @Test("gives back documents of every shape, over several batches", arguments: [1, 2, 3] as [UInt64])
    func random(seed: UInt64) throws {
        let rows = try randomRows(seed == 1 ? 4300 : 500, seed: seed)
        try expectSame(try reopened(rows), rows)
    }

    @Test("gives the most frequent 256 fields a column and keeps the others")
    func manyFields() throws {
        let rows = try randomRows(40, seed: 4, fields: 700)
        let file = try reopened(rows)
        #expect(file.columns.count == 256)
        #expect(file.hasRest)
        try expectSame(file, rows)
        let frequency = Dictionary(
            try rows.flatMap { row in
                try row.document.map { try Document($0).value() }?.fields.map { (Bytes($0.name), 1) } ?? []
            }, uniquingKeysWith: +)
        let rarestColumn = file.columns.map { frequency[$0.name]! }.min()!
        let commonestOther = frequency.filter { file.column(named: $0.key) == nil }.values.max()!
        #expect(rarestColumn >= commonestOther)
    }

    @Test("keeps more field names than are searched by walking along")
    func thousandsOfNames() throws {
        let rows = try randomRows(8, seed: 5, fields: 3000)
        try expectSame(try reopened(rows), rows)
    }

    @Test("types a column by its own values")
    func types() throws {
        let file = try reopened(try rowsOfEveryKind())
        let types = Dictionary(uniqueKeysWithValues: file.columns.map { ($0.name.utf8!, $0.type) })
        #expect(
            types == [
                "a": .json, "b": .text, "deep": .json, "flag": .bool, "nothing": .null, "ratio": .float64,
                "raw": .binary, "size": .int64, "t": .null, "when": .timestamp,
            ])
        #expect(file.columns.map(\.name) == file.columns.map(\.name).sorted())
        #expect(file.column(named: Bytes("flag")) == 3)
        #expect(file.column(named: Bytes("flag ")) == nil)
    }

    @Test("answers cells without building documents")
    func cells() throws {
        let file = try reopened(try rowsOfEveryKind())
        func show(_ row: Int, _ name: String) -> String {
            switch file.cell(at: row, column: file.column(named: Bytes(name))!) {
            case .null: "null"
            case .bool(let value): "\(value)"
            case .int64(let value): "\(value)"
            case .float64(let value): "\(value)f"
            case .text(let utf8): String(decoding: utf8, as: UTF8.self)
            case .binary(let content): hex(of: content)
            case .timestamp(let value): "\(value)us"
            case .json(let text): "json " + String(decoding: text, as: UTF8.self)
            }
        }
        #expect(show(0, "a") == "json 1" && show(2, "a") == "json 1.5" && show(1, "a") == "null")
        #expect(show(0, "b") == "é" && show(2, "b") == "" && show(3, "b") == "null")
        #expect(show(2, "flag") == "true" && show(5, "flag") == "false" && show(4, "flag") == "null")
        #expect(show(3, "size") == "\(Int64.min)" && show(5, "ratio") == "1e+300f" && show(3, "ratio") == "-0.0f")
        #expect(show(3, "raw") == "00ff0a" && show(3, "when") == "-1us")
        #expect(show(2, "deep") == #"json {"x":[1,1.0,null]}"#)
    }

    @Test("finds a key's rows, newest first, and where a missing key would be")
    func find() throws {
        let rows = try randomRows(4300, seed: 6, fields: 3)
        let file = try reopened(rows)
        var start = 0
        while start < rows.count {
            var end = start
            while end < rows.count, rows[end].key == rows[start].key { end += 1 }
            #expect(file.find(rows[start].key) == start..<end)
            #expect(file.lowerBound(rows[start].key) == start)
            #expect(file.compareKey(at: start, with: rows[start].key) == 0)
            start = end
        }
        #expect(file.find(Key(Int64.min)) == 0..<0)
        #expect(file.find(Key("\u{10ffff}")!) == rows.count..<rows.count)
        #expect(file.compareKey(at: 0, with: Key("x")!) < 0)
        #expect(file.compareKey(at: 0, with: Key(.min)) > 0)
    }

    @Test("starts a new batch before one grows too large; a larger document goes alone")
    func batchBytes() throws {
        let rows = try (0..<50).map { row(Key($0), $0, try document(.object([.init("x", .text("0123456789"))]))) }
        let bytes = try BlockFileWriter.encode(table: table, rows: rows, batchBytesMax: 60)
        let file = Manifest.File(
            name: "x", size: UInt64(bytes.count), digest: Digest(of: bytes), rows: 50, firstKey: Key(0),
            lastKey: Key(49))
        let opened = try BlockFile(MemoryContents(bytes), file)
        #expect(opened.batches.map(\.rows) == Array(repeating: 2, count: 25))
        try expectSame(opened, rows)
        let alone = try BlockFileWriter.encode(table: table, rows: rows, batchBytesMax: 1)
        #expect(alone.count > bytes.count)
    }

    @Test("starts each batch and buffer on 64 bytes")
    func alignment() throws {
        let file = try reopened(try randomRows(4300, seed: 7, fields: 11))
        for batch in file.batches {
            for column in batch.columns where column.values > 0 { #expect(column.values.isMultiple(of: 64)) }
            for column in batch.columns where column.offsets > 0 { #expect(column.offsets.isMultiple(of: 64)) }
            for column in batch.columns where column.validity > 0 { #expect(column.validity.isMultiple(of: 64)) }
        }
    }

    @Test("is not written from rows that are out of order, repeated or none")
    func order() throws {
        let empty = try document(json: "{}")
        for rows in [
            [row(Key(2), 1, empty), row(Key(1), 2, empty)],
            [row(Key(1), 1, empty), row(Key(1), 2, empty)],
            [row(Key(1), 1, empty), row(Key(1), 1, empty)],
            [],
        ] {
            #expect(throws: VarveError.self) { try BlockFileWriter.encode(table: table, block: .first, rows: rows) }
        }
    }

    @Test("is not written from a document that is no document")
    func badDocument() throws {
        for bytes: [UInt8] in [
            [], [0xa1], [0xa1, 0x61], [0xa1, 0x61, 0x61], [0x80], [0xa0, 0xa0], [0xa1, 0x61, 0x61, 0xc1, 0],
        ] {
            #expect(throws: VarveError.self) {
                try BlockFileWriter.encode(table: table, block: .first, rows: [row(Key(1), 1, Bytes(bytes))])
            }
        }
    }

    @Test("is named by its table, blocks and digest")
    func name() {
        let digest = Digest(of: Bytes("x"))
        #expect(
            BlockFileWriter.name(table: table, first: BlockNumber(3), last: BlockNumber(300), digest: digest)
                == "tables/things/l00-b00000003-b0000012c-c-\(digest.shortHex).arrow")
    }
}

extension Value {
    fileprivate var fields: [Field] { if case .object(let fields) = self { fields } else { [] } }
}
