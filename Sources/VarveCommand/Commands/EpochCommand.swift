// `varve epoch`: the generations of the log, and beginning a new one when the log is lost. Reads log and storage itself,
// with no node running.

import VarveClient
import VarveCore
import VarveLog
import VarveModel
import VarveNode
import VarveRecovery
import VarveStorage
import VarveTerminal
import VarveWire

struct EpochCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    private var isJSON: Bool { invocation[Parameters.json] }
    private var configurationPath: String { invocation[Parameters.config] }

    private func cold(isReader: Bool = false) throws -> (ColdDatabase, Configuration) {
        let configuration = try surroundings.configuration(configurationPath)
        if case .inMemory = configuration.log {
            throw VarveError(
                .logMissing, "the configuration's log is in memory: with no node running there is none",
                next: "a node of it has only the epochs it shows at /v1/epochs")
        }
        let store = try Composition.blocks(configuration, isReader: isReader)
        return (try ColdDatabase(store, try Composition.logPlaces(configuration)), configuration)
    }

    // MARK: status

    func status() async throws -> ExitCode {
        let overview = try EpochOverview(try cold(isReader: true).0)
        if isJSON {
            try surroundings.output.json([
                "epochs": .array(overview.entries.map(\.json)), "adopted": .text(of: overview.newest?.last.description),
                "mismatches": .array(
                    overview.mismatches.map {
                        ["node": .text($0.node), "configuredEpoch": .integer(Int64($0.configured.number))]
                    }),
            ])
            return .success
        }
        var table = Table([
            .init("epoch", .right), .init("began", .left), .init("log", .left), .init("end"), .init("lost", .right),
            .init("nodes", .left), .init("its log may be deleted", .left),
        ])
        table.rows = overview.entries.map { entry in
            [
                entry.record.epoch.description, entry.record.began.description, entry.record.log.place,
                entry.end?.description ?? "", entry.end == nil ? "" : entry.unindexedLost.map { "\($0)" } ?? "?",
                entry.nodes.joined(separator: " "), "\(entry.mayBeDeleted ? "yes" : "no"): \(entry.reason)",
            ]
        }
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
        for mismatch in overview.mismatches {
            try surroundings.output.line(
                "\(mismatch.node)'s configuration says epoch \(mismatch.configured), the newest is "
                    + "\(overview.entries.last?.record.epoch.description ?? "none"): docs/runbooks/epoch-mismatch.md")
        }
        return .success
    }

    // MARK: plan

    func plan() async throws -> ExitCode {
        let (cold, _) = try cold(isReader: true)
        let plan = try await survey(cold)
        if isJSON {
            try surroundings.output.json(plan.json)
        } else {
            for line in plan.lines(GivenConfiguration(configurationPath).word) { try surroundings.output.line(line) }
        }
        // No way of ending the epoch mends that, so it is no part of the plan.
        if let missing = try cold.missingFiles() {
            try surroundings.errors.line("damaged      \(surroundings.naming(missing))")
        }
        return .success
    }

    private func survey(_ cold: ColdDatabase) async throws -> EpochPlan {
        LastWords.arm(surroundings.given)
        let heartbeats = try cold.store.heartbeats()
        if !heartbeats.isEmpty {
            try surroundings.errors.line(
                "watching \(heartbeats.count) \(heartbeats.count == 1 ? "node" : "nodes") for up to 25 s: is one alive?"
            )
        }
        return try await EpochSurvey(cold).plan()
    }

    // MARK: bump

    func bump() async throws -> ExitCode {
        let chosen: [EpochPlan.Way] = [
            invocation[Parameters.splice] ? .splice : nil, invocation[Parameters.salvage] ? .salvage : nil,
            invocation[Parameters.drop] ? .drop : nil,
        ].compactMap { $0 }
        guard chosen.count == 1, let way = chosen.first else {
            throw Failure(
                "Error: say one of --splice, --salvage and --drop; varve epoch plan shows what each keeps", .usage)
        }
        let (cold, configuration) = try cold()
        if let asserted = configuration.log.epoch.flatMap({ Epoch($0) }), asserted.next == cold.current.epoch,
            cold.current.began == .lost
        {
            return try report(
                EpochBump.Result(record: cold.current, salvaged: 0, differing: []), wasThere: true)
        }
        let plan = try await survey(cold)
        let bump = EpochBump(
            cold, plan, way, acceptedLoss: invocation[Parameters.acceptLoss],
            settings: Composition.settings(configuration))
        let result = try await bump.run { count in
            if !isJSON { try? surroundings.errors.line("salvaged \(Quantity.count(count)) records") }
        }
        return try report(result, wasThere: false)
    }

    private func report(_ result: EpochBump.Result, wasThere: Bool) throws -> ExitCode {
        let record = result.record
        if isJSON {
            try surroundings.output.json([
                "epoch": .integer(Int64(record.epoch.number)), "log": .text(record.log.place),
                "end": .text(of: record.parentEnd?.position.description), "reason": .text(record.reason),
                "salvaged": .integer(Int64(result.salvaged)), "differing": .array(result.differing.map(\.json)),
                "wasThere": .bool(wasThere),
            ])
            return .success
        }
        let output = surroundings.output
        try output.line(
            (wasThere ? "epoch \(record.epoch) was begun already" : "epoch \(record.epoch) begins")
                + ": \(record.log.place), behind \(record.parentEnd?.position.description ?? "nothing") (\(record.reason))"
        )
        if result.salvaged > 0 {
            try output.line("salvaged: \(Quantity.count(result.salvaged)) records, with their ids")
        }
        for submission in result.differing {
            try output.line(
                "  \(submission.id) had \(submission.outcome?.description ?? "?") at \(submission.position) and came out "
                    + "differently")
        }
        try output.line(
            "now change on every node, in the section log: epoch: \(record.epoch) (or delete the line), and start the nodes"
        )
        return .success
    }

    // MARK: migrate

    func migrate() async throws -> ExitCode {
        let client = try invocation.client(patience: .zero)
        let request = MigrateRequest(
            topic: invocation[Parameters.toTopic], cluster: invocation[Parameters.toCluster],
            isRehearsal: invocation[Parameters.dryRun])
        let answer = try await answer(client, request)
        if isJSON {
            try surroundings.output.json(answer.json)
        } else if let seal = answer.seal {
            try surroundings.output.line(
                "epoch \(answer.epoch) goes on in \(answer.place); the one before ended at \(seal)"
            )
            try surroundings.output.line(
                "the old log may be deleted when this says so: varve epoch status --config node.yaml")
        } else {
            try surroundings.output.line(
                "epoch \(answer.epoch) could go on in \(answer.place); nothing was changed")
        }
        return .success
    }

    private func answer(_ client: Client, _ request: MigrateRequest) async throws -> MigrateAnswer {
        do throws(VarveError) {
            return try await client.migrate(request)
        } catch {
            // Who could not even connect has asked for nothing.
            let wasAsked = error.code == .unknownOutcome || !error.message.contains("could not connect")
            guard wasAsked, error.code == .nodeUnreachable || error.code == .unknownOutcome else { throw error }
            throw Failure(
                "UNKNOWN_OUTCOME: \(error.message). If the seal was written, every node crosses by itself; if not, nothing "
                    + "was changed; next: varve epoch status --config node.yaml", .unavailable)
        }
    }

    // MARK: salvage

    func salvage() async throws -> ExitCode {
        let (cold, _) = try cold()
        let salvage = try LateSalvage(cold, invocation[Parameters.endedEpoch].flatMap { Epoch($0) })
        let items = try await salvage.list()
        let missing = items.filter { $0.decided == nil }
        if isJSON {
            for item in items { try surroundings.output.json(item.json) }
        } else {
            var table = Table([
                .init("position"), .init("id", .left), .init("the database knows it as", .left),
            ])
            table.rows = items.map { item in
                [
                    item.submission.position.description, item.submission.id.description,
                    item.decided.map { "\($0.outcome) at \($0.position)" } ?? "nothing: it can be applied",
                ]
            }
            try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
            try surroundings.output.line(
                "epoch \(salvage.epoch.epoch) holds \(items.count) submissions behind its end, \(missing.count) of them "
                    + "nowhere else")
        }
        guard invocation[Parameters.apply], !missing.isEmpty else {
            if !missing.isEmpty, !isJSON {
                try surroundings.output.line(
                    "next: varve epoch salvage --apply --config \(GivenConfiguration(configurationPath).word)")
            }
            return .success
        }
        let applied = try await salvage.apply(items)
        try surroundings.errors.line("applied \(applied.count) of them again, with their ids")
        return .success
    }
}

extension EpochOverview.Entry {
    fileprivate var json: Value {
        [
            "epoch": .integer(Int64(record.epoch.number)), "began": .text(record.began.description),
            "log": ["kind": .text(record.log.kind.description), "topic": .text(record.log.topic)],
            "end": .text(of: end?.description), "unindexedLost": unindexedLost.map { .integer(Int64($0)) } ?? .null,
            "covered": .bool(isCovered), "mayBeDeleted": .bool(mayBeDeleted), "why": .text(reason),
            "nodes": .array(nodes.map { .text($0) }),
        ]
    }
}

extension MigrateAnswer {
    /// A local log has no topic: its directory is named by the epoch.
    fileprivate var place: String { topic.map { "\(logKind) \($0)" } ?? "a \(logKind) log" }
}

extension LateSalvage.Item {
    fileprivate var json: Value {
        [
            "id": .text(submission.id.description), "position": .text(submission.position.description),
            "decided": .text(of: decided?.outcome.description),
            "decidedAt": .text(of: decided?.position.description),
        ]
    }
}
