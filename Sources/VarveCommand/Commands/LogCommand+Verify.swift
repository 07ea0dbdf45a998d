// `varve log verify`: whether the log holds what storage says, with the evidence.

import VarveLog
import VarveModel
import VarveNode
import VarveStorage
import VarveTerminal

extension LogCommand {
    func verify() async throws -> ExitCode {
        let configuration = try surroundings.configuration(invocation[Parameters.config])
        let epoch = try invocation[Parameters.epoch].flatMap { Epoch($0) } ?? epoch(configuration)
        let store: BlockStore?
        if case .local(let path) = configuration.storage, !DirectoryObjectStore.lacksDatabase(at: path) {
            store = try Composition.blocks(configuration, isReader: true)
        } else {
            store = nil
        }
        var verdict = LogVerification.Verdict.notCheckable
        LastWords.arm(surroundings.given)
        try await withLog(configuration, epoch, .beside) { log, _ in
            let result = try await LogVerification(log, epoch: epoch, store: store).run()
            verdict = result.verdict
            try show(result)
        }
        switch verdict {
        case .proved: return .success
        case .refuted: return .failure
        case .notCheckable: return .unavailable
        }
    }

    private func show(_ result: LogVerification.Result) throws {
        if invocation[Parameters.json] { return try surroundings.output.json(json(result)) }
        let output = surroundings.output
        let held =
            result.range.isEmpty
            ? "holds nothing"
            : "\(Position(result.epoch, result.range.lowerBound)) up to before "
                + "\(Position(result.epoch, result.range.upperBound))"
        try output.line("log of epoch \(result.epoch), \(result.log.kind) \(result.log.topic): \(held)")
        for finding in result.findings {
            try output.line(
                finding.subject.rawValue.padded(to: 14) + Self.text(finding.verdict).padded(to: 15) + finding.reason)
        }
        try output.line("verdict       \(Self.text(result.verdict))")
    }

    private func json(_ result: LogVerification.Result) -> Value {
        [
            "epoch": .integer(Int64(result.epoch.number)), "log": .text(result.log.topic),
            "start": .text(Position(result.epoch, result.range.lowerBound).description),
            "end": .text(Position(result.epoch, result.range.upperBound).description),
            "verdict": .text(Self.name(result.verdict)),
            "findings": .array(
                result.findings.map {
                    [
                        "subject": .text($0.subject.rawValue), "verdict": .text(Self.name($0.verdict)),
                        "reason": .text($0.reason),
                    ]
                }),
        ]
    }

    private static func text(_ verdict: LogVerification.Verdict) -> String {
        verdict == .notCheckable ? "not checkable" : name(verdict)
    }

    private static func name(_ verdict: LogVerification.Verdict) -> String {
        switch verdict {
        case .proved: "proved"
        case .refuted: "refuted"
        case .notCheckable: "notCheckable"
        }
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(1, width - count))
    }
}
