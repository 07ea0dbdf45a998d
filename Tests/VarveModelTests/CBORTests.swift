import Testing

@testable import VarveModel

@Suite("CBOR")
struct CBORTests {
    /// RFC 8949 appendix A: what is within int64 and within our kinds.
    static let integers: [(Int64, String)] = [
        (0, "00"), (1, "01"), (10, "0a"), (23, "17"), (24, "1818"), (25, "1819"), (100, "1864"), (1000, "1903e8"),
        (1_000_000, "1a000f4240"), (1_000_000_000_000, "1b000000e8d4a51000"), (-1, "20"), (-10, "29"), (-100, "3863"),
        (-1000, "3903e7"),
    ]
    static let floats: [(Double, String)] = [
        (0.0, "f90000"), (-0.0, "f98000"), (1.0, "f93c00"), (1.1, "fb3ff199999999999a"), (1.5, "f93e00"),
        (65504.0, "f97bff"), (100000.0, "fa47c35000"), (3.4028234663852886e+38, "fa7f7fffff"),
        (1.0e+300, "fb7e37e43c8800759c"), (5.960464477539063e-8, "f90001"), (0.00006103515625, "f90400"),
        (-4.0, "f9c400"), (-4.1, "fbc010666666666666"), (.infinity, "f97c00"), (-.infinity, "f9fc00"),
        (.nan, "f97e00"), (-.nan, "f97e00"), (.signalingNaN, "f97e00"),
    ]

    @Test("integers as in RFC 8949 appendix A", arguments: integers)
    func integer(value: Int64, encoded: String) throws {
        var writer = CBORWriter()
        writer.integer(value)
        #expect(hex(of: writer.bytes) == encoded)
        var reader = CBORReader(writer.bytes)
        #expect(try reader.integer() == value)
        try reader.expectEnd()
    }

    @Test("floats in the shortest of their three widths, as in RFC 8949 appendix A", arguments: floats)
    func float(value: Double, encoded: String) throws {
        var writer = CBORWriter()
        writer.double(value)
        #expect(hex(of: writer.bytes) == encoded)
        var reader = CBORReader(writer.bytes)
        guard case .double(let read) = try reader.simple() else {
            Issue.record("no float")
            return
        }
        #expect(read.isNaN ? value.isNaN : read.bitPattern == value.bitPattern)
    }

    @Test("texts, byte strings, arrays, maps and simple values as in RFC 8949 appendix A")
    func others() throws {
        func encode(_ body: (inout CBORWriter) -> Void) -> String {
            var writer = CBORWriter()
            body(&writer)
            return hex(of: writer.bytes)
        }
        #expect(encode { $0.text("") } == "60")
        #expect(encode { $0.text("IETF") } == "6449455446")
        #expect(encode { $0.text("\u{6c34}") } == "63e6b0b4")
        #expect(encode { $0.text("\u{10151}") } == "64f0908591")
        #expect(encode { $0.byteString([1, 2, 3, 4]) } == "4401020304")
        #expect(encode { $0.array(0) } == "80")
        #expect(encode { $0.map(0) } == "a0")
        #expect(encode { $0.tag(0) } == "c0")
        #expect(encode { $0.bool(false) } == "f4")
        #expect(encode { $0.bool(true) } == "f5")
        #expect(encode { $0.null() } == "f6")
        #expect(encode { $0.undefined() } == "f7")
        #expect(encode { $0.head(.unsigned, .max) } == "1bffffffffffffffff")
        #expect(encode { $0.array(25) } == "9819")
    }

    @Test(
        "what has a shorter form, an indefinite length or no meaning is refused",
        arguments: [
            "1800", "1817", "190000", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3800", "5800", "7803616263",
            "9800", "b800", "5f", "7f", "9f", "bf", "ff", "1c", "3d", "fa3f800000", "fb3ff0000000000000",
            "fb7ff8000000000000", "f97e01", "fa7fc00000", "fb7e37e43c88", "f8ff", "f820", "e0", "44010203",
            "9b0000000100000000",
            "",
        ])
    func refused(encoded: String) throws {
        let source = Bytes(try #require(bytes(fromHex: encoded)))
        #expect(throws: CBORFault.self) {
            var reader = CBORReader(source)
            switch try reader.peek() {
            case .unsigned, .negative: _ = try reader.integer()
            case .bytes: _ = try reader.byteString()
            case .text: _ = try reader.text()
            case .array: _ = try reader.array()
            case .map: _ = try reader.map()
            case .tag: _ = try reader.tag()
            case .simple: _ = try reader.simple()
            }
        }
        #expect(throws: CBORFault.self) { try Document.validate(source) }
        #expect(throws: CBORFault.self) { try Document.validate(Bytes([0xa1, 0x61, 0x61] + source.array)) }
    }

    @Test("int64 has its bounds, and unsigned integers go beyond")
    func bounds() throws {
        for value in [Int64.max, .min] {
            var writer = CBORWriter()
            writer.integer(value)
            var reader = CBORReader(writer.bytes)
            #expect(try reader.integer() == value)
        }
        for beyond in ["1b8000000000000000", "3b8000000000000000"] {
            var reader = CBORReader(try #require(bytes(fromHex: beyond)))
            #expect(throws: CBORFault.self) { try reader.integer() }
        }
        var reader = CBORReader([0x19, 0x01, 0x00])
        #expect(throws: CBORFault.self) { try reader.unsigned(as: UInt8.self) }
    }

    @Test("skip passes over one item of any kind and shares its bytes")
    func skip() throws {
        var reader = CBORReader(try #require(bytes(fromHex: "a261618301028203046162f97e0000")))
        #expect(try reader.skip().count == 14)
        #expect(try reader.unsigned() == 0)
        var deep = CBORReader([UInt8](repeating: 0x81, count: 200_000))
        #expect(throws: CBORFault.self) { try deep.skip() }
    }
}
