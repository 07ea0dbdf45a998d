/// What can still be read of a local log that does not open because of damage: each whole record, before it and behind it.
///
/// For plan and salvage only: no node reads past damage. Nothing is mended, and the lock is held, so that nobody writes
/// meanwhile. Behind a place that cannot be read the next batch header counts whose checksum, seeded by the log's tag, fits
/// and whose offset is no lower. In a batch whose own header is whole each record is judged by itself, from the checksum
/// that the one before it states.

import Synchronization
import VarveIO
package import VarveModel

package final class LocalRemains: Log {
    private enum Piece: Sendable {
        /// Whole batches in a row, up to byte `to`.
        case batches(Segment, from: Int, to: Int, Range<Offset>)
        case records([LogEntry])

        var end: Offset {
            switch self {
            case .batches(_, _, _, let range): range.upperBound
            case .records(let entries): entries.last?.offset.next ?? .zero
            }
        }
    }

    /// Why it does not open.
    package let damage: VarveError
    package let reference: LogReference
    package let recordBytesMax = logRecordBytesMax
    private let name: String
    private let lock: File
    private let held: Range<Offset>
    private let pieces: [Piece]
    private let lost: [Range<Offset>]
    private let isClosed = Mutex(false)

    init(_ directory: String, _ epoch: Epoch, _ damage: VarveError) throws(VarveError) {
        self.damage = damage
        reference = LogReference(kind: .local, topic: LocalLayout.directory(of: epoch))
        name = "the local log \(directory)"
        lock = try LocalLock.take(directory)
        var scan = Scan()
        do throws(VarveError) {
            for segment in try LocalRecovery.segments(directory, epoch) {
                try onDisk { () throws(IOError) in try scan.read(segment) }
            }
        } catch {
            lock.unlock()
            throw error
        }
        held = scan.first..<scan.next
        pieces = scan.pieces
        lost = scan.lost
    }

    deinit { lock.unlock() }

    /// The first offset at or above this one whose record cannot be read; nil when all can.
    package func lost(from offset: Offset) -> Offset? {
        lost.first { $0.upperBound > offset }.map { max($0.lowerBound, offset) }
    }

    package func append(_ records: [Bytes]) async -> [AppendResult] {
        records.map { _ in .refused(VarveError(.readOnly, "\(name) is damaged and open to be read only")) }
    }

    package func purge() {}
    package func trim(below offset: Offset) async {}

    package func range() async throws(VarveError) -> Range<Offset> {
        try checkOpen()
        return held
    }

    package func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        try await tail(from: offset).next()?.entries.first
    }

    package func tail(from offset: Offset) async throws(VarveError) -> any LogTail {
        try checkOpen()
        return Tail(self, offset)
    }

    package func close() async {
        let wasOpen = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return !isClosed
        }
        if wasOpen { lock.unlock() }
    }

    private func checkOpen() throws(VarveError) { if isClosed.withLock({ $0 }) { throw .closed(name) } }

    /// Its end is the end: nothing more comes.
    private final class Tail: LogTail {
        private struct State: Sendable {
            var next: Offset
            var piece = 0
            var reader: SegmentReader?
        }

        private let log: LocalRemains
        private let state: Mutex<State>

        init(_ log: LocalRemains, _ next: Offset) {
            self.log = log
            state = Mutex(State(next: next))
        }

        func next() async throws(VarveError) -> LogBatch? {
            try log.checkOpen()
            let result = state.withLock { state -> Result<LogBatch?, VarveError> in
                do throws(VarveError) { return .success(try log.batch(&state.next, &state.piece, &state.reader)) } catch
                {
                    return .failure(error)
                }
            }
            return try result.get()
        }

        func close() async {}
    }

    private func batch(
        _ next: inout Offset, _ index: inout Int, _ reader: inout SegmentReader?
    ) throws(VarveError) -> LogBatch? {
        while index < pieces.count {
            var entries: [LogEntry] = []
            if pieces[index].end > next {
                switch pieces[index] {
                case .records(let all): entries = all.filter { $0.offset >= next }
                case .batches(let segment, let from, let to, let range):
                    var current: SegmentReader
                    if let reader {
                        current = reader
                    } else {
                        current = try onDisk { () throws(IOError) in
                            try SegmentReader(segment, from: from, next: range.lowerBound)
                        }
                    }
                    entries = try current.entries(from: next, through: nil, to: to, chunk: LocalContents.tailChunk)
                    reader = current
                }
            }
            guard let last = entries.last else {
                index += 1
                reader = nil
                continue
            }
            next = last.offset.next
            return LogBatch(entries)
        }
        return nil
    }

    private struct Scan {
        var pieces: [Piece] = []
        var lost: [Range<Offset>] = []
        var first = Offset.zero
        var next = Offset.zero

        mutating func read(_ segment: Segment) throws(IOError) {
            if pieces.isEmpty && lost.isEmpty && next == .zero { (first, next) = (segment.first, segment.first) }
            lose(to: segment.first, except: [])
            var position = SegmentHeader.bytes
            var none: [LogEntry] = []
            while true {
                var reader = try SegmentReader(segment, from: position, next: next)
                let size = try reader.file.size
                var stop = SegmentReader.Stop.more
                while stop == .more {
                    stop = try reader.advance(
                        to: size, chunk: LocalContents.tailChunk, Offset(Offset.highest), &none
                    ) { _, _ in }
                }
                if reader.next > next {
                    pieces.append(.batches(segment, from: position, to: reader.position, next..<reader.next))
                }
                (position, next) = (reader.position, reader.next)
                guard case .damaged = stop else { return }
                let rest = Bytes(try reader.file.read(max(0, size - position), at: position))
                guard let found = Self.header(in: rest, above: next, seed: segment.seed) else { return }
                let whole = Self.records(in: rest, at: next, seed: segment.seed).filter {
                    $0.offset < found.header.first
                }
                if !whole.isEmpty { pieces.append(.records(whole)) }
                lose(to: found.header.first, except: whole)
                position += found.at
            }
        }

        private mutating func lose(to end: Offset, except whole: [LogEntry]) {
            guard next < end else { return }
            for entry in whole {
                if next < entry.offset { lost.append(next..<entry.offset) }
                next = entry.offset.next
            }
            if next < end { lost.append(next..<end) }
            next = end
        }

        /// The next batch header behind the one that stands at the beginning.
        private static func header(
            in bytes: Bytes, above next: Offset, seed: UInt32
        ) -> (at: Int, header: BatchHeader)? {
            bytes.withUnsafeBytes { raw in
                var at = 1
                while at + BatchHeader.bytes <= raw.count {
                    if raw[at] == UInt8(truncatingIfNeeded: BatchHeader.magic),
                        let header = BatchHeader.decode(raw.part(at, at + BatchHeader.bytes), seed: seed),
                        header.first >= next
                    {
                        return (at, header)
                    }
                    at += 1
                }
                return nil
            }
        }

        /// Of the batch at the beginning the records that are whole; none when its header is not.
        private static func records(in bytes: Bytes, at first: Offset, seed: UInt32) -> [LogEntry] {
            bytes.withUnsafeBytes { raw in
                guard let header = BatchHeader.decode(raw, seed: seed), header.first == first else { return [] }
                let end = min(raw.count, BatchHeader.bytes + header.recordBytes)
                var entries: [LogEntry] = []
                var at = BatchHeader.bytes
                var chain = header.chain
                for number in 0..<header.count {
                    let from = at + RecordFrame.overhead
                    guard from <= end, case let length = Int(raw.load(UInt32.self, at: at)), length <= end - from else {
                        break
                    }
                    let stated = raw.load(UInt32.self, at: at + 4)
                    if RecordFrame.crc(raw.part(at, at + 4), raw.part(from, from + length), chain: chain) == stated {
                        entries.append(
                            LogEntry(
                                offset: Offset(first.value + Int64(number)), time: header.time,
                                bytes: bytes[from..<from + length]))
                    }
                    chain = stated
                    at = from + length
                }
                return entries
            }
        }
    }
}
