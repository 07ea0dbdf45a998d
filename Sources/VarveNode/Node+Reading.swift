/// Reads: wait for what the reader asks for, then a snapshot that never changes.

internal import VarveCore
package import VarveIndexing
package import VarveModel

package struct ReadOptions: Sendable {
    /// Wait until this was applied here; with a chain prefix also prove that it is the same history.
    package var after: Token?
    package var asOf: AsOf?
    /// Everything acknowledged anywhere before this call is in the answer.
    package var isStrict: Bool
    package var timeout: Duration

    package init(after: Token? = nil, asOf: AsOf? = nil, isStrict: Bool = false, timeout: Duration = .seconds(30)) {
        self.after = after
        self.asOf = asOf
        self.isStrict = isStrict
        self.timeout = timeout
    }
}

/// A snapshot and the position a question is asked for.
package struct ReadView: Sendable {
    package let snapshot: Snapshot
    /// What `asOf` resolved to; nil when the newest state was asked for.
    package let asOf: Position?
    /// How long ago this node last read anything, in ms.
    package let ageMs: Int64

    package var position: Position { snapshot.position }
    package var token: Token { snapshot.token }
    package var readPosition: Position { asOf ?? snapshot.position }

    package func get(_ table: TableName, _ key: Key) throws(VarveError) -> Snapshot.Row? {
        try snapshot.get(table, key, asOf: readPosition)
    }

    /// Versions, newest first.
    package func history(_ table: TableName, _ key: Key, limit: Int) throws(VarveError) -> [Snapshot.Row] {
        try snapshot.versions(table, key, asOf: readPosition, limit: limit)
    }

    package struct TableInfo: Sendable {
        package let name: TableName
        package let rows: Int
        /// `_id`, then the fields in byte order of their names.
        package let columns: [String]
    }

    package func tables() throws(VarveError) -> [TableInfo] {
        var list: [TableInfo] = []
        for (name, fields) in snapshot.tables {
            list.append(
                TableInfo(
                    name: name, rows: try snapshot.count(name, asOf: readPosition),
                    columns: ["_id"] + fields.sorted().compactMap(\.utf8)))
        }
        return list
    }
}

extension Node {
    package func read(_ options: ReadOptions) async throws(VarveError) -> ReadView {
        let indexer = try indexer()
        if let stopped = indexer.stopped, stopped.code == .divergence { throw stopped }
        let deadline = ContinuousClock.now + options.timeout
        guard indexer.isReady || indexer.stopped != nil else {
            throw VarveError(.notReady, "this node is still reading the log", next: "retry later")
        }
        if options.isStrict { try await indexer.barrier(until: deadline) }
        if let after = options.after { try await wait(for: after, indexer, deadline) }
        var asOf: Position?
        switch options.asOf {
        case nil: break
        case .position(let position):
            try await wait(for: Token(position: position, chainPrefix: nil), indexer, deadline)
            asOf = position
        case .instant(let instant): asOf = try await resolve(instant, indexer, deadline)
        }
        return ReadView(
            snapshot: indexer.snapshot, asOf: asOf, ageMs: min(indexer.standing.sinceLastRecord.milliseconds, 1 << 52))
    }

    private func wait(
        for token: Token, _ indexer: Indexer, _ deadline: ContinuousClock.Instant
    ) async throws(VarveError) {
        guard token.position.epoch <= indexer.epoch else {
            throw VarveError(
                .historyToken, "position \(token.position) is of an epoch this node does not know",
                next: "check which cluster the token came from")
        }
        guard await indexer.waitUntilApplied(token.position, until: deadline) else {
            if let stopped = indexer.stopped { throw stopped }
            throw VarveError(
                .queryTimeout,
                "position \(token.position) was not applied in time, this node stands at \(indexer.snapshot.position)",
                next: "retry with a longer timeout")
        }
        guard let prefix = token.chainPrefix else { return }
        guard let known = try indexer.chainPrefix(at: token.position), known != prefix else { return }
        throw VarveError(
            .historyToken,
            "the token \(token) is of another history than this node's at \(token.position)",
            next: "check that all nodes name the same log and storage: varve status")
    }

    /// The newest position at or before an instant, once it can no longer change.
    private func resolve(
        _ instant: Instant, _ indexer: Indexer, _ deadline: ContinuousClock.Instant
    ) async throws(VarveError) -> Position {
        func isPast() -> Bool { indexer.snapshot.hasPassed(instant) }
        var isFirst = true
        while !isPast() {
            if isFirst {
                try await indexer.barrier(until: deadline)
                let ahead = instant.microseconds - indexer.snapshot.effectiveTime * 1000
                if ahead > 60_000_000 {
                    throw VarveError(.badRequest, "asOf is more than a minute in the future", at: "/asOf")
                }
                isFirst = false
                continue
            }
            guard ContinuousClock.now < deadline else {
                throw VarveError(.queryTimeout, "asOf is in the future and was not reached in time")
            }
            let ahead = max(1, (instant.microseconds - indexer.snapshot.effectiveTime * 1000) / 1000 + 1)
            try? await Task.sleep(for: .milliseconds(min(ahead, 1000)))
            if !isPast() { try await indexer.barrier(until: deadline) }
        }
        return try indexer.snapshot.position(asOf: instant)
    }
}
