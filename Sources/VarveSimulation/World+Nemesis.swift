/// What goes wrong beside single calls: crashes, pauses, clocks, weather, damage. And the end, when all is mended.

internal import VarveCore
internal import VarveIndexing
internal import VarveModel
internal import VarveStorage

extension World {
    /// Strikes every 20 ms of virtual time on average.
    func strike() {
        guard !isHealing else { return }
        // While nobody serves, there is little to strike at.
        let isQuiet = !nodes.contains { $0.isServing }
        push(.nemesis, after: Int64(random.spread(5_000...100_000)) * (isQuiet ? 20 : 1))
        for node in nodes {
            if faults.occurs(.crash) { crash(node, restartAfter: restartDelay()) }
            if faults.occurs(.pause) { pause(node, Int64(faults.within(.pause, 1_000...4_000_000))) }
            if faults.occurs(.longPause) { pause(node, Int64(faults.within(.longPause, 1_000_000...600_000_000))) }
            if faults.occurs(.clockJump) { node.wallOffset += Int64(faults.below(.clockJump, 7_200_000)) - 3_600_000 }
            if faults.occurs(.clockJump) { node.drift = Int64(faults.below(.clockJump, 100)) - 50 }
            if faults.occurs(.slowNode) { node.slowUntil = now + Int64(faults.within(.slowNode, 10_000...5_000_000)) }
            if faults.occurs(.fetchStops) {
                node.fetchStoppedUntil = now + Int64(faults.within(.fetchStops, 10_000...10_000_000))
            }
            if faults.occurs(.produceStops) {
                node.produceStoppedUntil = now + Int64(faults.within(.produceStops, 10_000...10_000_000))
            }
        }
        if faults.occurs(.allCrash) { for node in nodes { crash(node, restartAfter: restartDelay()) } }
        if faults.occurs(.powerLoss) { losePower() }
        if faults.occurs(.brokerAway) {
            brokerAwayUntil = now + Int64(faults.within(.brokerAway, 10_000...60_000_000))
        }
        if faults.occurs(.logClockBack) { log.clock.offset -= Int64(faults.within(.logClockBack, 1...3_600_000)) }
        if faults.occurs(.logClockForward) {
            log.clock.offset += Int64(faults.within(.logClockForward, 1...100_000_000))
        }
        if faults.occurs(.storageUnreachable) { weather.unreachableUntil = now + storm(.storageUnreachable) }
        if faults.occurs(.storageFull) { weather.fullUntil = now + storm(.storageFull) }
        if faults.occurs(.storageDenied) { weather.deniedUntil = now + storm(.storageDenied) }
        if faults.occurs(.storageSlow) { weather.slowUntil = now + storm(.storageSlow) }
        if faults.occurs(.retention) { expire() }
        if faults.occurs(.retentionTooShort), !log.isLocal, !isLogForeign {
            note { "the log loses everything below \(log.end)" }
            log.trim(below: log.end)
            isLogLossy = true
            excused.insert(ErrorCode.logGap.rawValue)
        }
        strikeLog()
        if isWatching { strikeLiveLog() }
        strikeOperators()
        strikeYard()
        if faults.occurs(.bitRot) { rot() }
        if faults.occurs(.fileDeleted) { loseFile() }
        if faults.occurs(.manifestRot) { spoilManifest(.manifestRot) }
        if faults.occurs(.manifestDeleted) { spoilManifest(.manifestDeleted) }
        if faults.occurs(.syncLies) {
            for code in [ErrorCode.chainBroken, .blockCorrupt, .logGap] { excused.insert(code.rawValue) }
            losePower()
            directory.loseNewest { faults.below(.syncLies, 2) == 0 }
        }
        if faults.occurs(.idleHours) {
            now += Int64(faults.within(.idleHours, 60_000_000...108_000_000_000))
            note { "nothing happens for hours" }
            for node in nodes { node.resumesAt = max(node.resumesAt, now) }
        }
        if random.chance(10_000) { checkReopening() }
    }

