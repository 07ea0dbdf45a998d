/// How one record changes the state: chains, times, what it decides, and whether it cuts the block.

internal import VarveModel

extension NodeMachine {
    /// Why a second genesis is foreign: several nodes that start a new log at once each append one, the first counts.
    package static let lateGenesis = "a genesis that is not the first"

    /// Applies one record. Returns false when the machine must go no further with this batch.
    mutating func apply(
        _ logged: LoggedRecord, _ epoch: Epoch, _ blocks: some BlockLookup, _ effects: inout [Effect]
    ) throws(VarveError) -> Bool {
        let position = Position(epoch, logged.offset)
        if let declaredEnd, position > declaredEnd.position {
            effects.append(.stopped(lacksDeclaredEnd(declaredEnd, found: position)))
            return false
        }
        if let quarantined, position >= quarantined {
            guard position == quarantined else {
                effects.append(.stopped(lacksQuarantined(quarantined, found: position)))
                return false
            }
            return passQuarantined(logged, position, &effects)
        }
        let content: Record?
        switch Record.decode(logged.bytes, tag: tag) {
        case .record(let record)
        where record.header.type == .genesis && (hasGenesis || record.header.id != genesis):
            effects.append(.foreign(position, reason: Self.lateGenesis))
            content = nil
        case .record(let record): content = record
        case .foreign(let reason):
            effects.append(.foreign(position, reason: reason))
            content = nil
        case .damaged(let reason):
            effects.append(.damaged(logged.offset, reason: reason))
            return false
        case .unsupported(let reason, critical: true):
            effects.append(.stopped(Self.unsupported(reason, position)))
            return false
        case .unsupported(_, critical: false): content = nil
        }
        if let record = content {
            if record.header.flags.contains(.attempt) {
                effects.append(.stopped(Self.unsupported("a transaction with guards", position)))
                return false
            }
        } else {
            counters.foreign += 1
        }

        // Whatever reads blocks comes before the first change of state: a throw leaves the machine before this record.
        var evaluated: Evaluation?
        if let record = content, record.header.type == .transaction, willExecute(record, at: logged.time) {
            evaluated = try evaluate(record.payload, position, blocks)
        }

        pass(logged, position, payloadBytes: content?.payload.count ?? 0)
        var cut: CutReason?
        var seal: Seal?
        if let record = content {
            switch record.header.type {
            case .genesis:
                hasGenesis = true
                effects.append(.passed(id: record.header.id, at: position, cut: nil))
            case .barrier:
                effects.append(.passed(id: record.header.id, at: position, cut: nil))
            case .transaction: decide(record, position, evaluated, &effects)
            case .cancel: cancel(record, position, &effects)
            case .flushRequest:
                let isForOpen = (try? FlushRequest.decode(record.payload))?.block == open.number
                if isForOpen && open.counts.records > 1 { cut = .request }
                effects.append(
                    .passed(id: record.header.id, at: position, cut: cut == nil ? nil : open.number))
            case .settings:
                var reader = CBORReader(record.payload)
                if let changed = try? Settings.decode(&reader), reader.isAtEnd {
                    settings = changed
                    cut = .settings
                }
                effects.append(.passed(id: record.header.id, at: position, cut: nil))
            case .seal:
                seal = validSeal(record)
                if seal != nil { cut = .seal }
                effects.append(
                    .passed(id: record.header.id, at: position, cut: seal == nil ? nil : open.number))
            }
        }
        trail.add(position, inputChain, effectChain)
        let isDeclaredEnd = position == declaredEnd?.position
        // A block that ends there anyway is the same for those who do not know of the declaration yet.
        if let reason = cutReason(requested: cut) ?? (isDeclaredEnd ? .seal : nil) {
            effects.append(.cut(freeze(reason)))
        }
        if cut == .seal || isDeclaredEnd { end(by: seal, &effects) }
        return ending == nil
    }

    private static func unsupported(_ what: String, _ position: Position) -> VarveError {
        VarveError(
            .unsupportedRecord,
            "the record at \(position) is \(what), which this version does not know. Everything before it is applied and "
                + "stays readable",
            next: "install a newer version of varve on this node")
    }

    /// What every record does, ours or not: chains, times, anchors, counts.
    mutating func pass(_ logged: LoggedRecord, _ position: Position, payloadBytes: Int) {
        let digest = Digest(of: logged.bytes)
        inputChain.extend(position: position, logTime: logged.time, record: digest)
        // An epoch's first record is its own every anchor: offsets of another epoch say nothing here.
        anchors.pass(position, digest: digest, previous: applied?.epoch == epoch ? applied?.offset : nil)
        applied = position
        recordDigest = digest
        logTime = logged.time
        effectiveTime = max(effectiveTime, Self.bounded(logged.time))
        if open.first == nil { open.first = (position, effectiveTime) }
        open.counts.records += 1
        open.counts.bytes += UInt64(payloadBytes)
        counters.records += 1
    }

    // MARK: Deciding

    /// Whether the record gets as far as being executed; the order is that of `decide`.
    private func willExecute(_ record: Record, at logTime: Int64) -> Bool {
        let header = record.header
        guard !window.remembers(header.id), header.observed >= window.horizon else { return false }
        return header.expiresAt == 0 || max(effectiveTime, Self.bounded(logTime)) <= header.expiresAt
    }

