// `varve drill`: clusters that are built, broken, and mended by the commands of the runbooks.

import VarveDrill
import VarveModel
import VarveTerminal

struct DrillCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    private var isJSON: Bool { invocation[Parameters.json] }

    func list() throws -> ExitCode {
        if isJSON {
            try surroundings.output.json([
                "drills": .array(
                    Drill.all.map { ["drill": .text($0.name), "breaks": .text($0.summary), "page": .text(page($0))] })
            ])
            return .success
        }
        var table = Table([.init("drill", .left), .init("what breaks", .left), .init("page", .left)])
        table.rows = Drill.all.map { [$0.name, $0.summary, page($0)] }
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
        try surroundings.output.line("next: varve drill run NAME, or all of them: varve drill run all")
        return .success
    }

    private func page(_ drill: Drill) -> String { "docs/runbooks/\(drill.name).md" }

    func run() async throws -> ExitCode {
        let drills = try drills()
        let program = try ClusterCommand.ownPath()
        let shelf = try RunbookShelf(
            named: invocation[Parameters.runbooks], program: program, workingDirectory: ClusterFiles.workingDirectory)
        let venue =
            invocation[Parameters.realKafka] ? try DrillVenue.kafka(surroundings.environment) : .embedded
        let site = DrillSite(
            program: program, environment: surroundings.environment, shelf: shelf,
            keeps: invocation[Parameters.keep])
        let narrator = Narrator(surroundings.output, palette: surroundings.palette, isJSON: isJSON)
        let start = ContinuousClock.now
        let interruption = Interruption()
        let verdicts = await held(drills, DrillSeries(site, narrator), venue, interruption)
        guard !interruption.wasAsked else { return .interrupted }
        let failed = zip(drills, verdicts).filter { if case .failed = $1 { true } else { false } }.map(\.0.name)
        if !isJSON, drills.count > 1 {
            try surroundings.output.line(
                closing(verdicts, failed, venue) + " in \(Quantity.time(ContinuousClock.now - start))")
        }
        return failed.isEmpty ? .success : .failure
    }

    private func drills() throws -> [Drill] {
        let names = invocation[Parameters.drillNames]
        guard names != ["all"] else { return Drill.all }
        guard !names.isEmpty else {
            throw Failure("Error: name a drill, or all; next: varve drill list", .usage)
        }
        guard !names.contains("all") else {
            throw Failure("Error: all stands alone, it is every drill; next: varve drill run all", .usage)
        }
        return try names.map { name in
            guard let drill = Drill.named(name) else {
                throw Failure("Error: there is no drill \(name); next: varve drill list", .usage)
            }
            return drill
        }
    }

    /// An interruption ends the present drill in order: its nodes are stopped, its directory is removed.
    private func held(
        _ drills: [Drill], _ series: DrillSeries, _ venue: DrillVenue, _ interruption: Interruption
    ) async -> [DrillVerdict] {
        await withTaskGroup(of: [DrillVerdict]?.self) { group in
            group.addTask { await series.hold(drills, at: venue) }
            group.addTask {
                await interruption.wait()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            if let first {
                // Wakes the task that still waits for a signal.
                let wasAsked = interruption.wasAsked
                if !wasAsked { interruption.dismiss() }
                return first
            }
            return await group.next().flatMap { $0 } ?? []
        }
    }

    private func closing(_ verdicts: [DrillVerdict], _ failed: [String], _ venue: DrillVenue) -> String {
        let passed = verdicts.filter { $0 == .passed }.count
        let skipped = verdicts.count - passed - failed.count
        return "drills on \(venue.name): \(passed) passed"
            + (skipped > 0 ? ", \(skipped) skipped" : "")
            + (failed.isEmpty ? "" : ", \(failed.count) failed (\(failed.joined(separator: ", ")))")
    }
}
