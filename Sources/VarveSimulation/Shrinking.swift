/// From a failing run to a small one that fails alike: fewer events, then fewer kinds of faults, then fewer hits.
///
/// A hit that is left out changes what comes after it, so every candidate is run; what still breaks the same invariant is
/// kept.

package struct Shrinking {
    package private(set) var options: Options
    package private(set) var report: RunReport
    private var runsLeft: Int

    package init(_ failing: RunReport, runs: Int = 400) {
        options = failing.options
        options.isTraced = false
        report = failing
        runsLeft = runs
    }

    package mutating func shrink() {
        if let failure = report.failure {
            var shorter = options
            shorter.events = failure.event
            _ = adopt(shorter)
        }
        for fault in Fault.allCases where report.injected[Int(fault.rawValue)] > 0 {
            var fewer = options
            fewer.without.insert(fault)
            _ = adopt(fewer)
        }
        var share = 2
        while share <= 64, runsLeft > 0 {
            let hits = report.schedule
            let size = max(1, hits.count / share)
            var isSmaller = false
            var start = 0
            while start < hits.count, runsLeft > 0 {
                var fewer = options
                fewer.omitting.formUnion(hits[start..<min(hits.count, start + size)])
                if adopt(fewer) { isSmaller = true }
                start += size
            }
            if size == 1 && !isSmaller { break }
            if !isSmaller { share *= 2 }
        }
        // At the end by as few events as do.
        var step = options.events / 2
        while step > 0, runsLeft > 0 {
            var shorter = options
            shorter.events -= step
            if shorter.events < 1 || !adopt(shorter) { step /= 2 }
        }
    }

    private mutating func adopt(_ candidate: Options) -> Bool {
        guard runsLeft > 0 else { return false }
        runsLeft -= 1
        let found = Simulation.run(candidate)
        guard found.failure?.invariant == report.failure?.invariant else { return false }
        options = candidate
        report = found
        return true
    }
}

extension Options {
    /// The line that repeats the run.
    package var command: String {
        var line = "varve-simulate --seed \(seed) --events \(events)"
        if !without.isEmpty { line += " --without \(without.sorted().map(\.name).joined(separator: ","))" }
        if !omitting.isEmpty { line += " --omit \(omitting.sorted().map(\.description).joined(separator: ","))" }
        return line
    }
}
