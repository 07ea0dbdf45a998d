/// What `migrate` measured, for machines and for docs/performance.md.

internal import VarveModel
internal import VarveTerminal

struct MigrateResult {
    struct Move {
        var number: Int
        /// The node that was asked.
        var asked: Int
        var topic: String
        var seal: Position
        /// Microseconds of the system's clock.
        var called: Int64
        var answered: Int64
        var proposed: Int64?
        var sealed: Int64?
        /// One each for a node.
        var confirmed: [Int64?] = []
        var crossings: [NodeLog.Crossing?] = []
        var pause = Gap(from: 0, to: 0)
        var pauses: [Gap] = []

        init(number: Int, asked: Int, topic: String, seal: Position, called: Int64, answered: Int64) {
            self.number = number
            self.asked = asked
            self.topic = topic
            self.seal = seal
            self.called = called
            self.answered = answered
        }
    }

    static let pauseMax = 1_000.0

    let rate: Int
    let machine: String
    var place = ""
    var moves: [Move] = []
    /// The longest gap between one migration and the next.
    var calm: [Gap] = []
    var load = SteadyLoad.Result()
    var checks = MigrationCheck.Result()
    var bumps: [BumpBenchmark.Outcome] = []

    init(rate: Int, machine: String) {
        self.rate = rate
        self.machine = machine
    }

