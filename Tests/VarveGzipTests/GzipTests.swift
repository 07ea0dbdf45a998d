import Testing
import VarveGzip

private func text(_ count: Int) -> [UInt8] {
    var seed: UInt64 = 7
    return (0..<count).map { _ in
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(97 + (seed >> 60))
    }
}

@Test func whatWasDeflatedInflatesToTheSame() throws {
    for count in [0, 1, 1_000, 65_536, 1_000_003] {
        let bytes = text(count)
        let packed = try GzipWriter.deflate(bytes)
        #expect(try GzipReader.inflate(packed, maxBytes: count) == bytes)
    }
}

@Test func piecesOfAnySizeGiveTheSame() throws {
    let bytes = text(50_000)
    let packed = try GzipWriter.deflate(bytes)
    for size in [1, 2, 7, 1_000] {
        var reader = try GzipReader()
        var output: [UInt8] = []
        var start = 0
        while start < packed.count {
            try reader.inflate(Array(packed[start..<min(start + size, packed.count)]), into: &output)
            start += size
        }
        try reader.finish()
        #expect(output == bytes)
    }
}

@Test func membersThatFollowOneAnotherAreJoined() throws {
    let packed = try GzipWriter.deflate(text(10)) + GzipWriter.deflate([]) + GzipWriter.deflate(text(20_000))
    #expect(try GzipReader.inflate(packed, maxBytes: 1 << 20) == text(10) + text(20_000))
}

@Test func anythingElseBehindAMemberIsAFault() throws {
    let packed = try GzipWriter.deflate(text(10))
    for junk: [UInt8] in [[0], [10], Array("x".utf8)] {
        #expect(throws: GzipError.trailingBytes) { try GzipReader.inflate(packed + junk, maxBytes: 100) }
    }
    // The first byte of a member, but no member.
    #expect(throws: GzipError.truncated) { try GzipReader.inflate(packed + [0x1F], maxBytes: 100) }
    #expect(throws: GzipError.self) { try GzipReader.inflate(packed + [0x1F, 0x00], maxBytes: 100) }
}

@Test func aStreamThatEndsTooEarlyIsAFault() throws {
    let packed = try GzipWriter.deflate(text(5_000))
    for count in [0, 1, 9, 10, 11, packed.count / 2, packed.count - 8, packed.count - 1] {
        #expect(throws: GzipError.truncated) { try GzipReader.inflate(Array(packed[..<count]), maxBytes: 1 << 20) }
    }
}

@Test func whatIsNotGzipIsAFaultAndStaysOne() throws {
    var reader = try GzipReader()
    var output: [UInt8] = []
    #expect(throws: GzipError.self) { try reader.inflate(Array("{\"_id\":1}".utf8), into: &output) }
    let good = try GzipWriter.deflate([1])
    #expect(throws: GzipError.self) { try reader.inflate(good, into: &output) }
    #expect(throws: GzipError.self) { try reader.finish() }
}

@Test func aDamagedChecksumIsAFault() throws {
    var packed = try GzipWriter.deflate(text(5_000))
    packed[packed.count - 6] ^= 1
    #expect(throws: GzipError.self) { try GzipReader.inflate(packed, maxBytes: 1 << 20) }
}

@Test func aBombIsInflatedInStepsOfTheLimit() throws {
    let packed = try GzipWriter.deflate([UInt8](repeating: 0, count: 8 << 20))
    #expect(packed.count < 16_000)
    #expect(throws: GzipError.tooLarge(limit: 1 << 20)) { try GzipReader.inflate(packed, maxBytes: 1 << 20) }
    var reader = try GzipReader()
    var start = 0
    var total = 0
    repeat {
        var output: [UInt8] = []
        start += try reader.inflate(packed[start...], into: &output, limit: 10_000)
        #expect(output.count <= 10_000)
        total += output.count
    } while start < packed.count || reader.hasMore
    try reader.finish()
    #expect(total == 8 << 20)
}

@Test func flushedBytesCanBeReadBeforeTheEnd() throws {
    var writer = try GzipWriter(level: 1)
    var reader = try GzipReader()
    for line in ["one\n", "two\n"] {
        var packed: [UInt8] = []
        var plain: [UInt8] = []
        writer.deflate(Array(line.utf8), into: &packed)
        writer.flush(into: &packed)
        try reader.inflate(packed, into: &plain)
        #expect(plain == Array(line.utf8))
    }
    var rest: [UInt8] = []
    writer.finish(into: &rest)
    var plain: [UInt8] = []
    try reader.inflate(rest, into: &plain)
    try reader.finish()
    #expect(plain.isEmpty)
}
