/// What many runs came to.

package struct Totals: Sendable {
    package private(set) var seeds = 0
    package private(set) var events = 0
    package private(set) var microseconds: Int64 = 0
    package private(set) var records = 0
    package private(set) var blocks = 0
    package private(set) var epochsSealed = 0
    package private(set) var epochsDeclared = 0
    package private(set) var answers = 0
    package private(set) var injected = Array(repeating: 0, count: Fault.allCases.count)
    /// Of all runs, whatever their order.
    package private(set) var fingerprint: UInt64 = 0
    package private(set) var failures: [RunReport] = []

    package init() {}

    package mutating func add(_ report: RunReport) {
        seeds += 1
        events += report.events
        microseconds += report.microseconds
        records += report.records
        blocks += report.blocks
        epochsSealed += report.epochsSealed
        epochsDeclared += report.epochsDeclared
        answers += report.answers
        for i in injected.indices { injected[i] += report.injected[i] }
        fingerprint &+= report.fingerprint &* (2 &* report.options.seed &+ 1)
        if report.failure != nil { failures.append(report) }
    }

    package mutating func add(_ other: Totals) {
        seeds += other.seeds
        events += other.events
        microseconds += other.microseconds
        records += other.records
        blocks += other.blocks
        epochsSealed += other.epochsSealed
        epochsDeclared += other.epochsDeclared
        answers += other.answers
        for i in injected.indices { injected[i] += other.injected[i] }
        fingerprint &+= other.fingerprint
        failures += other.failures
    }

    /// For people: what was run, and each kind of fault with its hits.
    package func lines(seconds: Double, processor: Double) -> [String] {
        let days = Double(microseconds) / 86_400e6
        var lines = [
            "seeds \(seeds), events \(events), simulated time \(rounded(days)) days, records \(records), blocks \(blocks), "
                + "epochs sealed \(epochsSealed) and given up \(epochsDeclared), answers \(answers), fingerprint \(String(fingerprint, radix: 16))",
            "\(rounded(seconds)) s, of a processor \(rounded(processor)) s: "
                + "\(rounded(processor * 1e6 / Double(max(1, events)))) µs an event",
            "faults injected \(injected.reduce(0, +)):",
        ]
        for fault in Fault.allCases where injected[Int(fault.rawValue)] > 0 {
            lines.append("  \(fault.name) \(injected[Int(fault.rawValue)])")
        }
        return lines
    }

    private func rounded(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let rest = String(100 + hundredths % 100).dropFirst()
        return "\(hundredths / 100).\(rest)"
    }
}