    /// By the nearest rank: of twenty, p99 is the longest.
    static func quantile(_ values: [Double], _ share: Double) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        return sorted[min(sorted.count - 1, max(0, Int((Double(sorted.count) * share).rounded(.up)) - 1))]
    }

    private static let shares: [(String, Double)] = [("p50", 0.5), ("p99", 0.99), ("max", 1)]

    var pauses: [Double] { moves.map(\.pause.milliseconds) }
    func pauses(of node: Int) -> [Double] { moves.map { $0.pauses[node].milliseconds } }
    var nodesCount: Int { moves.first?.pauses.count ?? 0 }
    private var crossings: [Double] {
        moves.flatMap { $0.crossings.compactMap { $0.map { Double($0.to - $0.from) / 1_000 } } }
    }
    /// From the time a transaction was due to its acknowledgement.
    private var latencies: [Double] { load.acknowledged.map { Double($0.at - $0.due) / 1_000 } }
    private var seconds: Double {
        guard let last = load.acknowledged.last else { return 0 }
        return Double(last.at - load.began) / 1e6
    }

    // MARK: For machines

    /// Figures as every benchmark has them; behind them one entry with the course of the run.
    var json: Value {
        var figures: [Value] = []
        if !moves.isEmpty {
            figures += [
                figure("write pause of \(moves.count) migrations, p99", "ms", pauses, 0.99, most: Self.pauseMax),
                figure("requests that failed", "requests", [Double(load.failures.count)], 1, most: 0),
                figure(
                    "acknowledged documents missing, or there twice", "documents",
                    [Double(checks.missing + checks.surplus)], 1, most: 0),
            ]
        }
        figures += bumps.map(json(of:))
        return .array(moves.isEmpty ? figures : figures + [course])
    }

    /// - Parameter most: that it may be.
    private func figure(_ name: String, _ unit: String, _ values: [Double], _ share: Double, most: Double) -> Value {
        let ours = Self.quantile(values, share)
        return [
            "name": .text(name), "unit": .text(unit), "ours": .double(tenth(ours)), "yardstick": .double(most),
            "ratio": most == 0 ? .null : .double((ours / most * 1_000).rounded() / 1_000),
            "target": .double(most == 0 ? 0 : 1), "met": .bool(ours <= most),
            "samples": .array(values.map { ["ours": .double(tenth($0)), "yardstick": .double(most)] }),
        ]
    }

    private var course: Value {
        [
            "name": "course", "machine": .text(machine), "log": .text(place), "nodes": .integer(Int64(nodesCount)),
            "rate": .integer(Int64(rate)), "seconds": .double(seconds.rounded()),
            "acknowledged": .integer(Int64(load.acknowledged.count)), "failed": .integer(Int64(load.failures.count)),
            "failures": .array(load.failures.prefix(20).map { .text($0) }), "pauseMs": quantiles(pauses),
            "pauseMsPerNode": .array((0..<nodesCount).map { quantiles(pauses(of: $0)) }),
            "pauseMsWithoutMigration": quantiles(calm.map(\.milliseconds)), "crossingMs": quantiles(crossings),
            "latencyMs": quantiles(latencies),
            "afterwards": [
                "documents": .integer(Int64(checks.documents)), "missing": .integer(Int64(checks.missing)),
                "surplus": .integer(Int64(checks.surplus)), "chainsAgree": .bool(checks.chainsAgree),
            ], "migrations": .array(moves.map(json(of:))),
        ]
    }

    private func quantiles(_ values: [Double]) -> Value {
        .object(Self.shares.map { .init($0.0, .double(tenth(Self.quantile(values, $0.1)))) })
    }

    private func tenth(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    /// Times in milliseconds behind the call.
    private func json(of move: Move) -> Value {
        func after(_ time: Int64?) -> Value { time.map { .double(tenth(Double($0 - move.called) / 1_000)) } ?? .null }
        return [
            "number": .integer(Int64(move.number)), "asked": .text(MigrateBenchmark.name(move.asked)),
            "topic": .text(move.topic), "seal": .text(move.seal.description),
            "called": .text(Instant(microseconds: move.called).description), "answeredMs": after(move.answered),
            "proposedMs": after(move.proposed), "confirmedMs": .array(move.confirmed.map(after)),
            "sealedMs": after(move.sealed),
            "crossings": .array(
                move.crossings.map { $0.map { ["fromMs": after($0.from), "toMs": after($0.to)] } ?? .null }),
            "pauseMs": .double(tenth(move.pause.milliseconds)), "pauseFromMs": after(move.pause.from),
            "pauseMsPerNode": .array(move.pauses.map { .double(tenth($0.milliseconds)) }),
        ]
    }

    private func json(of bump: BumpBenchmark.Outcome) -> Value {
        let rate = Value.double(bump.rate.rounded())
        let target = bump.target.map { Value.double($0) } ?? .null
        return [
            "name": .text("bump with salvage, \(bump.records) records, \(bump.log)"), "unit": "records/s", "ours": rate,
            "yardstick": target,
            "ratio": bump.target.map { .double((bump.rate / $0 * 1_000).rounded() / 1_000) } ?? .null,
            "target": bump.target == nil ? .null : 1, "met": bump.target.map { .bool(bump.rate >= $0) } ?? .null,
            "samples": [["ours": rate, "yardstick": target]],
        ]
    }

    // MARK: For docs/performance.md

    var markdown: String {
        var lines = ["\(machine)", ""]
        if !moves.isEmpty {
            lines += [
                "\(moves.count) migrations in \(Int(seconds)) s, \(nodesCount) nodes, \(rate) transactions/s; \(place)",
                "",
                "| | p50 | p99 | longest | to reach | |", "|---|---|---|---|---|---|",
                row("write pause, all nodes", pauses, target: Self.pauseMax),
            ]
            for node in 0..<nodesCount {
                lines.append(
                    row("write pause, clients of \(MigrateBenchmark.name(node))", pauses(of: node), target: nil))
            }
            lines += [
                row("longest gap between two migrations", calm.map(\.milliseconds), target: nil),
                row("a node's crossing, seal read to next log open", crossings, target: nil),
                row("a transaction, from when it is due", latencies, target: nil), "",
                "Failed requests: \(load.failures.count) of \(load.acknowledged.count + load.failures.count). Afterwards each of the "
                    + "\(nodesCount) nodes holds the \(checks.documents) acknowledged documents once, at the positions that were "
                    + "answered: missing \(checks.missing), surplus \(checks.surplus); chains "
                    + (checks.chainsAgree ? "agree." : "DIFFER."), "",
            ]
        }
        if !bumps.isEmpty {
            lines += [
                "| bump with salvage | records | seconds | records/s | to reach | |", "|---|---|---|---|---|---|",
            ]
            for bump in bumps {
                let target = bump.target.map { "≥ \(number($0)) | \(bump.rate >= $0 ? "met" : "missed")" } ?? " | "
                let seconds = (bump.seconds * 100).rounded() / 100
                lines.append(
                    "| \(bump.log) | \(number(Double(bump.records))) | \(seconds) | \(number(bump.rate)) | \(target) |")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func number(_ value: Double) -> String { Quantity.count(Int(value.rounded())) }

    private func row(_ name: String, _ values: [Double], target: Double?) -> String {
        let cells = Self.shares.map { "\(tenth(Self.quantile(values, $0.1))) ms" }.joined(separator: " | ")
        let goal = target.map {
            "p99 ≤ \(number($0)) ms | \(Self.quantile(values, 0.99) <= $0 ? "met" : "missed")"
        }
        return "| \(name) | \(cells) | \(goal ?? " | ") |"
    }
}
