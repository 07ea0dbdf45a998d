/// What stands in storage and in a node's directory: FORMAT, epoch records, manifests, heartbeats, claims, block files.

internal import VarveCore
internal import VarveModel
internal import VarveRecovery
internal import VarveStorage

extension Decoders {
    static var disk: [Decoder] {
        [
            Decoder(name: "format", source: .disk, corpus: [StorageFormat(database: database).encoded().array]) {
                bytes in
                guard let found = try? StorageFormat.decode(Bytes(bytes)) else { return false }
                try same(found.encoded(), bytes)
                return true
            },
            Decoder(name: "epoch", source: .disk, corpus: epochRecords) { bytes in
                guard let found = try? EpochRecord.decode(Bytes(bytes)) else { return false }
                try same(found.encoded(), bytes)
                return true
            },
            Decoder(name: "manifest", source: .disk, corpus: manifests, mend: mendTrailer) { bytes in
                guard let found = try? Manifest.decode(Bytes(bytes)) else { return false }
                try same(found.encoded(), bytes)
                return true
            },
            Decoder(name: "heartbeat", source: .disk, corpus: heartbeats, mend: mendTrailer) { bytes in
                guard let found = try? Heartbeat.decode(Bytes(bytes)) else { return false }
                guard (try? Heartbeat.decode(found.encoded())) == found else {
                    throw Broken("decoded and encoded again it is another heartbeat")
                }
                return true
            },
            Decoder(
                name: "claim", source: .disk,
                corpus: [Claim(node: "node-1", processStart: 1_700_000_000_000).encoded().array]
            ) { bytes in
                guard let found = try? Claim.decode(Bytes(bytes)) else { return false }
                guard (try? Claim.decode(found.encoded())) == found else {
                    throw Broken("decoded and encoded again it is another claim")
                }
                return true
            },
            Decoder(
                name: "intent", source: .disk,
                corpus: [GarbageIntent(["tables/t/a.arrow", "tables/t/b.arrow"]).encoded().array]
            ) { bytes in
                guard let found = try? GarbageIntent.decode(Bytes(bytes)) else { return false }
                guard (try? GarbageIntent.decode(found.encoded())) == found else {
                    throw Broken("decoded and encoded again it is another intent")
                }
                return true
            },
            blockFile, sidecar, decision, segment,
        ]
    }

    private static var epochRecords: [[UInt8]] {
        var log = LogReference(kind: .local, topic: "e0000")
        (log.genesis, log.genesisOffset) = (genesisID, .zero)
        let first = EpochRecord(
            epoch: .first, parent: .zero, began: .initial, log: log, parentEnd: nil, reason: "")
        let second = EpochRecord(
            epoch: Epoch(1) ?? .first, parent: Digest(of: first.encoded()), began: .lost, log: log,
            parentEnd: parentEnd, reason: "the topic was deleted")
        return [first.encoded().array, second.encoded().array]
    }

    private static var manifests: [[UInt8]] {
        guard let table = try? TableName("users"), let key = Key("ada") else { return [] }
        let file = Manifest.File(
            name: "tables/users/l00-b00000003-b00000003-c-0123456789abcdef.arrow", size: 700,
            digest: Digest(of: Bytes("f")),
            rows: 3, firstKey: key, lastKey: key)
        let last = Position(.first, Offset(900))
        let manifest = Manifest(
            database: database, number: BlockNumber(3), previous: Digest(of: Bytes("p")),
            first: Position(.first, Offset(12)), last: last, logTime: 1_700_000_000_000,
            effectiveTime: 1_700_000_000_000,
            systemTime: Instant(microseconds: 1_700_000_000_000_001), inputChain: Digest(of: Bytes("h")),
            effectChain: Bytes16(high: 3, low: 4), recordDigest: Digest(of: Bytes("r")), horizon: .zero,
            anchors: [
                Manifest.Anchor(fromPower: 0, position: last, digest: Digest(of: Bytes("a"))),
                Manifest.Anchor(fromPower: 5, position: .zero, digest: Digest(of: Bytes("b"))),
            ],
            cut: .rows, counts: Manifest.Counts(records: 3, transactions: 2, rows: 3, bytes: 900), settings: Settings(),
            tables: [
                Manifest.Table(
                    name: table, newFields: [Bytes("name"), Bytes("age")],
                    erasures: [Manifest.Erasure(key: key, position: last)], files: [file])
            ])
        return [manifest.encoded().array]
    }

    private static var heartbeats: [[UInt8]] {
        var heartbeat = Heartbeat(node: "node-1", processStart: 1_700_000_000_000)
        heartbeat.applied = Position(.first, Offset(7))
        heartbeat.adopted = Heartbeat.Adopted(number: .first, position: .zero)
        heartbeat.address = "http://127.0.0.1:8080"
        var migrating = heartbeat
        migrating.proposal = Heartbeat.Proposal(id: Bytes16(high: 1, low: 2), epoch: seal.next, log: seal.log)
        migrating.confirmation = Heartbeat.Confirmation(id: Bytes16(high: 1, low: 2), problem: nil)
        var unable = heartbeat
        unable.confirmation = Heartbeat.Confirmation(id: Bytes16(high: 1, low: 2), problem: "no way there")
        return [
            heartbeat.encoded().array, Heartbeat(node: "n", processStart: 0).encoded().array,
            migrating.encoded().array, unable.encoded().array,
        ]
    }

