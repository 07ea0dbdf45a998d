// `varve tx`: one transaction, and what became of it.

import VarveClient
import VarveModel
import VarveTerminal
import VarveWire

struct TransactionCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func run() async throws -> ExitCode {
        let waiting = Waiting(surroundings)
        let client = try invocation.client(patience: .seconds(30), waiting)
        var request = try SubmitRequest(json: InputFile.read(invocation[Parameters.transactionFile], surroundings))
        if let id = invocation[Parameters.submissionID] { request.id = id }
        let submitted = request
        let answer = try await waiting.during("the outcome of the transaction") { try await client.submit(submitted) }
        if invocation[Parameters.json] {
            try surroundings.output.json(answer.json)
        } else {
            try surroundings.output.line(line(answer))
        }
        guard let decided = answer.decided else { return .success }
        return decided.outcome == .committed ? .success : .failure
    }

    private func line(_ answer: TransactionAnswer) -> String {
        switch answer.state {
        case .pending(let expiresAt): return "pending  id \(answer.id), expires \(expiresAt)"
        case .decided(let decided):
            let what = "\(decided.outcome)  \(decided.position)  \(decided.systemTime)  id \(answer.id)"
            guard let failure = decided.failure else { return what }
            return what + "\n\(failure.code): \(failure.detail) (at /ops/\(failure.operation))"
        }
    }
}
