/// Reading in Swift, for programs that run a node in their own process.

public import VarveModel
public import VarveQuery

extension Node {
    /// The database as this node has applied it.
    /// - Parameters:
    ///   - after: waits until this was applied here, so that a write is read back; another history is `HISTORY_TOKEN`.
    ///   - asOf: reads the past; a position or an instant that is not reached yet is waited for.
    ///   - isStrict: everything acknowledged anywhere before this call is there, at the cost of one append.
    ///   - timeout: of the waiting; then `QUERY_TIMEOUT`.
    public func snapshot(
        after: Token? = nil, asOf: AsOf? = nil, isStrict: Bool = false, timeout: Duration = .seconds(30)
    ) async throws(VarveError) -> DatabaseSnapshot {
        let view = try await read(ReadOptions(after: after, asOf: asOf, isStrict: isStrict, timeout: timeout))
        return DatabaseSnapshot(
            view: view, engine: queries,
            limits: QueryLimits(
                memoryBytesMax: configuration.query.maxMemory, resultBytesMax: configuration.http.maxResultBytes),
            nodes: { self.nodeRows() })
    }

    /// The database as it was at a position: the same on every node, for ever (but for what was erased).
    public func snapshot(asOf position: Position) async throws(VarveError) -> DatabaseSnapshot {
        try await snapshot(asOf: .position(position))
    }

    /// One SELECT (docs/sql.md) over a snapshot of its own.
    public func query(
        _ sql: String, parameters: QueryParameters = .none, after: Token? = nil, asOf: AsOf? = nil,
        isStrict: Bool = false, timeout: Duration? = nil
    ) async throws(VarveError) -> QueryResult {
        let deadline = ContinuousClock.now + (timeout ?? configuration.query.timeout)
        let snapshot = try await snapshot(
            after: after, asOf: asOf, isStrict: isStrict, timeout: deadline - .now)
        return try await snapshot.query(sql, parameters: parameters, timeout: deadline - .now)
    }
}