    private func storm(_ fault: Fault) -> Int64 { Int64(faults.within(fault, 10_000...20_000_000)) }

    private func pause(_ node: SimulatedNode, _ duration: Int64) {
        guard node.isUp else { return }
        note { "\(node.name) is stopped for \(duration / 1000) ms" }
        node.pausedUntil = max(node.pausedUntil, now + duration)
        node.resumesAt = node.pausedUntil
    }

    private func losePower() {
        note { "power fails" }
        for node in nodes { crash(node, restartAfter: restartDelay()) }
        directory.losePower { random.chance(500_000) }
        for log in logs where log.isLocal && log.end > log.synced && log === self.log { loseTail() }
    }

    /// The local log's unsynced records from some one on; nobody was told of them, nobody read them.
    func loseTail() {
        log.tear(keeping: random.below(Int(log.end - log.synced) + 1))
        hearAgain()
    }

    /// Retention: what the newest block covers goes.
    private func expire() {
        guard !log.isLocal, !isLogForeign, let newest = newestManifest(of: log.epoch),
            let bytes = directory.objects[newest]?.bytes, let manifest = try? Manifest.decode(bytes),
            !directory.unsettled.contains(newest)
        else { return }
        let covered = manifest.last.offset.value + 1
        note { "records below \(covered) expire" }
        log.trim(below: covered)
    }

    func newestManifest(of epoch: Epoch) -> String? {
        let digits = String(String(0x10000 + Int(epoch.number), radix: 16).dropFirst())
        return directory.list("blocks/e\(digits)/").last
    }

    private func rot() {
        let files = directory.list("tables/a/")
        guard !files.isEmpty else { return }
        let name = files[faults.below(.bitRot, files.count)]
        var bytes = directory.objects[name]!.bytes.array
        bytes[faults.below(.bitRot, bytes.count)] ^= 1 << UInt8(faults.below(.bitRot, 8))
        note { "a bit of \(name) flips" }
        directory.damage(name, Bytes(bytes))
        excused.insert(ErrorCode.blockCorrupt.rawValue)
    }

    private func loseFile() {
        let files = directory.list("tables/a/")
        guard !files.isEmpty else { return }
        let name = files[faults.below(.fileDeleted, files.count)]
        note { "\(name) is deleted" }
        directory.damage(name, nil)
        excused.insert(ErrorCode.blockCorrupt.rawValue)
    }

    /// A manifest that a later one follows: the chain of digests tells.
    private func spoilManifest(_ fault: Fault) {
        let names = directory.list("blocks/e0000/").dropLast()
        guard !names.isEmpty else { return }
        let name = names[faults.below(fault, names.count)]
        note { "\(name) suffers \(fault.name)" }
        for code in [ErrorCode.blockCorrupt, .chainBroken, .divergence, .storageForeign] {
            excused.insert(code.rawValue)
        }
        // A bit of the format's number makes it a later one; the message says that the file may be damaged.
        if fault == .manifestRot { excused.insert(ErrorCode.unsupportedRecord.rawValue) }
        guard fault == .manifestRot, var bytes = directory.objects[name]?.bytes.array else {
            return directory.damage(name, nil)
        }
        bytes[faults.below(fault, bytes.count)] ^= 1 << UInt8(faults.below(fault, 8))
        directory.damage(name, Bytes(bytes))
    }

    // MARK: The end

