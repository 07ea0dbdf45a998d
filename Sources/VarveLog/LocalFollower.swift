/// A local log that another process writes, read beside it.
///
/// Only what a header behind it states to be durable is delivered, so a reader never sees a record that a crash of the
/// writer's machine may take back. The directory is listed again when the known end is reached; one that is no longer the
/// directory that was opened ends it (`LOG_MISSING`, `LOG_REPLACED`).
///
/// A batch that does not fit its checksums is being written now, unless a later header says that it was synced: that is
/// damage, as opening would find it, and whoever reads that far is told so (`LOG_CORRUPT`).

import VarveIO
import VarveModel

final class LocalFollower: Log {
    let reference: LogReference
    let recordBytesMax = logRecordBytesMax
    private let contents: LocalContents
    private let name: String

    init(_ directory: String, _ epoch: Epoch, interval: Duration) throws(VarveError) {
        reference = LogReference(kind: .local, topic: LocalLayout.directory(of: epoch))
        name = "the local log \(directory)"
        let held = try onDisk { () throws(IOError) in try File(directory, .read) }
        let poll = LocalContents.Poll(interval: interval) { holdings throws(VarveError) in
            try LocalPlace.require(held, of: directory)
            try Self.look(directory, epoch, &holdings)
        }
        contents = LocalContents(
            name: name, LocalContents.Holdings(segments: [], end: .zero, endPosition: 0), poll: poll)
        try contents.refresh()
    }

    /// Finds new segments, then new durable batches in the last one.
    private static func look(
        _ directory: String, _ epoch: Epoch, _ holdings: inout LocalContents.Holdings
    ) throws(VarveError) {
        let segments = try segments(directory, epoch, after: holdings.segments)
        guard let last = segments.last else { return }
        if holdings.segments.last !== last {
            // A segment comes to be when everything before it is durable.
            holdings.end = max(holdings.end, last.first)
            holdings.endPosition = SegmentHeader.bytes
        }
        holdings.segments = segments
        let damage = try onDisk { () throws(IOError) in try advance(in: last, &holdings) }
        holdings.damage = damage.map { .corrupt(at: holdings.end, last.path, $0) }
    }

    /// What is there now. The writer may trim a segment between our finding its name and opening it: then all is looked
    /// up again.
    private static func segments(
        _ directory: String, _ epoch: Epoch, after known: [Segment]
    ) throws(VarveError) -> [Segment] {
        var attempts = 0
        while true {
            attempts += 1
            let names = try onDisk { () throws(IOError) in try Directory.list(directory).map(\.name) }
            let found = names.compactMap { LocalLayout.firstOffset(ofSegment: $0) }
            guard let start = found.first else { return [] }
            var segments = known.filter { $0.first >= start }
            do throws(VarveError) {
                for first in found where segments.last.map({ first > $0.first }) ?? true {
                    let path = Directory.join(directory, LocalLayout.segment(first: first))
                    segments.append(try Segment.load(path, first: first, epoch: epoch))
                }
                return segments
            } catch {
                guard error.code == .logUnreachable, attempts < attemptsMax else { throw error }
            }
        }
    }

    private static let attemptsMax = 5

    /// Returns why what stands at the end then is damage, if it is.
    private static func advance(
        in segment: Segment, _ holdings: inout LocalContents.Holdings
    ) throws(IOError) -> String? {
        var reader = try SegmentReader(segment, from: holdings.endPosition, next: holdings.end)
        var end = holdings.end
        var endPosition = holdings.endPosition
        var none: [LogEntry] = []
        var stop = SegmentReader.Stop.more
        let size = try reader.file.size
        while stop == .more {
            stop = try reader.advance(
                to: size, chunk: LocalContents.tailChunk, Offset(Offset.highest), &none
            ) { header, position in
                // Our writer states with each batch that everything before it is durable.
                if header.durableThrough == header.first { (end, endPosition) = (header.first, position) }
            }
        }
        holdings.end = end
        holdings.endPosition = endPosition
        guard case .damaged = stop else { return nil }
        let rest = try reader.file.read(max(0, try reader.file.size - reader.position), at: reader.position)
        guard let later = BatchHeader.durableThrough(in: rest, above: reader.next, seed: segment.seed) else {
            return nil
        }
        // That header was written after the batch was: if it was only being written before, it is whole now.
        let (position, next) = (reader.position, reader.next)
        stop = try reader.advance(
            to: position + rest.count, chunk: LocalContents.tailChunk, Offset(Offset.highest), &none
        ) { _, _ in }
        guard case .damaged(let why) = stop, reader.position == position else { return nil }
        // All before it is durable, as the later header says.
        holdings.end = next
        holdings.endPosition = position
        return "\(why) at byte \(position), but a later batch says that all below \(later) was synced"
    }

    func append(_ records: [Bytes]) async -> [AppendResult] {
        let error =
            contents.gate.isClosed
            ? VarveError.closed(name) : VarveError(.readOnly, "\(name) is open to be read only")
        return records.map { _ in .refused(error) }
    }

    func purge() {}

    func range() async throws(VarveError) -> Range<Offset> {
        try checkOpen()
        try contents.refresh()
        return contents.range
    }

    func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        try checkOpen()
        try contents.refresh()
        return try contents.read(at: offset)
    }

    func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        try checkOpen()
        try contents.refresh()
        return SourceTail(contents, from: offset)
    }

    func trim(below offset: Offset) async {}

    func close() async { contents.gate.close() }

    private func checkOpen() throws(VarveError) {
        if contents.gate.isClosed { throw .closed(name) }
    }
}
