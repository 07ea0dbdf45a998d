import Testing

@testable import VarveModel

@Suite("Values")
struct ValueTests {
    @Test("equality is of kind and content, byte for byte")
    func equality() {
        #expect(Value.integer(1) != .double(1))
        #expect(Value.double(0.0) != .double(-0.0))
        #expect(Value.text("é") != .text("e\u{301}"))
        #expect(Value.double(.nan) == .double(-.nan))
        #expect(["a": 1, "b": 2] as Value == ["b": 2, "a": 1])
        #expect((["a": 1, "b": 2] as Value).hashValue == (["b": 2, "a": 1] as Value).hashValue)
        #expect(["a": 1] as Value != ["a": 1, "b": 2])
        #expect(["é": 1] as Value != ["e\u{301}": 1])
        #expect(Value.null != .absent)
    }

    @Test("literals make values")
    func literals() {
        let value: Value = ["_id": "ada", "age": 36, "score": 1.5, "ok": true, "tags": ["a", nil], "none": nil]
        #expect(value.json == #"{"_id":"ada","age":36,"score":1.5,"ok":true,"tags":["a",null],"none":null}"#)
        #expect(value["age"]?.asInteger == 36)
        #expect(value["x"] == nil)
    }

    @Test(
        "JSON text is compact, keeps the order of fields, and floats stay floats",
        arguments: [
            (.double(1), "1.0"), (.double(-0.0), "-0.0"), (.double(1e16), "1e+16"), (.double(0.1), "0.1"),
            (.double(.leastNonzeroMagnitude), "5e-324"), (.double(1.7976931348623157e308), "1.7976931348623157e+308"),
            (.double(.infinity), "null"), (.double(.nan), "null"), (.integer(.min), "-9223372036854775808"),
            (.integer(0), "0"),
            (.binary([1, 2, 3]), #"{"@type":"binary","@value":"AQID"}"#),
            (.timestamp(Instant(microseconds: 0)), #"{"@type":"timestamp","@value":"1970-01-01T00:00:00.000000Z"}"#),
            (.absent, #"{"@type":"absent"}"#), (.object([]), "{}"), (.array([]), "[]"),
        ] as [(Value, String)])
    func texts(value: Value, text: String) {
        #expect(value.json == text)
    }

    @Test("a string is escaped only where JSON asks for it")
    func escapes() throws {
        let text = "12345678\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}é\u{2028}"
        let json = Value.text(text).json
        #expect(json == #""12345678\"\\/\b\f\n\r\t\u0001\u001f"# + "\u{7f}é\u{2028}\"")
        #expect(try parseJSON(json) == .text(text))
    }

    @Test("general JSON is read as strictly as documents")
    func parsing() throws {
        #expect(
            try parseJSON(" [1, 1.0, \"x\", null, true, {\"b\":[], \"a\":{}}] ").json
                == #"[1,1.0,"x",null,true,{"b":[],"a":{}}]"#)
        #expect(try parseJSON(#"{"@type":"binary","@value":""}"#) == .binary([]))
        #expect(try parseJSON(#"{"@type":"binary","@value":""}"#, typed: false) == ["@type": "binary", "@value": ""])
        for (json, pointer) in [
            (#"{"a":1,"a":2}"#, "/a"), (#"{"a":[{"@type":"x"}]}"#, "/a/0"), (#"[1,2,[9223372036854775808]]"#, "/2/0"),
            ("[1 2]", "/0"), ("", ""), ("1 2", ""), ("tru", ""), (#"{"~":{"/":1e999}}"#, "/~0/~1"),
        ] {
            let fault = try #require(throws: JSONFault.self) { try parseJSON(json) }
            #expect(fault.pointer == pointer, "\(json): \(fault)")
        }
        #expect(throws: JSONFault.self) { try parseJSON(String(repeating: "[", count: 200_000)) }
        _ = try parseJSON(String(repeating: "[", count: 64) + String(repeating: "]", count: 64))
    }

    @Test("a request is read token by token, its documents by the fast path, with pointers into all of it")
    func reader() throws {
        let body = Bytes(#"{"ops":[{"put":{"table":"users","docs":[{"_id":1,"a":2},{"_id":2,"a":{"b":01}}]}}]}"#)
        body.withUnsafeBytes { raw in
            var reader = JSONReader(raw)
            do {
                try reader.beginObject()
                #expect(try reader.nextField() == "ops")
                try reader.beginArray()
                #expect(try reader.nextElement())
                try reader.beginObject()
                #expect(try reader.nextField() == "put")
                try reader.beginObject()
                #expect(try reader.nextField() == "table")
                #expect(try reader.text() == "users")
                #expect(try reader.nextField() == "docs")
                try reader.beginArray()
                #expect(try reader.nextElement())
                #expect(try reader.document() == Operation.Row(Key(1), Bytes([0xa1, 0x61, 0x61, 0x02])))
                #expect(try reader.nextElement())
                _ = try reader.document()
                Issue.record("a malformed number was read")
            } catch {
                #expect((error as? JSONFault)?.pointer == "/ops/0/put/docs/1/a/b")
            }
        }
    }

    @Test("values that no document can hold are refused with their place")
    func unfit() throws {
        for (value, pointer) in [
            (["_id": 1, "a": [1, .double(.infinity)]], "/a/1"), (["_id": 1, "a": .absent], "/a"),
            (["_id": 1, "_a": 1], "/_a"), (["_id": 1, "a": ["@type": "x"]], "/a/@type"), (["_id": 1, "": 1], "/"),
            (["_id": 1, "a": .timestamp(Instant(microseconds: .max))], "/a"), (["_id": 1, "a": 1, "a": 2], "/a"),
            (["_id": 1.0], "/_id"), (["a": 1], nil), ([1], nil),
        ] as [(Value, String?)] {
            let error = try #require(throws: VarveError.self) { try encodeDocument(value) }
            #expect(error.code == .badRequest && error.at == pointer, "\(error)")
        }
        let error = try #require(throws: VarveError.self) { try Transaction.put(into: "t", ["_id": 1], ["_id": nil]) }
        #expect(error.at == "/1/_id")
    }

    @Test("base64 is read back exactly, and only in its canonical form")
    func base64Text() throws {
        for count in 0..<50 {
            let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            var text: [UInt8] = []
            data.withUnsafeBytes { base64(of: $0, into: &text) }
            #expect(bytes(fromBase64: text) == data)
        }
        for bad in [
            "A", "AA", "AAA", "AA=", "A===", "====", "AB==", "AAB=", "AA==AAAA", "AA=A", "AA-_", "AA AA==", "AAA=\n",
        ] {
            #expect(bytes(fromBase64: Array(bad.utf8)) == nil, "\(bad)")
        }
    }
}
