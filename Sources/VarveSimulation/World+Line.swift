/// The line of logs that the oracle reads: one epoch after the other, each up to its end.

internal import VarveCore
internal import VarveModel
internal import VarveStorage

extension World {
    func log(at place: LogReference) -> SimulatedLog? {
        logs.last { !$0.isDeleted && $0.place.isSamePlace(as: place) }
    }

    func makeLog(at place: LogReference, _ epoch: Epoch) {
        guard log(at: place) == nil else { return }
        let made =
            line.isEmpty && epoch == .first && log.place.isSamePlace(as: place)
            ? log : SimulatedLog(place, epoch, clocks[place.clusterID]!)
        if epoch != .first, faults.occurs(.targetSmaller) { made.recordBytesMax = 1000 }
        note { "\(place.topic) is made" }
        logs.append(made)
    }

    /// What is appended to the oracle's log is read by it at once: from here on its meaning is fixed.
    @discardableResult
    func append(_ bytes: Bytes, to target: SimulatedLog) -> Int64 {
        let offset = target.append(bytes, now: now)
        if target === log, loss == nil {
            hear(offset)
        } else {
            note { "\(target.place.topic) takes \(offset), which nobody reads yet" }
        }
        for node in nodes where node.log === target { schedule(fetch: node) }
        return offset
    }

    /// The oracle reads a record of its log; at a seal, all of the next log too.
    private func hear(_ offset: Int64) {
        let entry = log.entries[Int(offset)]!
        guard !line.isEmpty || find(genesis: entry) else { return }
        guard reference.ending == nil else { return note { "\(offset) comes behind the end" } }
        line[line.count - 1].records.append((offset, entry.time, entry.bytes))
        reference.read(offset, entry.time, entry.bytes)
        let after = reference.after(Position(reference.epoch, Offset(offset)))!
        fold(after.inputChain.first.high)
        note { "\(Position(reference.epoch, Offset(offset))) \(after.meaning)\(after.seal == nil ? "" : ", sealed")" }
        if let id = reference.decidedTwice { fail("a submission is decided once", "\(id) was decided twice") }
        if let seal = reference.ending?.seal { follow(seal.log) }
    }

    /// Before there is a database: the first genesis begins it.
    private func find(genesis entry: SimulatedLog.Entry) -> Bool {
        guard case .record(let record) = Record.decode(entry.bytes, tag: nil), record.header.type == .genesis,
            let content = try? Genesis.decode(record.payload)
        else { return false }
        reference = Reference(database: content.database, genesis: record.header.id, settings: content.settings)
        line = [Stretch(log: log, genesis: record.header.id)]
        firstSettings = content.settings
        return true
    }

    /// The oracle goes on in the log that a seal names.
    func follow(_ next: LogReference) {
        epochsSealed += 1
        cutOff()
        enter(next)
    }

    func enter(_ next: LogReference) {
        guard let found = log(at: next), let genesis = next.genesis else {
            note { "\(next.topic) is not there any more" }
            return deletedLog()
        }
        log = found
        line.append(Stretch(log: found, genesis: genesis))
        reference.enter(genesis)
        var offset = next.genesisOffset?.value ?? 0
        while offset < found.end, log === found {
            if found.entries[Int(offset)] != nil { hear(offset) }
            offset += 1
        }
    }

    /// The oracle reads everything again: up to where an operator has declared the end of an epoch, which it then knows.
    func replay(to end: ParentEnd? = nil, of epoch: Epoch? = nil) {
        let past = line
        reference = Reference(database: reference.database, genesis: past[0].genesis, settings: firstSettings)
        reference.quarantined = poison.quarantined
        line = []
        for (number, stretch) in past.enumerated() {
            if number > 0 {
                if reference.ending == nil { reference.declareEnd(at: nil) }
                reference.enter(stretch.genesis)
            }
            var kept = stretch
            kept.records = []
            for record in stretch.records where reference.ending == nil {
                if let end, Position(reference.epoch, Offset(record.offset)) > end.position { break }
                // Where no block is kept, nothing is: not even the genesis.
                if let end, end.inputChain == .zero { break }
                kept.records.append(record)
                reference.read(record.offset, record.time, record.bytes)
            }
            line.append(kept)
            if let epoch, Int(epoch.number) == number { break }
        }
        log = line[line.count - 1].log
        if let end { reference.declareEnd(at: end) }
    }

    /// The log holds something else now than the oracle has heard.
    func hearAgain() {
        let start = line[line.count - 1].records.first?.offset ?? 0
        line[line.count - 1].records = log.entries.enumerated().dropFirst(Int(start)).compactMap { offset, entry in
            entry.map { (Int64(offset), $0.time, $0.bytes) }
        }
        replay()
    }
}
