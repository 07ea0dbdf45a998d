import Testing

@testable import VarveModel

/// What a client may write as a document, what becomes of it, and what it reads when it is wrong.
@Suite("JSON documents")
struct JSONScannerTests {
    /// The stored bytes of a document whose only field `a` has this value, without the map and the name.
    private func stored(_ json: String, role: Document.Role = .document) throws -> String {
        let row = try scanDocument(Bytes(#"{"_id":1,"a":\#(json)}"#), DocumentOptions(role: role))
        try Document.validate(row.document, as: role)
        return String(hex(of: row.document.array).dropFirst(6))
    }

    private func fault(_ json: String, _ options: DocumentOptions = DocumentOptions()) throws -> JSONFault {
        try #require(throws: JSONFault.self) { try scanDocument(Bytes(json), options) }
    }

    @Test(
        "each kind has one form",
        arguments: [
            ("null", "f6"), ("true", "f5"), ("false", "f4"), ("0", "00"), ("-0", "00"), ("-0.0", "f98000"),
            ("1", "01"), ("1.0", "f93c00"), ("1e0", "f93c00"), ("-1", "20"), ("23", "17"), ("24", "1818"),
            ("255", "18ff"), ("256", "190100"), ("65536", "1a00010000"), ("4294967296", "1b0000000100000000"),
            ("9223372036854775807", "1b7fffffffffffffff"), ("-9223372036854775808", "3b7fffffffffffffff"),
            ("0.1", "fb3fb999999999999a"), ("100000.0", "fa47c35000"), ("1e-400", "f90000"),
            ("5.960464477539063e-8", "f90001"),
            ("1.7976931348623157e308", "fb7fefffffffffffff"), ("5e-324", "fb0000000000000001"),
            (#""""#, "60"), (#""ada""#, "63616461"), (#""\u00fc\/\n""#, "64c3bc2f0a"),
            (#""\ud83d\ude00""#, "64f09f9880"),
            (#""ü😀""#, "66c3bcf09f9880"), ("[]", "80"), ("[1,[2]]", "82018102"), ("{}", "a0"),
            (#"{"b":1,"aa":2,"a":3}"#, "a3616103616201626161 02".filter { $0 != " " }),
            (#"{"@type":"binary","@value":"AQI="}"#, "420102"),
            (#"{"@value":"","@type":"binary"}"#, "40"),
            (
                #"{"@type":"timestamp","@value":"2026-11-21T11:00:00+01:00"}"#,
                "c0781b" + hex(of: Array("2026-11-21T10:00:00.000000Z".utf8))
            ),
        ])
    func forms(json: String, expected: String) throws {
        #expect(try stored(json) == expected)
    }

    @Test("decimal fractions are rounded correctly however they are written")
    func decimals() throws {
        for text in [
            "0.3", "123456789.125", "9007199254740993.0", "1e23", "8.5e-22", "2.2250738585072011e-308",
            "179769313486231570000000000000000000000000000000000000.0",
            "0.1000000000000000055511151231257827021181583404541015625",
            "123456789012345678901234567890.0e-10", "1.00000000000000011102230246251565404236316680908203125",
        ] {
            let row = try scanDocument(Bytes(#"{"_id":1,"a":\#(text)}"#))
            #expect(try Document(row.document).value(of: "a") == .double(try #require(Double(text))))
        }
    }

    @Test("fields are in the order of their encoded names at every level, whatever order they came in")
    func order() throws {
        let row = try scanDocument(Bytes(#"{"zz":{"y":1,"x":2},"_id":"k","b":1,"ab":[{"q":1,"p":2}]}"#))
        #expect(row.key == Key("k"))
        #expect(
            hex(of: row.document.array) == "a36162016261628 1a2617002617101627a7aa2617802617901".filter { $0 != " " })
        #expect(
            try Document(row.document).value(key: row.key).json
                == #"{"_id":"k","ab":[{"p":2,"q":1}],"b":1,"zz":{"x":2,"y":1}}"#)
    }

    @Test("large objects and arrays are stored like small ones")
    func large() throws {
        for count in [23, 24, 48, 49, 255, 256, 3000] {
            let names = (0..<count).map { "n\($0)" }.shuffled()
            let inner = names.map { #""\#($0)":\#($0.dropFirst())"# }.joined(separator: ",")
            let array = (0..<count).map(String.init).joined(separator: ",")
            let row = try scanDocument(Bytes(#"{"_id":1,"o":{\#(inner)},"a":[\#(array)],\#(inner)}"#))
            try Document.validate(row.document)
            #expect(try Document(row.document).fieldCount == count + 2)
            #expect(try Document(row.document).value(of: "a") == .array((0..<count).map { .integer(Int64($0)) }))
            let object = Value.object(names.map { .init($0, .integer(Int64($0.dropFirst())!)) })
            #expect(try Document(row.document).value(of: "o") == object)
        }
    }

    @Test("an array has the head its length needs", arguments: [65_535, 65_536])
    func arrayHeads(count: Int) throws {
        let row = try scanDocument(Bytes(#"{"_id":1,"a":["# + String(repeating: "0,", count: count - 1) + "0]}"))
        try Document.validate(row.document)
        #expect(row.document.count == 3 + (count < 65_536 ? 3 : 5) + count)
    }

    @Test("_id is a text or an int64 and is taken out")
    func ids() throws {
        #expect(try scanDocument(Bytes(#"{"_id":"1"}"#)) == Operation.Row(Key("1")!, Bytes([0xa0])))
        #expect(try scanDocument(Bytes(#" {"_id" : -7 } "#)) == Operation.Row(Key(-7), Bytes([0xa0])))
        #expect(try scanDocument(Bytes(#"{"_id":"\#(String(repeating: "x", count: 1024))"}"#)).key.bytes.count == 1025)
    }

    @Test(
        "faults name the place",
        arguments: [
            ("", "", "ends too early"), ("[]", "", "expected an object"), ("{}", "", "_id is missing"),
            (#"{"_id":""}"#, "/_id", "_id must be"), (#"{"_id":1.0}"#, "/_id", "_id must be"),
            (#"{"_id":null}"#, "/_id", "_id must be"), (#"{"_id":[1]}"#, "/_id", "_id must be"),
            (#"{"_id":1,"_id":1}"#, "/_id", "occurs twice"), (#"{"_id":1,"_x":1}"#, "/_x", "reserved"),
            (#"{"_id":1,"a":1,"a":2}"#, "/a", "occurs twice"),
            (#"{"_id":1,"o":{"a/b":[0,{"x":1,"y":2,"x":3}]}}"#, "/o/a~1b/1/x", "occurs twice"),
            (#"{"_id":1,"n":9223372036854775808}"#, "/n", "outside int64"),
            (#"{"_id":1,"n":-9223372036854775809}"#, "/n", "outside int64"),
            (#"{"_id":1,"n":[1,18446744073709551617]}"#, "/n/1", "outside int64"),
            (#"{"_id":1,"n":1e309}"#, "/n", "too large"), (#"{"_id":1,"n":-1e99999999999}"#, "/n", "too large"),
            (#"{"_id":1,"n":01}"#, "/n", "malformed number"), (#"{"_id":1,"n":1.}"#, "/n", "malformed number"),
            (#"{"_id":1,"n":.5}"#, "/n", "expected a JSON value"),
            (#"{"_id":1,"n":+5}"#, "/n", "expected a JSON value"),
            (#"{"_id":1,"n":-}"#, "/n", "malformed number"), (#"{"_id":1,"n":1e}"#, "/n", "malformed number"),
            (#"{"_id":1,"n":NaN}"#, "/n", "expected a JSON value"),
            (#"{"_id":1,"n":nul}"#, "/n", "expected a JSON value"),
            (#"{"_id":1,"t":"\ud800"}"#, "/t", "lone surrogate"), (#"{"_id":1,"t":"\udc00x"}"#, "/t", "lone surrogate"),
            (#"{"_id":1,"t":"\ud800\u0041"}"#, "/t", "lone surrogate"),
            (#"{"_id":1,"t":"\x"}"#, "/t", "unknown escape"),
            (#"{"_id":1,"t":"\u12g4"}"#, "/t", "unknown escape"),
            ("{\"_id\":1,\"t\":\"a\nb\"}", "/t", "control character"),
            (#"{"_id":1,"t":"abc"#, "/t", "ends too early"), (#"{"_id":1,"t":"#, "/t", "ends too early"),
            (#"{"_id":1,"t"#, "", "ends too early"), (#"{"_id":1,"":1}"#, "/", "must not be empty"),
            (#"{"_id":1,"a\u0000":1}"#, "/a\0", "NUL"), (#"{"_id":1,"o":{"":1}}"#, "/o/", "must not be empty"),
            (#"{"_id":1,"a":1,}"#, "", "expected a field name"),
            (#"{"_id":1,"a":[1,]}"#, "/a/1", "expected a JSON value"),
            (#"{"_id":1 "a":1}"#, "/_id", "expected a comma"), (#"{"_id":1,"a" 1}"#, "/a", "expected a colon"),
            (#"{"_id":1}{}"#, "", "something follows"), (#"{"_id":1,"@type":"x"}"#, "/@type", "an object with @type"),
            (#"{"_id":1,"a":{"@type":"date"}}"#, "/a", "an object with @type"),
            (#"{"_id":1,"a":{"@type":"binary","@value":1}}"#, "/a", "an object with @type"),
            (#"{"_id":1,"a":{"x":1,"@type":"binary","@value":""}}"#, "/a", "an object with @type"),
            (#"{"_id":1,"a":{"@type":"binary","@value":"AQ"}}"#, "/a/@value", "base64"),
            (#"{"_id":1,"a":{"@type":"timestamp","@value":"2026-02-29T00:00:00Z"}}"#, "/a/@value", "no timestamp"),
            (#"{"_id":1,"a":{"@type":"absent"}}"#, "/a", "stands only"),
        ])
    func faults(json: String, pointer: String, reason: String) throws {
        let fault = try fault(json)
        #expect(fault.pointer == pointer)
        #expect(fault.reason.contains(reason), "\(fault)")
    }

    @Test("long names, long ids and bytes that are not UTF-8 are refused")
    func limits() throws {
        let name = String(repeating: "n", count: 255)
        #expect(throws: Never.self) { try scanDocument(Bytes(#"{"_id":1,"\#(name)":1}"#)) }
        #expect(try fault(#"{"_id":1,"\#(name)n":1}"#).reason.contains("255"))
        #expect(try fault(#"{"_id":"\#(String(repeating: "x", count: 1025))"}"#).pointer == "/_id")
        for bad: [UInt8] in [
            [0x80], [0xc0, 0x80], [0xc3], [0xe0, 0x9f, 0xbf], [0xed, 0xa0, 0x80], [0xf0, 0x8f, 0xbf, 0xbf],
            [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff],
        ] {
            let json = Bytes(Array(#"{"_id":1,"t":"abcdefgh"#.utf8) + bad + Array(#"xxxxxxxx"}"#.utf8))
            let fault = try #require(throws: JSONFault.self) { try scanDocument(json) }
            #expect(fault.reason.contains("UTF-8") && fault.pointer == "/t")
        }
    }

    @Test("64 levels are read and 65 are not; a typed value is no level")
    func depth() throws {
        func nested(_ levels: Int, _ core: String = "1") -> String {
            #"{"_id":1,"a":"# + String(repeating: "[", count: levels - 1) + core
                + String(repeating: "]", count: levels - 1) + "}"
        }
        let row = try scanDocument(Bytes(nested(64, #"{"@type":"binary","@value":"AQ=="}"#)))
        try Document.validate(row.document)
        #expect(try fault(nested(65)).reason.contains("64 deep"))
        #expect(try fault(nested(64, "{}")).reason.contains("64 deep"))
        #expect(try fault(nested(64, #"{"x":1}"#)).reason.contains("64 deep"))
        #expect(try fault(String(repeating: #"{"a":"#, count: 100_000)).reason.contains("64 deep"))
        var item = try #require(try Document(row.document).field("a"))
        let text = try canonicalJSON(item)
        item = try text.withUnsafeBytes { raw in try cborItem(fromJSON: raw) }
        #expect(try item == Document(row.document).field("a"))
    }

    @Test("a patch may remove top-level fields and nothing deeper")
    func absent() throws {
        #expect(try stored(#"{"@type":"absent"}"#, role: .patch) == "f7")
        let options = DocumentOptions(role: .patch)
        #expect(try fault(#"{"_id":1,"a":{"b":{"@type":"absent"}}}"#, options).pointer == "/a/b")
        #expect(try fault(#"{"_id":1,"a":[{"@type":"absent"}]}"#, options).pointer == "/a/0")
        #expect(try fault(#"{"_id":1,"a":{"@type":"absent","@value":"x"}}"#, options).pointer == "/a")
    }

    @Test("another field can become the _id")
    func idField() throws {
        let options = DocumentOptions(idField: "Package")
        let row = try scanDocument(Bytes(#"{"Package":"zsh","n":1}"#), options)
        #expect(row.key == Key("zsh"))
        #expect(try Document(row.document).value(of: "Package") == "zsh")
        #expect(try scanDocument(Bytes(#"{"_id":"zsh","Package":"zsh"}"#), options).key == Key("zsh"))
        #expect(try scanDocument(Bytes(#"{"_id":"zsh"}"#), options).key == Key("zsh"))
        #expect(try fault(#"{"_id":1,"Package":"1"}"#, options).pointer == "/Package")
        #expect(try fault(#"{"Package":null}"#, options).pointer == "/Package")
        #expect(try fault(#"{"Other":1}"#, options).reason.contains("_id is missing"))
    }

    @Test("a scanner serves many documents, also after a fault")
    func reuse() throws {
        var scanner = JSONScanner()
        func scan(_ json: String) throws -> Operation.Row {
            try Bytes(json).withUnsafeBytes { raw throws(JSONFault) in try scanner.document(raw) }
        }
        let long = #"{"_id":1,"t":"\#(String(repeating: "long", count: 1000))","o":{"b":1,"a":2}}"#
        let row = try scan(long)
        #expect(throws: JSONFault.self) { try scan(#"{"_id":2,"o":{"b":{"c":[1,2,3,"#) }
        #expect(try scan(#"{"_id":2}"#).document == Bytes([0xa0]))
        #expect(try scan(long) == row)
    }
}
