/// `index`: the machine alone on one core, encoding blocks, restarts, and memory under load.
///
/// The machine is given prebuilt records, as a tail would deliver them, and adopts its own blocks at once: nothing is
/// written, so the figure is that of applying.

internal import VarveCore
internal import VarveIndexing
internal import VarveLog
internal import VarveModel
internal import VarveNode
internal import VarveStorage

struct IndexBenchmark {
    static let samplesDefault = 5
    static let secondsDefault = 60

    let samples: Int
    /// How long the load for the memory figure goes on.
    let seconds: Int

    private static let singles = 200_000
    private static let batched = 400_000
    private static let restartBlocks = 10_000
    private static let restartTail = 1_000_000

    /// - Parameter part: one alone; nil is all of them.
    func run(_ part: String?) async throws {
        let parts = [
            "apply", "apply-batches", "encode", "memory", "memory-full-window", "restart-blocks", "restart-tail",
        ]
        if let part, !parts.contains(part) { throw Fault("unknown part \"\(part)\"\n\(Main.usage)") }
        var figures: [Figure] = []
        for name in parts where part == nil || part == name {
            print(name)
            Progress.flush()
            switch name {
            case "apply": figures.append(try apply("apply, one-document transactions", 1, Self.singles, 300_000))
            case "apply-batches":
                figures.append(try apply("apply, batches of 1,000 documents", 1_000, Self.batched, 700_000))
            case "encode": figures += try encoding()
            case "memory": figures += try await memory()
            case "memory-full-window": figures += try await memory(remembering: 100)
            case "restart-blocks": figures += try await restartWithBlocks()
            default: figures += try await restartWithTail()
            }
        }
        let report = Report(
            name: part.map { "index-\($0)" } ?? "index", dataSet: "synthetic documents of 105 bytes",
            figures: figures)
        report.print()
        print("\n\(try report.write())")
    }

    // MARK: Applying

    private struct NoBlocks: BlockLookup {
        func newest(_ table: TableName, _ key: Key) throws(VarveError) -> StoredVersion? { nil }
    }

    private static let database = DatabaseID(high: 1, low: 2)
    private static let genesis = GenesisID(high: 3, low: 4)

    private func apply(_ name: String, _ batch: Int, _ documents: Int, _ target: Double) throws -> Figure {
        var figure = Figure(
            name: name, unit: batch == 1 ? "transactions/s" : "documents/s", yardstick: "to reach", target: 1)
        for _ in 0..<samples {
            figure.samples.append(.init(ours: try applyOnce(batch, documents, by: .processor), yardstick: target))
        }
        return figure
    }

    private enum Clock {
        case wall, processor
    }

    /// Documents a second.
    private func applyOnce(_ batch: Int, _ documents: Int, by clock: Clock) throws -> Double {
        let records = try Self.records(batch, documents)
        var machine = NodeMachine(
            database: Self.database, genesis: Self.genesis, settings: Settings(), epochRecord: .zero)
        let began = ContinuousClock.now
        let processorBegan = Machine.processorSeconds
        var at = 0
        while at < records.count {
            let end = min(records.count, at + (batch == 1 ? 1_000 : 4))
            for effect in try machine.step(.records(.first, Array(records[at..<end])), reading: NoBlocks()) {
                switch effect {
                case .cut(let block):
                    let manifest = block.manifest(previous: machine.expectedPrevious, files: [:])
                    _ = try machine.step(
                        .published(manifest, Digest(of: manifest.encoded())), reading: NoBlocks())
                case .stopped(let error): throw error
                default: break
                }
            }
            at = end
        }
        let seconds =
            clock == .wall ? (ContinuousClock.now - began).inSeconds : Machine.processorSeconds - processorBegan
        guard machine.counters.rows == UInt64(documents) else { throw Fault("\(machine.counters.rows) rows") }
        return Double(documents) / seconds
    }

