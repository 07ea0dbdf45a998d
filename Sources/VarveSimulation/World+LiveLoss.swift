/// Logs that are deleted, exchanged, copied or cut while nodes run, append and read.
///
/// Whoever had read the log notices by itself: nothing of another log is applied, so nothing of it is acknowledged. Until an
/// operator has stated what is lost, the oracle keeps what the log was, as storage may hold more of it by then; only where
/// storage knows nothing of what a cut took is the log from then on what is left of it.

internal import VarveCore
internal import VarveModel
internal import VarveStorage

/// What stands in the place of the log that nodes read.
struct LiveLoss {
    let log: SimulatedLog
    /// From here on it is another one.
    let kept: Int64
    let at: Int64
    let isCut: Bool
}

extension World {
    /// Draws whether the log is lost under those who run, in which way.
    func strikeLiveLog() {
        strikeOldLogs()
        guard !isLogForeign, !isEndLost, log.end > 2, !line.isEmpty, reference.ending == nil, operation == nil else {
            return
        }
        let up = nodes.filter(\.isUp)
        let readers = up.filter(\.isServing)
        // All have read this log, and none does more than begin to.
        guard !readers.isEmpty, readers.allSatisfy({ $0.log === log && $0.machine.applied?.epoch == log.epoch }) else {
            return
        }
        if faults.occurs(.liveDeleted) {
            note { "\(log.place.topic) is deleted under those who read it" }
            return deleteLog(log)
        }
        if faults.occurs(.liveExchanged) {
            let end = Int(log.end)
            let count = [0, 1, end, faults.below(.liveExchanged, end * 2)][faults.below(.liveExchanged, 4)]
            return exchange((0..<count).map { entry(other: $0) }, "is exchanged for another with \(count) records")
        }
        guard readers.count == up.count, let newest = newestManifest(of: log.epoch),
            !directory.unsettled.contains(newest)
        else { return }
        if faults.occurs(.liveCopied) {
            // Its records have the times at which they were copied.
            let kept = faults.below(.liveCopied, Int(log.end) + 1)
            let time = log.clock.time(at: now)
            var copy = log.entries[..<kept].map { entry in
                entry.map { SimulatedLog.Entry(time: time, bytes: $0.bytes) }
            }
            for i in 0..<faults.below(.liveCopied, 8) { copy.append(entry(ours: i)) }
            return exchange(copy, "is exchanged for a copy of \(kept) records, with \(copy.count - kept) others behind")
        }
        // Everybody has read what is lost.
        let bound = readers.compactMap { $0.machine.applied?.offset.value }.min() ?? 0
        guard bound > log.start, faults.occurs(.liveCut) else { return }
        let kept = log.start + 1 + Int64(faults.below(.liveCut, Int(bound - log.start)))
        note { "\(log.place.topic) loses everything from \(kept) on, under those who read it" }
        log.replace(with: Array(log.entries[..<Int(kept)]))
        lost(keeping: kept, isCut: true)
        for node in nodes where node.log === log { suspect(node, "a connection was lost") }
    }

    private func exchange(_ others: [SimulatedLog.Entry?], _ what: String) {
        note { "\(log.place.topic) \(what), under those who read it" }
        log.exchange(with: others)
        lost(keeping: 0, isCut: false)
    }

    private func lost(keeping kept: Int64, isCut: Bool) {
        loss = LiveLoss(log: log, kept: kept, at: now, isCut: isCut)
        log.isExchanged = true
        isLogForeign = true
        isLogLossy = true
        hasLostLogs = true
        for code in [ErrorCode.logReplaced, .logDiverged, .logBehind, .logGap] { excused.insert(code.rawValue) }
        push(.operate, after: Int64(faults.within(isCut ? .liveCut : .liveExchanged, 1_000_000...60_000_000)))
    }

    /// The last record that storage has applied of the log.
    private var heldOffset: Int64 {
        let manifest = newestManifest(of: log.epoch).flatMap { directory.objects[$0] }
            .flatMap { try? Manifest.decode($0.bytes) }
        return manifest?.last.offset.value ?? line[line.count - 1].records.first?.offset ?? 0
    }

