/// One file of a local log, and reading batches from it.
///
/// A segment gets its name complete with its header, so a readable header is never missing by accident; everything before
/// its first offset was synced when it came to be. Files are opened by who reads them: a log may have more segments than
/// a process may have open files.

import Synchronization
import VarveIO
import VarveModel

final class Segment: Sendable {
    struct Mark: Sendable {
        let offset: Offset
        let position: Int
    }

    /// Bytes between two entries of the index.
    static let markEvery = 64 << 10

    let path: String
    let header: SegmentHeader
    let seed: UInt32
    /// Where batches start, thinly, in order: grows by what was written or read.
    private let index: Mutex<[Mark]>

    init(path: String, header: SegmentHeader) {
        self.path = path
        self.header = header
        seed = BatchHeader.seed(header.tag)
        index = Mutex([Mark(offset: header.first, position: SegmentHeader.bytes)])
    }

    /// The segment under `path`, whose name says that it starts at `first`.
    static func load(_ path: String, first: Offset, epoch: Epoch) throws(VarveError) -> Segment {
        let bytes = try onDisk { () throws(IOError) in try File(path, .read).read(SegmentHeader.bytes, at: 0) }
        let header = bytes.withUnsafeBytes { SegmentHeader.decode($0) }
        guard let header, header.first == first, header.epoch == epoch else {
            throw .corrupt(at: first, path, header == nil ? "its header is damaged" : "its header is another segment's")
        }
        return Segment(path: path, header: header)
    }

    var first: Offset { header.first }

    /// Remembers that a batch starts with `offset` at `position`.
    func mark(_ offset: Offset, _ position: Int) {
        index.withLock { index in
            guard let last = index.last, position >= last.position + Self.markEvery else { return }
            index.append(Mark(offset: offset, position: position))
        }
    }

    /// The last known batch start at or below `offset`.
    func start(for offset: Offset) -> Mark {
        index.withLock { index in
            var low = 0
            var high = index.count
            while high - low > 1 {
                let middle = (low + high) / 2
                if index[middle].offset <= offset { low = middle } else { high = middle }
            }
            return index[low]
        }
    }
}

/// Reads a segment's batches in order, checking every header, length and checksum.
struct SegmentReader: Sendable {
    private enum Batch {
        /// The batch is whole: its header and the chain behind it.
        case whole(BatchHeader, chain: UInt32)
        /// So many bytes are needed from the batch's start to judge it.
        case needs(Int)
        case damaged(String)
    }

    let segment: Segment
    let file: File
    /// Where the next batch starts, and with which offset.
    private(set) var position: Int
    private(set) var next: Offset
    /// The checksum that the next batch's first record goes on from; nil before the first batch was read.
    private(set) var chain: UInt32?

    /// Stands at the last known batch start at or below `offset`.
    init(_ segment: Segment, for offset: Offset) throws(IOError) {
        self.segment = segment
        file = try File(segment.path, .read)
        let mark = segment.start(for: offset)
        position = mark.position
        next = mark.offset
    }

    /// Stands at a batch start that is known from elsewhere.
    init(_ segment: Segment, from position: Int, next: Offset) throws(IOError) {
        self.segment = segment
        file = try File(segment.path, .read)
        self.position = position
        self.next = next
    }

    /// Size of the file now.
    var fileSize: Int {
        get throws(VarveError) {
            try onDisk { () throws(IOError) in try file.size }
        }
    }

    /// Entries from `wanted` on of the next batches: those within the next `chunk` bytes, and at least one batch that has
    /// any unless the segment ends at byte `end`. Those before a damaged batch are given; the next call throws.
    /// - Parameter through: where the next segment starts: what may be behind it in this one (zeros written ahead) is not
    ///   looked at.
    mutating func entries(
        from wanted: Offset, through: Offset?, to end: Int, chunk: Int
    ) throws(VarveError) -> [LogEntry] {
        var entries: [LogEntry] = []
        while entries.isEmpty {
            let stop: Stop
            do throws(IOError) {
                stop = try advance(to: end, chunk: chunk, wanted, &entries) { _, _ in }
            } catch { throw .log(error) }
            if let through, next > through {
                throw .corrupt(at: through, segment.path, "it runs into the next segment")
            }
            switch stop {
            case .end: return entries
            case .more: break
            case .damaged(let why):
                if entries.isEmpty { throw .corrupt(at: next, segment.path, "\(why) at byte \(position)") }
            }
        }
        return entries
    }

