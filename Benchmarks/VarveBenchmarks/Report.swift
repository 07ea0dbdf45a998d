/// What was measured: a table for people, `.build/bench/<name>.json` for machines, `<name>.md` for docs/performance.md.
///
/// One entry is one figure, sampled several times in turn with its yardstick, or beside the number it has to reach. It is
/// met when the worse quartile of the samples' ratios is.

internal import VarveIO
internal import VarveModel
internal import VarveTerminal

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

struct Figure {
    struct Sample {
        var ours: Double
        var yardstick: Double
        var ratio: Double { yardstick == 0 ? 0 : ours / yardstick }
    }

    let name: String
    let unit: String
    /// What the yardstick is, for the table.
    let yardstick: String
    /// Of ours to the yardstick; nil when the figure is only reported.
    let target: Double?
    var samples: [Sample] = []

    /// Shown beside its yardstick without a number to reach.
    var reportsYardstick = false

    var hasYardstick: Bool { target != nil || reportsYardstick }

    /// Rates rise, times and sizes fall.
    var isRate: Bool { unit.hasSuffix("/s") }

    func median(_ value: (Sample) -> Double) -> Double {
        let sorted = samples.map(value).sorted()
        return sorted.isEmpty ? 0 : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    var isMet: Bool? {
        guard let target else { return nil }
        let sorted = samples.map(\.ratio).sorted()
        guard !sorted.isEmpty else { return false }
        let quarter = (sorted.count - 1) / 4
        return isRate ? sorted[quarter] >= target : sorted[sorted.count - 1 - quarter] <= target
    }
}

struct Report {
    let name: String
    let dataSet: String
    var figures: [Figure]

    func print() {
        Swift.print("\n\(dataSet)\n\(Machine.description)\n")
        var rows = [["", "ours", "", "yardstick", "", "ratio", "target", ""]]
        for figure in figures {
            rows.append([
                figure.name, Self.text(figure.median(\.ours)), figure.unit,
                figure.hasYardstick ? Self.text(figure.median(\.yardstick)) : "", figure.yardstick,
                figure.hasYardstick ? Self.text(figure.median(\.ratio)) : "",
                figure.target.map { (figure.isRate ? "≥ " : "≤ ") + Self.text($0) } ?? "",
                figure.isMet.map { $0 ? "met" : "MISSED" } ?? "",
            ])
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let cells = row.enumerated().map { column, text in
                let pad = String(repeating: " ", count: widths[column] - text.count)
                return [1, 3, 5].contains(column) ? pad + text : text + pad
            }
            Swift.print(cells.joined(separator: "  "))
        }
    }

    /// Writes the file and returns its path.
    func write() throws -> String {
        let directory = ".build/bench"
        try Directory.create(directory)
        let path = Directory.join(directory, name + ".json")
        let list = figures.map { figure -> String in
            func measured(_ value: Double) -> String { figure.hasYardstick ? Self.number(value) : "null" }
            let samples = figure.samples.map {
                "{\"ours\":\(Self.number($0.ours)),\"yardstick\":\(measured($0.yardstick))}"
            }
            return """
                  {"name":\(Self.quoted(figure.name)),"unit":\(Self.quoted(figure.unit)),\
                "ours":\(Self.number(figure.median(\.ours))),"yardstick":\(measured(figure.median(\.yardstick))),\
                "ratio":\(measured(figure.median(\.ratio))),"target":\(figure.target.map(Self.number) ?? "null"),\
                "met":\(figure.isMet.map { "\($0)" } ?? "null"),"samples":[\(samples.joined(separator: ","))]}
                """
        }
        let text = "[\n" + list.joined(separator: ",\n") + "\n]\n"
        try Self.write(text, to: path)
        try Self.write(markdown, to: Directory.join(directory, name + ".md"))
        return path
    }

    private var markdown: String {
        var lines = [
            "\(dataSet); \(Machine.description)", "", "| figure | ours | unit | yardstick | ratio | target | |",
            "|---|---|---|---|---|---|---|",
        ]
        for figure in figures {
            let yardstick = "\(Self.text(figure.median(\.yardstick))) (\(figure.yardstick))"
            let cells = [
                figure.name, Self.text(figure.median(\.ours)), figure.unit, figure.hasYardstick ? yardstick : "",
                figure.hasYardstick ? Self.text(figure.median(\.ratio)) : "",
                figure.target.map { (figure.isRate ? "≥ " : "≤ ") + Self.text($0) } ?? "",
                figure.isMet.map { $0 ? "met" : "missed" } ?? "",
            ]
            lines.append("| " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw Fault("\(path) cannot be written") }
        defer { fclose(file) }
        guard fputs(text, file) >= 0 else { throw Fault("\(path) cannot be written") }
    }

    private static func quoted(_ text: String) -> String { "\"\(text)\"" }

    private static func number(_ value: Double) -> String {
        abs(value) >= 100 ? "\(Int(value.rounded()))" : "\((value * 1000).rounded() / 1000)"
    }

    private static func text(_ value: Double) -> String {
        abs(value) >= 1000 ? Quantity.count(Int(value.rounded())) : number(value)
    }
}

/// Where and when, so that a number can be judged later.
enum Machine {
    static var description: String {
        [model, "\(cores) cores", memory, load, commit, date].filter { !$0.isEmpty }.joined(separator: ", ")
    }

    private static func lines(_ path: String) -> [Substring] {
        // Files of /proc say that they are empty.
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
    }

    private static func value(_ key: String, in path: String) -> Substring? {
        lines(path).first { $0.hasPrefix(key) }?.split(separator: ":").last?.drop { $0 == " " || $0 == "\t" }
    }

    private static var model: String { value("model name", in: "/proc/cpuinfo").map(String.init) ?? "" }
    private static var cores: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }
    private static var memory: String {
        guard let kib = value("MemTotal", in: "/proc/meminfo")?.split(separator: " ").first.flatMap({ Int($0) }) else {
            return ""
        }
        return "\(kib >> 20) GiB"
    }
    private static var load: String {
        lines("/proc/loadavg").first?.split(separator: " ").first.map { "load average \($0)" } ?? ""
    }
    private static var commit: String {
        getenv("VARVE_BENCH_COMMIT").map { "commit \(String(cString: $0))" } ?? ""
    }
    private static var date: String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    }

    /// Resident memory of a process and its peak, in MB; nil when there is no such process.
    static func memory(of process: Int32) -> (now: Double, peak: Double)? {
        func megabytes(_ key: String) -> Double? {
            value(key, in: "/proc/\(process)/status")?.split(separator: " ").first.flatMap { Double($0) }
                .map { $0 * 1024 / 1_000_000 }
        }
        guard let now = megabytes("VmRSS"), let peak = megabytes("VmHWM") else { return nil }
        return (now, peak)
    }

    /// Processor time of this process so far, in seconds.
    static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
