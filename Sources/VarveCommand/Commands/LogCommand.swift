// `varve log`: decided transactions, asked of a node; or the records themselves, read from the log that a configuration
// names, with every node down or beside them.

import VarveClient
import VarveLog
import VarveModel
import VarveNode
import VarveTerminal
import VarveWire

struct LogCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func show() async throws -> ExitCode {
        try checkPositions()
        if let path = invocation[Parameters.coldConfig] {
            try await showRecords(surroundings.configuration(path))
        } else {
            try await showTransactions()
        }
        return .success
    }

    /// Until interrupted, which ends the process.
    func follow() async throws -> ExitCode {
        try checkPositions()
        if let path = invocation[Parameters.coldConfig] {
            try await followRecords(surroundings.configuration(path))
        } else {
            try await followTransactions()
        }
        return .success
    }

    private func checkPositions() throws {
        guard let from = invocation[Parameters.from], let to = invocation[Parameters.to], from > to else { return }
        throw Failure("Error: --from \(from) lies behind --to \(to): nothing stands between them", .usage)
    }

    // MARK: Transactions, from a node

    private static let pollInterval: Duration = .milliseconds(500)
    private static let pageMax = 10_000

    private func showTransactions() async throws {
        try checkHotFilters()
        let waiting = Waiting(surroundings)
        let client = try invocation.client(waiting)
        let limit = invocation[Parameters.limit]
        let (id, from) = (invocation[Parameters.recordID], invocation[Parameters.from])
        let list = try await waiting.during("the node's answer") {
            if let id { return try await client.transaction(id).map { [$0] } ?? [] }
            guard let from else { return try await newest(client, limit) }
            // `since` excludes the position it names.
            return try await client.transactions(since: Self.before(from), limit: limit).transactions
        }
        let wanted = list.filter { isWanted($0) }
        if invocation[Parameters.json] {
            for transaction in wanted { try surroundings.output.json(transaction.json) }
            return
        }
        var table = Table([
            .init("position"), .init("time"), .init("outcome"), .init("id", .left), .init("reason", .left),
        ])
        table.rows = wanted.compactMap { row($0) }
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
    }

    private func followTransactions() async throws {
        try checkHotFilters()
        let client = try invocation.client(Waiting(surroundings))
        var since: Position
        if let from = invocation[Parameters.from] {
            since = Self.before(from)
        } else {
            since = try await client.status().applied?.position ?? .zero
        }
        var left = invocation[Parameters.count] ?? .max
        while true {
            let page = try await client.transactions(since: since, limit: Self.pageMax)
            for transaction in page.transactions where isWanted(transaction) {
                try line(transaction)
                left -= 1
                if left == 0 { return }
            }
            if let to = invocation[Parameters.to], page.next >= to { return }
            let isLast = page.transactions.count < Self.pageMax
            since = max(since, page.next)
            if isLast { try await Task.sleep(for: Self.pollInterval) }
        }
    }

    private func line(_ transaction: TransactionAnswer) throws {
        if invocation[Parameters.json] { return try surroundings.output.json(transaction.json) }
        guard let row = row(transaction) else { return }
        try surroundings.output.line(row.joined(separator: "  "))
    }

    private func row(_ transaction: TransactionAnswer) -> [String]? {
        guard let decided = transaction.decided else { return nil }
        return [
            decided.position.description, decided.systemTime.description, decided.outcome.description,
            transaction.id.description, decided.failure.map { "\($0.code): \($0.detail)" } ?? "",
        ]
    }

    private func isWanted(_ transaction: TransactionAnswer) -> Bool {
        if let id = invocation[Parameters.recordID], transaction.id != id { return false }
        guard let to = invocation[Parameters.to], let decided = transaction.decided else { return true }
        return decided.position <= to
    }

    /// A node lists what was decided, not the records that decided it.
    private func checkHotFilters() throws {
        for (name, isGiven) in [
            ("type", !invocation[Parameters.recordTypes].isEmpty),
            ("table", !invocation[Parameters.recordTables].isEmpty),
        ] where isGiven {
            throw Failure(
                "Error: --\(name) needs --config: a node lists decided transactions, the log holds their records",
                .usage)
        }
    }

    private static func before(_ position: Position) -> Position {
        Position(packed: max(0, position.packed - 1)) ?? .zero
    }

    /// Asks from further and further back until there are enough: offsets have gaps.
    private func newest(_ client: Client, _ limit: Int) async throws -> [TransactionAnswer] {
        guard let applied = try await client.status().applied?.position else { return [] }
        var reach = Int64(limit) * 2
        while true {
            let back = max(0, applied.offset.value - reach)
            var since = Position(applied.epoch, Offset(back))
            var found: [TransactionAnswer] = []
            while true {
                let page = try await client.transactions(since: since, limit: Self.pageMax)
                found += page.transactions
                guard page.next > since, page.transactions.count == Self.pageMax else { break }
                since = page.next
            }
            if found.count >= limit || back == 0 { return found.suffix(limit) }
            reach *= 8
        }
    }
}