    private static func records(_ batch: Int, _ documents: Int) throws -> [NodeMachine.LoggedRecord] {
        let tag = LogTag(database: database, genesis: genesis)
        let table = try TableName("users")
        var records: [NodeMachine.LoggedRecord] = []
        func add(_ type: RecordType, _ id: Bytes16, _ payload: Bytes) {
            let record = Record(
                header: RecordHeader(type: type, logTag: type == .genesis ? .none : tag, id: id), payload: payload)
            records.append(
                .init(
                    offset: Offset(Int64(records.count)), time: 1_700_000_000_000 + Int64(records.count) / 100,
                    bytes: record.encoded()))
        }
        add(
            .genesis, genesis,
            Genesis(
                database: database, epoch: .first, log: LogReference(kind: .memory, topic: "e0000"), began: .initial,
                settings: Settings()
            ).encoded())
        var scanner = JSONScanner()
        var rows: [Operation.Row] = []
        for (i, line) in DataSet.synthetic(documents).enumerated() {
            rows.append(try line.withUnsafeBytes { text throws(JSONFault) in try scanner.document(text) })
            guard rows.count == batch else { continue }
            add(
                .transaction, Bytes16(high: UInt64(i) &* 0x9e37_79b9_7f4a_7c15, low: UInt64(i)),
                Transaction([.put(table, rows)]).encoded().payload)
            rows = []
        }
        return records
    }

    // MARK: Encoding

    private func encoding() throws -> [Figure] {
        var figure = Figure(name: "encoding a block, 102,400 rows", unit: "rows/s", yardstick: "to reach", target: 1)
        let table = try TableName("users")
        var scanner = JSONScanner()
        var rows: [BlockRow] = []
        for (i, line) in DataSet.synthetic(102_400).enumerated() {
            let row = try line.withUnsafeBytes { text throws(JSONFault) in try scanner.document(text) }
            rows.append(
                BlockRow(
                    key: row.key, position: Position(.first, Offset(Int64(i))),
                    systemFrom: Instant(microseconds: 1_700_000_000_000_000 + Int64(i)), systemTo: nil,
                    document: row.document))
        }
        rows.sort { $0.key < $1.key }
        for _ in 0..<samples {
            let began = Machine.processorSeconds
            let bytes = try BlockFileWriter.encode(table: table, rows: rows)
            let seconds = Machine.processorSeconds - began
            guard bytes.count > 0 else { throw Fault("nothing was encoded") }
            figure.samples.append(.init(ours: Double(rows.count) / seconds, yardstick: 1_000_000))
        }
        return [figure]
    }

    // MARK: Restarting

    private func configuration(_ directory: String, _ indexer: IndexerConfiguration) -> Configuration {
        Configuration(
            log: .local(LocalLogConfiguration(path: directory + "/log")), storage: .local(path: directory + "/storage"),
            indexer: indexer, node: NodeConfiguration(id: "bench", directory: directory + "/node"))
    }

    private func restartWithBlocks() async throws -> [Figure] {
        var figure = Figure(
            name: "restart with 10,000 blocks", unit: "s", yardstick: "at most", target: 1)
        var indexer = IndexerConfiguration()
        indexer.transactionsPerBlock = 1
        return try await Scratch.with { directory in
            let configuration = configuration(directory, indexer)
            let node = try await Node.start(configuration)
            try await fill(node, Self.restartBlocks, inFlight: 64)
            _ = try await node.flush(awaitAdoption: true, timeout: .seconds(600))
            await node.stop()
            for _ in 0..<samples {
                let began = ContinuousClock.now
                let again = try await Node.start(configuration)
                figure.samples.append(.init(ours: (ContinuousClock.now - began).inSeconds, yardstick: 5))
                await again.stop()
            }
            return [figure]
        }
    }

    /// All in one open block, so that nothing is written while it is filled.
    private func restartWithTail() async throws -> [Figure] {
        var figure = Figure(
            name: "restart, 1,000,000 transactions to replay", unit: "transactions/s", yardstick: "rate of applying",
            target: 0.8)
        var indexer = IndexerConfiguration()
        indexer.transactionsPerBlock = 10_000_000
        indexer.rowsPerBlock = 10_000_000
        indexer.bytesPerBlock = 4 << 30
        return try await Scratch.with { directory in
            let configuration = configuration(directory, indexer)
            let node = try await Node.start(configuration)
            try await fill(node, Self.restartTail, inFlight: 1_000)
            await node.stop()
            for _ in 0..<samples {
                // By the same clock, in the same minute.
                let rate = try applyOnce(1, Self.singles, by: .wall)
                let began = ContinuousClock.now
                let again = try await Node.start(configuration)
                let seconds = (ContinuousClock.now - began).inSeconds
                await again.stop()
                figure.samples.append(.init(ours: Double(Self.restartTail) / seconds, yardstick: rate))
            }
            return [figure]
        }
    }

