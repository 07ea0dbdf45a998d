/// `varve-bench`: measures, prints a table, writes `.build/bench/<name>.json`.
///
///     varve-bench load                       everything `make bench-load` reports
///     varve-bench load --samples 3           fewer repetitions, for a first look
///     varve-bench one PART [--times N]       one part alone, for a profiler
///     varve-bench log                        appends and reads of every log against C: `make bench-log`
///     varve-bench index [--seconds N]        the machine, blocks, restarts, memory: `make bench-index`
///     varve-bench migrate [--image FILE]     the log moved under load, and a bump with salvage: `make bench-migrate`
///
/// `VARVE_BENCH_DATA` names the documents: NDJSON, gzip allowed, each with an `_id`.

internal import VarveModel

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

@main
enum Main {
    static let usage = """
        usage: varve-bench load [--samples N]
               varve-bench one singles|documents|batches|restart|program|sqlite [--times N]
               varve-bench log [embedded|kafka|tail|local|decode|memory] [--samples N] [--seconds N]
               varve-bench index [apply|apply-batches|encode|memory|memory-full-window|restart-blocks|restart-tail] [--samples N]
                               [--seconds N]
               varve-bench migrate [moves|bump] [--migrations N] [--rate N] [--records N] [--image FILE]
        """

    static func main() async {
        var arguments = Array(CommandLine.arguments.dropFirst())
        let command = arguments.isEmpty ? "" : arguments.removeFirst()
        do {
            switch command {
            case "load":
                let samples = try number("--samples", &arguments) ?? LoadBenchmark.samplesDefault
                try finish(arguments)
                try await LoadBenchmark(DataSet.read(), samples: samples).run()
            case "log":
                let samples = try number("--samples", &arguments) ?? LogBenchmark.samplesDefault
                let seconds = try number("--seconds", &arguments) ?? LogBenchmark.secondsDefault
                let part = arguments.isEmpty ? nil : arguments.removeFirst()
                try finish(arguments)
                try await LogBenchmark(samples: samples, seconds: seconds).run(part)
            case "index":
                let samples = try number("--samples", &arguments) ?? IndexBenchmark.samplesDefault
                let seconds = try number("--seconds", &arguments) ?? IndexBenchmark.secondsDefault
                let part = arguments.isEmpty ? nil : arguments.removeFirst()
                try finish(arguments)
                try await IndexBenchmark(samples: samples, seconds: seconds).run(part)
            case "migrate":
                var benchmark = MigrateBenchmark()
                if let given = try number("--migrations", &arguments) { benchmark.migrations = given }
                if let given = try number("--rate", &arguments) { benchmark.rate = given }
                if let given = try number("--records", &arguments) { benchmark.records = given }
                benchmark.image = try text("--image", &arguments)
                let part = arguments.isEmpty ? nil : arguments.removeFirst()
                try finish(arguments)
                try await benchmark.run(part)
            case "one":
                guard !arguments.isEmpty else { return fail(usage, 64) }
                let part = arguments.removeFirst()
                let times = try number("--times", &arguments) ?? 1
                try finish(arguments)
                try await LoadBenchmark(DataSet.read(), samples: times).runOne(part)
            default: fail(usage, 64)
            }
        } catch let fault as Fault {
            fail("varve-bench: \(fault.message)", 1)
        } catch {
            fail("varve-bench: \(error)", 1)
        }
    }

    private static func number(_ name: String, _ arguments: inout [String]) throws -> Int? {
        guard let text = try text(name, &arguments) else { return nil }
        guard let value = Int(text), value > 0 else { throw Fault("\(name) needs a number above 0") }
        return value
    }

    private static func text(_ name: String, _ arguments: inout [String]) throws -> String? {
        guard let at = arguments.firstIndex(of: name) else { return nil }
        guard at + 1 < arguments.count else { throw Fault("\(name) needs a value") }
        defer { arguments.removeSubrange(at...at + 1) }
        return arguments[at + 1]
    }

    private static func finish(_ arguments: [String]) throws {
        if let first = arguments.first { throw Fault("unexpected \"\(first)\"\n\(usage)") }
    }

    private static func fail(_ message: String, _ code: Int32) {
        let line = Array((message + "\n").utf8)
        _ = write(2, line, line.count)
        exit(code)
    }
}

/// Why a measurement could not be made.
struct Fault: Error {
    let message: String
    init(_ message: String) { self.message = message }
}
