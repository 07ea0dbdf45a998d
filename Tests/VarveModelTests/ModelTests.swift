import Testing

@testable import VarveModel

@Suite("Positions, keys and names")
struct PositionAndKeyTests {
    @Test("a position packs, prints and reads back")
    func positions() throws {
        for (epoch, offset) in [(0, 0), (0, 123), (1, 0), (32_767, Offset.highest)] as [(Int, Int64)] {
            let position = Position(try #require(Epoch(epoch)), Offset(offset))
            #expect(position.packed == Int64(epoch) << 48 | offset)
            #expect(Position(packed: position.packed) == position)
            #expect(position.description == "\(epoch)-\(offset)")
            #expect(Position(position.description) == position)
            #expect(position.epoch.number == UInt16(epoch) && position.offset.value == offset)
        }
        #expect(Position("0-999")! < Position("1-0")!)
        #expect(Position(packed: -1) == nil)
    }

    @Test(
        "what is no position is refused",
        arguments: ["", "0", "0-", "-1", "0--1", "+0-1", "0-1 ", "0-1-2", "32768-0", "0-281474976710656", "a-1", "٠-1"])
    func refusedPositions(text: String) {
        #expect(Position(text) == nil)
    }

    @Test("keys sort integers before texts, integers by number, texts by bytes")
    func keyOrder() throws {
        let sorted: [Key] = [
            Key(.min), Key(-256), Key(-1), Key(0), Key(1), Key(255), Key(256), Key(.max),
            try #require(Key("1")), try #require(Key("10")), try #require(Key("2")), try #require(Key("Z")),
            try #require(Key("a")), try #require(Key("aaaaaaa")), try #require(Key("aaaaaaaa")),
            try #require(Key("aaaaaaab")), try #require(Key("e\u{301}")), try #require(Key("\u{e9}")),
        ]
        for (i, a) in sorted.enumerated() {
            for (j, b) in sorted.enumerated() {
                #expect((a < b) == (i < j))
                #expect((a == b) == (i == j))
            }
            #expect(Key(encoded: a.bytes) == a)
        }
        #expect(Key(-7).id == .integer(-7))
        #expect(Key("é")?.id == .text("é"))
    }

    @Test(
        "bytes that are no key are refused",
        arguments: ["", "01", "02", "0161", "0380", "02ff", "01000000000000000000"])
    func refusedKeys(encoded: String) throws {
        #expect(Key(encoded: Bytes(try #require(bytes(fromHex: encoded)))) == nil)
    }

    @Test("ids have at least one byte and at most 1,024")
    func idLength() throws {
        #expect(Key("") == nil)
        #expect(Key(String(repeating: "x", count: 1024)) != nil)
        #expect(Key(String(repeating: "x", count: 1025)) == nil)
        #expect(Key(encoded: Bytes([2] + [UInt8](repeating: 0x78, count: 1025))) == nil)
    }

    @Test("table names are lower-cased, reserved ones refused")
    func tableNames() throws {
        #expect(try TableName("Users_2").text == "users_2")
        for name in [
            "", "1a", "a-b", "ü", "varve", "MAIN", "temp", "sqlite_x", "a_history", String(repeating: "a", count: 64),
        ] {
            #expect(throws: VarveError.self) { try TableName(name) }
        }
    }
}

@Suite("Records")
struct RecordTests {
    private let tag = LogTag(raw: 7)
    private var record: Record {
        Record(header: RecordHeader(type: .barrier, logTag: tag, id: Bytes16(high: 1, low: 2)), payload: Bytes([0xa0]))
    }

    @Test("the header stands where the format says, byte for byte")
    func layout() throws {
        let header = RecordHeader(
            type: .seal, flags: [.critical, .attempt], logTag: LogTag(raw: 0x0807_0605_0403_0201),
            id: Bytes16(0x10..<0x20), writer: 0x2827_2625_2423_2221, writerSequence: 0x3837_3635_3433_3231,
            expiresAt: 0x4847_4645_4443_4241, observed: Position(packed: 0x5857_5655_5453_5251)!,
            inputChain: 0x6867_6665_6463_6261, effectChain: 0x7877_7675_7473_7271)
        let bytes = Record(header: header, payload: Bytes([0xa0, 0x01])).encoded()
        #expect(
            hex(of: bytes[0..<84].array) == "56525631" + "07" + "03" + "0100" + "0102030405060708"
                + "101112131415161718191a1b1c1d1e1f" + "2122232425262728" + "3132333435363738" + "4142434445464748"
                + "5152535455565758" + "6162636465666768" + "7172737475767778" + "02000000")
        #expect(bytes.count == 90)
    }

