/// Opening a local log: what of it stands, and what the last crash left.
///
/// The segments before the last were synced before the next one came to be: they are checked when they are read. The last
/// one is read whole. A batch that does not fit its checksums is *damage* if a later header, of a batch or of a segment,
/// says that it was synced (`LOG_CORRUPT`: never skip, never cut), else a *torn tail*: no record of it was ever
/// acknowledged; its bytes are kept aside in `<segment>.<byte>.torn` and cut off.
///
/// Batches above the last `durableThrough` may be in the page cache only, left by a sync that failed. They are written
/// again over themselves and synced, so what is delivered from here on is on the disk.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

import VarveIO
import VarveModel

struct LocalRecovery: Sendable {
    var segments: [Segment] = []
    /// Where the next batch goes in the last segment.
    var position = 0
    var next = Offset.zero
    var chain: UInt32 = 0
    var timeBefore = Int64.min
    /// The `durableThrough` that the files show.
    var durableThrough = Offset.zero

    /// The last segment, open.
    private(set) var file: File?
    /// Every byte of the last segment before this one is on the disk.
    private var provenPosition = 0

    private static let chunk = 4 << 20

    static func run(_ directory: String, _ epoch: Epoch, _ faults: FileFaults?) throws(VarveError) -> LocalRecovery {
        var recovery = LocalRecovery()
        try onDisk { () throws(IOError) in
            for entry in try Directory.list(directory) where entry.name.hasSuffix(LocalLayout.temporarySuffix) {
                try FileSystem.remove(Directory.join(directory, entry.name))
            }
        }
        recovery.segments = try Self.segments(directory, epoch)
        if let last = recovery.segments.last { try recovery.read(last, faults) }
        return recovery
    }

    /// The segments of a directory by first offset; their headers are checked, and that they are of one log.
    static func segments(_ directory: String, _ epoch: Epoch) throws(VarveError) -> [Segment] {
        var segments: [Segment] = []
        for entry in try onDisk({ () throws(IOError) in try Directory.list(directory) }) {
            guard let first = LocalLayout.firstOffset(ofSegment: entry.name) else { continue }
            let segment = try Segment.load(Directory.join(directory, entry.name), first: first, epoch: epoch)
            guard segments.last.map({ $0.header.tag == segment.header.tag }) ?? true else {
                throw .corrupt(at: first, segment.path, "a segment of another log")
            }
            segments.append(segment)
        }
        return segments
    }

    private mutating func read(_ segment: Segment, _ faults: FileFaults?) throws(VarveError) {
        let damage = try onDisk { () throws(IOError) in try scan(segment, faults) }
        if let damage, let later = BatchHeader.durableThrough(in: damage.bytes, above: next, seed: segment.seed) {
            throw .corrupt(
                at: next, segment.path,
                "\(damage.why) at byte \(position), but a later batch says that all below \(later) was synced")
        }
        try onDisk { () throws(IOError) in try mend(segment, torn: damage?.bytes) }
    }

    /// Reads all whole batches; what comes behind them, if anything.
    private mutating func scan(_ segment: Segment, _ faults: FileFaults?) throws(IOError) -> (
        why: String, bytes: [UInt8]
    )? {
        let file = try File(segment.path, .update, faults: faults)
        self.file = file
        var reader = try SegmentReader(segment, for: segment.first)
        let size = try file.size
        timeBefore = segment.header.timeBefore
        durableThrough = segment.first
        provenPosition = SegmentHeader.bytes
        var stop = SegmentReader.Stop.more
        var none: [LogEntry] = []
        while stop == .more {
            stop = try reader.advance(to: size, chunk: Self.chunk, Offset(Offset.highest), &none) { header, position in
                if header.count > 0 { timeBefore = header.time }
                durableThrough = max(durableThrough, header.durableThrough)
                if header.durableThrough == header.first { provenPosition = position }
            }
        }
        position = reader.position
        next = reader.next
        chain = reader.chain ?? segment.header.chain
        guard case .damaged(let why) = stop else { return nil }
        return (why, try file.read(size - position, at: position))
    }

    private func mend(_ segment: Segment, torn: [UInt8]?) throws(IOError) {
        guard let file else { return }
        if let torn {
            let kept = torn.count - trailingZeros(of: torn)
            if kept > 0 {
                let copy = try File("\(segment.path).\(position).torn", .createOrUpdate)
                try copy.truncate(to: 0)
                try copy.write(Array(torn[..<kept]), at: 0)
                try copy.sync()
                try Directory.sync(Directory.parent(of: segment.path))
            }
            try file.truncate(to: position)
            try file.sync()
        }
        if durableThrough < next {
            try file.write(try file.read(position - provenPosition, at: provenPosition), at: provenPosition)
            try file.syncData()
        }
    }

    private func trailingZeros(of bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { raw in
            // All bytes of a stretch are zero when the first is and each equals the one before.
            func isZero(_ from: Int, _ to: Int) -> Bool {
                raw[from] == 0 && memcmp(raw.baseAddress! + from, raw.baseAddress! + from + 1, to - from - 1) == 0
            }
            var end = raw.count
            while end > Self.zeroStretch, isZero(end - Self.zeroStretch, end) { end -= Self.zeroStretch }
            while end > 0, raw[end - 1] == 0 { end -= 1 }
            return raw.count - end
        }
    }

    private static let zeroStretch = 4096
}
