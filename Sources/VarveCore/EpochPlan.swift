/// What ending an epoch without a seal would keep and lose: a pure plan over what was found, printable, with a digest
/// that says whether it still fits.

package import VarveModel

package struct EpochPlan: Sendable, Equatable {
    package var database: DatabaseID
    /// The newest recorded epoch, which would end.
    package var epoch: Epoch
    package var log: LogReference
    /// Where the epoch ends when nothing but blocks is kept: everything up to here is safe in storage.
    package var safe: ParentEnd
    package var rest: Rest
    package var peers: [Peer]
    /// Where a node had applied a record, as it said, and the log holds another: it lost its end and was written anew.
    package var rewritten: Rewritten?

    package init(
        database: DatabaseID, epoch: Epoch, log: LogReference, safe: ParentEnd, rest: Rest, peers: [Peer]
    ) {
        self.database = database
        self.epoch = epoch
        self.log = log
        self.safe = safe
        self.rest = rest
        self.peers = peers
    }

    /// What is left of the old log behind `safe`.
    package enum Rest: Sendable, Equatable {
        /// Nothing of it can be read, and why: missing, unreachable, another log.
        case none(VarveError)
        /// A whole piece from `safe` on: it can be read in place or appended again.
        case whole(Piece, end: ParentEnd)
        /// A piece behind a gap: its transactions can be appended again, the log cannot be read in place.
        case broken(Piece, VarveError)
        /// The epoch has an end already.
        case sealed(at: Position, Seal)
    }

    package struct Piece: Sendable, Equatable {
        package var records: Int
        /// Ids of transactions and cancels that decided something, in order, with what they came to where that is known.
        package var submissions: [Submission]
        /// Of its last record; nil when it holds none.
        package var last: Position?

        package init(records: Int = 0, submissions: [Submission] = [], last: Position? = nil) {
            self.records = records
            self.submissions = submissions
            self.last = last
        }
    }

    package struct Submission: Sendable, Equatable {
        package var id: SubmissionID
        package var position: Position
        package var outcome: Outcome?

        package init(id: SubmissionID, position: Position, outcome: Outcome?) {
            self.id = id
            self.position = position
            self.outcome = outcome
        }
    }

    /// What another node's last heartbeat says.
    package struct Peer: Sendable, Equatable {
        package var node: String
        package var isAlive: Bool
        package var applied: Position?
        package var wasStopped: Bool

        package init(node: String, isAlive: Bool, applied: Position?, wasStopped: Bool) {
            self.node = node
            self.isAlive = isAlive
            self.applied = applied
            self.wasStopped = wasStopped
        }
    }

    package struct Rewritten: Sendable, Equatable {
        package var node: String
        package var position: Position

        package init(node: String, position: Position) {
            self.node = node
            self.position = position
        }
    }

    /// Three ways to treat the unindexed rest.
    package enum Way: String, Sendable, CaseIterable {
        /// Read it in place: the epoch ends where the old log ends.
        case splice
        /// Append it again to the new log, with its ids.
        case salvage
        /// Give it up: the epoch ends where blocks end.
        case drop
    }

    // MARK: What follows

    package var submissions: [Submission] {
        switch rest {
        case .whole(let piece, _), .broken(let piece, _): piece.submissions
        case .none, .sealed: []
        }
    }

    /// The newest position up to which anything can be recovered.
    package var recoverable: Position {
        switch rest {
        case .whole(_, let end): end.position
        case .broken(let piece, _): piece.last ?? safe.position
        case .none: safe.position
        case .sealed(let position, _): position
        }
    }

    /// The newest position that any node had applied.
    package var seen: Position { peers.compactMap(\.applied).max() ?? safe.position }

    /// Records of this epoch that nodes had applied and that nothing holds any more; offsets may have gaps, so at most so
    /// many.
    package var gone: (records: Int64, from: Position, to: Position)? {
        guard seen.epoch == epoch, seen > recoverable else { return nil }
        let from = recoverable.epoch == epoch ? recoverable : safe.position
        let start = from.epoch == epoch ? from.offset.value : -1
        return (seen.offset.value - start, from, seen)
    }

    /// Whether all nodes said where they stopped, so that nothing beyond `seen` can have been acknowledged.
    package var isCertain: Bool { !peers.isEmpty && peers.allSatisfy(\.wasStopped) }

    /// What is known to be lost by a way: the ids that stand in the old log, and records that nothing holds.
    package func lost(by way: Way) -> (submissions: [Submission], records: Int64) {
        (way == .drop ? submissions : [], gone?.records ?? 0)
    }

    /// Where the epoch would end.
    package func end(by way: Way) -> ParentEnd {
        if way == .splice, case .whole(_, let end) = rest { return end }
        return safe
    }

    /// Why a way cannot be gone; nil when it can.
    package func refusal(_ way: Way, acceptedLoss: String?) -> VarveError? {
        let next = "varve epoch plan --config node.yaml"
        if case .sealed(let position, let seal) = rest {
            return VarveError(
                .epochAhead,
                "epoch \(epoch) is sealed at \(position) and goes on in \(seal.log.place): there is nothing to bump. Nothing "
                    + "was changed",
                next: "start the nodes: they cross by themselves")
        }
        let alive = peers.filter(\.isAlive).map(\.node)
        guard alive.isEmpty else {
            return VarveError(
                .epochAhead,
                "\(alive.joined(separator: ", ")) of epoch \(epoch) \(alive.count == 1 ? "is" : "are") alive. Nothing was "
                    + "changed",
                next: "stop all nodes, then: \(next)")
        }
        if let acceptedLoss, acceptedLoss != digest {
            return VarveError(
                .planStale,
                "what is found now is not what the plan \(acceptedLoss) was made from; its digest would be \(digest). Nothing "
                    + "was changed",
                next: next)
        }
        switch (way, rest) {
        case (.splice, .none(let reason)), (.splice, .broken(_, let reason)):
            return VarveError(
                .planStale,
                "the rest of epoch \(epoch) cannot be read in place: \(reason.code). Nothing was changed",
                next: submissions.isEmpty
                    ? "varve epoch bump --drop --accept-loss \(digest) --config node.yaml"
                    : "varve epoch bump --salvage --accept-loss \(digest) --config node.yaml")
        case (.salvage, .none(let reason)):
            return VarveError(
                .planStale, "nothing can be salvaged from epoch \(epoch): \(reason.code). Nothing was changed",
                next: "varve epoch bump --drop --accept-loss \(digest) --config node.yaml")
        default: break
        }
        guard acceptedLoss != nil || !losesSomething(by: way) else {
            return VarveError(
                .planStale,
                "this way loses \(loss(by: way)): the plan's digest says that you have seen which. Nothing was changed",
                next: "varve epoch bump --\(way.rawValue) --accept-loss \(digest) --config node.yaml")
        }
        return nil
    }

    /// Whether somebody has to accept what a way gives up: the rest of the log, records that nothing holds any more, or
    /// what stood in a gap, of which nobody knows what it was.
    package func losesSomething(by way: Way) -> Bool { way == .drop || gone != nil || hole != nil }

    /// What is missing in the middle of what is left of the log, in words; nil when nothing is.
    package var hole: String? {
        if let rewritten {
            return "what stood in the log before it was written anew (\(rewritten.node) had applied another record at "
                + "\(rewritten.position))"
        }
        guard case .broken(_, let reason) = rest else { return nil }
        return reason.code == .logCorrupt
            ? "what a damaged record held" : "what stood in the gap behind \(safe.position)"
    }

    /// What a way loses, in words.
    private func loss(by way: Way) -> String {
        let lost = lost(by: way)
        var parts = [way == .drop ? "\(lost.submissions.count) transactions that can be read" : nil].compactMap { $0 }
        if lost.records > 0 { parts.append("up to \(lost.records) records that nothing holds") }
        if let hole { parts.append("\(hole), and nobody knows what that was") }
        return parts.joined(separator: " and ")
    }

    /// Over everything above: the same as long as nothing moved.
    package var digest: String {
        var writer = CBORWriter()
        writer.array(rewritten == nil ? 6 : 7)
        writer.byteString(database)
        writer.unsigned(epoch.number)
        writer.integer(safe.position.packed)
        writer.byteString(safe.inputChain)
        switch rest {
        case .none(let error): writer.text("none \(error.code)")
        case .whole(let piece, let end):
            writer.text("whole \(piece.records) \(end.position) \(end.inputChain) \(end.effectChain)")
        case .broken(let piece, let error):
            writer.text("broken \(piece.records) \(piece.submissions.count) \(piece.last ?? .zero) \(error.code)")
        case .sealed(let position, _): writer.text("sealed \(position)")
        }
        writer.array(peers.count)
        for peer in peers {
            writer.text("\(peer.node) \(peer.isAlive) \(peer.applied?.description ?? "-") \(peer.wasStopped)")
        }
        if let rewritten { writer.text("\(rewritten.node) \(rewritten.position)") }
        return Digest(of: Bytes(writer.bytes)).first.description
    }
}

extension NodeMachine {
    /// What the next epoch would start from, were this one to end at the last applied record.
    package var endHere: ParentEnd {
        ParentEnd(
            position: applied ?? .zero, inputChain: inputChain.value, effectChain: effectChain.value,
            block: open.first != nil ? open.number : frozen.last?.number ?? adopted?.number,
            effectiveTime: effectiveTime, systemTime: systemTime)
    }
}