    enum Stop: Equatable {
        /// There is more to read.
        case more
        /// The byte asked for was reached.
        case end
        /// The batch at `position` is damaged or cut off.
        case damaged(String)
    }

    /// Reads the whole batches of the next `chunk` bytes, one at least, and moves behind them.
    mutating func advance(
        to end: Int, chunk: Int, _ wanted: Offset, _ entries: inout [LogEntry], visit: (BatchHeader, Int) -> Void
    ) throws(IOError) -> Stop {
        var size = chunk
        while position < end {
            let bytes = Bytes(try file.read(min(size, end - position), at: position))
            guard !bytes.isEmpty else { return .damaged("the file ends early") }
            var parsed = 0
            while parsed < bytes.count {
                switch batch(in: bytes, at: parsed, wanted, &entries) {
                case .whole(let header, let chain):
                    segment.mark(header.first, position + parsed)
                    visit(header, position + parsed)
                    parsed += BatchHeader.bytes + header.recordBytes
                    next = header.end
                    self.chain = chain
                    continue
                case .damaged(let why):
                    position += parsed
                    return .damaged(why)
                case .needs(let count) where parsed == 0:
                    guard count <= end - position, count > bytes.count else { return .damaged("a batch is cut off") }
                    size = count
                case .needs:
                    break
                }
                break
            }
            position += parsed
            if parsed > 0 { return position < end ? .more : .end }
        }
        return .end
    }

    /// Judges the batch at `start` of `bytes` and appends its entries from `wanted` on.
    private func batch(in bytes: Bytes, at start: Int, _ wanted: Offset, _ entries: inout [LogEntry]) -> Batch {
        bytes.withUnsafeBytes { raw -> Batch in
            guard raw.count - start >= BatchHeader.bytes else { return .needs(BatchHeader.bytes) }
            guard let header = BatchHeader.decode(raw.part(start, start + BatchHeader.bytes), seed: segment.seed) else {
                return .damaged("a batch header does not fit its checksum")
            }
            guard header.first == next, chain == nil || header.chain == chain else {
                return .damaged("a batch that does not follow the one before")
            }
            let end = start + BatchHeader.bytes + header.recordBytes
            guard raw.count >= end else { return .needs(end - start) }
            let kept = entries.count
            if header.end > wanted { entries.reserveCapacity(kept + header.count) }
            var crc = header.chain
            var at = start + BatchHeader.bytes
            for number in 0..<header.count {
                guard end - at >= RecordFrame.overhead else { return damagedRecord(number, header, kept, &entries) }
                let length = Int(raw.load(UInt32.self, at: at))
                let from = at + RecordFrame.overhead
                guard length <= end - from else { return damagedRecord(number, header, kept, &entries) }
                crc = RecordFrame.crc(raw.part(at, at + 4), raw.part(from, from + length), chain: crc)
                guard crc == raw.load(UInt32.self, at: at + 4) else {
                    return damagedRecord(number, header, kept, &entries)
                }
                at = from + length
                let offset = Offset(header.first.value + Int64(number))
                if offset >= wanted {
                    entries.append(LogEntry(offset: offset, time: header.time, bytes: bytes[from..<at]))
                }
            }
            guard at == end else {
                entries.removeSubrange(kept...)
                return .damaged("a batch with bytes left over")
            }
            return .whole(header, chain: crc)
        }
    }

    private func damagedRecord(
        _ number: Int, _ header: BatchHeader, _ kept: Int, _ entries: inout [LogEntry]
    ) -> Batch {
        entries.removeSubrange(kept...)
        return .damaged("record \(header.first.value + Int64(number)) does not fit its checksum")
    }
}
