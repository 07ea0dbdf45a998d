/// A process's view of the simulated logs: the production contracts of a log, of its tail and of the places where logs are.

internal import VarveCore
import VarveLog
import VarveModel

// One simulation runs on one thread; the contract asks for Sendable.
struct SimulatedHandle: LogWithKnownRecords, @unchecked Sendable {
    unowned let world: World
    let log: SimulatedLog
    let process: Process
    /// What was read one by one.
    var pins: HandlePins?

    var reference: LogReference { log.place }
    var recordBytesMax: Int { log.recordBytesMax }
    func purge() {}
    func trim(below offset: Offset) async { log.trim(below: offset.value) }

    func append(_ records: [Bytes]) async -> [AppendResult] {
        do throws(VarveError) {
            try await reach()
        } catch {
            return records.map { _ in .refused(error) }
        }
        if !log.isLocal, world.faults.occurs(.appendLost) {
            return records.map { _ in .unknown(VarveError(.logUnreachable, "no report")) }
        }
        for bytes in records {
            if !log.isLocal, world.faults.occurs(.offsetHole) { log.leaveHole() }
            world.append(bytes, to: log)
        }
        if log.isLocal { log.sync() }
        // What was appended is there, whether or not the process lives to hear of it.
        guard process.makesCall(), !world.faults.occurs(.appendUnreported) else {
            return records.map { _ in .unknown(VarveError(.logUnreachable, "no report")) }
        }
        return records.map { _ in .stored(offset: nil, time: nil) }
    }

    func range() async throws(VarveError) -> Range<Offset> {
        try await reach()
        return Offset(log.readable.lowerBound)..<Offset(log.readable.upperBound)
    }

    func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        try await reach()
        let entry = log.held(from: offset.value).map { LogEntry($0.offset, $0.entry) }
        if let entry { pins?.note(entry) }
        return entry
    }

    /// What a broker says of times.
    func first(notBefore time: Int64) async throws(VarveError) -> Int64? {
        try await reach()
        return log.first(notBefore: time)
    }

    func check(_ pins: PinnedRecords) async throws(VarveError) -> PinnedRecords.Verdict {
        try await pins.check(
            log.place.topic,
            range: { () async throws(VarveError) in
                try await reach()
                return log.readable
            },
            read: { (offset) async throws(VarveError) in
                try await reach()
                return log.held(from: offset).flatMap {
                    $0.offset == offset ? .init(LogEntry($0.offset, $0.entry)) : nil
                }
            })
    }

    func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        try await reach()
        return SimulatedTail(handle: self, next: offset.value)
    }

    /// No call of its own: whoever names an end has just asked for it.
    func lastKnown(in range: Range<Offset>) -> Offset? {
        var last = min(range.upperBound.value, log.readable.upperBound) - 1
        while last >= max(range.lowerBound.value, log.start) {
            if log.entries[Int(last)] != nil { return Offset(last) }
            last -= 1
        }
        return nil
    }

    func close() async { if log.holder === process { log.holder = nil } }

    fileprivate func reach() async throws(VarveError) {
        try await world.call(process)
        if log.isDeleted { throw VarveError(.logMissing, "\(log.place.topic) is not there") }
        if !log.isLocal, world.brokerAwayUntil > world.now || log.isSilent {
            throw VarveError(.logUnreachable, "no answer")
        }
    }
}

/// Of the handle that a node reads by.
// One simulation runs on one thread; the contract asks for Sendable.
final class HandlePins: @unchecked Sendable {
    private(set) var pins = PinnedRecords()

    func note(_ entry: LogEntry) {
        pins.note(first: entry.offset.value, last: entry.offset.value) { _ in .init(entry) }
    }
}

// One simulation runs on one thread; the contract asks for Sendable.
final class SimulatedTail: LogTail, @unchecked Sendable {
    private let handle: SimulatedHandle
    private var next: Int64
    private var isClosed = false

    init(handle: SimulatedHandle, next: Int64) {
        self.handle = handle
        self.next = next
    }

    func next() async throws(VarveError) -> LogBatch? {
        while !isClosed {
            try await handle.reach()
            let log = handle.log
            if next < log.start { throw VarveError(.logGap, "the log begins at \(log.start)") }
            if next > log.readable.upperBound { throw VarveError(.logBehind, "the log ends at \(log.end)") }
            var entries: [LogEntry] = []
            while entries.count < 64, let found = log.held(from: next) {
                entries.append(LogEntry(found.offset, found.entry))
                next = found.offset + 1
            }
            if !entries.isEmpty { return LogBatch(entries) }
            guard await handle.world.pass(handle.process, after: 50_000) else { throw Process.gone }
        }
        return nil
    }

    func close() async { isClosed = true }
}

extension LogEntry {
    init(_ offset: Int64, _ entry: SimulatedLog.Entry) {
        self.init(offset: Offset(offset), time: entry.time, bytes: entry.bytes)
    }
}

// One simulation runs on one thread; the contract asks for Sendable.
struct SimulatedProvider: LogProvider, @unchecked Sendable {
    unowned let world: World
    let place: LogPlace
    let process: Process

    func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference { place.reference(of: epoch) }

    func named(_ name: String) -> any LogProvider {
        guard place.kind == .kafka else { return self }
        var other = place
        other.base = name
        return SimulatedProvider(world: world, place: other, process: process)
    }

    func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence {
        try await reach()
        return world.log(at: place.reference(of: epoch)) == nil ? .missing : .present
    }

    func open(_ epoch: Epoch) async throws(VarveError) -> any Log {
        try await reach()
        guard let log = world.log(at: place.reference(of: epoch)) else {
            throw VarveError(.logMissing, "\(place.reference(of: epoch).topic) is not there")
        }
        if log.isLocal {
            if let holder = log.holder, !holder.isGone, holder !== process {
                throw VarveError(.logLocked, "\(holder.name) has it")
            }
            if log.holder == nil || log.holder?.isGone == true { world.recover(log) }
            log.holder = process
        }
        return SimulatedHandle(
            world: world, log: log, process: process, pins: world.isWatching ? HandlePins() : nil)
    }

    func create(_ epoch: Epoch) async throws(VarveError) {
        try await reach()
        world.makeLog(at: place.reference(of: epoch), epoch)
    }

    private func reach() async throws(VarveError) {
        try await world.call(process)
        if place.kind == .kafka, world.brokerAwayUntil > world.now { throw VarveError(.logUnreachable, "no answer") }
    }

    var isEphemeral: Bool { false }
    var impliesEphemeral: Bool { false }
    var warnings: [String] { [] }
}
