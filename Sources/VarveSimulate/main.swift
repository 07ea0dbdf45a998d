/// `varve-simulate`: simulations for people and for continuous integration (docs/testing.md, "Simulation").

import VarveSimulation

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

func show(_ report: RunReport) {
    guard let failure = report.failure else { return }
    print(
        "seed \(report.options.seed) fails at event \(failure.event), \(failure.time / 1000) ms: \(failure.invariant)")
    print("  \(failure.detail)")
    print("  again: \(report.options.command)")
}

let invocation = Invocation(Array(CommandLine.arguments.dropFirst()))
let began = ContinuousClock.now
let deadline = invocation.minutes.map { began + .seconds(60 * $0) }

let totals = await withTaskGroup(of: Totals.self) { group in
    for job in 0..<invocation.jobs {
        group.addTask {
            var totals = Totals()
            var seed = invocation.first + UInt64(job)
            while deadline.map({ ContinuousClock.now < $0 }) ?? (seed < invocation.first + invocation.count) {
                if invocation.endsAtFirst {
                    print("seed \(seed)")
                    // Should the run trap, this line is what is left of it.
                    fflush(nil)
                }
                let report = Simulation.run(invocation.options(seed))
                totals.add(report)
                if report.options.isTraced { for line in report.trace { print(line) } }
                if totals.failures.count >= (invocation.endsAtFirst ? 1 : 20) { break }
                seed += UInt64(invocation.jobs)
            }
            return totals
        }
    }
    var all = Totals()
    for await totals in group { all.add(totals) }
    return all
}

let seconds = (ContinuousClock.now - began) / .seconds(1)
for line in totals.lines(seconds: seconds, processor: Double(clock()) / Double(CLOCKS_PER_SEC)) { print(line) }
let failures = totals.failures.sorted { $0.options.seed < $1.options.seed }
for failure in failures { show(failure) }
if invocation.shrinks, let first = failures.first {
    print("shrinking seed \(first.options.seed) …")
    var shrinking = Shrinking(first)
    shrinking.shrink()
    show(shrinking.report)
    print("  faults: \(shrinking.report.schedule.map(\.description).joined(separator: " "))")
}
if failures.isEmpty { print("no invariant was broken") } else { exit(1) }