    /// A CRC32C over all before it, little-endian, at the end.
    private static func mendTrailer(_ bytes: inout [UInt8]) {
        guard bytes.count >= 4 else { return }
        let crc = bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[..<($0.count - 4)])) }
        for i in 0..<4 { bytes[bytes.count - 4 + i] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(i))) }
    }

    // MARK: Block files

    private final class Contents: ObjectContents {
        // Written once, here; read only afterwards.
        private nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer
        init(_ bytes: [UInt8]) {
            memory = .allocate(byteCount: max(1, bytes.count), alignment: 64)
            memory.copyBytes(from: bytes)
            size = bytes.count
        }
        private let size: Int
        deinit { memory.deallocate() }
        var count: Int { size }
        func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
            try body(UnsafeRawBufferPointer(rebasing: memory[..<size]))
        }
    }

    /// Every cell of every row is read; the digest is that of the changed bytes, as if a manifest named them.
    private static var blockFile: Decoder {
        let list = blockRows
        let table = users
        let corpus = [list, [list[0]]].compactMap { try? BlockFileWriter.encode(table: table, rows: $0).array }
        return Decoder(name: "block-file", source: .disk, corpus: corpus) { bytes in
            let digest = Digest(of: Bytes(bytes))
            for rows in [UInt64(3), 1] {
                let named = named(Bytes(bytes), digest, rows: rows)
                guard let file = try? BlockFile(Contents(bytes), named) else { continue }
                read(file)
                return true
            }
            return false
        }
    }

    private static let users: TableName = {
        guard let table = try? TableName("users") else { preconditionFailure("a fixed name is a name") }
        return table
    }()

    private static let blockRows: [BlockRow] = {
        var list: [BlockRow] = []
        for (i, row) in rows.sorted(by: { $0.key < $1.key }).enumerated() {
            list.append(
                BlockRow(
                    key: row.key, position: Position(.first, Offset(Int64(20 - i))),
                    systemFrom: Instant(microseconds: Int64(1_000 + i)),
                    systemTo: i == 1 ? Instant(microseconds: 5_000) : nil,
                    document: i == 2 ? nil : row.document))
        }
        return list
    }()

    /// As a manifest would name these bytes, if they were right.
    private static func named(_ bytes: Bytes, _ digest: Digest, rows: UInt64) -> Manifest.File {
        let list = blockRows
        return Manifest.File(
            name: BlockFileWriter.name(table: users, first: .first, last: .first, digest: digest),
            size: UInt64(bytes.count), digest: digest, rows: rows, firstKey: list[0].key,
            lastKey: list[rows == 1 ? 0 : list.count - 1].key)
    }

    /// Every key is asked for.
    private static var sidecar: Decoder {
        let list = blockRows
        guard let bytes = try? BlockFileWriter.encode(table: users, rows: list) else {
            preconditionFailure("fixed rows are a block file")
        }
        let named = named(bytes, Digest(of: bytes), rows: 3)
        guard let file = try? BlockFile(Contents(bytes.array), named) else {
            preconditionFailure("a block file just written is one")
        }
        let corpus = [BlockSidecar(of: file).encoded().array]
        return Decoder(name: "sidecar", source: .disk, corpus: corpus, mend: mendTrailer) { bytes in
            guard let found = BlockSidecar.decode(Bytes(bytes), of: named) else { return false }
            for row in list { _ = found.mayHold(row.key) }
            guard BlockSidecar.decode(found.encoded(), of: named) == found else {
                throw Broken("decoded and encoded again it is another sidecar")
            }
            return true
        }
    }

    /// A row of `varve.transactions`.
    private static var decision: Decoder {
        let id = SubmissionID(high: 1, low: 2)
        guard let key = Key(id.description) else { preconditionFailure("an id is a key") }
        let position = Position(.first, Offset(3))
        let time = Instant(microseconds: 1_700_000_000_000_001)
        func decision(_ outcome: Outcome, _ failure: Decision.Failure?) -> [UInt8] {
            Decision(
                id: id, position: position, systemTime: time, effectiveTime: 1_700_000_000_000, outcome: outcome,
                requestDigest: Bytes16(high: 3, low: 4), failure: failure, chainPrefix: 7
            ).document.array
        }
        let failed = Decision.Failure(code: .assertFailed, operation: 4, detail: "exists")
        let corpus = [decision(.committed, nil), decision(.aborted, failed), decision(.cancelled, nil)]
        return Decoder(name: "decision", source: .disk, corpus: corpus) { bytes in
            guard let found = Decision(key: key, position: position, systemTime: time, document: Bytes(bytes)) else {
                return false
            }
            guard Decision(key: key, position: position, systemTime: time, document: found.document) == found else {
                throw Broken("decoded and encoded again it is another decision")
            }
            return true
        }
    }

    private static func read(_ file: BlockFile) {
        for row in 0..<file.rowCount {
            _ = file.keyBytes(at: row)
            _ = file.position(at: row)
            _ = file.systemFrom(at: row)
            _ = file.systemTo(at: row)
            _ = file.isDeleted(at: row)
            for column in file.columns.indices { _ = file.cell(at: row, column: column) }
            if file.hasRest { _ = file.rest(at: row) }
            _ = try? file.document(at: row)
            _ = file.find(file.key(at: row))
        }
    }
}
