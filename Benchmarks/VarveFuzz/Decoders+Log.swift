/// What stands in a log: records, their payloads, and the machine that applies them.

internal import VarveCore
internal import VarveModel

extension Decoders {
    static var log: [Decoder] {
        [
            Decoder(name: "record", source: .log, corpus: records, mend: mendRecord) { bytes in
                let input = Bytes(bytes)
                if case .record(let found) = Record.decode(input, tag: tag), found.encoded().array != bytes,
                    found.header.flags.isDisjoint(with: RecordFlags(rawValue: 0xf0)), bytes[6] == 1, bytes[7] == 0
                {
                    throw Broken("decoded and encoded again it is other bytes")
                }
                guard case .record = Record.decode(input, tag: nil) else { return false }
                return true
            },
            Decoder(name: "transaction", source: .log, corpus: transactions.map { $0.encoded().payload.array }) {
                bytes in
                let input = Bytes(bytes)
                _ = try? Transaction.requestDigest(of: input)
                guard let decoded = try? Transaction.decode(input) else { return false }
                for operation in decoded.transaction.operations {
                    guard case .put(_, let rows) = operation else { continue }
                    for row in rows { _ = try? Document.validate(row.document) }
                }
                guard let again = try? Transaction.decode(decoded.transaction.encoded().payload),
                    again.transaction == decoded.transaction
                else { throw Broken("decoded and encoded again it is another transaction") }
                return true
            },
            Decoder(
                name: "payloads", source: .log,
                corpus: [
                    genesis.encoded().array, laterGenesis.encoded().array, seal.encoded().array,
                    FlushRequest(block: BlockNumber(300)).encoded().array,
                ]
            ) { bytes in
                let input = Bytes(bytes)
                if let found = try? Genesis.decode(input) {
                    try same(found.encoded(), bytes)
                    return true
                }
                if let found = try? Seal.decode(input) {
                    try same(found.encoded(), bytes)
                    return true
                }
                return (try? FlushRequest.decode(input)) != nil
            },
            Decoder(name: "settings", source: .log, corpus: settings) { bytes in
                var reader = CBORReader(Bytes(bytes))
                guard let found = try? Settings.decode(&reader), (try? reader.expectEnd()) != nil else { return false }
                var again = CBORWriter()
                found.encode(to: &again)
                try same(Bytes(again.bytes), bytes)
                return true
            },
            machine,
        ]
    }

    private static var settings: [[UInt8]] {
        [Settings(), Settings(transactionsPerBlock: 1, rowsPerBlock: 2, flushDurationMs: 1 << 40)].map {
            var writer = CBORWriter()
            $0.encode(to: &writer)
            return writer.bytes
        }
    }

    private struct NoBlocks: BlockLookup {
        func newest(_ table: TableName, _ key: Key) throws(VarveError) -> StoredVersion? { nil }
    }

    /// A short log: for each record an 8-byte time, a 4-byte offset step and a 4-byte length before it. Applied twice, it
    /// leaves the same state.
    private static var machine: Decoder {
        func entry(_ bytes: [UInt8], time: Int64) -> [UInt8] {
            var out: [UInt8] = []
            for i in 0..<8 { out.append(UInt8(truncatingIfNeeded: time >> Int64(8 * i))) }
            out += [1, 0, 0, 0]
            for i in 0..<4 { out.append(UInt8(truncatingIfNeeded: bytes.count >> (8 * i))) }
            return out + bytes
        }
        let all = records
        let log = all.enumerated().filter { $0.offset != 1 }.flatMap {
            entry($0.element, time: 1_700_000_000_000 + Int64($0.offset))
        }
        let short = entry(all[0], time: 5) + entry(all[7], time: 6) + entry(all[8], time: 7)
        return Decoder(name: "machine", source: .log, corpus: [log, short], mend: mendLog) { bytes in
            let first = apply(bytes)
            guard let applied = first.applied else { return false }
            let again = apply(bytes)
            guard again.applied == applied, again.inputChain.value == first.inputChain.value,
                again.effectChain.value == first.effectChain.value
            else { throw Broken("applied again, the same log leaves another state") }
            return true
        }
    }

    private static func entries(_ bytes: [UInt8], _ visit: (Range<Int>, Int64, Int) -> Void) {
        var at = 0
        while at + 16 <= bytes.count {
            var time: UInt64 = 0
            for i in (0..<8).reversed() { time = time << 8 | UInt64(bytes[at + i]) }
            let step = Int(bytes[at + 8]) | Int(bytes[at + 9]) << 8
            let length = Int(bytes[at + 12]) | Int(bytes[at + 13]) << 8
            let end = min(bytes.count, at + 16 + length)
            visit(at + 16..<end, Int64(bitPattern: time), step)
            at = end
        }
    }

    private static func mendLog(_ bytes: inout [UInt8]) {
        var places: [Range<Int>] = []
        entries(bytes) { range, _, _ in places.append(range) }
        for place in places {
            var record = Array(bytes[place])
            mendRecord(&record)
            bytes.replaceSubrange(place, with: record)
        }
    }

    private static func apply(_ bytes: [UInt8]) -> NodeMachine {
        var machine = NodeMachine(
            database: database, genesis: genesisID, settings: Settings(), epochRecord: Digest(of: Bytes("e")))
        let whole = Bytes(bytes)
        var offset: Int64 = -1
        entries(bytes) { range, time, step in
            offset += Int64(max(1, step))
            let record = NodeMachine.LoggedRecord(offset: Offset(offset), time: time, bytes: whole[range])
            _ = try? machine.step(.records(.first, [record]), reading: NoBlocks())
        }
        return machine
    }
}
