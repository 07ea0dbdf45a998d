import Foundation
import Testing
import VarveModel
import VarveTestSupport

@testable import VarveStorage

/// Others read our files: every cell of files of every shape, as pyarrow sees it.
@Suite("pyarrow")
struct PyarrowTests {
    static let missing = "python3 has no pyarrow here (pip install pyarrow)"

    /// Found out once, and noted in the test report.
    static let isInstalled: Bool = {
        let found = try? python(["-c", "import pyarrow; print(pyarrow.__version__)"])
        let version = found?.status == 0 ? found?.output.split(separator: "\n").last.map(String.init) : nil
        TestReport.note("pyarrow", version.map { "ran (\($0))" } ?? "skipped: \(missing)")
        return version != nil
    }()

    static func python(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3"] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: text, as: UTF8.self))
    }

    enum Shape: CaseIterable, Sendable {
        case everyKind, batches, manyFields, integerIDs, textIDs, deletions

        func rows() throws -> [BlockRow] {
            switch self {
            case .everyKind: try rowsOfEveryKind()
            case .batches: try randomRows(4200, seed: 11)
            case .manyFields: try randomRows(30, seed: 12, fields: 400)
            case .integerIDs: try (0..<5).map { row(Key($0), $0, try document(json: #"{"n": \#($0).5}"#)) }
            case .textIDs: try ["a", "b", "é"].map { row(Key($0)!, 1, try document(json: #"{"x": {"y": []}}"#)) }
            case .deletions: (0..<9).map { row(Key($0), $0, to: 77, nil) }
            }
        }
    }

    @Test(
        "reads every cell of a block file",
        .enabled(if: PyarrowTests.isInstalled, "\(PyarrowTests.missing)"),
        arguments: Shape.allCases)
    func everyCell(shape: Shape) throws {
        let place = try TemporaryDirectory()
        let rows = try shape.rows()
        var expected = JSONWriter()
        for row in rows {
            expected.value(
                .object([
                    .init("key", .text(hex(of: row.key.bytes.array))), .init("id", Value(row.key)),
                    .init("seq", .integer(row.position.packed)), .init("from", .integer(row.systemFrom.microseconds)),
                    .init("to", row.systemTo.map { .integer($0.microseconds) } ?? .null),
                    .init("doc", try row.document.map { try Document($0).value() } ?? .null),
                ]))
            expected.raw("\n")
        }
        let bytes = try BlockFileWriter.encode(table: table, rows: rows)
        try Data(bytes.array).write(to: URL(filePath: place.path + "/file.arrow"))
        try Data(expected.bytes).write(to: URL(filePath: place.path + "/expected.ndjson"))
        let script = try #require(Bundle.module.url(forResource: "Fixtures/check_block_file", withExtension: "py"))
        let (status, output) = try Self.python([
            script.path, place.path + "/file.arrow", place.path + "/expected.ndjson",
        ])
        #expect(status == 0, "\(output)")
    }
}
