import Foundation
import Testing
import VarveSimulation

/// Whole clusters in virtual time (docs/testing.md, "Simulation").
@Suite struct SimulationTests {
    /// The program stands beside the tests' own.
    private static let program: URL? = {
        let own =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let url = URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("varve-simulate")
        return FileManager.default.isExecutableFile(atPath: url.path) ? url : nil
    }()

    private func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = try #require(Self.program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }

    @Test func noInvariantIsBroken() {
        let seeds = ProcessInfo.processInfo.environment["SIMULATION_SEEDS"].flatMap { UInt64($0) } ?? 500
        var totals = Totals()
        for seed in 1...seeds {
            let report = Simulation.run(Options(seed: seed, events: 400))
            totals.add(report)
            guard let failure = report.failure else { continue }
            var shrinking = Shrinking(report, runs: 100)
            shrinking.shrink()
            Issue.record("\(failure.invariant): \(failure.detail)\n\(shrinking.report.options.command)")
            return
        }
        // Silence in a fault injector is itself a fault.
        for fault in Fault.allCases where totals.injected[Int(fault.rawValue)] == 0 {
            Issue.record("no \(fault.name) in \(seeds) seeds")
        }
    }

    /// Clusters that came to no end: records that end processes at several places, one of them the genesis; a log that ends
    /// with a hole; records that expired before a block held them. What each is stands in docs/testing.md.
    @Test(arguments: [
        (1874, 1_000), (9721, 400), (2206, 2_000), (6329, 2_000), (9664, 4_000), (2499, 5_000), (3178, 8_000),
    ])
    func whatOnceCameToNoEndComesToOne(seed: UInt64, events: Int) {
        #expect(Simulation.run(Options(seed: seed, events: events)).failure == nil)
    }

    @Test func aSeedIsTheSameRunInEveryProcess() throws {
        var options = Options(seed: 11, events: 3_000)
        options.isTraced = true
        let report = Simulation.run(options)
        #expect(Simulation.run(options).trace == report.trace)
        // Another process has other hash seeds and other addresses.
        let arguments = ["--seed", "11", "--events", "3000", "--trace"]
        let (_, first) = try run(arguments)
        #expect(first.split(separator: "\n").prefix(report.trace.count).map(String.init) == report.trace)
        let totals = { (output: String) in output.split(separator: "\n").first { $0.hasPrefix("seeds ") } }
        #expect(totals(first) == totals(try run(arguments).output))
        #expect(totals(first)?.contains("fingerprint") == true)
    }
}
