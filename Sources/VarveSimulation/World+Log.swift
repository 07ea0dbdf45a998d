/// The way of a record: from a node's request into the one order that everybody reads.

internal import VarveModel

extension World {
    /// Sends a request; what becomes of it is drawn now.
    func transmit(_ node: SimulatedNode, _ items: [SimulatedNode.Pending]) {
        guard let log = node.log else { return }
        var request = Request(
            node: node.index, life: node.life, log: log, items: items.map(node.sent), lands: 1, isReported: true)
        var delay = Int64(random.spread(50...2_000))
        let isCancel = items.contains { $0.header.type == .cancel }
        if faults.occurs(.appendRefused) || isCancel && faults.occurs(.cancelRefused) {
            request.lands = 0
            request.refused = true
        } else if !log.isLocal {
            if faults.occurs(.appendLost) {
                request.lands = 0
                request.isReported = false
            }
            if faults.occurs(.appendUnreported) { request.isReported = false }
            if faults.occurs(.appendDuplicated) { request.lands *= 2 }
            if faults.occurs(.appendLate), request.lands > 0 {
                request.isReported = false
                delay = Int64(faults.within(.appendLate, 100_000...60_000_000))
            }
        }
        if node.produceStoppedUntil > now { delay += node.produceStoppedUntil - now }
        let i = nextRequest
        nextRequest += 1
        requests[i] = request
        node.inFlight = i
        node.patience = ReportPatience()
        push(.request(i), after: delay)
    }

    func arrive(_ i: Int) {
        guard let request = requests[i] else { return }
        if brokerAwayUntil > now { return queueEvents.push(.request(i), at: brokerAwayUntil + 1_000) }
        let (node, log) = (nodes[request.node], request.log)
        if log.isDeleted { return requests[i] = nil }
        let isAlive = node.life == request.life && node.inFlight == i
        if log.isLocal {
            // A local log writes only while its process lives.
            guard isAlive else { return requests[i] = nil }
        }
        // What a dead process or a purged request left on the way may still come, or not.
        if !isAlive, !log.isLocal, random.chance(500_000) { return requests[i] = nil }
        for _ in 0..<request.lands {
            for item in request.items {
                if !log.isLocal, faults.occurs(.offsetHole) { log.leaveHole() }
                if let intruder = intruder(log) { append(intruder, to: log) }
                if poison.isOn { spoil(item.pending.header, log) }
                append(item.bytes, to: log)
            }
        }
        requests[i]!.hasArrived = true
        push(.report(i), after: Int64(random.spread(20...2_000)))
    }

    func reported(_ i: Int) {
        guard let request = requests.removeValue(forKey: i) else { return }
        let (node, log) = (nodes[request.node], request.log)
        guard node.life == request.life, node.inFlight == i, node.isUp else { return }
        if node.pausedUntil > now {
            requests[i] = request
            return queueEvents.push(.report(i), at: node.pausedUntil)
        }
        if log.isLocal, faults.occurs(.logSyncFails) {
            excused.insert(ErrorCode.ioFatal.rawValue)
            hasSyncFailed = true
            node.inFlight = nil
            for item in request.items { report(node, item.pending, .missing) }
            return stop(node, VarveError(.ioFatal, "a sync of the log failed"))
        }
        if log.isLocal {
            log.sync()
            schedule(fetch: node)
        }
        // Without a report the request stays in flight, until patience ends.
        guard request.isReported else {
            requests[i] = request
            return
        }
        node.inFlight = nil
        for item in request.items {
            report(
                node, item.pending,
                request.refused ? .refused(VarveError(.logUnreachable, "the broker refused it")) : .stored)
        }
        sweep(node)
        send(node)
    }

    /// A record that comes late, of a submission that nobody carries any more.
    func stray(_ i: Int) {
        guard let request = requests.removeValue(forKey: i) else { return }
        for item in request.items { append(item.bytes, to: request.log) }
    }

    /// Something in our log that no node of ours wrote for a client.
    private func intruder(_ log: SimulatedLog) -> Bytes? {
        guard !log.isLocal else { return nil }
        if faults.occurs(.foreignRecord) {
            let count = faults.below(.foreignRecord, 120)
            return Bytes((0..<count).map { UInt8($0 & 0xff) })
        }
        if faults.occurs(.otherDatabasesRecord) {
            let header = RecordHeader(
                type: .transaction, logTag: LogTag(raw: 77), id: Bytes16(high: 7, low: UInt64(log.end)))
            return Record(header: header, payload: Bytes([1])).encoded()
        }
        if faults.occurs(.lateGenesis) {
            let header = RecordHeader(type: .genesis, logTag: .none, id: Bytes16(high: 3, low: UInt64(log.end)))
            return Record(header: header, payload: Bytes([2])).encoded()
        }
        if faults.occurs(.laterRecord) {
            let header = RecordHeader(
                type: .barrier, flags: [], logTag: reference.tag, id: Bytes16(high: 8, low: UInt64(log.end)))
            var bytes = Record(header: header, payload: Bytes()).encoded().array
            bytes[4] = 99
            let crc = bytes[..<84].withUnsafeBytes { crc32c($0) }
            for i in 0..<4 { bytes[84 + i] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(i))) }
            return Bytes(bytes)
        }
        if faults.occurs(.malformedTransaction) {
            let header = RecordHeader(
                type: .transaction, logTag: reference.tag,
                id: Bytes16(high: 9, low: UInt64(faults.hitCount(.malformedTransaction))),
                observed: Position(log.epoch, Offset(max(0, log.end - 1))))
            let payloads: [[UInt8]] = [[], [0xff], [0xa2, 0, 1], [0xa2, 0x00, 0x41, 0x00, 0x01, 0x80]]
            return Record(header: header, payload: Bytes(payloads[faults.below(.malformedTransaction, 4)])).encoded()
        }
        return nil
    }

    // MARK: What one node reads

    /// Bits flip on the way to one node; what the log holds is whole.
    func damage(_ records: [NodeMachine.LoggedRecord]) -> [NodeMachine.LoggedRecord] {
        var damaged = records
        let i = faults.below(.damagedFetch, records.count)
        var bytes = records[i].bytes.array
        // Ours by its magic, wrong by its checksum.
        guard bytes.count >= Record.headerBytes, bytes.starts(with: Array("VRV1".utf8)) else { return records }
        bytes[8 + faults.below(.damagedFetch, bytes.count - 8)] ^= 1 << UInt8(faults.below(.damagedFetch, 8))
        damaged[i] = NodeMachine.LoggedRecord(
            offset: records[i].offset, time: records[i].time, bytes: Bytes(bytes))
        return damaged
    }

    /// One node is told another log time than the others: it has parted from them and must find out.
    func differ(_ records: [NodeMachine.LoggedRecord], _ node: SimulatedNode) -> [NodeMachine.LoggedRecord] {
        guard nodes.count > 1, !nodes.contains(where: { $0.isTainted }) else { return records }
        node.isTainted = true
        // It may be the first to publish: then the others differ, and so does the log.
        for code in [ErrorCode.divergence, .logDiverged] { excused.insert(code.rawValue) }
        var changed = records
        changed[0] = NodeMachine.LoggedRecord(
            offset: records[0].offset, time: records[0].time + 1, bytes: records[0].bytes)
        return changed
    }
}

internal import VarveCore
