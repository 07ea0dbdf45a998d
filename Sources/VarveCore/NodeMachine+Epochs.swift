/// How an epoch ends and the next begins: by its first valid seal, or where an operator declared its end.
///
/// Either way the last record cuts the open block, chains, times and remembered ids carry over, and what stands behind
/// it in the old log is void for ever: not applied, not hashed.

package import VarveModel

/// How an epoch ended: the same on every node.
package struct EpochEnding: Sendable, Equatable {
    package let end: ParentEnd
    /// nil: the end was declared.
    package let seal: Seal?
}

extension NodeMachine {
    /// A seal counts when it leads to the next epoch, on a log of its own; any other is a record without content.
    func validSeal(_ record: Record) -> Seal? {
        guard let seal = try? Seal.decode(record.payload), let next = epoch.next, seal.next == next,
            seal.log.genesis != genesis
        else { return nil }
        return seal
    }

    /// What the next epoch starts from, were the present one to end here. The open block must just have been cut.
    private var parentEnd: ParentEnd {
        ParentEnd(
            position: applied ?? .zero, inputChain: inputChain.value, effectChain: effectChain.value,
            block: frozen.last?.number ?? adopted?.number, effectiveTime: effectiveTime, systemTime: systemTime)
    }

    mutating func end(by seal: Seal?, _ effects: inout [Effect]) {
        let found = EpochEnding(end: parentEnd, seal: seal)
        ending = found
        if seal == nil, let declaredEnd, declaredEnd != found.end {
            effects.append(.stopped(Self.otherEnd(found.end, declared: declaredEnd)))
        } else {
            effects.append(.ended(found))
        }
    }

    mutating func declare(_ end: ParentEnd) -> [Effect] {
        guard ending == nil else { return [] }
        let isAtEnd = inputChain.value == end.inputChain
        // Before its first record a machine stands before every end, also before that of a log with its genesis alone.
        guard isAtEnd || applied.map({ $0 < end.position }) ?? true else { return [.stopped(beyond(end))] }
        declaredEnd = end
        guard isAtEnd, (applied ?? .zero) == end.position else { return [] }
        // Nothing more of the epoch is to be read: a cut is due only where records wait for one.
        var effects: [Effect] = []
        if open.first != nil { effects.append(.cut(freeze(.seal))) }
        self.end(by: nil, &effects)
        return effects
    }

    /// The next epoch: its genesis is the next record to be stepped.
    mutating func enter(_ next: Epoch, _ genesis: GenesisID, _ end: ParentEnd) -> [Effect] {
        guard next > epoch else { return [] }
        guard end.inputChain == inputChain.value, end.effectChain == effectChain.value else {
            return [.stopped(Self.otherEnd(parentEnd, declared: end))]
        }
        epoch = next
        self.genesis = genesis
        tag = LogTag(database: database, genesis: genesis)
        hasGenesis = false
        ending = nil
        declaredEnd = nil
        quarantined = nil
        return []
    }

    /// The state before any block, as an earlier epoch left it.
    mutating func begin(behind end: ParentEnd) {
        applied = end.position
        effectiveTime = Self.bounded(end.effectiveTime)
        systemTime = Self.bounded(end.systemTime)
        inputChain = InputChain(end.inputChain)
        effectChain = EffectChain(end.effectChain)
    }

    private static func otherEnd(_ found: ParentEnd, declared: ParentEnd) -> VarveError {
        VarveError(
            .logDiverged,
            "the epoch ends at \(declared.position) by its successor's record, and this log is another one up to there "
                + "(at \(found.position), H \(found.inputChain.shortHex), recorded \(declared.inputChain.shortHex)). Storage "
                + "is whole and untouched. See docs/runbooks/log-diverged.md",
            next: "varve epoch status --config node.yaml")
    }

    func lacksDeclaredEnd(_ end: ParentEnd, found: Position) -> VarveError {
        VarveError(
            .logDiverged,
            "the epoch ends at \(end.position) by its successor's record, but the log has no record there: the one behind "
                + "\(applied ?? .zero) is \(found). Storage is whole and untouched. See docs/runbooks/log-diverged.md",
            next: "varve epoch status --config node.yaml")
    }

    private func beyond(_ end: ParentEnd) -> VarveError {
        VarveError(
            .epochStale,
            "epoch \(epoch) was ended at \(end.position) by an operator while this node was away; it has applied up to "
                + "\(applied ?? .zero). What came behind the end is in the old log only, and was not acknowledged since. "
                + "See docs/runbooks/epoch-mismatch.md",
            next: "start this node again; then varve epoch salvage --config node.yaml")
    }
}
