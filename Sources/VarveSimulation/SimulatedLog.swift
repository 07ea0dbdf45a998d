/// The log as the world sees it: one order of records, with holes, a start that rises, and a clock of its own.
///
/// *shared* behaves like a topic: records are readable when they are there. *local* has one owner and delivers what is
/// synced; what is not may be gone, from some record on, after a power loss.

internal import VarveModel

struct SimulatedLog {
    struct Entry {
        var time: Int64
        var bytes: Bytes
    }

    let isLocal: Bool
    /// By offset; nil is a hole.
    private(set) var entries: [Entry?] = []
    private(set) var start: Int64 = 0
    /// Everything below is readable, and survives.
    private(set) var synced: Int64 = 0
    /// Milliseconds that the log's clock is off.
    var clockOffset: Int64 = 0
    /// Epoch of virtual time, in ms since 1970.
    static let origin: Int64 = 1_700_000_000_000

    init(isLocal: Bool) { self.isLocal = isLocal }

    var end: Int64 { Int64(entries.count) }
    var readable: Range<Int64> { start..<max(start, isLocal ? synced : end) }

    func time(at now: Int64) -> Int64 { Self.origin + now / 1000 + clockOffset }

    @discardableResult
    mutating func append(_ bytes: Bytes, now: Int64) -> Int64 {
        entries.append(Entry(time: time(at: now), bytes: bytes))
        return end - 1
    }

    mutating func leaveHole() { entries.append(nil) }
    mutating func sync() { synced = end }

    mutating func trim(below offset: Int64) {
        guard offset > start else { return }
        start = min(offset, end)
    }

    /// Another log stands in this one's place, or this one with another end.
    mutating func replace(with others: [Entry?]) {
        entries = others
        start = min(start, end)
        synced = end
    }

    /// After a power loss: the torn tail is cut.
    mutating func tear(keeping records: Int) {
        let kept = min(end, synced + Int64(records))
        entries.removeLast(Int(end - kept))
        synced = kept
    }
}
