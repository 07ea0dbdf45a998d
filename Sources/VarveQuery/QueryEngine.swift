/// Where queries are started: SQL over a source, on threads of its own.

package import VarveModel

package final class QueryEngine: Sendable {
    private let threads: QueryThreads

    /// - Parameter threadsMax: most queries that run at the same time.
    package init(threadsMax: Int = 32) { threads = QueryThreads(countMax: threadsMax) }

    /// Compiles the statement and runs it up to its first batch of rows, so that most errors come from here.
    ///
    /// Throws `SQL_ERROR`, `READ_ONLY`, `QUERY_TIMEOUT`, `RESULT_TOO_LARGE`, and what the source throws.
    package func start(_ request: QueryRequest, on source: any QuerySource) async throws(VarveError) -> QueryRun {
        let control = QueryControl(deadline: request.deadline)
        return try await withCancellation(of: control) { [threads] in
            await threads.perform { () throws(VarveError) in
                var columns: [QueryColumn] = []
                let state = try QueryState(request, source: source, control: control, columns: &columns)
                return QueryRun(columns: columns, state: state, threads: threads, control: control)
            }
        }
    }
}
