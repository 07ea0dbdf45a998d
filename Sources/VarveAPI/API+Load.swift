/// `POST /v1/tables/{table}/rows`: batches are submitted while the body still comes in, a bounded number ahead.
///
/// Order: batch n has its place in the log before batch n+1 is submitted, so of two documents with one id the later line
/// wins. The first batch is waited for alone: what is wrong with it is a plain answer, with its own status. Later faults
/// are the last line of an answer that has begun well.

import Synchronization
import VarveHTTPServer
import VarveModel
import VarveNode
import VarveWire

extension API {
    /// Batches between the reading of the body and the answers of the log.
    private static let batchesAhead = 4
    /// How long one batch may wait for its outcome.
    private static let batchTimeout = Duration.seconds(60)

    func loadRows(
        _ table: String, _ parameters: Parameters, _ exchange: Exchange
    ) async throws(VarveError) -> Response {
        let table = try TableName(table)
        let options = try RowLoadOptions(query: parameters.pairs)
        let load = try loadID(exchange.head)
        let header: Headers = [(WireHeader.loadID, load.description)]
        let cutter = BatchCutter(
            RowLoadCut(batchRows: options.batchRows, idField: options.idField),
            batchBytes: try node.transactionBytesMax, lineBytesMax: node.configuration.http.maxBodyBytes)
        let report = await run(cutter, exchange) { [self] number, rows, whenQueued in
            await submitBatch(table, rows, id: batchID(load: load, number: number), whenQueued)
        }
        if let fault = report.fault {
            note(fault.error)
            if report.batches.isEmpty { return .problem(fault, header) }
        }
        var writer = JSONWriter(reservingCapacity: 256 * (report.batches.count + 1))
        for batch in report.batches {
            writer.value(RowLoadLine.batch(batch).json)
            writer.raw("\n")
        }
        if let fault = report.fault {
            writer.value(fault.lastLine)
            writer.raw("\n")
        }
        return Response(status: 200, headers: [("Content-Type", "application/x-ndjson")] + header, body: writer.bytes)
    }

    private func loadID(_ head: Head) throws(VarveError) -> Bytes16 {
        guard let text = head.headers["Varve-Load-Id"] else {
            var generator = SystemRandomNumberGenerator()
            return Bytes16.random(using: &generator)
        }
        guard let id = Bytes16(hex: text) else {
            throw VarveError(.badRequest, "Varve-Load-Id must be 32 hexadecimal digits", at: "Varve-Load-Id")
        }
        return id
    }

    /// A full queue of the node holds the load back instead of ending it.
    private func submitBatch(
        _ table: TableName, _ rows: [Operation.Row], id: SubmissionID, _ whenQueued: @escaping @Sendable () -> Void
    ) async -> Result<TransactionAnswer, VarveError> {
        let deadline = ContinuousClock.now + Self.batchTimeout
        var options = SubmitOptions(id: id, timeout: Self.batchTimeout)
        options.whenQueued = whenQueued
        while true {
            do throws(VarveError) {
                return .success(TransactionAnswer(try await node.submit(Transaction([.put(table, rows)]), options)))
            } catch {
                guard error.code == .overloaded, ContinuousClock.now < deadline,
                    (try? await Task.sleep(for: .milliseconds(20))) != nil
                else { return .failure(error) }
            }
        }
    }

    /// What became of a load.
    private struct Report {
        /// In order; only those whose outcome is known.
        var batches: [RowLoadLine.Batch] = []
        var fault: Problem?
    }

    private typealias Submit =
        @Sendable (Int, [Operation.Row], @escaping @Sendable () -> Void) async -> Result<TransactionAnswer, VarveError>

    private func run(_ cutter: BatchCutter, _ exchange: Exchange, _ submit: @escaping Submit) async -> Report {
        await withTaskGroup(of: (number: Int, rows: Int, result: Result<TransactionAnswer, VarveError>).self) { group in
            var report = Report()
            var started = 0
            var inFlight = 0
            /// Takes one outcome; the first failure ends the load.
            func takeOne() async {
                guard let done = await group.next() else { return }
                inFlight -= 1
                switch done.result {
                case .success(let transaction):
                    report.batches.append(
                        RowLoadLine.Batch(number: done.number, rows: done.rows, transaction: transaction))
                case .failure(let error): if report.fault == nil { report.fault = Problem(error) }
                }
            }
            do {
                while report.fault == nil, let rows = try await nextBatch(cutter, exchange) {
                    while inFlight == Self.batchesAhead { await takeOne() }
                    guard report.fault == nil else { break }
                    let number = started
                    let queued = Gate()
                    group.addTask {
                        let result = await submit(number, rows) { queued.open() }
                        queued.open()
                        return (number, rows.count, result)
                    }
                    started += 1
                    inFlight += 1
                    await queued.wait()
                    if number == 0 { await takeOne() }
                }
            } catch let fault as BatchCutter.Fault {
                report.fault = Problem(fault.error, line: fault.line)
            } catch let error as ExchangeError {
                if case .badEncoding(let reason) = error {
                    report.fault = Problem(
                        VarveError(.badRequest, "the body is no gzip: \(reason)"), line: cutter.line + 1)
                } else {
                    // Nobody will see it; what was submitted stands.
                    report.fault = Problem(VarveError(.badRequest, "the body was cut off"), line: cutter.line + 1)
                }
            } catch {
                report.fault = Problem(VarveError(.notReady, "the load was stopped"), line: cutter.line + 1)
            }
            while inFlight > 0 { await takeOne() }
            report.batches.sort { $0.number < $1.number }
            return report
        }
    }

    /// Reads on until a batch is full or the body has ended.
    private func nextBatch(_ cutter: BatchCutter, _ exchange: Exchange) async throws -> [Operation.Row]? {
        while true {
            if let full = try cutter.next() { return full }
            guard let piece = try await exchange.next() else { return try cutter.last() }
            cutter.feed(piece)
        }
    }
}

extension Response {
    static func problem(_ problem: Problem, _ headers: Headers) -> Response {
        var response = Response.problem(problem.error, headers)
        response.body = .bytes(problem.json.jsonBytes)
        return response
    }
}

/// Opened once; who comes later passes at once.
private final class Gate: Sendable {
    private enum State {
        case closed
        case waiting(CheckedContinuation<Void, Never>)
        case open
    }

    private let state = Mutex(State.closed)

    func open() {
        let waiting: CheckedContinuation<Void, Never>? = state.withLock { state in
            defer { state = .open }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        waiting?.resume()
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if case .open = state { return true }
                state = .waiting(continuation)
                return false
            }
            if isOpen { continuation.resume() }
        }
    }
}
