/// What a local log holds durably, and how it is read.
///
/// `end` only moves when a batch was synced, so nothing else is ever delivered. What was synced last is still in memory:
/// a tail at the end is served from there and reads no file.

import Synchronization
import VarveIO
import VarveModel

final class LocalContents: Sendable {
    struct Holdings: Sendable {
        /// By first offset; never a hole between them.
        var segments: [Segment]
        var end: Offset
        /// Byte behind the last durable batch in the last segment.
        var endPosition: Int
        var recent = RecentBatches()
        /// What stands at `end` and cannot be read although it was synced; in a log that another process writes.
        var damage: VarveError?
        /// The log is gone from its path, or another stands there: nothing is delivered any more.
        var loss: VarveError?

        var start: Offset { segments.first?.first ?? .zero }
    }

    /// Reads of a tail, and of one record, in bytes.
    static let tailChunk = TailBounds.bytes
    static let recordChunk = 64 << 10

    let name: String
    let gate: TailGate
    private let holdings: Mutex<Holdings>
    /// For a log that another process writes: looks what is there now, and how long to wait between two looks.
    private let poll: Poll?

    struct Poll: Sendable {
        let interval: Duration
        let look: @Sendable (inout Holdings) throws(VarveError) -> Void
    }

    init(name: String, _ holdings: Holdings, poll: Poll? = nil) {
        self.name = name
        gate = TailGate(end: holdings.end)
        self.holdings = Mutex(holdings)
        self.poll = poll
    }

    var range: Range<Offset> { holdings.withLock { $0.start..<$0.end } }

    var segments: [Segment] { holdings.withLock(\.segments) }

    // MARK: Growing and shrinking

    /// A new last segment, with nothing durable in it yet.
    func add(_ segment: Segment) {
        holdings.withLock {
            $0.segments.append(segment)
            $0.endPosition = SegmentHeader.bytes
        }
    }

    /// `entries` are durable; the last segment now ends at `position`.
    func extend(_ entries: [LogEntry], to end: Offset, position: Int) {
        holdings.withLock {
            $0.end = end
            $0.endPosition = position
            $0.recent.add(entries)
        }
        gate.advance(to: end)
    }

    /// Ends every tail with `error`, those that wait too.
    func fail(_ error: VarveError) {
        holdings.withLock { $0.loss = error }
        gate.fail()
    }

    /// Forgets the segments that hold nothing at or above `offset`, never the last one; returns their paths.
    func forget(below offset: Offset) -> [String] {
        holdings.withLock { holdings in
            var count = 0
            while count + 1 < holdings.segments.count, holdings.segments[count + 1].first <= offset { count += 1 }
            defer { holdings.segments.removeFirst(count) }
            return holdings.segments.prefix(count).map(\.path)
        }
    }