    /// Storage knows nothing of what a cut took, so the log is what is left of it. Whoever had read more goes no further.
    func settleLoss() {
        guard let loss, loss.isCut, loss.log === log, heldOffset < loss.kept else { return }
        note { "nothing in storage says what \(log.place.topic) had lost" }
        for node in nodes where node.isServing && node.log === log {
            guard let applied = node.machine.applied, applied.epoch == log.epoch else { continue }
            node.hasReadLost = applied.offset.value >= loss.kept
        }
        self.loss = nil
        log.isExchanged = false
        isLogForeign = false
        isEndLost = true
        let newest = newestManifest(of: log.epoch).flatMap { directory.objects[$0] }
            .flatMap { try? Manifest.decode($0.bytes) }
        hearAgain()
        forget(behind: newest.map { ParentEnd($0) })
        if let seal = reference.ending?.seal { follow(seal.log) }
    }

    /// A node that had proved the log before it was exchanged finds out as everybody.
    func hadProvedBefore(_ node: SimulatedNode) -> Bool { loss.map { node.beganAt <= $0.at } ?? false }

    /// What is about to be applied stood in the log before it was lost.
    func checkOurs(_ node: SimulatedNode, _ records: [NodeMachine.LoggedRecord]) {
        if node.hasReadLost { return fail("nothing is applied of a log that is not storage's", node.name) }
        guard let log = node.log, log.isExchanged, let stretch = line.last(where: { $0.log === log }) else { return }
        for record in records {
            let known = stretch.records.first { $0.offset == record.offset.value }
            if known?.bytes != record.bytes || known?.time != record.time {
                return fail("nothing is applied of a log that is not storage's", "\(node.name) at \(record.offset)")
            }
        }
    }

    // MARK: Logs that nobody needs any more

    /// An epoch is sealed: somebody may be cut off before he reads that.
    func cutOff() {
        guard isWatching, nodes.count > 1, faults.occurs(.oldLogLost) else { return }
        let node = nodes[faults.below(.oldLogLost, nodes.count)]
        note { "\(node.name) reads nothing for a while" }
        node.fetchStoppedUntil = now + Int64(faults.within(.oldLogLost, 5_000_000...120_000_000))
    }

    /// The log of a sealed epoch goes as soon as blocks hold all of it, as `varve epoch status` says it may, while somebody
    /// still reads it: one who was cut off meanwhile.
    private func strikeOldLogs() {
        guard !isLogForeign, faults.rates[Int(Fault.oldLogLost.rawValue)] > 0 else { return }
        let late = nodes.filter { $0.isRunning && $0.epoch < reference.epoch && !isZombie($0) }
        guard !late.isEmpty else { return }
        let store = BlockStore(NodeStore(directory, "check", nil))
        guard directory.unsettled.isEmpty, let epochs = try? store.epochRecords(),
            let loading = try? DatabaseLoading(store, epochs, database: reference.database)
        else { return }
        for (number, stretch) in line.enumerated().dropLast() where number < loading.index {
            let old = stretch.log
            guard !old.isDeleted, !old.isSilent, !old.isExchanged, late.contains(where: { $0.log === old }),
                epochs.count > number + 1, epochs[number + 1].record.began == .sealed,
                !line.dropFirst(number + 1).contains(where: { $0.log === old }), let epoch = Epoch(number),
                faults.occurs(.oldLogLost)
            else { continue }
            oldLogsLost.insert(epoch)
            switch faults.below(.oldLogLost, 3) {
            case 0:
                note { "\(old.place.topic), of the sealed epoch \(number), is deleted" }
                old.isDeleted = true
            case 1:
                note { "the cluster of \(old.place.topic), of the sealed epoch \(number), is switched off" }
                old.isSilent = true
            default:
                note { "\(old.place.topic), of the sealed epoch \(number), is another's now" }
                old.exchange(with: (0..<faults.below(.oldLogLost, Int(old.end) * 2)).map { entry(other: $0) })
            }
        }
    }
}

internal import VarveIndexing