    private mutating func decide(
        _ record: Record, _ position: Position, _ evaluated: Evaluation?, _ effects: inout [Effect]
    ) {
        let header = record.header
        if let earlier = window[header.id] {
            effects.append(.decided(earlier))
        } else if header.observed < window.horizon {
            effects.append(.void(header.id))
        } else if let evaluated {
            switch evaluated.result {
            case .success(let writes):
                let time = nextSystemTime()
                effectChain.begin(position: position, outcome: .committed)
                for write in writes { perform(write, position, time) }
                open.counts.bytes += UInt64(evaluated.grownBytes)
                effectChain.end()
                note(header.id, position, time, .committed, evaluated.requestDigest, nil, &effects)
            case .failure(let failure):
                conclude(header.id, position, .aborted, evaluated.requestDigest, failure, &effects)
            }
        } else {
            let digest = (try? Transaction.requestDigest(of: record.payload)) ?? Digest(of: record.payload).first
            conclude(header.id, position, .expired, digest, nil, &effects)
        }
    }

    private mutating func cancel(_ record: Record, _ position: Position, _ effects: inout [Effect]) {
        let header = record.header
        if let earlier = window[header.id] {
            effects.append(.decided(earlier))
        } else if header.observed < window.horizon {
            effects.append(.void(header.id))
        } else {
            conclude(header.id, position, .cancelled, nil, nil, &effects)
        }
    }

    /// A decision without writes.
    mutating func conclude(
        _ id: SubmissionID, _ position: Position, _ outcome: Outcome, _ digest: Bytes16?, _ failure: Decision.Failure?,
        _ effects: inout [Effect]
    ) {
        let time = nextSystemTime()
        effectChain.begin(position: position, outcome: outcome)
        effectChain.end()
        note(id, position, time, outcome, digest, failure, &effects)
    }

    private mutating func note(
        _ id: SubmissionID, _ position: Position, _ time: Instant, _ outcome: Outcome, _ digest: Bytes16?,
        _ failure: Decision.Failure?, _ effects: inout [Effect]
    ) {
        let decision = Decision(
            id: id, position: position, systemTime: time, effectiveTime: effectiveTime, outcome: outcome,
            requestDigest: digest, failure: failure, chainPrefix: inputChain.value.first.high)
        open.decisions.set(position, decision)
        open.counts.transactions += 1
        window.add(decision, settings)
        counters.outcomes[Int(outcome.rawValue)] += 1
        effects.append(.decided(decision))
    }

    /// Effective time lies within the years that documents can hold, whatever a log's producers say: no sum below
    /// overflows.
    static func bounded(_ milliseconds: Int64) -> Int64 {
        min(max(milliseconds, 0), Instant.latest.microseconds / 1000)
    }

    static func bounded(_ instant: Instant) -> Instant { min(max(instant, Instant(microseconds: 0)), .latest) }

    private mutating func nextSystemTime() -> Instant {
        systemTime = Instant(microseconds: max(systemTime.microseconds + 1, effectiveTime * 1000))
        return systemTime
    }

    private mutating func perform(_ write: Evaluation.Write, _ position: Position, _ time: Instant) {
        effectChain.effect(table: write.table, key: write.key, kind: write.kind, document: write.document)
        for field in write.newFields { catalog[write.table, default: FieldCatalog()].see(field) }
        switch write.kind {
        case .write, .delete:
            let isNew = open.live.withTable(write.table) {
                $0.write(write.key, write.document, at: position, time)
            }
            if isNew {
                open.counts.rows += 1
                counters.rows += 1
            }
        case .erase:
            open.live.withTable(write.table) { $0.erase(write.key, at: position) }
            open.counts.rows += 1
            counters.rows += 1
        }
    }

    // MARK: Cutting

    /// The first rule that holds, in the order 4, 3, 1, 2 of docs/architecture.md, "Where a block ends".
    private func cutReason(requested: CutReason?) -> CutReason? {
        if let requested { return requested }
        if open.counts.transactions >= settings.transactionsPerBlock { return .transactions }
        if open.counts.rows >= settings.rowsPerBlock { return .rows }
        if open.counts.bytes >= settings.bytesPerBlock { return .bytes }
        if let first = open.first, effectiveTime - first.effectiveTime >= Int64(settings.flushDurationMs) {
            return .time
        }
        return nil
    }

    mutating func freeze(_ reason: CutReason) -> FrozenBlock {
        var names = Set(open.live.names)
        if open.decisions.count > 0 { names.insert(.transactions) }
        let tables = names.sorted().map { name in
            let fields = catalog[name]?.names[(catalogAtCut[name] ?? 0)...] ?? []
            let erasures = (open.live[name]?.erasures ?? []).sorted().compactMap { key in
                open.live.entry(name, key)?.erased.map { Manifest.Erasure(key: key.detached(), position: $0) }
            }
            return Manifest.Table(name: name, newFields: Array(fields), erasures: erasures, files: [])
        }
        let block = FrozenBlock(
            draft: Manifest(
                database: database, number: open.number, previous: .zero, first: open.first!.position, last: applied!,
                logTime: logTime, effectiveTime: effectiveTime, systemTime: systemTime, inputChain: inputChain.value,
                effectChain: effectChain.value, recordDigest: recordDigest, horizon: window.horizon,
                anchors: anchors.listed, cut: reason, counts: open.counts, settings: settings, tables: tables),
            live: open.live, decisions: open.decisions)
        frozen.append(block)
        open = OpenBlock(number: open.number.next)
        catalogAtCut = catalog.mapValues { $0.names.count }
        return block
    }
}
