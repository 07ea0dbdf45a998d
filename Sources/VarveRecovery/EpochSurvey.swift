/// What is there: storage, what is left of the newest epoch's log, and what its nodes last said.

package import VarveCore
internal import VarveIndexing
internal import VarveLog
package import VarveModel
internal import VarveStorage

package struct EpochSurvey: Sendable {
    let cold: ColdDatabase

    package init(_ cold: ColdDatabase) { self.cold = cold }

    /// Reads the old log twice as long as other nodes are watched: one that still grows is in use.
    package func plan() async throws(VarveError) -> EpochPlan {
        let reached = cold.loading.current
        guard let safe = StartUp.end(of: reached, newest: cold.loading.newest) else { throw notReached }
        let gap = reached == cold.current ? nil : try await lostEnd(of: reached)
        let before = await end()
        let peers = try await cold.watchPeers()
        let rest = if let gap { try await pieces(behind: gap) } else { try await rest(of: cold.current) }
        if let before, let after = await end(), after != before {
            throw VarveError(
                .planStale,
                "the log of epoch \(cold.current.epoch) grows (its end was \(before), now \(after)): somebody writes to it. "
                    + "Nothing was changed",
                next: "stop all nodes, then ask again")
        }
        var plan = EpochPlan(
            database: cold.database, epoch: cold.current.epoch, log: cold.current.log, safe: safe, rest: rest,
            peers: peers.compactMap { peer in
                guard let heartbeat = peer.heartbeat, heartbeat.epoch >= reached.epoch else { return nil }
                return EpochPlan.Peer(
                    node: peer.node, isAlive: peer.verdict == .live, applied: heartbeat.applied,
                    wasStopped: heartbeat.stopped != nil)
            })
        if case .whole = rest { plan.rewritten = try await rewritten() }
        return plan
    }

    /// Where the log holds something else than a node had applied, though it fits all blocks.
    private func rewritten() async throws(VarveError) -> EpochPlan.Rewritten? {
        let witnesses = try LogWitnesses(
            cold.store, of: cold.current, cold.database, behind: cold.loading.newest?.last)
        guard !witnesses.all.isEmpty, let log = try await cold.open(cold.current) else { return nil }
        do throws(VarveError) {
            let denied = try await witnesses.contradiction(in: log)
            await log.close()
            return denied.map { EpochPlan.Rewritten(node: $0.node, position: $0.position) }
        } catch {
            await log.close()
            throw error
        }
    }

    private var notReached: VarveError {
        VarveError(
            .epochAhead,
            "epoch \(cold.loading.current.epoch) ended at \(cold.loading.successor?.parentEnd?.position ?? .zero), and no "
                + "block reaches that end yet. Nothing was changed",
            next: "start the nodes: they read it to its end and go on")
    }

    /// Why nobody can read an epoch's log up to where the next one begins: then that one can be entered by nobody, however
    /// whole its own log is. Throws `EPOCH_AHEAD` where nodes can.
    private func lostEnd(of record: EpochRecord) async throws(VarveError) -> VarveError {
        let why: String
        switch try await rest(of: record) {
        case .sealed: throw notReached
        // Nothing is known of it: it may be whole.
        case .none(let error) where error.code == .logUnreachable: throw error
        case .none(let error), .broken(_, let error): why = error.message
        case .whole(_, let end) where end.position >= cold.loading.successor?.parentEnd?.position ?? .zero:
            throw notReached
        case .whole(_, let end): why = "it ends at \(end.position)"
        }
        return VarveError(
            .logGap,
            "the log of epoch \(record.epoch) cannot be read to its end at "
                + "\(cold.loading.successor?.parentEnd?.position ?? .zero), behind which epoch "
                + "\(cold.loading.successor?.epoch ?? record.epoch) begins: \(why)",
            next: "varve epoch plan --config node.yaml")
    }

    /// What the newest log holds, each a whole submission, behind what nobody can read.
    private func pieces(behind gap: VarveError) async throws(VarveError) -> EpochPlan.Rest {
        guard let log = try await cold.open(cold.current) else { return .none(gap) }
        do throws(VarveError) {
            let piece = try await raw(log, of: cold.current, from: .zero)
            await log.close()
            return .broken(piece, gap)
        } catch {
            await log.close()
            throw error
        }
    }

    private func end() async -> Offset? {
        guard let log = try? await cold.open(cold.current) else { return nil }
        let range = try? await log.range()
        await log.close()
        return range?.upperBound
    }

    private func rest(of record: EpochRecord) async throws(VarveError) -> EpochPlan.Rest {
        do throws(VarveError) {
            guard let log = try await cold.open(record) else { return .none(StartUp.missing(record)) }
            do throws(VarveError) {
                let rest = try await rest(in: log, of: record)
                await log.close()
                return rest
            } catch {
                await log.close()
                throw error
            }
        } catch {
            guard Self.saysThatNothingIsLeft(error.code) else { throw error }
            if error.code == .logCorrupt, let remains = try await remains(of: record, error) { return remains }
            return .none(error)
        }
    }

    /// A local log's whole records behind its damage; nil where there is nothing to read past.
    private func remains(
        of record: EpochRecord, _ damage: VarveError
    ) async throws(VarveError) -> EpochPlan.Rest? {
        guard let log = try await cold.remains(record, damage) else { return nil }
        do throws(VarveError) {
            let rest = try await rest(past: damage, in: log, of: record)
            await log.close()
            return rest
        } catch {
            await log.close()
            throw error
        }
    }

    private func rest(
        past damage: VarveError, in log: LocalRemains, of record: EpochRecord
    ) async throws(VarveError) -> EpochPlan.Rest? {
        do throws(VarveError) { return try await rest(in: log, of: record) } catch {
            guard [.logReplaced, .logBehind, .logGap].contains(error.code) else { throw error }
            // A record is damaged that storage would have proved the log by. Each of the others names the log it is of.
            let newest = cold.loading.newest?.last
            let covered = newest.flatMap { $0.epoch == record.epoch ? $0.offset.next : nil }
            let piece = try await raw(log, of: record, from: covered ?? record.log.genesisOffset ?? .zero)
            return piece.records == 0 ? nil : .broken(piece, damage)
        }
    }

    /// Anything else is no lost log: whoever holds it may still write to it, rights can be given, a storage that is away
    /// comes back, a record of a later version is read by that version.
    private static func saysThatNothingIsLeft(_ code: ErrorCode) -> Bool {
        [.logMissing, .logUnreachable, .logReplaced, .logDiverged, .logBehind, .logGap, .logCorrupt].contains(code)
    }

    private func rest(in log: any Log, of record: EpochRecord) async throws(VarveError) -> EpochPlan.Rest {
        let proof = LogProof(log, record, database: cold.database, newest: cold.loading.newest)
        let proved: LogProof.Result
        do throws(VarveError) {
            proved = try await proof.prove(mayAppend: false)
        } catch {
            guard error.code == .logGap else { throw error }
            // The log is ours by its tag; its records are no continuation, but each is a whole submission.
            return .broken(try await raw(log, of: record, from: .zero), error)
        }
        let loaded = try cold.loading.load(settings: Settings(), genesis: proved.genesis)
        var replay = Replay(machine: loaded.machine, blocks: loaded.blocks)
        replay.poison = try PoisonAhead(cold.store, of: record.epoch)
        var end = try await log.range().upperBound
        // What stands behind an end that is recorded is void.
        if let known = cold.epochs.lazy.map(\.record).successor(of: record.epoch)?.parentEnd?.position,
            known.epoch == record.epoch
        {
            end = min(end, known.offset.next)
        }
        let remains = log as? LocalRemains
        // What a lost record did to those behind it nobody can say.
        let readable = remains?.lost(from: proved.next) ?? end
        try await log.forEachBatch(from: proved.next, to: readable) { (entries) throws(VarveError) in
            try replay.apply(entries)
        }
        if let ending = replay.machine.ending, let seal = ending.seal {
            return .sealed(at: ending.end.position, seal)
        }
        if let damage = replay.damage ?? remains?.damage {
            // Each record behind it is a whole submission, what came of it nobody can say any more.
            let behind = try await raw(log, of: record, from: replay.machine.applied?.offset.next ?? proved.next)
            var piece = replay.piece
            piece.records += behind.records
            piece.submissions += behind.submissions
            piece.last = behind.last ?? piece.last
            return .broken(piece, damage)
        }
        // Before the genesis was applied the machine stands at the parent's end: nothing of the epoch is kept.
        return .whole(
            replay.piece, end: replay.machine.applied == nil ? loaded.machine.endHere : replay.machine.endHere)
    }

    private func raw(
        _ log: any Log, of record: EpochRecord, from start: Offset
    ) async throws(VarveError) -> EpochPlan.Piece {
        var piece = EpochPlan.Piece()
        let range = try await log.range()
        let tag = LogTag(database: cold.database, genesis: record.log.genesis ?? .zero)
        let from = max(start, range.lowerBound)
        try await log.forEachBatch(from: from, to: range.upperBound) { (entries) throws(VarveError) in
            for entry in entries {
                guard case .record(let found) = Record.decode(entry.bytes, tag: tag) else { continue }
                let position = Position(record.epoch, entry.offset)
                piece.records += 1
                piece.last = position
                if found.header.type == .transaction || found.header.type == .cancel {
                    piece.submissions.append(
                        EpochPlan.Submission(id: found.header.id, position: position, outcome: nil))
                }
            }
            return true
        }
        return piece
    }
}
