/// The timeline of `migrate` as SVG: every acknowledgement of the run, the pause of each migration, and the migration with the
/// longest one from proposal to crossing. Colours follow the reader's light or dark mode.

struct TimelineDrawing {
    private static let width = 960.0
    private static let left = 76.0
    private static let right = 936.0
    private let result: MigrateResult
    private let shown: MigrateResult.Move
    private let times: [Int64]

    init(_ result: MigrateResult) {
        self.result = result
        shown = result.moves.max { $0.pause.milliseconds < $1.pause.milliseconds } ?? result.moves[0]
        times = result.load.acknowledged.map(\.at)
    }

    var svg: String {
        var page = SVGPage(width: Self.width, height: 1_060)
        let count = result.moves.count
        page.text(
            24, 34, "\(count) moves of the log under \(result.rate) transactions/s", "title")
        page.text(
            24, 56,
            "\(result.nodesCount) nodes, \(result.place). \(result.load.failures.count) of "
                + "\(result.load.acknowledged.count + result.load.failures.count) requests failed; longest write pause "
                + "\(Int((result.pauses.max() ?? 0).rounded())) ms", "note")
        run(&page, top: 92)
        pauses(&page, top: 282)
        migration(&page, top: 492)
        crossing(&page, top: 722)
        return page.finished
    }

    // MARK: The whole run

    private func run(_ page: inout SVGPage, top: Double) {
        let begin = result.load.began
        let seconds = Int(((times.last ?? begin) - begin) / 1_000_000)
        let counts = bins(from: begin, width: 1_000_000, count: max(1, seconds))
        page.text(24, top, "Acknowledged each second, all nodes; each line is a seal", "head")
        let plot = Plot(left: Self.left, right: Self.right, top: top + 14, bottom: top + 128)
        let most = Double(counts.max() ?? 1)
        let high = max(most, Double(result.rate) * 1.2)
        axis(&page, plot, high, [0, Double(result.rate)], "")
        page.area(
            counts.enumerated().map { index, count in
                (plot.x(Double(index), of: Double(counts.count)), plot.y(Double(count), of: high))
            }, base: plot.bottom, "acks")
        for move in result.moves {
            guard let sealed = move.sealed else { continue }
            let x = plot.x(Double(sealed - begin) / 1e6, of: Double(counts.count))
            page.line(x, plot.top, x, plot.bottom, "seal")
        }
        let step = seconds > 150 ? 60 : 20
        for second in stride(from: 0, through: seconds, by: step) {
            page.text(
                plot.x(Double(second), of: Double(counts.count)), plot.bottom + 16, "\(second) s", "tick middle")
        }
    }

    // MARK: Each pause

    private func pauses(_ page: inout SVGPage, top: Double) {
        page.text(24, top, "Write pause of each migration: the longest time between two acknowledgements", "head")
        let plot = Plot(left: Self.left, right: Self.right, top: top + 34, bottom: top + 150)
        let most = result.moves.flatMap { [$0.pause.milliseconds] + $0.pauses.map(\.milliseconds) }.max() ?? 0
        let high = max(MigrateResult.pauseMax, nice(most))
        axis(&page, plot, high, [0, high / 2, high], " ms")
        let limit = plot.y(MigrateResult.pauseMax, of: high)
        page.line(plot.left, limit, plot.right, limit, "limit")
        page.text(plot.right, limit - 5, "p99 must stay below \(Int(MigrateResult.pauseMax)) ms", "tick limitText end")
        let count = Double(result.moves.count)
        for (index, move) in result.moves.enumerated() {
            let x = plot.x(Double(index) + 0.5, of: count)
            let half = min(14, (plot.right - plot.left) / count / 3)
            let y = plot.y(move.pause.milliseconds, of: high)
            page.rectangle(x - half, y, half * 2, plot.bottom - y, move.number == shown.number ? "bar chosen" : "bar")
            for (node, pause) in move.pauses.enumerated() {
                page.circle(x + Double(node - 1) * half * 0.7, plot.y(pause.milliseconds, of: high), 3, "node\(node)")
            }
            let highest = plot.y(
                max(move.pause.milliseconds, move.pauses.map(\.milliseconds).max() ?? 0), of: high)
            page.text(x, highest - 8, "\(Int(move.pause.milliseconds.rounded()))", "tick middle")
            page.text(x, plot.bottom + 16, "\(move.number)", "tick middle")
        }
        legend(&page, y: top + 16)
    }

    private func legend(_ page: inout SVGPage, y: Double) {
        page.rectangle(Self.left, y - 8, 10, 9, "bar")
        page.text(Self.left + 16, y, "all clients", "tick")
        for node in 0..<result.nodesCount {
            let x = Self.left + 100 + Double(node) * 150
            page.circle(x, y - 4, 3, "node\(node)")
            page.text(x + 8, y, "clients of \(MigrateBenchmark.name(node))", "tick")
        }
    }

    // MARK: One migration

