/// Records that storage has quarantined: read and hashed like any other, never executed.
///
/// A quarantine block stands where a normal block would (docs/decisions/quarantine-block.md): its last record is the
/// quarantined one, and what that record does follows from its header alone, so no node has to look inside.

package import VarveModel

extension NodeMachine {
    /// What a transaction's outcome says that was quarantined.
    package static func quarantined(_ position: Position) -> Decision.Failure {
        Decision.Failure(
            code: .poison, operation: 0,
            detail:
                "quarantined: the record at \(position) ended the processes that applied it, and is skipped by every node"
        )
    }

    /// The block `number` in storage ends with a record that is not to be executed.
    mutating func quarantine(_ number: BlockNumber, _ position: Position) -> [Effect] {
        guard number == open.number, position.epoch == epoch else { return [] }
        if let applied, applied >= position { return [.stopped(executedQuarantined(number, position))] }
        quarantined = position
        return []
    }

    /// Passes the quarantined record: its submission, if it is one, is decided by its header; the block ends with it.
    mutating func passQuarantined(_ logged: LoggedRecord, _ position: Position, _ effects: inout [Effect]) -> Bool {
        var header: RecordHeader?
        var payloadBytes = 0
        switch Record.decode(logged.bytes, tag: tag) {
        case .damaged(let reason):
            effects.append(.damaged(logged.offset, reason: reason))
            return false
        case .record(let record): (header, payloadBytes) = (record.header, record.payload.count)
        case .foreign, .unsupported: break
        }
        quarantined = nil
        pass(logged, position, payloadBytes: payloadBytes)
        if let header {
            switch header.type {
            case .transaction, .cancel:
                if let earlier = window[header.id] {
                    effects.append(.decided(earlier))
                } else if header.observed < window.horizon {
                    effects.append(.void(header.id))
                } else {
                    conclude(header.id, position, .aborted, nil, Self.quarantined(position), &effects)
                }
            case .genesis, .flushRequest, .barrier, .settings, .seal:
                effects.append(.passed(id: header.id, at: position, cut: nil))
            }
        }
        trail.add(position, inputChain, effectChain)
        effects.append(.cut(freeze(.quarantine)))
        if position == declaredEnd?.position { end(by: nil, &effects) }
        return ending == nil
    }

    func lacksQuarantined(_ quarantined: Position, found: Position) -> VarveError {
        VarveError(
            .logDiverged,
            "storage has quarantined the record at \(quarantined), but the log has none there: the one behind "
                + "\(applied ?? .zero) is \(found). Storage is whole and untouched. See docs/runbooks/log-diverged.md",
            next: "varve log verify --config node.yaml")
    }

    private func executedQuarantined(_ number: BlockNumber, _ position: Position) -> VarveError {
        VarveError(
            .divergence,
            "block \(number) in storage quarantines the record at \(position), which this node has executed (it stands at "
                + "\(applied ?? .zero)). Storage is untouched, this node has stopped. See docs/runbooks/poison.md",
            next: "start this node again: it follows storage; what came after the record is applied again without it")
    }
}
