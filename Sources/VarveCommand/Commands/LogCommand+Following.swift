// `varve log follow --config`: records as they come, through one epoch's log and, where a seal ends it, the next one's.

import VarveCore
import VarveLog
import VarveModel
import VarveNode
import VarveStorage
import VarveTerminal

extension LogCommand {
    /// Where an epoch went on.
    private struct Succession {
        var end: Position
        var next: Epoch
        var log: LogReference
    }

    /// Until interrupted, or until `--count` or `--to` is reached.
    func followRecords(_ configuration: Configuration) async throws {
        var epoch = try invocation[Parameters.from]?.epoch ?? epoch(configuration)
        var start = invocation[Parameters.from]?.offset
        var reference: LogReference?
        var left = invocation[Parameters.count] ?? .max
        while let succession = try await follow(configuration, epoch, at: reference, from: start, &left) {
            let place = succession.log.place
            if let to = invocation[Parameters.to], to.epoch <= epoch { return }
            try surroundings.errors.line(
                "note: epoch \(epoch) ended at \(succession.end); epoch \(succession.next) goes on in \(place)")
            (epoch, start, reference) = (succession.next, succession.log.genesisOffset ?? .zero, succession.log)
        }
    }

    /// nil when enough was shown.
    /// - Parameter start: nil for what comes from now on.
    private func follow(
        _ configuration: Configuration, _ epoch: Epoch, at reference: LogReference?, from start: Offset?,
        _ left: inout Int
    ) async throws -> Succession? {
        let filter = RecordFilter(invocation)
        let last = lastWanted(epoch) ?? Offset(Offset.highest)
        var (succession, rest): (Succession?, Int) = (nil, left)
        try await withLog(configuration, epoch, .beside, at: reference) { log, identity in
            let first: Offset
            if let start { first = start } else { first = try await log.range().upperBound }
            if let known = recorded(configuration, after: epoch), Position(epoch, first) > known.end {
                // Nothing of the database comes behind its end.
                succession = known
                return
            }
            try await read(log, from: first, through: last) { entry in
                let facts = RecordFacts(entry, epoch, identity)
                if filter.accepts(facts) {
                    if invocation[Parameters.json] {
                        try surroundings.output.json(facts.json)
                    } else {
                        try surroundings.output.line(facts.row.joined(separator: "  "))
                    }
                    rest -= 1
                }
                if rest > 0, facts.kind == .seal { succession = sealed(entry, epoch, identity) }
                return rest > 0 && succession == nil
            }
        }
        left = rest
        return succession
    }

    /// The first seal of an epoch ends it, for every node.
    private func sealed(_ entry: LogEntry, _ epoch: Epoch, _ own: LogTagging) -> Succession? {
        guard case .record(let record) = Record.decode(entry.bytes, tag: own.tag),
            let seal = try? Seal.decode(record.payload), seal.next == epoch.next
        else { return nil }
        return Succession(end: Position(epoch, entry.offset), next: seal.next, log: seal.log)
    }

    /// What storage says of the epoch's end, by a seal or a bump.
    private func recorded(_ configuration: Configuration, after epoch: Epoch) -> Succession? {
        guard let next = epoch.next, let store = try? Composition.blocks(configuration, isReader: true),
            let record = try? store.epochRecord(next)?.record, let end = record.parentEnd
        else { return nil }
        return Succession(end: end.position, next: next, log: record.log)
    }
}