    private func fill(_ node: Node, _ count: Int, inFlight: Int) async throws {
        let table = try TableName("users")
        let lines = DataSet.synthetic(min(count, 100_000))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<inFlight {
                group.addTask {
                    var scanner = JSONScanner()
                    for number in stride(from: client, to: count, by: inFlight) {
                        let row = try lines[number % lines.count].withUnsafeBytes { text throws(JSONFault) in
                            try scanner.document(text)
                        }
                        _ = try await node.submit(Transaction([.put(table, [row])]), timeout: .seconds(120))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    // MARK: Memory

    /// The same documents again and again, in batches: from the second block to the end memory stays.
    /// - Parameter ids: how many are remembered. With the default the window fills all the time, since hours of ids fit
    ///   into it; with few it is full from the first block on, and what is left is everything else.
    private func memory(remembering ids: UInt64? = nil) async throws -> [Figure] {
        let kind = ids.map { ", \($0) ids remembered" } ?? ""
        var growth = Figure(
            name: "resident memory, from the second block to the end of \(seconds) s of load\(kind)", unit: "times",
            yardstick: "at most", target: 1)
        var resident = Figure(
            name: "resident memory at the end of it\(kind)", unit: "MB", yardstick: "", target: nil)
        var heap = Figure(
            name: "live allocations, from then to then\(kind)", unit: "times", yardstick: "", target: nil)
        var stall = Figure(
            name: "longest application of 1,000 records or 512 KiB meanwhile\(kind)", unit: "ms",
            yardstick: "at most", target: 1)
        let lines = DataSet.synthetic(100_000)
        let table = try TableName("users")
        try await Scratch.with { directory in
            let node = try await Node.start(configuration(directory, IndexerConfiguration()))
            if let ids {
                var settings = try node.settings().inForce
                settings.idsRemembered = ids
                _ = try await node.apply(settings, timeout: .seconds(30))
            }
            let watch = MemoryWatch()
            let end = ContinuousClock.now + .seconds(seconds)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await watch.run() }
                // Each round is a block's worth of rows.
                while ContinuousClock.now < end || watch.rounds < 2 * MemoryWatch.stretch {
                    try await load(node, table, lines)
                    watch.endRound()
                }
                group.cancelAll()
            }
            let (first, last) = (watch.early, watch.late)
            growth.samples.append(.init(ours: last.residentMB / first.residentMB, yardstick: 1.05))
            resident.samples.append(.init(ours: last.residentMB, yardstick: 0))
            heap.samples.append(.init(ours: last.heapMB / first.heapMB, yardstick: 0))
            stall.samples.append(.init(ours: 1000 * (node.status().standing?.longestApplySeconds ?? 0), yardstick: 50))
            print(
                "  \(watch.rounds) rounds of \(lines.count) documents:", "\(Int(first.residentMB)) MB (live",
                "\(Int(first.heapMB))), then \(Int(last.residentMB)) MB (live \(Int(last.heapMB)))")
            await node.stop()
        }
        return [growth, resident, heap, stall]
    }

    private func load(_ node: Node, _ table: TableName, _ lines: [Bytes]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<8 {
                group.addTask {
                    var scanner = JSONScanner()
                    for start in stride(from: client * 1_000, to: lines.count, by: 8_000) {
                        var rows: [Operation.Row] = []
                        for line in lines[start..<min(start + 1_000, lines.count)] {
                            rows.append(
                                try line.withUnsafeBytes { text throws(JSONFault) in try scanner.document(text) })
                        }
                        _ = try await node.submit(Transaction([.put(table, rows)]), timeout: .seconds(120))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
