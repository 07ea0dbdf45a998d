/// Log identity: the records that log and storage both hold are compared before anything is served.

internal import VarveCore
package import VarveLog
package import VarveModel

package struct LogProof: Sendable {
    let log: any Log
    let current: EpochRecord
    let database: DatabaseID
    /// Storage's newest block.
    let newest: Manifest?
    /// How long to wait before a log that seems too short is asked again.
    let recheck: Duration

    package init(
        _ log: any Log, _ current: EpochRecord, database: DatabaseID, newest: Manifest?,
        recheck: Duration = .seconds(5)
    ) {
        self.log = log
        self.current = current
        self.database = database
        self.newest = newest
        self.recheck = recheck
    }

    package struct Result: Sendable {
        /// The epoch's genesis, where the log still holds it.
        package var genesis: LogEntry?
        package var evidence: String
        /// The first offset that storage does not cover.
        package var next: Offset
    }

    /// Compares log and storage at every place that both still hold.
    /// - Parameter mayAppend: a log all of whose known records have expired is proved by a barrier that is read back.
    package func prove(mayAppend: Bool = true) async throws(VarveError) -> Result {
        let epoch = current.epoch
        guard let genesis = current.log.genesis, let genesisOffset = current.log.genesisOffset else {
            throw VarveError(.chainBroken, "the record of epoch \(epoch) names no genesis")
        }
        // Until a block of the epoch exists, its adopted position is the genesis.
        let block = newest.flatMap { $0.last.epoch == epoch ? $0 : nil }
        let adopted = block?.last.offset ?? genesisOffset
        var range = try await log.range()
        if adopted.next > range.upperBound {
            _ = await Means.wait(recheck)
            range = try await log.range()
            if adopted.next > range.upperBound {
                let empty =
                    range.isEmpty
                    ? "It holds no record: it is another broker's, cluster's or directory's, or it was lost. " : ""
                throw VarveError(
                    .logBehind,
                    "the log ends at epoch \(epoch) offset \(range.upperBound), storage has applied epoch \(epoch) offset "
                        + "\(adopted). Everything up to \(Position(epoch, adopted)) is safe in storage; records after it, "
                        + "if any, are not in this log. \(empty)See docs/runbooks/log-behind-storage.md",
                    next:
                        "check that the section log names the right one; if it does: varve epoch plan --config node.yaml"
                )
            }
        }
        if adopted.next < range.lowerBound {
            throw gap(Position(epoch, adopted), range)
        }
        var proved: [String] = []
        var genesisEntry: LogEntry?
        let first = range.contains(genesisOffset) ? try await held(genesisOffset) : nil
        if case .held(let entry)? = first {
            guard let entry, case .record(let record) = Record.decode(entry.bytes, tag: nil),
                record.header.type == .genesis,
                record.header.id == genesis
            else { throw replaced(epoch, genesisOffset, "the genesis that storage recorded is not there") }
            genesisEntry = entry
            proved.append("genesis at \(Position(epoch, genesisOffset))")
        } else if block == nil {
            // Nothing of this epoch is in a block, and its first record counts as any other.
            throw gap(Position(epoch, genesisOffset), range)
        }
        if let block {
            var points = [(block.last.offset, block.recordDigest, Optional(block.logTime))]
            points += block.anchors.filter { $0.position.epoch == epoch }.map { ($0.position.offset, $0.digest, nil) }
            var held = 0
            for (offset, digest, time) in points where range.contains(offset) {
                if try await compare(block, genesis, offset, digest, time) { held += 1 }
            }
            if held > 0 { proved.append("\(held) records up to \(block.last)") }
        }
        if proved.isEmpty {
            // Every record both sides know has expired: the next one of ours proves the range.
            if let next = try await firstOwn(genesis, from: adopted.next) {
                proved.append("a record of this log at \(Position(epoch, next))")
            } else {
                proved.append(
                    mayAppend ? try await barrierProof(genesis, adopted) : "nothing: every record has expired")
            }
        }
        return Result(
            genesis: genesisEntry, evidence: proved.joined(separator: ", "),
            next: block.map { $0.last.offset.next } ?? genesisOffset)
    }

    private enum Held {
        /// nil: the log has none there, and others before and behind.
        case held(LogEntry?)
        /// Retention took it while the log was being asked.
        case expired
    }

    private func held(_ offset: Offset) async throws(VarveError) -> Held {
        let entry = try await log.read(at: offset)
        if let entry, entry.offset == offset { return .held(entry) }
        return try await log.range().lowerBound > offset ? .expired : .held(nil)
    }

    /// False when the record has just expired.
    private func compare(
        _ block: Manifest, _ genesis: GenesisID, _ offset: Offset, _ digest: Digest, _ time: Int64?
    ) async throws(VarveError) -> Bool {
        let at = Position(block.last.epoch, offset)
        guard case .held(let found) = try await held(offset) else { return false }
        guard let entry = found else {
            throw replaced(at.epoch, offset, "storage has applied a record there, the log holds none")
        }
        if Digest(of: entry.bytes) == digest && (time == nil || time == entry.time) { return true }
        if case .record = Record.decode(entry.bytes, tag: LogTag(database: block.database, genesis: genesis)) {
            throw VarveError(
                .logDiverged,
                "the record at \(at) is not the one that storage has applied there (up to \(block.last)). Storage is whole "
                    + "and untouched; this log went another way. See docs/runbooks/log-diverged.md",
                next: "varve epoch plan --config node.yaml")
        }
        throw replaced(at.epoch, offset, "the record there is of another log")
    }

    /// The first record behind storage's last that names this log by its tag; nil when there is none yet.
    private func firstOwn(_ genesis: GenesisID, from offset: Offset) async throws(VarveError) -> Offset? {
        var next = offset
        while let entry = try await log.read(at: next) {
            if case .record = Record.decode(entry.bytes, tag: LogTag(database: database, genesis: genesis)) {
                return entry.offset
            }
            next = entry.offset.next
        }
        return nil
    }

    private func barrierProof(_ genesis: GenesisID, _ adopted: Offset) async throws(VarveError) -> String {
        let id = Means.makeID()
        let barrier = Record(
            header: RecordHeader(
                type: .barrier, logTag: LogTag(database: database, genesis: genesis), id: id,
                observed: Position(current.epoch, adopted)),
            payload: Bytes())
        let appended = await log.append([barrier.encoded()]).first
        if case .refused(let error)? = appended { throw error }
        // Another node may have proved it at the same time: any record with this log's tag does.
        guard let offset = try await firstOwn(genesis, from: adopted.next) else {
            // Without a report it may never have been written, and what is written may have expired at once: neither says
            // anything about the log.
            guard case .stored? = appended, try await log.range().lowerBound <= adopted.next else {
                throw VarveError(
                    .logUnreachable,
                    "the log does not show what was appended behind \(Position(current.epoch, adopted)) to prove it",
                    next: "nothing: it is tried again")
            }
            throw replaced(current.epoch, adopted.next, "a record just appended is not behind storage's last")
        }
        return "a barrier read back at \(Position(current.epoch, offset))"
    }

    private func gap(_ adopted: Position, _ range: Range<Offset>) -> VarveError {
        VarveError(
            .logGap,
            "the log begins at epoch \(adopted.epoch) offset \(range.lowerBound), storage has applied up to offset "
                + "\(adopted.offset): records behind it are gone. Everything up to \(adopted) is safe in storage. "
                + "See docs/runbooks/log-gap.md",
            next: "varve epoch plan --config node.yaml")
    }

    private func replaced(_ epoch: Epoch, _ offset: Offset, _ why: String) -> VarveError {
        VarveError(
            .logReplaced,
            "the log is not the one this storage belongs to: at \(Position(epoch, offset)), \(why). Storage is whole and "
                + "untouched (\(newest.map { "up to \($0.last)" } ?? "no block yet")), nothing was served or written. "
                + "See docs/runbooks/log-replaced.md",
            next: "varve epoch plan --config node.yaml")
    }
}
