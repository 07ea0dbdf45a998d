/// Short words for tests of logs: records to append, entries read, what an append came to, which code was thrown.

package import VarveLog
package import VarveModel

package func records(_ range: Range<Int>) -> [Bytes] { range.map { Bytes("record \($0)") } }

extension LogTail {
    /// The next `count` entries, or more; fewer when the tail ends.
    package func entries(_ count: Int) async throws(VarveError) -> [LogEntry] {
        var all: [LogEntry] = []
        while all.count < count, let batch = try await next() { all += batch.entries }
        return all
    }
}

extension AppendResult {
    package var offset: Int64? {
        if case .stored(let offset, _) = self { return offset?.value }
        return nil
    }

    package var refusal: ErrorCode? {
        if case .refused(let error) = self { return error.code }
        return nil
    }

    package var isUnknown: Bool {
        if case .unknown = self { return true }
        return false
    }
}

/// The code that `body` throws, or nil.
package func code(_ body: () async throws -> Void) async -> ErrorCode? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? VarveError)?.code
    }
}
