// Reads: a document, its history, a query; each at a point of the history that `ReadParameters` names.

public import VarveModel
package import VarveWire

/// A document and where it was read.
package struct FoundDocument: Sendable {
    /// With its `_id`; JSON as the node sent it.
    package var json: [UInt8]
    package var version: Position?
    package var position: Position?
    package var token: Token?
}

extension Client {
    /// The document as a value, nil when there is none. `id` is a text or an integer.
    public func get(
        _ table: String, id: Value, asOf: AsOf? = nil, after: Token? = nil
    ) async throws(VarveError) -> Value? {
        let key = try Key(id: id)
        guard let found = try await get(table, key, ReadParameters(asOf: asOf, after: after)) else { return nil }
        do throws(JSONFault) {
            return try parseJSON(Bytes(found.json))
        } catch {
            throw VarveError(.internal, "the document is no JSON: \(error.reason)")
        }
    }

    /// Rows of a SELECT, each with a value for each column.
    public func query(
        _ sql: String, _ parameters: [Value] = [], asOf: AsOf? = nil, after: Token? = nil
    ) async throws(VarveError) -> (columns: [String], rows: [[Value]]) {
        let request = QueryRequest(
            sql, parameters: parameters.isEmpty ? .none : .positional(parameters),
            read: ReadParameters(asOf: asOf, after: after))
        let answer = try await query(request)
        return (answer.columns.map(\.name), answer.rows)
    }

    package func get(
        _ table: String, _ key: Key, _ read: ReadParameters = ReadParameters()
    ) async throws(VarveError) -> FoundDocument? {
        do throws(VarveError) {
            let reply = try await get(path(of: table, key) + queryText(Self.items(key) + read.query))
            return FoundDocument(
                json: reply.body, version: reply.headers[WireHeader.version.lowercased()].flatMap { Position($0) },
                position: reply.headers[WireHeader.position.lowercased()].flatMap { Position($0) },
                token: reply.headers[WireHeader.token.lowercased()].flatMap { Token($0) })
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    /// Versions, newest first; empty when there never was one.
    package func history(
        _ table: String, _ key: Key, limit: Int = HistoryAnswer.limitDefault, _ read: ReadParameters = ReadParameters()
    ) async throws(VarveError) -> HistoryAnswer {
        do throws(VarveError) {
            let items = Self.items(key) + [("limit", String(limit))] + read.query
            return try HistoryAnswer(json: try await get(path(of: table, key) + "/history" + queryText(items)).json())
        } catch {
            guard error.code == .notFound else { throw error }
            return HistoryAnswer(versions: [])
        }
    }

    /// The whole answer at once.
    package func query(_ request: QueryRequest) async throws(VarveError) -> QueryAnswer {
        try QueryAnswer(json: try await ask(call(request, accept: "application/json")).json())
    }

    /// One JSON object a row, a line each, handed on as it comes: in pieces that need not end at a line's end. An error
    /// after the first row is thrown at the end.
    package func queryLines(
        _ request: QueryRequest, _ take: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let lines = LineTail()
        let reply: Reply
        do throws(CallFailure) {
            reply = try await perform(
                call(request, accept: "application/x-ndjson"),
                take: { piece in
                    let whole = lines.pass(piece)
                    if !whole.isEmpty { try await take(whole) }
                })
        } catch {
            throw error.thrown ?? error.error
        }
        if let error = reply.error { throw error }
        let rest = lines.finish()
        if let error = rest.error { throw error }
        if !rest.bytes.isEmpty { try await take(rest.bytes) }
    }

    private func call(_ request: QueryRequest, accept: String) -> Call {
        Call(
            method: "POST", target: "/v1/query", headers: [Call.json, ("Accept", accept)],
            body: request.json.jsonBytes,
            timeout: (request.read.timeout ?? ReadParameters.timeoutDefault) + options.answerTimeout)
    }

    private func path(of table: String, _ key: Key) -> String {
        "/v1/tables/\(percentEncoded(table))/rows/\(percentEncoded(key.description))"
    }

    private static func items(_ key: Key) -> [(name: String, value: String)] {
        if case .integer = key.id { [("idType", "integer")] } else { [] }
    }
}

extension ReadParameters {
    /// What a node is configured with unless it says otherwise.
    static let timeoutDefault = Duration.seconds(30)
}
