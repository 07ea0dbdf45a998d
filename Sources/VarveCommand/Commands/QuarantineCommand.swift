// `varve quarantine`: takes a record that ends every process out of what nodes apply. Reads and writes storage itself.

import VarveModel
import VarveNode
import VarveRecovery
import VarveTerminal

struct QuarantineCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func run() async throws -> ExitCode {
        let path = invocation[Parameters.config]
        let configuration = try surroundings.configuration(path)
        if case .inMemory = configuration.log {
            throw VarveError(.logMissing, "the configuration's log is in memory: nothing of it outlives a crash")
        }
        let cold = try ColdDatabase(
            try Composition.blocks(configuration), try Composition.logPlaces(configuration))
        let quarantine = Quarantine(cold)
        let finding = try await Waiting(surroundings).during("log and storage") {
            try await quarantine.look(at: invocation[Parameters.poisonPosition])
        }
        guard let confirmed = invocation[Parameters.confirm] else {
            try show(finding, path)
            return .success
        }
        guard confirmed == finding.confirmation else {
            throw VarveError(
                .planStale,
                "the record at \(finding.position) has the digest \(finding.confirmation), not \(confirmed). Nothing was "
                    + "changed", next: command(finding, path, confirm: false))
        }
        guard finding.beyond.isEmpty || invocation[Parameters.acceptAppliedLoss] else {
            throw VarveError(
                .planStale,
                "\(finding.beyond.joined(separator: ", ")) had applied the record at \(finding.position), and may have "
                    + "acknowledged it. Nothing was changed",
                next: "start that node again: its block would hold the record; to give it up: --accept-loss")
        }
        let manifest = try await quarantine.publish(finding)
        if invocation[Parameters.json] {
            try surroundings.output.json(finding.json(isPublished: true))
        } else {
            try surroundings.output.line(
                "block \(manifest.number) ends with the record at \(finding.position): every node skips it and goes on by "
                    + "itself")
            if finding.isSubmission {
                try surroundings.output.line("the submission \(finding.id) is aborted, with the code POISON")
            }
        }
        return .success
    }

    private func show(_ finding: Quarantine.Finding, _ path: String) throws {
        if invocation[Parameters.json] { return try surroundings.output.json(finding.json(isPublished: false)) }
        let output = surroundings.output
        let time = Instant(microseconds: finding.time.multipliedReportingOverflow(by: 1000).partialValue)
        try output.line(
            "record \(finding.position): \(finding.type) \(finding.id), \(Quantity.count(finding.bytes)) bytes, appended "
                + "\(time)")
        try output.line("sha-256 \(finding.digest)")
        try output.line("standing before it: \(finding.witnesses.joined(separator: ", "))")
        if !finding.beyond.isEmpty {
            try output.line(
                "had applied it, and is gone: \(finding.beyond.joined(separator: ", ")): what it acknowledged of the record "
                    + "is given up (--accept-loss)")
        }
        try output.line(
            "quarantined, block \(finding.block) ends with it and no node executes it"
                + (finding.isSubmission ? "; the submission \(finding.id) is aborted" : ""))
        try output.line("nothing was changed; next: \(command(finding, path, confirm: true))")
    }

    private func command(_ finding: Quarantine.Finding, _ path: String, confirm: Bool) -> String {
        "varve quarantine --position \(finding.position)"
            + (confirm ? " --confirm \(finding.confirmation)" : "") + " --config \(GivenConfiguration(path).word)"
    }
}

extension Quarantine.Finding {
    /// Whether somebody has submitted it under its id.
    fileprivate var isSubmission: Bool { type == .transaction || type == .cancel }

    fileprivate func json(isPublished: Bool) -> Value {
        func list(_ nodes: [String]) -> Value { .array(nodes.map { .text($0) }) }
        return [
            "position": .text(position.description), "type": .text("\(type)"), "id": .text(id.description),
            "bytes": .integer(Int64(bytes)), "digest": .text(digest.description), "confirm": .text(confirmation),
            "block": .integer(Int64(clamping: block.value)), "standingBefore": list(witnesses),
            "hadApplied": list(beyond), "published": .bool(isPublished),
        ]
    }
}
