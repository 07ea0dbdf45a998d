// `varve settings`: the thresholds that stand in the log, shown beside a node's configuration, and changed.

import VarveClient
import VarveModel
import VarveNode
import VarveTerminal
import VarveWire

struct SettingsCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func show() async throws -> ExitCode {
        let answer = try await invocation.client().settings()
        if invocation[Parameters.json] {
            try surroundings.output.json(answer.json)
            return .success
        }
        try write(answer)
        let differing = answer.settings.differences(from: answer.configured)
        if !differing.isEmpty {
            try surroundings.output.line(
                "\nthe node's configuration differs in \(differing.joined(separator: ", ")) and is not followed; to make it "
                    + "so: varve settings apply --from-config <F>")
        }
        return .success
    }

    func apply() async throws -> ExitCode {
        let request = try request()
        guard !request.isEmpty else {
            throw Failure(
                "nothing is to change: name at least one setting; next: varve settings apply --help", .usage)
        }
        let answer = try await invocation.client().apply(request)
        if invocation[Parameters.json] {
            try surroundings.output.json(answer.json)
            return .success
        }
        try surroundings.output.line(
            answer.isChanged == true
                ? "in force on every node from \(answer.position)" : "nothing to change: these settings hold already")
        try write(answer)
        return .success
    }

    private func request() throws -> SettingsRequest {
        var request = SettingsRequest()
        if let path = invocation[Parameters.fromConfig] {
            let indexer = try surroundings.configuration(path).indexer
            request.rowsPerBlock = UInt64(indexer.rowsPerBlock)
            request.transactionsPerBlock = UInt64(indexer.transactionsPerBlock)
            request.bytesPerBlock = UInt64(indexer.bytesPerBlock)
            request.flushDuration = indexer.flushDuration
        }
        request.rowsPerBlock = invocation[Parameters.rowsPerBlock] ?? request.rowsPerBlock
        request.transactionsPerBlock = invocation[Parameters.transactionsPerBlock] ?? request.transactionsPerBlock
        request.bytesPerBlock = invocation[Parameters.bytesPerBlock] ?? request.bytesPerBlock
        request.flushDuration = invocation[Parameters.flushDuration] ?? request.flushDuration
        request.idsRemembered = invocation[Parameters.idsRemembered]
        request.idsRememberedFor = invocation[Parameters.idsRememberedFor]
        return request
    }

    private func write(_ answer: SettingsAnswer) throws {
        var table = Table([.init("setting"), .init("in force", .right), .init("configured", .right)])
        table.rows = zip(answer.settings.named, answer.configured.named).map { inForce, configured in
            [inForce.name, cell(inForce.value), cell(configured.value)]
        }
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
    }
}
