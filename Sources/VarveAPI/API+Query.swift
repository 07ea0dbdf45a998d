/// SQL: a small answer is sent whole, a longer one is streamed as the client reads.
///
/// Nothing is sent before so much is there that holding back more would cost memory: whatever breaks until then is an
/// error and nothing else. What breaks later ends the answer with the error in the place of its end.

import VarveHTTPServer
import VarveModel
import VarveNode
import VarveQuery
import VarveTelemetry
import VarveWire

extension API {
    func query(_ exchange: Exchange) async throws(VarveError) -> Response {
        let began = ContinuousClock.now
        let type = Negotiation.choose(exchange.head.headers.values("Accept"), from: Route.query.offers)
        guard type != "text/csv" else { throw notSupported("text/csv") }
        let isJSON = type != "application/x-ndjson"
        let body: Value
        do throws(JSONFault) {
            body = try parseJSON(Bytes(exchange.body))
        } catch {
            throw error.error
        }
        let request = try VarveWire.QueryRequest(json: body)
        let options = try options(request.read)
        let view = try await node.read(options)
        let parameters: QueryParameters =
            switch request.parameters {
            case .none: .none
            case .positional(let values): .positional(values)
            case .named(let fields): .named(fields)
            }
        let run = try await engine.start(
            VarveQuery.QueryRequest(
                sql: request.sql, parameters: parameters, format: isJSON ? .json : .ndjson,
                deadline: began + options.timeout,
                limits: QueryLimits(
                    memoryBytesMax: node.configuration.query.maxMemory,
                    resultBytesMax: node.configuration.http.maxResultBytes)),
            on: SnapshotSource(view.snapshot, asOf: view.asOf, nodes: { [node] in node.nodeRows() }))
        let stream = QueryStream(run: run, view: view, began: began, times: node.instruments.querySeconds)
        return isJSON ? try await json(stream) : try await ndjson(stream)
    }

    private func json(_ stream: QueryStream) async throws(VarveError) -> Response {
        let headers = [("Content-Type", "application/json")] + stream.view.headers
        let (start, isWhole) = try await stream.beginning(stream.jsonStart)
        if isWhole { return Response(status: 200, headers: headers, body: start + stream.jsonEnd()) }
        return Response(status: 200, headers: headers) { [self] writer in
            try await writer.write(start)
            do {
                while let batch = try await stream.run.nextBatch() { try await writer.write(batch.bytes) }
            } catch let error as VarveError {
                note(error)
                return try await writer.write(stream.jsonEnd(Problem(error)))
            }
            try await writer.write(stream.jsonEnd())
        }
    }

    private func ndjson(_ stream: QueryStream) async throws(VarveError) -> Response {
        let headers = [("Content-Type", "application/x-ndjson")] + stream.view.headers
        let (start, isWhole) = try await stream.beginning([])
        if isWhole {
            stream.finish()
            return Response(status: 200, headers: headers, body: start)
        }
        return Response(status: 200, headers: headers) { [self] writer in
            try await writer.write(start)
            do {
                while let batch = try await stream.run.nextBatch() { try await writer.write(batch.bytes) }
                stream.finish()
            } catch let error as VarveError {
                note(error)
                try await writer.write(Problem(error).lastLine.jsonBytes + [0x0a])
            }
        }
    }
}

/// A running query and what its answer says besides its rows.
private struct QueryStream: Sendable {
    let run: QueryRun
    let view: ReadView
    let began: ContinuousClock.Instant
    let times: Histogram

    /// Up to the first row.
    var jsonStart: [UInt8] {
        let columns = run.columns.map { QueryAnswer.Column(name: $0.name, type: $0.type.rawValue).json }
        var writer = JSONWriter(reservingCapacity: 4096)
        writer.raw(#"{"columns":"#)
        writer.value(.array(columns))
        writer.raw(#","rows":["#)
        return writer.bytes
    }

    /// Held back, so that most answers that break are plain errors.
    private static let heldBackBytes = 1 << 20

    /// `start` and the first rows; whether these are all.
    func beginning(_ start: [UInt8]) async throws(VarveError) -> (bytes: [UInt8], isWhole: Bool) {
        var bytes = start
        while bytes.count < Self.heldBackBytes {
            guard let batch = try await run.nextBatch() else { return (bytes, true) }
            bytes += batch.bytes
        }
        return (bytes, false)
    }

    func finish() { times.observe(ContinuousClock.now - began) }

    /// Behind the last row that came, when there should have been more: an error, and nothing that says where it was read.
    func jsonEnd(_ problem: Problem) -> [UInt8] {
        var writer = JSONWriter(reservingCapacity: 512)
        writer.raw(#"],"error":"#)
        writer.value(problem.json)
        writer.raw("}")
        return writer.bytes
    }

    /// Behind the last row.
    func jsonEnd() -> [UInt8] {
        let elapsed = ContinuousClock.now - began
        times.observe(elapsed)
        let end = QueryAnswer.End(
            position: view.position, token: view.token, asOf: view.asOf, elapsedMilliseconds: elapsed.seconds * 1000)
        var writer = JSONWriter(reservingCapacity: 256)
        writer.raw("]")
        for field in end.jsonFields {
            writer.raw(",")
            writer.text(field.name)
            writer.raw(":")
            writer.value(field.value)
        }
        writer.raw("}")
        return writer.bytes
    }
}
