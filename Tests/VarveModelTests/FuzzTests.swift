import Testing

@testable import VarveModel

/// Seeded: a failure repeats. Nothing a decoder is fed may trap, and what it accepts must come back the same.
@Suite("Fuzz")
struct FuzzTests {
    private func value(_ depth: Int, _ generator: inout Generator) -> Value {
        let texts = ["", "a", "ü€😀", "\u{0}\n\"\\", String(repeating: "long ", count: 60), "@type", "e\u{301}"]
        switch Int.random(in: 0..<(depth < 5 ? 12 : 9), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .integer(Int64.random(in: -300...300, using: &generator))
        case 3: return .integer(Int64(bitPattern: generator.next()))
        case 4:
            let double = Double(bitPattern: generator.next())
            return .double(double.isFinite ? double : 0.5)
        case 5: return .double(Double(Int.random(in: -1000...1000, using: &generator)) / 8)
        case 6: return .text(texts.randomElement(using: &generator)!)
        case 7:
            return .binary(
                (0..<Int.random(in: 0..<40, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator)
                })
        case 8:
            return .timestamp(
                Instant(
                    microseconds: Int64.random(
                        in: Instant.earliest.microseconds...Instant.latest.microseconds, using: &generator)))
        case 9, 10:
            return .array(
                (0..<Int.random(in: 0..<30, using: &generator) / (depth + 1)).map { _ in value(depth + 1, &generator) })
        default: return .object(fields(depth + 1, &generator))
        }
    }

    private func fields(_ depth: Int, _ generator: inout Generator) -> [Value.Field] {
        var names: Set<String> = []
        for _ in 0..<Int.random(in: 0..<60, using: &generator) / depth {
            let count = [1, 2, 3, 6, 7, 8, 9, 23, 24, 100].randomElement(using: &generator)!
            names.insert(String((0..<count).map { _ in "abcdü".randomElement(using: &generator)! }))
        }
        return names.sorted().shuffled(using: &generator).map { .init($0, value(depth, &generator)) }
    }

    @Test("any document is the same as value, as JSON, as CBOR and back", arguments: 0..<100 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = Generator(seed: seed)
        let object = Value.object([.init("_id", "k")] + fields(1, &generator))
        let row = try encodeDocument(object)
        try Document.validate(row.document)
        #expect(try scanDocument(Bytes(object.json)) == row)
        #expect(try parseJSON(object.json) == object)
        let document = Document(row.document)
        #expect(try document.value(key: row.key) == object)
        var writer = JSONWriter()
        try writer.document(row.key, document)
        #expect(try scanDocument(Bytes(writer.bytes)) == row)
        for field in object.asObject!.dropFirst() {
            let item = try #require(try document.field(field.name))
            #expect(try field.value.encoded() == item)
            let text = try canonicalJSON(item)
            #expect(try text.withUnsafeBytes { raw throws(JSONFault) in try cborItem(fromJSON: raw) } == item)
        }
        #expect(try document.patched(with: document) == document)
        #expect(try document.matches(document))
    }

    /// A few bytes changed, cut, repeated or put in.
    private func mutated(_ source: [UInt8], _ generator: inout Generator) -> [UInt8] {
        var bytes = source
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            guard !bytes.isEmpty else { return bytes }
            let at = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...8, using: &generator)))
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: at)
            default: bytes.removeLast(bytes.count - at)
            }
        }
        return bytes
    }

    @Test("no damaged document traps, and one that passes is deterministic")
    func documents() throws {
        var generator = Generator(seed: 42)
        let source = try FixtureTests.fixture("document").array
        for _ in 0..<4_000 {
            let bytes = Bytes(mutated(source, &generator))
            let document = Document(bytes)
            try? document.forEachField { _, value in _ = try? FieldValue(value) }
            _ = try? document.patched(with: document)
            _ = try? document.matches(document)
            _ = try? canonicalJSON(bytes)
            let value = try? document.value()
            guard (try? Document.validate(bytes)) != nil else { continue }
            #expect(try encodeFields(of: #require(value)) == bytes)
        }
    }

    @Test("no damaged JSON traps, and both readers accept the same texts")
    func json() throws {
        var generator = Generator(seed: 7)
        let document = try FixtureTests.fixture("document")
        var writer = JSONWriter()
        try writer.document(Key("ada")!, Document(document))
        let alphabet = Array(#"{}[]",:\u0dtfn-+.eE19@ _id"#.utf8)
        for _ in 0..<4_000 {
            var text = mutated(writer.bytes, &generator)
            if Bool.random(using: &generator), !text.isEmpty {
                text[Int.random(in: 0..<text.count, using: &generator)] = alphabet.randomElement(using: &generator)!
            }
            let row = try? scanDocument(Bytes(text))
            let tree = (try? parseJSON(Bytes(text))).flatMap { try? encodeDocument($0) }
            #expect(row == tree, "\(String(decoding: text, as: UTF8.self))")
            if let row { try Document.validate(row.document) }
        }
    }

    @Test("no damaged record, transaction or genesis traps")
    func records() throws {
        var generator = Generator(seed: 3)
        let record = try FixtureTests.fixture("record").array
        let genesis = try FixtureTests.fixture("genesis").array
        for source in [record, genesis] {
            for _ in 0..<1_500 {
                let bytes = Bytes(mutated(source, &generator))
                _ = Record.decode(bytes, tag: nil)
                let payload = Bytes(mutated(Array(source[88...]), &generator))
                if let decoded = try? Transaction.decode(payload) {
                    #expect(
                        try Transaction.decode(decoded.transaction.encoded().payload).transaction == decoded.transaction
                    )
                }
                if let decoded = try? Genesis.decode(payload) { #expect(decoded.encoded() == payload) }
                _ = try? FlushRequest.decode(payload)
                _ = try? Manifest.decode(payload)
                _ = try? EpochRecord.decode(payload)
                _ = Key(encoded: payload)
                var reader = CBORReader(payload)
                _ = try? reader.skip()
            }
        }
    }

    /// Found by the fuzzer: the same seal in two forms.
    @Test("fields of a log reference come in one order, each once")
    func logReferences() throws {
        var log = LogReference(kind: .kafka, clusterID: "c", topic: "t")
        (log.genesis, log.genesisOffset) = (Bytes16(high: 1, low: 2), Offset(4))
        let bytes = Seal(next: try #require(Epoch(1)), log: log).encoded().array
        #expect(try Seal.decode(Bytes(bytes)).log == log)
        let offset = Array(bytes.suffix(2))
        let genesis = Array(bytes.dropLast(2).suffix(18))
        for other in [offset + genesis, genesis + genesis, offset + offset] {
            let changed = Array(bytes.dropLast(20)) + other
            #expect(throws: CBORFault.self) { try Seal.decode(Bytes(changed)) }
        }
    }

    @Test("the shortest decimal text of any float reads back as that float")
    func doubles() throws {
        var generator = Generator(seed: 11)
        for _ in 0..<4_000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite else { continue }
            #expect(try parseJSON(Value.double(value).json) == .double(value))
            let short = Double(Int64.random(in: -1 << 53...1 << 53, using: &generator)) / 1000
            #expect(try parseJSON(Value.double(short).json) == .double(short))
        }
    }
}
