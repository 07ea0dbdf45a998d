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

    var json: Value {
        var fields: [Value.Field] = [.init("machine", .text(machine))]
        if !moves.isEmpty {
            fields += [
                .init("log", .text(place)), .init("nodes", .integer(Int64(nodesCount))),
                .init("rate", .integer(Int64(rate))), .init("seconds", .double(seconds.rounded())),
                .init("acknowledged", .integer(Int64(load.acknowledged.count))),
                .init("failed", .integer(Int64(load.failures.count))),
                .init("failures", .array(load.failures.prefix(20).map { .text($0) })),
                .init("pauseMs", quantiles(pauses)),
                .init("pauseMsPerNode", .array((0..<nodesCount).map { quantiles(pauses(of: $0)) })),
                .init("pauseMsWithoutMigration", quantiles(calm.map(\.milliseconds))),
                .init("crossingMs", quantiles(crossings)), .init("latencyMs", quantiles(latencies)),
                .init("pauseMsTarget", .double(Self.pauseMax)), .init("met", .bool(isMet)),
                .init(
                    "afterwards",
                    [
                        "documents": .integer(Int64(checks.documents)), "missing": .integer(Int64(checks.missing)),
                        "surplus": .integer(Int64(checks.surplus)), "chainsAgree": .bool(checks.chainsAgree),
                    ]), .init("migrations", .array(moves.map(json(of:)))),
            ]
        }
        fields.append(.init("bumps", .array(bumps.map(json(of:)))))
        return .object(fields)
    }

    var isMet: Bool {
        load.failures.isEmpty && Self.quantile(pauses, 0.99) <= Self.pauseMax && checks.missing == 0
            && checks.surplus == 0 && checks.chainsAgree
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
        [
            "log": .text(bump.log), "records": .integer(Int64(bump.records)),
            "seconds": .double((bump.seconds * 1_000).rounded() / 1_000),
            "recordsPerSecond": .double(bump.rate.rounded()),
            "target": bump.target.map { .double($0) } ?? .null,
            "met": bump.target.map { .bool(bump.rate >= $0) } ?? .null,
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
