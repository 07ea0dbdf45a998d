/// A log as the world sees it: one order of records, with holes, a start that rises, and a clock that others share.
///
/// *shared* behaves like a topic: records are readable when they are there. *local* has one owner and delivers what is
/// synced; what is not may be gone, from some record on, after a power loss.

internal import VarveModel

/// Of a cluster: all its logs take their time from it.
final class LogClock {
    /// Milliseconds that it is off.
    var offset: Int64 = 0
    /// Epoch of virtual time, in ms since 1970.
    static let origin: Int64 = 1_700_000_000_000

    func time(at now: Int64) -> Int64 { Self.origin + now / 1000 + offset }
}

final class SimulatedLog {
    struct Entry {
        var time: Int64
        var bytes: Bytes
    }

    /// Kind, cluster, topic.
    let place: LogReference
    let epoch: Epoch
    let clock: LogClock
    var isLocal: Bool { place.kind == .local }
    /// By offset; nil is a hole.
    private(set) var entries: [Entry?] = []
    private(set) var start: Int64 = 0
    /// Everything below is readable, and survives.
    private(set) var synced: Int64 = 0
    var isDeleted = false
    /// Its cluster never answers again.
    var isSilent = false
    /// It holds something else than was read.
    var isExchanged = false
    /// Who has a local log open.
    var holder: Process?
    var recordBytesMax = 1 << 20

    init(_ place: LogReference, _ epoch: Epoch, _ clock: LogClock) {
        self.place = place
        self.epoch = epoch
        self.clock = clock
    }

    var end: Int64 { Int64(entries.count) }
    var readable: Range<Int64> { start..<max(start, isLocal ? synced : end) }

    @discardableResult
    func append(_ bytes: Bytes, now: Int64) -> Int64 {
        entries.append(Entry(time: clock.time(at: now), bytes: bytes))
        return end - 1
    }

    func leaveHole() { entries.append(nil) }
    func sync() { synced = end }

    func trim(below offset: Int64) {
        guard offset > start else { return }
        start = min(offset, end)
    }

    /// Another log stands in this one's place, or this one with another end.
    func replace(with others: [Entry?]) {
        entries = others
        start = min(start, end)
        synced = end
    }

    /// Another log of the same name, from its beginning on.
    func exchange(with others: [Entry?]) {
        isExchanged = true
        entries = others
        start = 0
        synced = end
    }

    /// After a power loss: the torn tail is cut.
    func tear(keeping records: Int) {
        let kept = min(end, synced + Int64(records))
        entries.removeLast(Int(end - kept))
        synced = kept
    }

    /// The first record that is not older than a time.
    func first(notBefore time: Int64) -> Int64? {
        readable.first { entries[Int($0)].map { $0.time >= time } ?? false }
    }

    /// The first record at or behind an offset that a reader gets.
    func held(from offset: Int64) -> (offset: Int64, entry: Entry)? {
        var value = max(offset, start)
        while value < readable.upperBound {
            if let entry = entries[Int(value)] { return (value, entry) }
            value += 1
        }
        return nil
    }
}
