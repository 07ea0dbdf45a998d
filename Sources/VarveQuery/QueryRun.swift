/// One running query: its columns, and its rows in batches as fast as the caller takes them.
///
/// Nothing runs between two calls of `nextBatch`, so a slow reader holds no thread, only its snapshot. After the last
/// batch, an error or `cancel` nothing more comes. Dropping the run ends it and gives the snapshot back.

import Synchronization
public import VarveModel

public final class QueryRun: Sendable {
    /// Names and types of the columns. Types are those of the values when the whole answer fits the first batch.
    public let columns: [QueryColumn]

    private let state: QueryState
    private let threads: QueryThreads
    private let control: QueryControl

    init(columns: [QueryColumn], state: QueryState, threads: QueryThreads, control: QueryControl) {
        self.columns = columns
        self.state = state
        self.threads = threads
        self.control = control
    }

    /// The next rows, nil behind the last. Throws `QUERY_TIMEOUT`, `RESULT_TOO_LARGE`, `SQL_ERROR` and what the source
    /// throws; the rows before stay valid.
    public func nextBatch() async throws(VarveError) -> QueryBatch? {
        // The first batch is there already, and most answers end with it.
        if let ready = try state.readyBatch() { return ready.batch }
        return try await withCancellation(of: control) {
            await threads.perform { [state] () throws(VarveError) in try state.nextBatch() }
        }
    }

    /// Ends the query; from any thread.
    public func cancel() { control.cancel() }
}

func withCancellation<R: Sendable>(
    of control: QueryControl, _ body: () async -> Result<R, VarveError>
) async throws(VarveError) -> R {
    let result = await withTaskCancellationHandler {
        await body()
    } onCancel: {
        control.cancel()
    }
    return try result.get()
}

/// The statement and what was made of it; whoever holds the lock uses the connection.
final class QueryState: Sendable {
    private let cursor: Mutex<Cursor>

    /// Rows and bytes after which a batch is handed over.
    private static let batchRows = 1024
    private static let batchBytes = 256 << 10

    struct Ready: Sendable {
        let batch: QueryBatch?
    }

    private struct Cursor: ~Copyable {
        // The connection, its statement and the source: touched only under the lock, so by one thread at a time.
        nonisolated(unsafe) var statement: Statement?
        nonisolated(unsafe) var writer: RowWriter
        let control: QueryControl
        let resultBytesMax: Int
        var resultBytes = 0
        var first: QueryBatch?

        mutating func next() throws(VarveError) -> QueryBatch? {
            guard let statement else { return nil }
            do throws(VarveError) {
                var isAtEnd = false
                try control.check()
                while writer.rowsInBatch < batchRows, writer.batchBytes < batchBytes {
                    guard try statement.step() else {
                        isAtEnd = true
                        break
                    }
                    writer.appendRow()
                }
                resultBytes += writer.batchBytes
                guard resultBytes <= resultBytesMax else {
                    throw VarveError(
                        .resultTooLarge, "the answer is larger than \(resultBytesMax) bytes",
                        next: "ask for fewer columns or rows, or raise http.maxResultBytes")
                }
                if isAtEnd { self.statement = nil }
                return writer.rowsInBatch > 0 ? writer.takeBatch() : nil
            } catch {
                self.statement = nil
                throw error
            }
        }
    }

    /// Runs up to the end of the first batch.
    init(
        _ request: QueryRequest, source: any QuerySource, control: QueryControl, columns: inout [QueryColumn]
    ) throws(VarveError) {
        try control.check()
        let text = StatementText(request.sql)
        let connection = Connection(source: source, control: control, limits: request.limits)
        try connection.open(for: text)
        let statement = try connection.prepare(request.sql, text, request.parameters)
        var cursor = Cursor(
            statement: statement, writer: RowWriter(statement, format: request.format), control: control,
            resultBytesMax: request.limits.resultBytesMax)
        cursor.first = try cursor.next()
        columns = cursor.writer.columns(isWhole: cursor.statement == nil)
        self.cursor = Mutex(cursor)
    }

    /// What can be answered without running anything; nil when something has to run.
    func readyBatch() throws(VarveError) -> Ready? {
        cursor.withLock { cursor in
            if let first = cursor.first.take() { return Ready(batch: first) }
            return cursor.statement == nil ? Ready(batch: nil) : nil
        }
    }

    func nextBatch() throws(VarveError) -> QueryBatch? {
        try cursor.withLock { cursor throws(VarveError) in try cursor.next() }
    }
}
