/// `load`: the main job of a database that is filled, against SQLite and against the numbers of the design.
///
/// Each round measures every figure once, so a slow minute of the machine falls on all of them alike.

internal import VarveModel

struct LoadBenchmark {
    static let samplesDefault = 5
    static let batch = 1_000

    let data: DataSet
    let samples: Int
    let synthetic = DataSet.synthetic(100_000)

    init(_ data: DataSet, samples: Int) {
        self.data = data
        self.samples = samples
    }

    func run() async throws {
        var overHTTP = Figure(
            name: "load over HTTP", unit: "documents/s", yardstick: "SQLite, synchronous=FULL", target: 0.5)
        var singles = Figure(
            name: "one-document transactions, 105 B", unit: "transactions/s", yardstick: "to reach", target: 1)
        var documents = Figure(
            name: "one-document transactions, the documents", unit: "transactions/s", yardstick: "to reach",
            target: 1)
        var batches = Figure(
            name: "batches of 1,000, in process", unit: "documents/s", yardstick: "to reach", target: 1)
        var opening = Figure(
            name: "restart in process, all flushed", unit: "s", yardstick: "at most", target: 1)
        var restart = Figure(
            name: "restart of the program, all flushed", unit: "s", yardstick: "at most", target: 1)
        var resident = Figure(
            name: "resident after load and flush", unit: "MB", yardstick: "at most", target: 1)
        var peak = Figure(name: "resident at its peak", unit: "MB", yardstick: "", target: nil)
        func processor(_ what: String) -> Figure {
            Figure(name: "processor time, \(what)", unit: "µs each", yardstick: "", target: nil)
        }
        var singlesTime = processor("one-document transactions, 105 B")
        var documentsTime = processor("one-document transactions, the documents")
        var batchesTime = processor("batches of 1,000, in process")
        print("\(data.description); \(samples) rounds")
        for round in 1...samples {
            print("round \(round): SQLite", terminator: "")
            Progress.flush()
            let sqlite = try await Scratch.with {
                try SQLiteYardstick.run(data.lines, batch: Self.batch, directory: $0)
            }
            Progress.step("HTTP")
            let program = try await Program.run(data)
            let count = Double(data.lines.count)
            overHTTP.samples.append(.init(ours: count / program.loadSeconds, yardstick: count / sqlite))
            restart.samples.append(.init(ours: program.restartSeconds, yardstick: 1))
            resident.samples.append(.init(ours: program.residentMB, yardstick: 300))
            peak.samples.append(.init(ours: program.peakMB, yardstick: 0))
            Progress.step("one-document transactions")
            var run = try await one(synthetic)
            singles.samples.append(.init(ours: Double(synthetic.count) / run.seconds, yardstick: 30_000))
            singlesTime.samples.append(.init(ours: run.processorSeconds / Double(synthetic.count) * 1e6, yardstick: 0))
            run = try await one(data.lines)
            documents.samples.append(.init(ours: count / run.seconds, yardstick: 30_000))
            documentsTime.samples.append(.init(ours: run.processorSeconds / count * 1e6, yardstick: 0))
            Progress.step("batches")
            let (loaded, opened) = try await batched()
            batches.samples.append(.init(ours: count / loaded.seconds, yardstick: 100_000))
            batchesTime.samples.append(.init(ours: loaded.processorSeconds / count * 1e6, yardstick: 0))
            opening.samples.append(.init(ours: opened, yardstick: 1))
            print("")
        }
        let report = Report(
            name: "load", dataSet: data.description,
            figures: [
                overHTTP, singles, documents, batches, restart, opening, resident, peak, singlesTime, documentsTime,
                batchesTime,
            ])
        report.print()
        print("\n\(try report.write())")
    }

    /// One part alone, with what a profiler's reader wants to know.
    func runOne(_ part: String) async throws {
        for _ in 0..<samples {
            switch part {
            case "singles": try await show(synthetic, batch: 1, inFlight: 1_000)
            case "documents": try await show(data.lines, batch: 1, inFlight: 1_000)
            case "batches": try await show(data.lines, batch: Self.batch, inFlight: 8)
            case "restart": print("ready after \(try await batched().opened) s")
            case "program": print(try await Program.run(data))
            case "sqlite":
                let seconds = try await Scratch.with {
                    try SQLiteYardstick.run(data.lines, batch: Self.batch, directory: $0)
                }
                print("\(Int(Double(data.lines.count) / seconds)) documents/s")
            default: throw Fault("unknown part \"\(part)\"\n\(Main.usage)")
            }
        }
    }

    private func show(_ lines: [Bytes], batch: Int, inFlight: Int) async throws {
        let run = try await Scratch.with {
            try await InProcess(directory: $0).load(lines, batch: batch, inFlight: inFlight)
        }
        let each = run.processorSeconds / Double(lines.count) * 1e6
        print(
            "\(Int(Double(lines.count) / run.seconds)) documents/s, \(Int(each * 10) / 10) µs of processor time each")
    }

    private func one(_ lines: [Bytes]) async throws -> Run {
        try await Scratch.with { try await InProcess(directory: $0).load(lines, batch: 1, inFlight: 1_000) }
    }

    private func batched() async throws -> (loaded: Run, opened: Double) {
        try await Scratch.with { directory in
            let place = InProcess(directory: directory)
            let run = try await place.load(data.lines, batch: Self.batch, inFlight: 8, flush: true)
            return (run, try await place.restart())
        }
    }
}
