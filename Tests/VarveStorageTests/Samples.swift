/// Rows for tests: small ones written by hand, many from a seed.

import VarveModel
import VarveStorage

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Our own rather than the library's, whose results may change with its version: golden digests stand on it.
    mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }
}

let table = try! TableName("things")

func document(_ value: Value) throws -> Bytes { try encodeFields(of: value) }

func document(json: String) throws -> Bytes { try encodeFields(of: parseJSON(json)) }

func at(_ offset: Int64, _ epoch: Int = 0) -> Position { Position(Epoch(epoch)!, Offset(offset)) }

func row(_ key: Key, _ offset: Int64, to end: Int64? = nil, _ document: Bytes?) -> BlockRow {
    BlockRow(
        key: key, position: at(offset), systemFrom: Instant(microseconds: 1_700_000_000_000_000 + offset),
        systemTo: end.map { Instant(microseconds: 1_700_000_000_000_000 + $0) }, document: document)
}

/// One row of each kind of thing: what the golden file holds.
func rowsOfEveryKind() throws -> [BlockRow] {
    [
        row(Key(-5), 3, try document(json: #"{"a": 1, "b": "é", "t": null}"#)),
        row(Key(7), 9, nil),
        row(Key(7), 4, to: 9, try document(json: #"{"a": 1.5, "b": "", "flag": true, "deep": {"x": [1, 1.0, null]}}"#)),
        row(
            Key("ada")!, 5,
            try document(
                .object([
                    .init("when", .timestamp(Instant(microseconds: -1))), .init("raw", .binary([0, 255, 10])),
                    .init("size", .integer(.min)), .init("ratio", .double(-0.0)), .init("nothing", .null),
                ]))),
        row(Key("zoë")!, 6, try document(json: "{}")),
        row(Key("zoë\u{0}")!, 8, try document(json: #"{"size": 9223372036854775807, "ratio": 1e300, "flag": false}"#)),
    ]
}

/// Documents with every kind of value, fields that come and go, nulls, mixed types.
func randomRows(_ count: Int, seed: UInt64, fields: Int = 30) throws -> [BlockRow] {
    var random = SplitMix(seed)
    func scalar(_ kind: Int) -> Value {
        switch kind {
        case 0: .null
        case 1: .bool(random.below(2) == 0)
        case 2: .integer(Int64(truncatingIfNeeded: random.next() >> UInt64(random.below(64))))
        case 3: .double(Double(Int64(truncatingIfNeeded: random.next())) / 1024)
        case 4: .text(String(repeating: "aß\"\\\n🙂", count: random.below(4)))
        case 5: .binary((0..<random.below(9)).map { UInt8($0 * 31 & 255) })
        default: .timestamp(Instant(microseconds: Int64(random.below(3 << 50)) - (1 << 50)))
        }
    }
    func value(_ field: Int) -> Value {
        switch field % 10 {
        case 0...6:
            random.below(8) == 0 ? .null : scalar(field % 10)
        case 7: scalar(random.below(7))
        case 8: .array((0..<random.below(4)).map { scalar($0 + 1) })
        default: .object([.init("k", scalar(field / 10 % 7)), .init("ключ", .array([]))])
        }
    }
    var rows: [BlockRow] = []
    var id: Int64 = -100
    while rows.count < count {
        id += 1
        let key =
            id < Int64(count) / 3 ? Key(id) : Key("key-\(hex(of: withUnsafeBytes(of: id.bigEndian, Array.init)))")!
        var end: Int64?
        for version in 0..<(1 + random.below(3)) where rows.count < count {
            let offset = 1_000_000 + id * 10 - Int64(version)
            let content: Value = .object(
                (0..<fields).compactMap { field in
                    random.below(4) == 0 ? nil : .init("field\(field)", value(field))
                })
            let isDeleted = random.below(10) == 0
            rows.append(row(key, offset, to: end, isDeleted ? nil : try document(content)))
            end = offset
        }
    }
    return rows
}

/// The rows written, stored and opened.
func reopened(_ rows: [BlockRow]) throws -> BlockFile {
    let store = BlockStore(MemoryObjectStore())
    let encoded = try BlockFileWriter.encode(table: table, block: .first, rows: rows)
    try store.publishFile(encoded)
    return try store.openFile(encoded.file)
}
