import Foundation
import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

@Suite struct ContractTests {
    @Test(arguments: LogContract.checks)
    func `the in-memory log keeps the contract`(_ check: LogContract.Check) async throws {
        try await check.run { LogSubject("in-memory", provider: MemoryLogProvider(), isExclusive: false) }
    }

    @Test(arguments: LogContract.checks)
    func `the local log keeps the contract`(_ check: LogContract.Check) async throws {
        try await check.run {
            let scratch = try Scratch()
            return LogSubject("local", provider: LocalLogProvider(path: scratch.path + "/log"), isExclusive: true) {
                scratch.remove()
            }
        }
    }

    /// Small segments and buffers: every check crosses many files and commits.
    @Test(arguments: LogContract.checks)
    func `a local log of tiny segments keeps the contract`(_ check: LogContract.Check) async throws {
        try await check.run {
            let scratch = try Scratch()
            let provider = LocalLogProvider(path: scratch.path, bufferSize: 7, segmentBytes: 1000)
            return LogSubject("local in tiny segments", provider: provider, isExclusive: true) { scratch.remove() }
        }
    }

    /// A log that refuses, loses reports, splits and delays: the checks take every result that the contract allows.
    @Test(arguments: LogContract.checks, 1...4)
    func `a simulated log with faults keeps the contract`(_ check: LogContract.Check, seed: UInt64) async throws {
        try await check.run {
            guard seed % 2 == 0 else {
                let provider = FaultyLogProvider(MemoryLogProvider(), seed: seed)
                return LogSubject("simulated faults", provider: provider, isExclusive: false, isFaulty: true)
            }
            let scratch = try Scratch(inMemory: true)
            let provider = FaultyLogProvider(LocalLogProvider(path: scratch.path, segmentBytes: 5000), seed: seed)
            return LogSubject("simulated faults", provider: provider, isExclusive: true, isFaulty: true) {
                scratch.remove()
            }
        }
    }

    @Test func `every sentence of the contract has a check or a test`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let document = try String(contentsOf: root.appending(path: "Sources/VarveLog/Log.swift"), encoding: .utf8)
        let sentences = Set(document.matches(of: /\[([A-Z][0-9]+)\]/).map { String($0.1) })
        #expect(sentences.count > 40)
        var held: Set<String> = []
        for check in LogContract.checks {
            let names = try #require(check.description.firstMatch(of: /^\[([A-Z0-9 ]+)\]/), "\(check.description)").1
            held.formUnion(names.split(separator: " ").map(String.init))
        }
        var tests = ""
        for directory in ["VarveLogTests", "VarveKafkaTests", "KafkaTests"] {
            for entry in try Directory.list(root.appending(path: "Tests/\(directory)").path)
            where entry.name.hasSuffix(".swift") {
                tests += try String(
                    contentsOf: root.appending(path: "Tests/\(directory)/\(entry.name)"), encoding: .utf8)
            }
        }
        for (sentence, test) in LogContract.elsewhere {
            #expect(tests.contains(test), "no test is named so: \(test)")
            held.insert(sentence)
        }
        #expect(held.subtracting(sentences).isEmpty, "checks of sentences that Log.swift does not have")
        #expect(sentences.subtracting(held).isEmpty, "sentences that nothing holds")
    }
}
