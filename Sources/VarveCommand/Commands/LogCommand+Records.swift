// The records themselves, read from the log that a configuration names.

import VarveLog
import VarveModel
import VarveNode
import VarveStorage
import VarveTerminal

extension LogCommand {
    func showRecords(_ configuration: Configuration) async throws {
        let epoch = try invocation[Parameters.from]?.epoch ?? epoch(configuration)
        try await withLog(configuration, epoch, .mended) { log, identity in
            let range = try await log.range()
            let filter = RecordFilter(invocation)
            let end = Position(epoch, range.upperBound)
            // The bytes there cannot be read, nor can anything behind them.
            let damaged = try await log.damage(at: range.upperBound).map { RecordFacts(damaged: end, $0) }
            func isAsked(_ facts: RecordFacts) -> Bool {
                filter.accepts(facts) && (invocation[Parameters.to].map { end <= $0 } ?? true)
                    && (invocation[Parameters.from].map { $0 <= end } ?? true)
            }
            let behind = damaged.map { isAsked($0) ? [$0] : [] } ?? []
            guard let last = try await log.lastOffset(in: range) else { return try show(behind) }
            let limit = invocation[Parameters.limit]
            var start = range.lowerBound
            if let from = invocation[Parameters.from] {
                start = max(start, from.offset)
            } else if filter.isEmpty {
                start = max(start, Offset(max(0, last.value - Int64(limit) + 1)))
            }
            guard start <= last else { return try show(behind) }
            // With --from the first ones that fit, else the last ones; never more than those in memory.
            let isFromStart = invocation[Parameters.from] != nil
            var found: [RecordFacts] = []
            try await read(log, from: start, through: min(last, lastWanted(epoch) ?? last)) { entry in
                let facts = RecordFacts(entry, epoch, identity)
                guard filter.accepts(facts) else { return true }
                found.append(facts)
                if isFromStart { return found.count < limit }
                if found.count > 2 * limit { found.removeFirst(limit) }
                return true
            }
            try show(isFromStart ? (found + behind).prefix(limit) : (found + behind).suffix(limit))
        }
    }

    /// What `--to` says of an epoch's log: a later epoch's position lies behind all of it.
    func lastWanted(_ epoch: Epoch) -> Offset? {
        invocation[Parameters.to].flatMap { $0.epoch == epoch ? $0.offset : nil }
    }

    /// `take` returns false when it has enough.
    func read(
        _ log: any Log, from start: Offset, through last: Offset, _ take: (LogEntry) throws -> Bool
    ) async throws {
        guard start <= last else { return }
        let tail = try await log.tail(from: start)
        do {
            reading: while let batch = try await tail.next() {
                for entry in batch.entries {
                    guard entry.offset <= last, try take(entry) else { break reading }
                }
                // Behind the last one the tail would wait.
                if let newest = batch.entries.last, newest.offset >= last { break }
            }
        } catch {
            await tail.close()
            throw error
        }
        await tail.close()
    }

    private func show(_ list: some Sequence<RecordFacts>) throws {
        if invocation[Parameters.json] {
            for facts in list { try surroundings.output.json(facts.json) }
            return
        }
        var table = Table([
            .init("position"), .init("time"), .init("type"), .init("bytes", .right), .init("id", .left),
            .init("content", .left),
        ])
        table.rows = list.map(\.row)
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
    }

    // MARK: Which log

    /// The configured one, else storage's newest.
    func epoch(_ configuration: Configuration) throws -> Epoch {
        if let epoch = configuration.log.epoch.flatMap({ Epoch($0) }) { return epoch }
        guard case .local(let path) = configuration.storage, !DirectoryObjectStore.lacksDatabase(at: path) else {
            return .first
        }
        return try Composition.blocks(configuration, isReader: true).epochRecords().last?.record.epoch ?? .first
    }

    /// - Parameter reference: where the epoch goes on, as the seal before it says; nil for the log that the configuration
    ///   names itself.
    func withLog(
        _ configuration: Configuration, _ epoch: Epoch, _ access: Composition.Access, at reference: LogReference? = nil,
        _ body: (any Log, LogTagging) async throws -> Void
    ) async throws {
        let log = try await Waiting(surroundings).during("the log: \(ConfigCommand.describe(configuration.log))") {
            try await Composition.log(configuration, epoch, access, at: reference) { error in
                try? surroundings.errors.line(
                    "note: \(surroundings.naming(error.message)); shown is what is known to be durable")
            }
        }
        do {
            try await body(log, LogTagging.find(configuration, log, epoch))
        } catch {
            await log.close()
            throw error
        }
        await log.close()
    }
}

/// What tells a log's own records from foreign ones.
struct LogTagging: Sendable {
    var tag: LogTag?
    var genesis: GenesisID?
    /// Records that every node skips, by the block that says so. What is in them is not looked at.
    var quarantined: [Position: BlockNumber] = [:]

    /// As storage recorded it; else as the first record says, when that is a genesis; else nothing is told apart.
    static func find(_ configuration: Configuration, _ log: any Log, _ epoch: Epoch) async throws -> LogTagging {
        if case .local = configuration.storage, let store = try? Composition.blocks(configuration, isReader: true),
            let format = try? store.readFormat(), let record = try? store.epochRecord(epoch)?.record,
            let genesis = record.log.genesis
        {
            var found = LogTagging(tag: LogTag(database: format.database, genesis: genesis), genesis: genesis)
            let manifests = try? store.manifests(of: store.epochRecords(), database: format.database)
            for block in manifests?.map(\.manifest) ?? [] where block.cut == .quarantine {
                found.quarantined[block.last] = block.number
            }
            return found
        }
        let start = try await log.range().lowerBound
        guard let entry = try await log.read(at: start),
            case .record(let record) = Record.decode(entry.bytes, tag: nil),
            record.header.type == .genesis, let content = try? Genesis.decode(record.payload)
        else { return LogTagging() }
        return LogTagging(
            tag: LogTag(database: content.database, genesis: record.header.id), genesis: record.header.id)
    }
}
