// Bulk loading: an input of many documents as a row of requests, two at once.
//
// Each piece has an id that follows from the load's, each of its batches one that follows from the piece's. A piece
// that broke is sent again with the same id, to any node; what was applied of it is not applied again.

import Dispatch
import Synchronization
import VarveModel
import VarveWire

extension Client {
    /// Loads all of `input`. `onSize` is told the bytes of JSON once they are known (never for a stream), `onPiece` of
    /// each piece when it is durable, in any order.
    ///
    /// Pieces are applied in any order, so documents with the same id should not stand far apart in one input.
    package func load(
        _ input: LoadInput, _ load: LoadOptions, onSize: @Sendable (Int) -> Void = { _ in },
        onPiece: @escaping @Sendable (LoadedPiece) throws -> Void = { _ in }
    ) async throws(LoadFailure) -> LoadSummary {
        let source = PieceSource(input, load)
        do {
            let table = try TableName(load.table)
            let base = try await loadID(input, table, load.salt, source, onSize)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<max(1, load.concurrency) {
                    group.addTask {
                        while let piece = try await source.next() {
                            let loaded = try await self.send(piece, of: base, load)
                            source.isDurable(loaded)
                            try onPiece(loaded)
                        }
                    }
                }
                try await group.waitForAll()
            }
            return source.durable
        } catch LoadFault.error(let error, let line) {
            throw LoadFailure(error: error, line: line, durable: source.durable)
        } catch let error as VarveError {
            throw LoadFailure(error: error, line: nil, durable: source.durable)
        } catch {
            let reason = VarveError(.internal, "the load was interrupted: \(error)")
            throw LoadFailure(error: reason, line: nil, durable: source.durable, thrown: error)
        }
    }

    /// Of a file: what its content and the table come to. Of a stream: random.
    private func loadID(
        _ input: LoadInput, _ table: TableName, _ salt: Bytes16?, _ source: PieceSource, _ onSize: (Int) -> Void
    ) async throws -> Bytes16 {
        guard case .file = input else {
            var random = SystemRandomNumberGenerator()
            return Bytes16.random(using: &random)
        }
        let content = try await source.blocking { () throws(VarveError) in try ContentDigest(of: input) }
        onSize(content.bytes)
        var hash = SHA256()
        hash.update(Array("varve load 1\n\(table)\n".utf8))
        hash.update(content.digest)
        if let salt { hash.update(salt) }
        return hash.digest().first
    }

    private func send(_ piece: Piece, of base: Bytes16, _ load: LoadOptions) async throws -> LoadedPiece {
        var hash = SHA256()
        hash.update(base)
        hash.update(UInt64(piece.number))
        let id = hash.digest().first
        let query = RowLoadOptions(batchRows: load.batchRows, idField: load.idField).query
        let call = Call(
            method: "POST", target: "/v1/tables/\(percentEncoded(load.table))/rows" + queryText(query),
            headers: [("Content-Type", "application/x-ndjson"), (WireHeader.loadID, id.description)],
            body: piece.bytes, timeout: options.answerTimeout)
        let deadline = ContinuousClock.now + options.patience
        while true {
            let reply: Reply
            do throws(CallFailure) { reply = try await perform(call) } catch { throw error.error }
            if reply.status >= 400 { throw Self.fault(reply, piece) }
            let (batches, problem) = try Self.lines(of: reply)
            guard let problem else {
                try Self.requireCommitted(batches, piece)
                return LoadedPiece(
                    number: piece.number, firstLine: piece.firstLine, bytes: piece.bytes.count, batches: batches)
            }
            guard problem.error.isWorthAnotherNode, ContinuousClock.now < deadline, !Task.isCancelled else {
                throw LoadFault.error(Self.explained(problem.error), line: problem.line.map { piece.line($0) })
            }
            options.onWait?(problem.error)
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private static func fault(_ reply: Reply, _ piece: Piece) -> LoadFault {
        guard let value = try? reply.json(), let problem = try? Problem(json: value) else {
            return .error(reply.error ?? VarveError(.internal, "status \(reply.status)"), line: nil)
        }
        return .error(explained(problem.error), line: problem.line.map { piece.line($0) })
    }

    private static func explained(_ error: VarveError) -> VarveError {
        guard error.code == .idConflict else { return error }
        return VarveError(
            .idConflict, "this content was loaded into the table before, with another batch size or id field",
            next: "load it the same way as before, or once more with --again")
    }

    private static func lines(of reply: Reply) throws(VarveError) -> ([RowLoadLine.Batch], Problem?) {
        var batches: [RowLoadLine.Batch] = []
        for line in reply.body.split(separator: 0x0a) {
            let value: Value
            do throws(JSONFault) {
                value = try parseJSON(Bytes(Array(line)))
            } catch {
                throw VarveError(.internal, "\(reply.node.text) answered a load with what is no JSON")
            }
            switch try RowLoadLine(json: value) {
            case .batch(let batch): batches.append(batch)
            case .fault(let problem): return (batches, problem)
            }
        }
        return (batches, nil)
    }

    /// A batch that was given up (it waited longer than it may) has to be loaded under another id.
    private static func requireCommitted(_ batches: [RowLoadLine.Batch], _ piece: Piece) throws {
        for batch in batches where batch.transaction.decided?.outcome != .committed {
            let failure = batch.transaction.decided?.failure
            throw LoadFault.error(
                VarveError(
                    failure?.code ?? .unknownOutcome,
                    "a batch of \(batch.rows) documents was \(batch.transaction.status)"
                        + (failure.map { ": \($0.detail)" } ?? "") + "; nothing of it was applied",
                    next: "load the file once more with --again"),
                line: piece.firstLine)
        }
    }
}

extension Piece {
    /// A line of the input for a line of the piece, both from 1.
    func line(_ line: Int) -> Int { firstLine + line - 1 }
}

/// Reads the input on a thread that may wait, one caller at a time; keeps account of what is durable.
private final class PieceSource: Sendable {
    private let queue = DispatchQueue(label: "varve.load")
    private let cutter = Mutex<PieceCutter?>(nil)
    private let summary = Mutex(LoadSummary())
    private let input: LoadInput
    private let load: LoadOptions

    init(_ input: LoadInput, _ load: LoadOptions) {
        self.input = input
        self.load = load
    }

    var durable: LoadSummary { summary.withLock { $0 } }

    func isDurable(_ piece: LoadedPiece) { summary.withLock { $0.add(piece) } }

    func next() async throws -> Piece? {
        try await blocking { [input, load] () throws(VarveError) in
            try self.cutter.withLock { cutter throws(VarveError) in
                if cutter == nil {
                    cutter = try PieceCutter(input, batchLines: load.batchRows, pieceBytes: load.pieceBytes)
                }
                return try cutter?.next()
            }
        }
    }

    func blocking<T: Sendable>(_ body: @escaping @Sendable () throws(VarveError) -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            queue.async {
                do throws(VarveError) {
                    continuation.resume(returning: try body())
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }
}
