// `varve load`: an NDJSON input into a table, with progress, and a summary or a line of JSON for each batch.

import Glibc
import Synchronization
import VarveClient
import VarveModel
import VarveTerminal
import VarveWire

struct LoadCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    /// A node that is restarted is back by then.
    private static let patience = Duration.seconds(60)

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func run() async throws -> ExitCode {
        let path = invocation[Parameters.file]
        var options = LoadOptions(
            table: invocation[Parameters.table], idField: invocation[Parameters.idField],
            batchRows: invocation[Parameters.batch], pieceBytes: invocation[Parameters.pieceBytes])
        if invocation[Parameters.again] {
            var random = SystemRandomNumberGenerator()
            options.salt = Bytes16.random(using: &random)
        }
        let input: LoadInput = path == "-" ? .stream(surroundings.input) : .file(path)
        try requireReadable(input)
        let bar = LateProgressBar(label: options.table)
        let waiting = surroundings.errors.isTerminal ? Waiting(surroundings) { bar.say($0) } : Waiting(surroundings)
        let client = try invocation.client(patience: Self.patience, waiting)
        let isJSON = invocation[Parameters.json]
        let output = surroundings.output
        let began = ContinuousClock.now
        do {
            let loading = options
            let applying = "the node to apply the first documents"
            let summary = try await waiting.during(
                path == "-" ? applying : "\(path) to be read: its content names the load"
            ) {
                try await client.load(
                    input, loading,
                    onSize: {
                        waiting.goesOn(applying)
                        bar.start(bytesTotal: $0)
                    },
                    onPiece: { piece in
                        waiting.goesOn()
                        bar.advance(bytes: piece.bytes, documents: piece.documents)
                        guard isJSON else { return }
                        for batch in piece.batches {
                            try output.json(RowLoadLine.batch(batch).json)
                        }
                    })
            }
            let progress = bar.finish()
            if isJSON {
                try output.json(json(summary, elapsed: ContinuousClock.now - began))
            } else {
                try output.line(progress.summary)
            }
            return .success
        } catch let failure as LoadFailure {
            _ = bar.finish()
            throw failure.thrown ?? refused(failure, path)
        }
    }

    /// What is missing or a directory is said before anything is asked of a node.
    private func requireReadable(_ input: LoadInput) throws(Failure) {
        guard case .file(let path) = input else { return }
        var status = stat()
        guard stat(path, &status) == 0, access(path, R_OK) == 0 else {
            throw Failure("NOT_FOUND: \(path) cannot be read: \(String(cString: strerror(errno)))", .noInput)
        }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw Failure("NOT_FOUND: \(path) is a directory; next: name a file of NDJSON", .noInput)
        }
    }

    private func refused(_ failure: LoadFailure, _ path: String) -> Failure {
        var error = failure.error
        let place = failure.line.map { "line \($0)" }
        error.at = [place, error.at].compactMap { $0 }.joined(separator: " ")
        if error.at?.isEmpty == true { error.at = nil }
        if failure.durable.documents > 0 {
            error.message += ". \(Quantity.count(failure.durable.documents)) documents are durable"
            if error.next == nil { error.next = "run the same command again: it goes on from there" }
        }
        return Failure(error)
    }

    private func json(_ summary: LoadSummary, elapsed: Duration) -> Value {
        [
            "documents": .integer(Int64(summary.documents)), "transactions": .integer(Int64(summary.transactions)),
            "bytes": .integer(Int64(summary.bytes)), "seconds": .double(elapsed / .seconds(1)),
            "token": summary.token.map { .text($0.description) } ?? .null,
        ]
    }
}

/// A progress bar that begins once the size is known, or at the first progress of a stream.
private final class LateProgressBar: Sendable {
    private let label: String
    private let began = ContinuousClock.now
    private let bar = Mutex<ProgressBar?>(nil)

    init(label: String) { self.label = label }

    func start(bytesTotal: Int?) { _ = started(bytesTotal) }
    func say(_ text: String) {
        guard let bar = bar.withLock({ $0 }) else {
            try? Output.error.line(text)
            return
        }
        bar.say(text)
    }
    func advance(bytes: Int, documents: Int) { started(nil).advance(bytes: bytes, documents: documents) }
    func finish() -> Progress { started(nil).finish() }

    private func started(_ bytesTotal: Int?) -> ProgressBar {
        bar.withLock { bar in
            if let bar { return bar }
            let new = ProgressBar(label: label, bytesTotal: bytesTotal, began: began)
            bar = new
            return new
        }
    }
}