    @Test("what is not ours is foreign, what is broken is damaged, what is later is unsupported")
    func decoding() throws {
        let bytes = record.encoded().array
        #expect(Record.decode(Bytes(bytes), tag: tag) == .record(record))
        #expect(Record.decode(Bytes(bytes), tag: nil) == .record(record))

        func isForeign(_ bytes: [UInt8], _ tag: LogTag) -> Bool {
            if case .foreign = Record.decode(Bytes(bytes), tag: tag) { true } else { false }
        }
        #expect(isForeign([], tag))
        #expect(isForeign(Array(bytes[..<87]), tag))
        #expect(isForeign(bytes, LogTag(raw: 8)))
        var other = bytes
        other[0] = 0
        #expect(isForeign(other, tag))

        for index in 4..<bytes.count {
            var broken = bytes
            broken[index] ^= 0x40
            guard case .damaged = Record.decode(Bytes(broken), tag: tag) else {
                Issue.record("byte \(index) changed unnoticed")
                continue
            }
        }
        guard case .damaged = Record.decode(Bytes(bytes + [0]), tag: tag),
            case .damaged = Record.decode(Bytes(Array(bytes.dropLast())), tag: tag)
        else {
            Issue.record("a wrong length went unnoticed")
            return
        }
    }

    @Test(
        "a later version is unsupported, critical or not",
        arguments: [(4, UInt8(99), true), (5, 0b101, true), (5, 0b1001, true), (6, 2, true)])
    func later(offset: Int, value: UInt8, critical: Bool) throws {
        #expect(unsupported(changing: [(offset, value)]) == critical)
        if offset == 4 { #expect(unsupported(changing: [(4, value), (5, 0)]) == false) }
    }

    private func unsupported(changing: [(Int, UInt8)]) -> Bool? {
        var bytes = record.encoded().array
        for (offset, value) in changing { bytes[offset] = value }
        var crc = bytes[..<84].withUnsafeBytes { crc32c($0) }
        crc = bytes[88...].withUnsafeBytes { crc32c($0, seed: crc) }
        for i in 0..<4 { bytes[84 + i] = UInt8(truncatingIfNeeded: crc >> UInt32(8 * i)) }
        guard case .unsupported(_, let critical) = Record.decode(Bytes(bytes), tag: tag) else { return nil }
        return critical
    }
}

@Suite("Digests and checksums")
struct DigestTests {
    @Test("SHA-256 as in FIPS 180-4, at once and in pieces")
    func sha256() {
        #expect(
            Digest(of: []).description == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            Digest(of: Array("abc".utf8)).description
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let text = Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)
        let expected = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        #expect(Digest(of: text).description == expected)
        var hash = SHA256()
        for byte in text { hash.update([byte]) }
        var copy = hash
        #expect(hash.digest().description == expected)
        #expect(copy.digest().description == expected)
        #expect(hash.digest() == Digest(of: []))
        #expect(Digest(of: []).prefix8 == 0x141c_fc98_42c4_b0e3)
        #expect(Digest(of: []).shortHex == "e3b0c44298fc1c14")
    }

    @Test("integers enter a hash little-endian and in fixed width")
    func integers() {
        var a = SHA256()
        a.update(UInt16(0x0102))
        a.update(Int64(-2))
        #expect(a.digest() == Digest(of: [2, 1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))
    }

    @Test("both implementations of CRC32C agree with RFC 3720 and with each other")
    func checksums() {
        let vectors: [([UInt8], UInt32)] = [
            ([], 0), (Array("123456789".utf8), 0xe306_9283), ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
            ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43), (Array(0..<32), 0x46dd_794e),
            (Array((0..<32).reversed()), 0x113f_db5c),
        ]
        for (bytes, expected) in vectors {
            #expect(bytes.withUnsafeBytes { crc32c($0) } == expected)
            #expect(bytes.withUnsafeBytes { crc32cByTable($0) } == expected)
        }
        var generator = Generator(seed: 1)
        for count in [1, 7, 8, 9, 63, 64, 65, 1000, 10_001] {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let whole = bytes.withUnsafeBytes { crc32c($0) }
            #expect(bytes.withUnsafeBytes { crc32cByTable($0) } == whole)
            let cut = count / 3
            let first = bytes[..<cut].withUnsafeBytes { crc32c($0) }
            #expect(bytes[cut...].withUnsafeBytes { crc32c($0, seed: first) } == whole)
            #expect(bytes[cut...].withUnsafeBytes { crc32cByTable($0, seed: first) } == whole)
        }
    }
}
