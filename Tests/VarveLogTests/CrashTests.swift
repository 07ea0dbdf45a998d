import Foundation
import Testing
import VarveLog
import VarveModel
import VarveTestSupport

/// The worker stands beside the test's own program.
private let worker: URL? = {
    let program =
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    let url = URL(fileURLWithPath: program).deletingLastPathComponent().appendingPathComponent("VarveLogWorker")
    return FileManager.default.isExecutableFile(atPath: url.path) ? url : nil
}()

@Suite(.enabled(if: worker != nil, "the program VarveLogWorker is not beside the test program"))
struct CrashTests {
    @Test func `of a log whose writer is killed again and again, every acknowledged record is there`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        var acknowledged: [Int64: String] = [:]
        for run in 0..<20 {
            let process = Process()
            let output = Pipe()
            process.executableURL = worker
            process.arguments = ["append", scratch.path, "\(run)"]
            process.standardOutput = output
            try process.run()
            var text = ""
            let enough = 40 + run * 37 % 300
            while text.utf8.count(where: { $0 == 10 }) < enough {
                let data = output.fileHandleForReading.availableData
                if data.isEmpty { break }
                text += String(decoding: data, as: UTF8.self)
            }
            kill(process.processIdentifier, SIGKILL)
            text += String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            let lines = text.split(separator: "\n")
            #expect(lines.count >= enough, "the worker ended by itself: \(text.suffix(300))")
            for line in lines {
                let parts = line.split(separator: " ", maxSplits: 1)
                acknowledged[try #require(Int64(parts[0]))] = String(parts[1])
            }
        }
        let log = try await LocalLogProvider(path: scratch.path).open(.first)
        var found: [Int64: String] = [:]
        let tail = try await log.tail(from: .zero)
        let end = try await log.range().upperBound.value
        while Int64(found.count) < end, let batch = try await tail.next() {
            for entry in batch.entries { found[entry.offset.value] = entry.bytes.utf8 ?? "" }
        }
        #expect(acknowledged.count > 20 * 40)
        #expect(Int64(found.count) == end, "offsets count records")
        let missing = acknowledged.filter { found[$0.key] != $0.value }
        #expect(missing.isEmpty)
        await log.close()
    }

    @Test func `a full disk refuses the append, tears nothing, and heals without a restart`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let process = Process()
        let output = Pipe()
        process.executableURL = worker
        process.arguments = ["full", scratch.path]
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(text == "refused STORAGE_FULL after 34\nstored at 34\nread room again\n")
        let log = try await LocalLogProvider(path: scratch.path).open(.first)
        #expect(try await log.range().upperBound == Offset(35))
        #expect(try await log.read(at: Offset(33))?.bytes.count == 30_000)
        await log.close()
    }
}