    /// Looks what another process has written meanwhile.
    func refresh() throws(VarveError) {
        guard let poll else { return }
        let failure = holdings.withLock { holdings -> VarveError? in
            do throws(VarveError) {
                try poll.look(&holdings)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    // MARK: Reading

    func read(at offset: Offset) throws(VarveError) -> LogEntry? {
        if let loss = holdings.withLock(\.loss) { throw loss }
        var cursor = cursor(at: max(offset, range.lowerBound))
        guard cursor.next < range.upperBound else {
            // Something does stand there.
            if let damage = holdings.withLock(\.damage) { throw damage }
            return nil
        }
        guard case .entries(let entries) = try fetch(&cursor, chunk: Self.recordChunk) else { return nil }
        return entries.first
    }
}

extension LocalContents: TailSource {
    struct Cursor: Sendable {
        var next: Offset
        var reader: SegmentReader?
    }

    private enum FileEnd {
        case byte(Int)
        case nextSegment(Offset)
    }

    private enum Place {
        case memory([LogEntry])
        /// A segment: where the next one starts, or the byte its durable part ends at when it is the last.
        case file(Segment, FileEnd)
        case end
    }

    func cursor(at offset: Offset) -> Cursor { Cursor(next: offset) }

    func fetch(_ cursor: inout Cursor) throws(VarveError) -> TailStep {
        try fetch(&cursor, chunk: Self.tailChunk)
    }

    private func fetch(_ cursor: inout Cursor, chunk: Int) throws(VarveError) -> TailStep {
        if gate.isClosed { return .finished }
        if let loss = holdings.withLock(\.loss) { throw loss }
        if case .end = try place(of: cursor.next) {
            try refresh()
            if case .end = try place(of: cursor.next), let damage = holdings.withLock({ $0.damage }) { throw damage }
        }
        let entries: [LogEntry]
        switch try place(of: cursor.next) {
        case .end: return .wait(above: cursor.next)
        case .memory(let recent): entries = recent
        case .file(let segment, let end): entries = try read(segment, to: end, &cursor, chunk: chunk)
        }
        guard let last = entries.last else {
            throw .corrupt(at: cursor.next, name, "the record is missing")
        }
        cursor.next = last.offset.next
        return .entries(entries)
    }

    private func place(of offset: Offset) throws(VarveError) -> Place {
        let place = holdings.withLock { holdings -> Result<Place, VarveError> in
            if let fault = VarveError.tailFault(at: offset, in: holdings.start..<holdings.end, of: name) {
                return .failure(fault)
            }
            if offset == holdings.end { return .success(.end) }
            if let entries = holdings.recent.entries(from: offset) { return .success(.memory(entries)) }
            let index = holdings.segments.lastIndex { $0.first <= offset } ?? 0
            let isLast = index + 1 == holdings.segments.count
            return .success(
                .file(
                    holdings.segments[index],
                    isLast ? .byte(holdings.endPosition) : .nextSegment(holdings.segments[index + 1].first)))
        }
        return try place.get()
    }

    private func read(
        _ segment: Segment, to end: FileEnd, _ cursor: inout Cursor, chunk: Int
    ) throws(VarveError) -> [LogEntry] {
        do throws(IOError) {
            if cursor.reader?.segment !== segment || cursor.reader.map({ $0.next > cursor.next }) ?? true
                || cursor.reader.map({ segment.start(for: cursor.next).offset > $0.next }) ?? true
            {
                cursor.reader = try SegmentReader(segment, for: cursor.next)
            }
        } catch {
            guard error.kind == .missing else { throw .log(error) }
            // Who writes the log in another process may have trimmed it meanwhile.
            try refresh()
            throw VarveError.tailFault(at: cursor.next, in: range, of: name)
                ?? .corrupt(at: segment.first, segment.path, "the segment is gone")
        }
        guard var reader = cursor.reader else { return [] }
        // Taken out and put back, so that the reader is not copied while it is changed.
        cursor.reader = nil
        defer { cursor.reader = reader }
        switch end {
        case .byte(let end):
            return try reader.entries(from: cursor.next, through: nil, to: end, chunk: chunk)
        case .nextSegment(let first):
            return try reader.entries(from: cursor.next, through: first, to: try reader.fileSize, chunk: chunk)
        }
    }

    func wait(_ tail: ObjectIdentifier, above offset: Offset, unless isReleased: () -> Bool) async {
        if let poll {
            // Cancelled: the tail sees that itself.
            try? await Task.sleep(for: poll.interval)
        } else {
            await gate.wait(tail, above: offset, unless: isReleased)
        }
    }

    func release(_ tail: ObjectIdentifier) { gate.release(tail) }
}

/// The newest batches, still in memory: bounded by bytes and number.
struct RecentBatches: Sendable {
    static let bytesMax = TailBounds.bytes
    static let batchesMax = 1024

    private var batches: [[LogEntry]] = []
    private var sizes: [Int] = []
    private var bytes = 0

    mutating func add(_ entries: [LogEntry]) {
        guard !entries.isEmpty else { return }
        let size = entries.reduce(0) { $0 + $1.bytes.count + MemoryLayout<LogEntry>.size }
        batches.append(entries)
        sizes.append(size)
        bytes += size
        var dropped = 0
        while bytes > Self.bytesMax || batches.count - dropped > Self.batchesMax, dropped + 1 < batches.count {
            bytes -= sizes[dropped]
            dropped += 1
        }
        batches.removeFirst(dropped)
        sizes.removeFirst(dropped)
    }

    /// Entries from `offset` on; nil when it is older than what is kept.
    func entries(from offset: Offset) -> [LogEntry]? {
        guard let oldest = batches.first?.first?.offset, oldest <= offset,
            let index = batches.lastIndex(where: { $0[0].offset <= offset })
        else { return nil }
        let batch = batches[index]
        let skipped = Int(offset.value - batch[0].offset.value)
        guard skipped < batch.count else { return nil }
        var entries = skipped == 0 ? batch : Array(batch.dropFirst(skipped))
        // Small batches go together.
        var next = index + 1
        while next < batches.count, entries.count + batches[next].count <= TailBounds.records {
            entries.append(contentsOf: batches[next])
            next += 1
        }
        return entries
    }
}
