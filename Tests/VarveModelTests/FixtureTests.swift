import Foundation
import Testing

@testable import VarveModel

/// Stored bytes of version 1, made by another program from docs/log-format.md: this version reads and writes them.
@Suite("Golden fixtures")
struct FixtureTests {
    /// Hexadecimal with line breaks.
    static func fixture(_ name: String) throws -> Bytes {
        let url = try #require(
            Bundle.module.url(forResource: name, withExtension: "hex", subdirectory: "Fixtures/v1"))
        let text = try String(contentsOf: url, encoding: .utf8).filter { !$0.isWhitespace }
        return Bytes(try #require(bytes(fromHex: text)))
    }

    static let database = Bytes16(0x10..<0x20)
    static let genesis = Bytes16(0x20..<0x30)

    @Test("a document with every kind")
    func document() throws {
        let stored = try Self.fixture("document")
        try Document.validate(stored)
        let json = """
            {"_id":"ada","age":36,"blob":{"@type":"binary","@value":"AP8="},\
            "born":{"@type":"timestamp","@value":"1815-12-10T00:00:00.000000Z"},"half":1.5,"name":"Ada","no":false,\
            "nothing":null,"score":0.1,"tags":["a",[],{"aa":1099511627776,"z":-1}],"yes":true,"ü":"€😀"}
            """
        #expect(try scanDocument(Bytes(json)) == Operation.Row(Key("ada")!, stored))
        var writer = JSONWriter()
        try writer.document(Key("ada")!, Document(stored))
        #expect(String(decoding: writer.bytes, as: UTF8.self) == json)
        #expect(try encodeDocument(parseJSON(json)) == Operation.Row(Key("ada")!, stored))
    }

    static func transaction() throws -> Transaction {
        let ada: Value = "ada"
        var row = try encodeDocument(["_id": ada])
        row = Operation.Row(row.key, try fixture("document"))
        var transaction = Transaction([.put(try TableName("users"), [row])])
        try transaction.patch(in: "users", ["_id": ada, "no": .absent, "age": 37])
        try transaction.delete(from: "Users", "bob", -7)
        try transaction.erase(from: "users", "eve")
        transaction += try .assert("users", ada, exists: true)
        transaction += try .assert("users", ada, version: #require(Position("1-12")))
        transaction += try .assert("users", ada, equals: ["name": "Ada"])
        return transaction
    }

    @Test("a transaction with every operation")
    func transactionPayload() throws {
        let stored = try Self.fixture("transaction")
        let decoded = try Transaction.decode(stored)
        #expect(try decoded.transaction == Self.transaction())
        #expect(decoded.transaction.encoded().payload == stored)
        #expect(decoded.transaction.encoded().requestDigest == decoded.requestDigest)
    }

    @Test("a transaction record, byte for byte")
    func record() throws {
        let stored = try Self.fixture("record")
        let tag = LogTag(database: Self.database, genesis: Self.genesis)
        let record = Record(
            header: RecordHeader(
                type: .transaction, logTag: tag, id: Bytes16(0x30..<0x40), writer: 0x0102_0304_0506_0708,
                writerSequence: 9, expiresAt: 1_795_000_060_000, observed: try #require(Position("1-11")),
                inputChain: 0x4746_4544_4342_4140, effectChain: 0x5756_5554_5352_5150),
            payload: try Self.fixture("transaction"))
        #expect(record.encoded() == stored)
        #expect(Record.decode(stored, tag: tag) == .record(record))
    }

    @Test("a genesis record with its payload")
    func genesisRecord() throws {
        let stored = try Self.fixture("genesis")
        guard case .record(let record) = Record.decode(stored, tag: nil) else {
            Issue.record("the genesis is not read")
            return
        }
        #expect(record.header.type == .genesis && record.header.id == Self.genesis && record.header.logTag == .none)
        let genesis = try Genesis.decode(record.payload)
        #expect(
            genesis
                == Genesis(
                    database: Self.database, epoch: .first,
                    log: LogReference(kind: .kafka, clusterID: "kafka-1", topic: "varve-log-e0"), began: .initial,
                    settings: Settings()))
        #expect(genesis.encoded() == record.payload)
        #expect(record.encoded() == stored)
    }

    @Test("a flush request")
    func flushRequest() throws {
        let stored = try Self.fixture("flush")
        #expect(try FlushRequest.decode(stored) == FlushRequest(block: BlockNumber(4)))
        #expect(FlushRequest(block: BlockNumber(4)).encoded() == stored)
    }
}