    private func migration(_ page: inout SVGPage, top: Double) {
        let begin = shown.called - 1_000_000
        let end = shown.answered + 2_000_000
        let count = max(1, Int((end - begin) / 100_000))
        page.text(
            24, top,
            "Migration \(shown.number), the one with the longest pause: acknowledged in each 100 ms, from the proposal to the answer",
            "head")
        let plot = Plot(left: Self.left, right: Self.right, top: top + 70, bottom: top + 175)
        let counts = bins(from: begin, width: 100_000, count: count)
        let high = max(Double(counts.max() ?? 1), Double(result.rate) / 10 * 1.2)
        axis(&page, plot, high, [0, Double(result.rate) / 10], "")
        let step = (plot.right - plot.left) / Double(count)
        for (index, number) in counts.enumerated() where number > 0 {
            let y = plot.y(Double(number), of: high)
            page.rectangle(
                plot.left + Double(index) * step + 0.3, y, max(0.5, step - 0.6), plot.bottom - y, "bar")
        }
        func x(_ time: Int64) -> Double { plot.x(Double(time - begin), of: Double(end - begin)) }
        // A line of its own for each text: they follow each other closely.
        var row = 0.0
        func mark(_ time: Int64?, _ text: String, _ style: String) {
            guard let time else { return }
            page.line(x(time), plot.top - 50 + row * 14, x(time), plot.bottom, style)
            page.text(x(time) + 4, plot.top - 41 + row * 14, text, "tick \(style)Text")
            row += 1
        }
        mark(shown.proposed, "\(MigrateBenchmark.name(shown.asked)) asks every node", "mark")
        let answers = shown.confirmed.enumerated().filter { $0.offset != shown.asked }.sorted {
            $0.element ?? 0 < $1.element ?? 0
        }
        for (node, time) in answers { mark(time, "\(MigrateBenchmark.name(node)) can follow", "mark") }
        mark(shown.sealed, "seal", "seal")
        ticks(&page, plot, begin, end, every: 1_000_000, zero: shown.called)
    }

    private func crossing(_ page: inout SVGPage, top: Double) {
        let middle = shown.sealed ?? shown.answered
        let (begin, end) = (middle - 300_000, middle + max(700_000, shown.pause.to - middle + 200_000))
        page.text(24, top, "The second around its seal: acknowledged in each 10 ms, and what each node did", "head")
        let plot = Plot(left: Self.left, right: Self.right, top: top + 14, bottom: top + 124)
        let width = Int64(10_000)
        let counts = bins(from: begin, width: width, count: Int((end - begin) / width))
        let high = max(Double(counts.max() ?? 1), Double(result.rate) / 100 * 1.2)
        axis(&page, plot, high, [0, Double(result.rate) / 100], "")
        let step = (plot.right - plot.left) / Double(counts.count)
        for (index, number) in counts.enumerated() where number > 0 {
            let y = plot.y(Double(number), of: high)
            page.rectangle(plot.left + Double(index) * step + 0.5, y, max(0.5, step - 1), plot.bottom - y, "bar")
        }
        func x(_ time: Int64) -> Double {
            min(plot.right, max(plot.left, plot.x(Double(time - begin), of: Double(end - begin))))
        }
        let lanes = plot.bottom + 14
        for node in 0..<result.nodesCount {
            let y = lanes + Double(node) * 44
            page.text(24, y + 18, MigrateBenchmark.name(node), "tick")
            page.line(plot.left, y + 26, plot.right, y + 26, "grid")
            for one in result.load.acknowledged where one.node == node && one.at >= begin && one.at <= end {
                page.line(x(one.at), y + 16, x(one.at), y + 26, "tick\(node)")
            }
            if shown.crossings.indices.contains(node), let crossing = shown.crossings[node] {
                page.rectangle(x(crossing.from), y + 3, max(2, x(crossing.to) - x(crossing.from)), 9, "fill\(node)")
                page.text(
                    x(crossing.to) + 6, y + 12, "crosses in \((crossing.to - crossing.from) / 1_000) ms", "tick")
            }
        }
        let bottom = lanes + Double(result.nodesCount) * 44
        page.line(x(middle), plot.top, x(middle), bottom, "seal")
        page.text(x(middle) - 4, plot.top + 10, "seal", "tick sealText end")
        let y = bottom + 14
        page.rectangle(x(shown.pause.from), y, max(1, x(shown.pause.to) - x(shown.pause.from)), 9, "chosen")
        page.text(x(shown.pause.to) + 6, y + 9, "write pause \(Int(shown.pause.milliseconds.rounded())) ms", "tick")
        ticks(
            &page, Plot(left: plot.left, right: plot.right, top: plot.top, bottom: y + 12), begin, end, every: 100_000,
            zero: middle)
    }

    // MARK: Pieces

    private struct Plot {
        var left, right, top, bottom: Double
        func x(_ value: Double, of high: Double) -> Double { left + (right - left) * value / max(high, 1e-9) }
        func y(_ value: Double, of high: Double) -> Double { bottom - (bottom - top) * value / max(high, 1e-9) }
    }

    private func axis(_ page: inout SVGPage, _ plot: Plot, _ high: Double, _ values: [Double], _ unit: String) {
        for value in values {
            let y = plot.y(value, of: high)
            page.line(plot.left, y, plot.right, y, "grid")
            page.text(plot.left - 8, y + 4, "\(Int(value))\(unit)", "tick end")
        }
    }

    /// Times below a plot, counted from `zero`.
    private func ticks(
        _ page: inout SVGPage, _ plot: Plot, _ begin: Int64, _ end: Int64, every step: Int64, zero: Int64
    ) {
        var time = zero - (zero - begin) / step * step
        while time <= end {
            let value = time - zero
            let text = step >= 1_000_000 ? "\(value / 1_000_000) s" : "\(value / 1_000) ms"
            let x = plot.x(Double(time - begin), of: Double(end - begin))
            page.text(
                x, plot.bottom + 16, (value > 0 ? "+" : "") + text, x > plot.right - 20 ? "tick end" : "tick middle")
            time += step
        }
    }

    private func bins(from begin: Int64, width: Int64, count: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: count)
        for time in times where time >= begin {
            let index = Int((time - begin) / width)
            if index < count { counts[index] += 1 }
        }
        return counts
    }

    /// The next of 1, 2, 2.5, 5 times a power of ten.
    private func nice(_ value: Double) -> Double {
        var scale = 1.0
        while scale * 10 < value { scale *= 10 }
        return [1, 2, 2.5, 5, 10].map { $0 * scale }.first { $0 >= value } ?? value
    }
}
