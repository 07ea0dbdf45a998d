// `varve log show`: decided transactions, asked of a node; or the records themselves, read from the log.

import VarveClient
import VarveLog
import VarveModel
import VarveNode
import VarveStorage
import VarveTerminal
import VarveWire

struct LogCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func run() async throws -> ExitCode {
        if let path = invocation[Parameters.coldConfig] {
            try await showRecords(surroundings.configuration(path))
        } else {
            try await showTransactions()
        }
        return .success
    }

    // MARK: Transactions, from a node

    private func showTransactions() async throws {
        let waiting = Waiting(surroundings)
        let client = try invocation.client(waiting)
        let limit = invocation[Parameters.limit]
        let from = invocation[Parameters.from]
        let list = try await waiting.during("the node's answer") {
            guard let from else { return try await newest(client, limit) }
            // `since` excludes the position it names.
            let since = Position(packed: max(0, from.packed - 1)) ?? .zero
            return try await client.transactions(since: since, limit: limit).transactions
        }
        if invocation[Parameters.json] {
            for transaction in list { try surroundings.output.json(transaction.json) }
            return
        }
        var table = Table([
            .init("position"), .init("time"), .init("outcome"), .init("id", .left), .init("reason", .left),
        ])
        table.rows = list.compactMap { transaction in
            guard let decided = transaction.decided else { return nil }
            return [
                decided.position.description, decided.systemTime.description, decided.outcome.description,
                transaction.id.description, decided.failure.map { "\($0.code): \($0.detail)" } ?? "",
            ]
        }
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
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
                let page = try await client.transactions(since: since, limit: 10_000)
                found += page.transactions
                guard page.next > since, page.transactions.count == 10_000 else { break }
                since = page.next
            }
            if found.count >= limit || back == 0 { return found.suffix(limit) }
            reach *= 8
        }
    }

    // MARK: Records, from the log itself

    private func showRecords(_ configuration: Configuration) async throws {
        if case .inMemory = configuration.log {
            throw VarveError(
                .logMissing, "the configuration's log is in memory: with no node running there is none",
                next: "ask the node: --url")
        }
        let epoch = try invocation[Parameters.from]?.epoch ?? currentEpoch(configuration)
        let log = try await Waiting(surroundings).during("the log: \(ConfigCommand.describe(configuration.log))") {
            try await Composition.logProvider(configuration).open(epoch)
        }
        do {
            let range = try await log.range()
            let limit = invocation[Parameters.limit]
            let newest = Offset(max(range.lowerBound.value, range.upperBound.value - Int64(limit)))
            let start = max(invocation[Parameters.from]?.offset ?? newest, range.lowerBound)
            let entries = try await read(log, start..<max(start, range.upperBound), limit)
            try show(entries, epoch)
        } catch {
            await log.close()
            throw error
        }
        await log.close()
    }

    private func currentEpoch(_ configuration: Configuration) throws -> Epoch {
        if let epoch = configuration.log.epoch.flatMap({ Epoch($0) }) { return epoch }
        guard case .local = configuration.storage else { return .first }
        return try Composition.blocks(configuration).epochRecords().last?.record.epoch ?? .first
    }

    private func read(_ log: any Log, _ range: Range<Offset>, _ limit: Int) async throws -> [LogEntry] {
        guard !range.isEmpty else { return [] }
        let tail = try await log.tail(from: range.lowerBound)
        var entries: [LogEntry] = []
        reading: while entries.count < limit, let batch = try await tail.next() {
            for entry in batch.entries where entry.offset < range.upperBound && entries.count < limit {
                entries.append(entry)
            }
            // What was the last record when we began ends it; behind it the tail would wait.
            if let last = batch.entries.last, last.offset.next >= range.upperBound { break reading }
        }
        await tail.close()
        return entries
    }

    private func show(_ entries: [LogEntry], _ epoch: Epoch) throws {
        var table = Table([
            .init("position"), .init("time"), .init("type"), .init("bytes", .right), .init("id", .left),
            .init("content", .left),
        ])
        for entry in entries {
            let facts = Facts(entry, epoch)
            if invocation[Parameters.json] {
                try surroundings.output.json(facts.json)
            } else {
                table.rows.append(facts.row)
            }
        }
        guard !invocation[Parameters.json] else { return }
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
    }
}

/// What is said of a record.
private struct Facts {
    var position: Position
    var time: Instant
    var type: String
    var bytes: Int
    var id: String?
    var content: String

    init(_ entry: LogEntry, _ epoch: Epoch) {
        position = Position(epoch, entry.offset)
        time = Instant(microseconds: entry.time * 1000)
        bytes = entry.bytes.count
        content = ""
        // Whatever its tag: whose log this is, is the node's to prove.
        switch Record.decode(entry.bytes, tag: nil) {
        case .record(let record):
            type = "\(record.header.type)"
            id = record.header.id.description
            if record.header.type == .transaction { content = Self.operations(record.payload) }
        case .foreign(let reason): (type, content) = ("foreign", reason)
        case .damaged(let reason): (type, content) = ("damaged", reason)
        case .unsupported(let reason, _): (type, content) = ("unsupported", reason)
        }
    }

    /// `put packages 1000, delete users 2`
    private static func operations(_ payload: Bytes) -> String {
        guard let decoded = try? Transaction.decode(payload) else { return "unreadable" }
        return decoded.transaction.operations.map { operation in
            switch operation {
            case .put(let table, let rows): "put \(table) \(rows.count)"
            case .patch(let table, let rows): "patch \(table) \(rows.count)"
            case .delete(let table, let keys): "delete \(table) \(keys.count)"
            case .erase(let table, let keys): "erase \(table) \(keys.count)"
            case .assert(let table, let key, _): "assert \(table)/\(key)"
            }
        }.joined(separator: ", ")
    }

    var row: [String] {
        [position.description, time.description, type, Quantity.count(bytes), id ?? "", content]
    }

    var json: Value {
        [
            "position": .text(position.description), "time": .text(time.description), "type": .text(type),
            "bytes": .integer(Int64(bytes)), "id": .text(of: id), "content": .text(content),
        ]
    }
}
