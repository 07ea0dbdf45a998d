import Testing
import VarveCore
import VarveModel

/// What nodes leave for each other in storage, byte for byte (docs/storage-format.md).
@Suite struct StoredSignsTests {
    private func golden(_ text: String) throws -> [UInt8] {
        let golden = bytes(fromHex: text.filter { !$0.isWhitespace })
        return try #require(golden)
    }

    @Test func aHeartbeatsBytes() throws {
        var heartbeat = Heartbeat(node: "n-1", processStart: 1_763_733_600_000)
        heartbeat.counter = 3
        heartbeat.epoch = Epoch(1)!
        heartbeat.applied = Position(Epoch(1)!, Offset(9))
        heartbeat.inputChain = Digest(Array(0..<32))!
        heartbeat.effectChain = Bytes16(Array(0..<16))
        heartbeat.adopted = Heartbeat.Adopted(number: BlockNumber(4), position: Position(.first, Offset(5)))
        heartbeat.settings = 0x0123_4567_89ab_cdef
        heartbeat.oldestBlock = BlockNumber(2)
        heartbeat.version = "0.1.0"
        heartbeat.address = "http://n-1:8080"
        heartbeat.stopped = Position(Epoch(1)!, Offset(9))
        heartbeat.trouble = "STORAGE_FULL"
        let golden = try golden(
            """
            af000101636e2d31021b0000019aa6b6f70003030401051b0001000000000009065820000102030405060708090a0b0c
            0d0e0f101112131415161718191a1b1c1d1e1f0750000102030405060708090a0b0c0d0e0f08820405091b0123456789
            abcdef0a020b65302e312e300c6f687474703a2f2f6e2d313a383038300d1b00010000000000090e6c53544f52414745
            5f46554c4c06a9736a
            """)
        #expect(heartbeat.encoded().array == golden)
        #expect(try Heartbeat.decode(Bytes(golden)) == heartbeat)
    }

    @Test func aConfiguredEpochComesLast() throws {
        var heartbeat = Heartbeat(node: "n-1", processStart: 1)
        let plain = heartbeat.encoded().array.dropLast(4)
        heartbeat.configuredEpoch = Epoch(300)
        let bytes = heartbeat.encoded()
        #expect(
            bytes.array.dropLast(4) == [0xb2] + plain.dropFirst() + [0x0f, 0xf6, 0x10, 0xf6, 0x11, 0x19, 0x01, 0x2c])
        #expect(try Heartbeat.decode(bytes) == heartbeat)
    }

    @Test(arguments: [nil, Epoch(300)]) func theLastRecordComesBehindTheConfiguredEpoch(configured: Epoch?) throws {
        var heartbeat = Heartbeat(node: "n-1", processStart: 1)
        let plain = heartbeat.encoded().array.dropLast(4)
        heartbeat.configuredEpoch = configured
        heartbeat.record = Heartbeat.Applied(digest: Digest(Array(0..<32))!, time: 1000, log: LogTag(raw: 7))
        let bytes = heartbeat.encoded()
        var expected: [UInt8] = [0xb3] + plain.dropFirst() + [0x0f, 0xf6, 0x10, 0xf6, 0x11]
        expected += configured == nil ? [0xf6] : [0x19, 0x01, 0x2c]
        expected += [0x12, 0x83, 0x58, 0x20] + Array(0..<32) + [0x19, 0x03, 0xe8, 0x07]
        #expect(Array(bytes.array.dropLast(4)) == expected)
        #expect(try Heartbeat.decode(bytes) == heartbeat)
    }

    @Test func aClaimsBytes() throws {
        let claim = Claim(node: "n-1", processStart: 1_763_733_600_000)
        let golden = try golden("a3000101636e2d31021b0000019aa6b6f700")
        #expect(claim.encoded().array == golden)
        #expect(try Claim.decode(Bytes(golden)) == claim)
    }
}
