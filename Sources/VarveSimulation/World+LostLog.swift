/// Logs that are not what they were: made anew, cut short, refilled, mirrored. It happens while all nodes are down; what
/// storage holds decides whether a node may start again.

internal import VarveCore
internal import VarveModel
internal import VarveStorage

extension World {
    /// Draws whether the log is lost now, in which way.
    func strikeLog() {
        guard !log.isLocal, !isLogForeign, log.end > 2, !line.isEmpty, reference.ending == nil, operation == nil else {
            return
        }
        if faults.occurs(.logDeleted) {
            note { "\(log.place.topic) is deleted" }
            for node in nodes { crash(node, restartAfter: restartDelay()) }
            deleteLog(log)
        }
        if faults.occurs(.logRecreated) {
            // Another log of the same name: fewer records, or more, so that offsets look right.
            let count = faults.below(.logRecreated, Int(log.end) * 2)
            var others: [SimulatedLog.Entry?] = []
            for i in 0..<count { others.append(entry(other: i)) }
            lose(keeping: 0, then: others, "is deleted and made anew with \(count) records")
        }
        if faults.occurs(.logTruncated) {
            let kept = Int64(faults.below(.logTruncated, Int(log.end)))
            lose(keeping: kept, then: [], "loses everything from \(kept) on")
        }
        if faults.occurs(.logRefilled) {
            let kept = Int64(faults.below(.logRefilled, Int(log.end)))
            var others: [SimulatedLog.Entry?] = []
            for i in 0..<Int(log.end - kept) + faults.below(.logRefilled, 8) { others.append(entry(ours: i)) }
            lose(keeping: kept, then: others, "loses everything from \(kept) on, and others write there")
        }
        if faults.occurs(.logMirrored) {
            // The same records, all of them a few offsets later.
            let shift = 1 + faults.below(.logMirrored, 5)
            lose(
                keeping: 0, then: Array(repeating: nil, count: shift) + log.entries,
                "is a mirror, \(shift) offsets later")
        }
    }

    func entry(other i: Int) -> SimulatedLog.Entry {
        let header = RecordHeader(
            type: i == 0 ? .genesis : .transaction, logTag: i == 0 ? .none : LogTag(raw: 5),
            id: Bytes16(high: 5, low: UInt64(i)))
        let record = Record(header: header, payload: Bytes([UInt8(i & 0xff)]))
        return SimulatedLog.Entry(time: log.clock.time(at: now), bytes: record.encoded())
    }

    func entry(ours i: Int) -> SimulatedLog.Entry {
        let header = RecordHeader(type: .barrier, logTag: reference.tag, id: Bytes16(high: 6, low: UInt64(i)))
        return SimulatedLog.Entry(
            time: log.clock.time(at: now), bytes: Record(header: header, payload: Bytes()).encoded())
    }

    /// The log is another one from `kept` on. Where storage holds something there, it must be noticed; where it does not,
    /// the log has lost what it acknowledged, and nobody can know: all begin again behind it.
    private func lose(keeping kept: Int64, then others: [SimulatedLog.Entry?], _ what: String) {
        note { "the log \(what)" }
        for node in nodes { crash(node, restartAfter: restartDelay()) }
        requests = [:]
        let newest = newestManifest(of: log.epoch).flatMap { name in
            directory.objects[name].flatMap { try? Manifest.decode($0.bytes) }
        }
        isLogLossy = true
        hasLostLogs = true
        // The genesis is the first position that storage holds, wherever in its log it stands.
        let held = newest?.last.offset.value ?? line[line.count - 1].records.first?.offset ?? 0
        log.replace(with: Array(log.entries[..<Int(kept)]) + others)
        guard held < kept else {
            // Where every place that storage knows has expired, nobody can tell, and there is nothing left to compare.
            isLogForeign = log.readable.contains(held) || log.end <= held
            isOver = !isLogForeign
            for code in [ErrorCode.logReplaced, .logDiverged, .logBehind, .logGap] { excused.insert(code.rawValue) }
            if isLogForeign { push(.operate, after: Int64(random.within(1_000_000...60_000_000))) }
            return
        }
        hearAgain()
        forget(behind: newest.map { ParentEnd($0) })
        // Where a node's heartbeat says that it had applied more, or something else, nodes refuse until an operator has said
        // what is lost.
        for code in [ErrorCode.logBehind, .logDiverged] { excused.insert(code.rawValue) }
        isEndLost = true
        push(.operate, after: Int64(random.within(1_000_000...60_000_000)))
    }

    // MARK: What storage still says of it

    /// A node starts with the newest log. Whatever stands in storage now must not contradict it; false when the run is over.
    func checkHeld(by node: SimulatedNode, _ evidence: String) -> Bool {
        if let place = contradiction(among: node.process.shownNodes) {
            fail("a log that is not storage's is refused", "\(node.name) starts with it: \(evidence), not \(place)")
            return false
        }
        guard isLogForeign else { return true }
        // The log lost what a durable block was made from, and then the disk, which had lied about its syncs, that very block.
        // Nothing durable says any more that there ever was another log. Without a liar this is no excuse.
        guard directory.hasLostBlocks else {
            fail("a log that is not storage's is refused", "\(node.name) starts with it: \(evidence)")
            return false
        }
        note { "nothing is left in storage that could tell \(node.name) that the log is another" }
        isOver = true
        return false
    }

    /// What storage holds of the newest log, and the log has otherwise: a place in the newest block, or behind that the last
    /// record that a node's heartbeat names.
    /// - Parameter names: the nodes' files that the directory showed to who asks: a client of a network file system may be shown
    ///   an older state of it, and nobody reads what no name leads to.
    private func contradiction(among names: [String]) -> String? {
        let newest = newestManifest(of: log.epoch).flatMap { directory.objects[$0] }.flatMap {
            try? Manifest.decode($0.bytes)
        }
        if let newest {
            let places = [(newest.last, newest.recordDigest)] + newest.anchors.map { ($0.position, $0.digest) }
            for (position, digest) in places where position.epoch == log.epoch && holds(digest, at: position) == false {
                return "what block \(newest.number) has at \(position)"
            }
        }
        let said = names.compactMap { name in
            directory.objects[name].flatMap { try? Heartbeat.decode($0.bytes) }
        }.filter { $0.record != nil && $0.applied?.epoch == log.epoch && $0.applied! > newest?.last ?? .zero }
        // Who agrees vouches for all before: a log changes from some place to its end.
        let known = said.compactMap { heartbeat in
            holds(heartbeat.record!.digest, at: heartbeat.applied!).map { (heartbeat.node, heartbeat.applied!, $0) }
        }
        let agreed = known.filter { $0.2 }.map { $0.1 }.max()
        guard let denied = known.filter({ !$0.2 }).max(by: { $0.1 < $1.1 }), denied.1 > agreed ?? .zero else {
            return nil
        }
        return "what \(denied.0) had applied at \(denied.1)"
    }

    /// Whether the record there has this digest; nil where nobody can look any more.
    private func holds(_ digest: Digest, at position: Position) -> Bool? {
        let offset = position.offset.value
        guard offset >= log.start else { return nil }
        guard offset < log.readable.upperBound else { return false }
        return log.entries[Int(offset)].map { Digest(of: $0.bytes) } == digest
    }
}
