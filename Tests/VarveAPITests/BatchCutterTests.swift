// Where batches end follows from the bytes alone, so that a repeated load has the same batches.

import Testing
import VarveModel

@testable import VarveAPI

private func cut(
    _ body: [UInt8], pieces: Int, batch: Int = 7, batchBytes: Int = 1 << 20, line: Int = 1 << 20
) throws -> [[Operation.Row]] {
    let cutter = BatchCutter(RowLoadCut(batchRows: batch, idField: nil), batchBytes: batchBytes, lineBytesMax: line)
    var batches: [[Operation.Row]] = []
    for start in stride(from: 0, to: body.count, by: pieces) {
        cutter.feed(Array(body[start..<min(start + pieces, body.count)]))
        while let full = try cutter.next() { batches.append(full) }
    }
    while let last = try cutter.last() { batches.append(last) }
    return batches
}

private let body = Array(
    (0..<100).map { #"{"_id":\#($0),"t":"é \#($0)"}"# + ($0 % 3 == 0 ? "\r\n\n" : "\n") }.joined().utf8)

@Suite struct BatchCutterTests {
    @Test(arguments: [1, 2, 3, 17, 64, 1000, 100_000])
    func piecesMakeNoDifference(_ size: Int) throws {
        let whole = try cut(body, pieces: body.count)
        #expect(whole.map(\.count) == Array(repeating: 7, count: 14) + [2])
        #expect(try cut(body, pieces: size) == whole)
    }

    @Test(arguments: [1, 50, 100_000])
    func aBatchFitsTheRecordOfTheLog(_ size: Int) throws {
        let batches = try cut(body, pieces: size, batch: 1000, batchBytes: 300)
        #expect(batches.count > 3)
        #expect(batches.joined().count == 100)
        for batch in batches {
            let table = try TableName("a" + String(repeating: "b", count: 62))
            let (payload, _) = Transaction([.put(table, batch)]).encoded()
            #expect(payload.count <= 300)
        }
    }

    @Test func aDocumentThatFitsNoRecordIsNamed() throws {
        let long =
            Array(#"{"_id":1}"#.utf8) + [0x0a] + Array(#"{"_id":2,"t":"\#(String(repeating: "x", count: 300))"}"#.utf8)
        let fault = try #require(throws: BatchCutter.Fault.self) { try cut(long, pieces: 10, batchBytes: 300) }
        #expect(fault.error.code == .oversize)
        #expect(fault.line == 2)
    }

    @Test(arguments: [1, 10, 1000])
    func aLineIsBoundedHoweverItComes(_ size: Int) throws {
        let long = Array((#"{"_id":1}"# + "\n" + #"{"_id":2,"t":"\#(String(repeating: "x", count: 90))"}"# + "\n").utf8)
        let fault = try #require(throws: BatchCutter.Fault.self) { try cut(long, pieces: size, line: 100) }
        #expect(fault.error.code == .oversize)
        #expect(fault.line == 2)
        #expect(try cut(long, pieces: size, line: 106).joined().count == 2)
    }
}
