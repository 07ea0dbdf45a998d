/// Every decoder of bytes from disk, log, HTTP and configuration.

internal import VarveModel

enum Decoders {
    static var all: [Decoder] { log + disk + http + config }

    /// Those that take longest for an input, the slowest first.
    static let slow = ["segment", "machine", "block-file", "properties", "yaml", "texts", "manifest"]

    /// Traps on purpose, so that a test can see what a trap looks like.
    static var planted: Decoder {
        Decoder(name: "planted", source: .log, corpus: [[1, 2, 3, 4]]) { bytes in
            precondition(bytes.first != 0xff, "planted")
            return true
        }
    }

    static func succeeds(_ body: () throws -> Void) -> Bool {
        do { try body() } catch { return false }
        return true
    }

    /// A decoder of stored bytes refuses all but the one form: equal contents are equal bytes.
    static func same(_ again: Bytes, _ bytes: [UInt8]) throws {
        guard again.array != bytes else { return }
        let at = zip(again.array, bytes).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        throw Broken(
            "decoded and encoded again it is other bytes, from \(at ?? min(again.count, bytes.count)) of \(bytes.count) on "
                + "(\(again.count) bytes)")
    }

    // MARK: What corpora are made of

    static let database = DatabaseID(high: 0x1122_3344_5566_7788, low: 0x99aa_bbcc_ddee_ff00)
    static let genesisID = GenesisID(high: 7, low: 8)
    static var tag: LogTag { LogTag(database: database, genesis: genesisID) }

    static let documents: [Value] = [
        .object([.init("_id", .text("ada")), .init("name", .text("Ada")), .init("age", .integer(36))]),
        .object([
            .init("_id", .integer(-7)), .init("when", .timestamp(Instant(microseconds: 1_700_000_000_000_000))),
            .init("list", .array([.integer(1), .double(2.5), .null, .bool(true), .text("ü€😀")])),
            .init("nested", .object([.init("a", .object([.init("b", .binary([1, 2, 255]))]))])),
        ]),
        .object([.init("_id", .text(String(repeating: "k", count: 40))), .init("n", .double(-0.0))]),
    ]

    static var rows: [Operation.Row] { documents.compactMap { try? scanDocument(Bytes($0.json)) } }

    static var transactions: [Transaction] {
        guard let table = try? TableName("users"), let other = try? TableName("towns"), let key = Key("ada") else {
            return []
        }
        return [
            Transaction([.put(table, rows)]),
            Transaction([
                .patch(table, [rows[0]]), .delete(other, [key]), .erase(table, [rows[1].key]),
                .assert(table, key, .exists(true)), .assert(table, key, .version(Position(.first, Offset(3)))),
                .assert(table, key, .equals(rows[0].document)),
            ]),
            Transaction([]),
        ]
    }

    static var genesis: Genesis {
        Genesis(
            database: database, epoch: .first, log: LogReference(kind: .local, topic: "e0000"), began: .initial,
            settings: Settings())
    }

    static var laterGenesis: Genesis {
        Genesis(
            database: database, epoch: Epoch(3) ?? .first,
            log: LogReference(kind: .kafka, clusterID: "Xy12", topic: "varve-log-e3"), began: .lost,
            settings: Settings(), parent: Genesis.Parent(genesis: genesisID, end: parentEnd))
    }

    static var parentEnd: ParentEnd {
        ParentEnd(
            position: Position(.first, Offset(99)), inputChain: Digest(of: Bytes("h")),
            effectChain: Bytes16(high: 1, low: 2),
            block: BlockNumber(4), effectiveTime: 1_700_000_000_000, systemTime: Instant(microseconds: 1))
    }

    static func record(
        _ type: RecordType, _ payload: Bytes, id: Bytes16 = Bytes16(high: 5, low: 6), observed: Int64 = 0
    ) -> Bytes {
        Record(
            header: RecordHeader(
                type: type, logTag: type == .genesis ? .none : tag, id: type == .genesis ? genesisID : id, writer: 1,
                writerSequence: 2, observed: Position(packed: observed) ?? .zero),
            payload: payload
        ).encoded()
    }

    /// One of every type.
    static var records: [[UInt8]] {
        var settings = CBORWriter()
        Settings().encode(to: &settings)
        let payloads: [(RecordType, Bytes)] =
            [
                (.genesis, genesis.encoded()), (.genesis, laterGenesis.encoded()), (.cancel, Bytes()),
                (.barrier, Bytes()), (.flushRequest, FlushRequest(block: .first).encoded()),
                (.settings, Bytes(settings.bytes)), (.seal, seal.encoded()),
            ] + transactions.map { (.transaction, $0.encoded().payload) }
        return payloads.map { record($0.0, $0.1).array }
    }

    static var seal: Seal {
        Seal(
            next: Epoch(1) ?? .first,
            log: LogReference(
                kind: .kafka, clusterID: "c", topic: "varve-log-e1", genesis: Bytes16(high: 9, low: 9),
                genesisOffset: .zero))
    }

    /// Payload length and CRC of a record as they must be.
    static func mendRecord(_ bytes: inout [UInt8]) {
        guard bytes.count >= Record.headerBytes else { return }
        let length = UInt32(truncatingIfNeeded: bytes.count - Record.headerBytes)
        for i in 0..<4 { bytes[80 + i] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(i))) }
        let crc = bytes.withUnsafeBytes { raw in
            crc32c(
                UnsafeRawBufferPointer(rebasing: raw[Record.headerBytes...]),
                seed: crc32c(UnsafeRawBufferPointer(rebasing: raw[0..<84])))
        }
        for i in 0..<4 { bytes[84 + i] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(i))) }
    }
}
