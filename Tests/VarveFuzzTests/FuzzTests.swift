import Foundation
import Testing

/// The fuzzer itself, as a program: a short run over every decoder, and what a failure looks like.
@Suite struct FuzzTests {
    private func run(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
        let beside = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let candidates = [beside.appending(path: "varve-fuzz"), URL(filePath: ".build/debug/varve-fuzz")]
        let program = try #require(candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) })
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text, said)
    }

    @Test("no decoder of bytes from outside traps or accepts what does not hold together")
    func everyDecoder() throws {
        // A new seed each day finds more than the same one for ever, and still repeats within it.
        let seed = UInt64(Date().timeIntervalSince1970 / 86_400)
        let ran = try run(["--inputs", "1000", "--seed", "\(seed)"])
        #expect(ran.code == 0, "seed \(seed): \(ran.errors)")
        let lines = ran.output.split(separator: "\n")
        #expect(lines.count >= 24)
        #expect(lines.allSatisfy { $0.contains(" 1000 inputs ") })
    }

    @Test("a trap leaves the seed and the input, and the input alone traps again")
    func aTrapIsPrinted() throws {
        let ran = try run(["planted", "--inputs", "200000", "--seed", "3"])
        #expect(ran.code == 1)
        #expect(ran.errors.contains("TRAP in planted: seed 3 input "))
        let again = try #require(ran.errors.split(separator: "\n").last { $0.hasPrefix("again: varve-fuzz ") })
        let words = again.split(separator: " ").dropFirst(2).map(String.init)
        #expect(words.last?.hasPrefix("ff") == true)
        #expect(try run(words).errors.contains("TRAP in planted"))
    }
}