    /// Everything is mended; then all nodes come to the same end, and nothing that was acknowledged is missing.
    func heal() {
        isHealing = true
        faults.isHealed = true
        brokerAwayUntil = 0
        weather = StorageWeather()
        for node in nodes {
            // What waits in a stopped process would come too late for the end.
            if node.pausedUntil > now { crash(node, restartAfter: 1_000) }
            node.pausedUntil = 0
            node.fetchStoppedUntil = 0
            node.produceStoppedUntil = 0
            node.slowUntil = 0
            if !node.isRunning { push(.restart(node: node.index), after: 1_000) }
        }
        note { "all is mended" }
        poison.nextTry = min(poison.nextTry, now + 1_000_000)
        // Of a log that is not what it was, an operator states what is lost; then it comes to an end that is good.
        if isLogForeign || isLogLossy, operation == nil { beginBump() }
        let mended =
            isLogLossy ? [ErrorCode.ioFatal, .logReplaced, .logDiverged, .logBehind, .logGap, .logMissing] : [.ioFatal]
        // What was damaged for good in storage has none.
        guard excused.isSubset(of: mended.map(\.rawValue)), !isLogLossy || operation != nil else { return }
        let records = line.reduce(0) { $0 + $1.records.count }
        let bound = eventCount + 30_000 + 400 * nodes.count * max(1, records / 50)
        while failure == nil, !isQuiet, !isOver {
            guard eventCount < bound else {
                return fail("once all is mended, everything comes to its end", unfinished)
            }
            step()
        }
        guard failure == nil, !isOver else { return }
        checkEnd()
        stayIdle()
        clearYard()
    }

    /// Nobody writes any more: the last record of an idle log is a cut.
    private func stayIdle() {
        let flush = Int64(clamping: reference.settings.flushDurationMs)
        guard failure == nil, flush <= 60_000 else { return }
        let end = now + 2 * (flush + IdleRule.jitterMs + IdleRule.answerMs) * 1000
        while failure == nil, now < end { step() }
        for node in nodes where failure == nil && node.isRunning && node.machine.open.counts.transactions > 0 {
            fail("an idle log ends with a cut", "\(node.name) holds \(node.machine.open.counts.transactions) uncut")
        }
    }

    private var isQuiet: Bool {
        clients.allSatisfy { $0.want == nil }
            && nodes.allSatisfy { node in
                node.isRunning && node.isReady && node.isOpen && node.machine.frozen.isEmpty && node.log === log
                    && node.next >= log.readable.upperBound && node.running.isEmpty && node.queue.isEmpty
            } && requests.isEmpty && procedures == 0 && operation == nil
    }

    private var unfinished: String {
        var parts = nodes.map { node in
            let state = node.isRunning ? node.isReady ? "ready" : "reading" : node.isUp ? "stopped" : "down"
            let epoch = node.machine?.epoch.description ?? "-"
            let carried = node.running.map { "\($0.submission.id) \($0.tag)" }
            return
                "\(node.name) \(state) in epoch \(epoch) next \(node.next) frozen \(node.machine?.frozen.count ?? 0) "
                + "carrying \(carried)"
        }
        parts.append("end \(log.end), requests \(requests.count), clients \(clients.count { $0.want != nil })")
        parts.append("procedures \(procedures), command \(operation.map { "\($0.kind), try \($0.tries)" } ?? "-")")
        return parts.joined(separator: "; ")
    }

    private func checkEnd() {
        for node in nodes {
            guard let applied = node.machine.applied else { continue }
            for table in ["a", "b", "c"].prefix(plan.tables) {
                for n in 0..<min(plan.keys, 20) {
                    let key = n & 1 == 0 ? Key(Int64(n)) : Key("k\(n)")!
                    guard compare(node, TableName(unchecked: table), key, asOf: applied, applied: applied) else {
                        return
                    }
                }
            }
        }
        for client in clients {
            for id in client.refused where reference.verdicts[id] != nil {
                return fail("what is refused was not written", "\(id) was refused, and was decided")
            }
            for known in client.known where known.isDecided && zombieAnswers[known.id] == nil {
                for node in nodes {
                    let found = try? lookUp(node, known.id)
                    guard let found, let verdict = reference.verdicts[known.id], same(found, verdict) else {
                        let verdict =
                            reference.verdicts[known.id].map { "\($0.outcome) at \($0.position)" } ?? "nothing"
                        return fail(
                            "nothing acknowledged is lost",
                            "\(node.name) says \(found.map { "\($0.outcome) at \($0.position)" } ?? "nothing") of \(known.id), decided is \(verdict)"
                        )
                    }
                }
            }
        }
        checkReopening()
    }
}
