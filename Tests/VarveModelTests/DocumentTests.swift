import Testing

@testable import VarveModel

@Suite("Stored documents")
struct DocumentTests {
    private func document(_ json: String, _ role: Document.Role = .document) throws -> Document {
        Document(try encodeFields(of: parseJSON(json), as: role))
    }

    @Test("fields are found, listed and decoded where they stand")
    func fields() throws {
        let document = try document(#"{"name":"Ada","age":36,"tags":["x",{"b":1,"a":2}]}"#)
        #expect(try document.value(of: "name") == "Ada")
        #expect(try document.value(of: "nam") == nil)
        #expect(try document.field("age") == Bytes([0x18, 36]))
        var names: [String] = []
        try document.forEachField { name, _ in names.append(String(decoding: name, as: UTF8.self)) }
        #expect(names == ["age", "name", "tags"])
        #expect(
            try document.value(key: Key(7)) == ["_id": 7, "age": 36, "name": "Ada", "tags": ["x", ["a": 2, "b": 1]]])
        let item = try #require(try document.field("tags"))
        #expect(String(decoding: try canonicalJSON(item), as: UTF8.self) == #"["x",{"a":2,"b":1}]"#)
    }

    @Test("a patch replaces, adds and removes top-level fields")
    func patch() throws {
        let base = try document(#"{"a":1,"bb":{"x":1},"c":3,"dddd":4}"#)
        let patch = try document(
            #"{"bb":{"y":2},"c":{"@type":"absent"},"e":null,"zz":{"@type":"absent"},"dddd":5}"#, .patch)
        try Document.validate(patch.bytes, as: .patch)
        #expect(throws: CBORFault.self) { try Document.validate(patch.bytes) }
        let patched = try base.patched(with: patch)
        try Document.validate(patched.bytes)
        #expect(try patched == (document(#"{"a":1,"bb":{"y":2},"dddd":5,"e":null}"#)))
        #expect(try Document.empty.patched(with: patch) == document(#"{"bb":{"y":2},"dddd":5,"e":null}"#))
        #expect(try base.patched(with: .empty) == base)
    }

    @Test("a patch that takes a document across 24 fields keeps its head short")
    func patchHeads() throws {
        func fields(_ range: Range<Int>) -> Value { .object(range.map { .init("f\($0)", .integer(Int64($0))) }) }
        let patched = try Document(encodeFields(of: fields(0..<20))).patched(
            with: Document(encodeFields(of: fields(10..<300))))
        #expect(try patched.bytes == encodeFields(of: fields(0..<300)))
    }

    @Test("an expectation names fields that must have the same type and value")
    func matches() throws {
        let document = try document(#"{"name":"Ada","age":37,"tags":[1,2]}"#)
        #expect(try document.matches(.empty))
        #expect(try document.matches(self.document(#"{"tags":[1,2],"age":37}"#)))
        for other in [
            #"{"age":37.0}"#, #"{"age":38}"#, #"{"tags":[2,1]}"#, #"{"nme":"Ada"}"#, #"{"name":null}"#, #"{"zzzzz":1}"#,
        ] {
            #expect(try !document.matches(self.document(other)))
        }
    }

    @Test(
        "bytes that are no document are refused",
        arguments: [
            "", "80", "a0a0", "a1", "a16161", "a16101", "a1010 1", "a2616201616101", "a2616101616101",
            "a26261610161 6201",
            "a1615f01", "a160 01", "a1610001", "a161ff01", "a16540747970 6501", "a1616180 00",
            "a16161a16540747970656161",
            "a16161f7", "a1616181f7", "a16161c0781b323032362d30322d33305430303a30303a30302e3030303030305a",
            "a16161c101",
            "a16161c06161", "a16161f97c00", "a16161f97e00", "a16161f0", "a161611b8000000000000000", "a1616161ff",
            "a1616163eda080", "a16161f8ff", "a161619b7fffffffffffffff", "a16161bbffffffffffffffff",
            "bb8000000000000000",
        ].map { $0.filter { $0 != " " } })
    func refused(encoded: String) throws {
        let source = Bytes(try #require(bytes(fromHex: encoded)))
        #expect(throws: CBORFault.self) { try Document.validate(source) }
    }

    @Test("names of every length are ordered, and 255 bytes is the longest")
    func names() throws {
        let names = [1, 6, 7, 8, 9, 22, 23, 24, 25, 254, 255].flatMap { count in
            ["a", "b", "ü"].compactMap { end -> String? in
                count >= end.utf8.count ? String(repeating: "x", count: count - end.utf8.count) + end : nil
            }
        }
        let object = Value.object(names.shuffled().map { .init($0, 1) })
        let bytes = try encodeFields(of: object)
        try Document.validate(bytes)
        for i in 0..<bytes.count where bytes[i] == UInt8(ascii: "x") {
            var broken = bytes.array
            broken[i] = 0
            #expect(throws: CBORFault.self) { try Document.validate(Bytes(broken)) }
        }
        #expect(throws: VarveError.self) {
            try encodeFields(of: .object([.init(String(repeating: "x", count: 256), 1)]))
        }
    }

    @Test("nesting is read to 64 levels and no deeper")
    func depth() throws {
        func nested(_ levels: Int) -> Bytes {
            Bytes([0xa1, 0x61, 0x61] + [UInt8](repeating: 0x81, count: levels - 2) + [0x80])
        }
        try Document.validate(nested(64))
        #expect(throws: CBORFault.self) { try Document.validate(nested(65)) }
        #expect(throws: CBORFault.self) { try Document(nested(100_000)).value() }
        #expect(throws: CBORFault.self) { try Document(nested(100_000)).forEachField { _, _ in } }
        let tags = Bytes([0xa1, 0x61, 0x61] + [UInt8](repeating: 0xc0, count: 100_000))
        #expect(throws: CBORFault.self) { try Document(tags).forEachField { _, _ in } }
    }
}
