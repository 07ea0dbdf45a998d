/// Writes batches: one `write` and one `fdatasync` each. Owned by the log's writer thread.
///
/// Behind a small batch zeros are written, a stretch at a time: batches that later come over them change neither the
/// file's size nor its map of blocks, so their sync has data to write and no journal (1.6 to 2 times as many of them in a
/// second on ext4). Zeros are no batch; closing cuts them off, and after a crash they are a torn tail with nothing in it.
///
/// Nothing counts as durable before the path was seen to lead to the files that were written (`LocalPlace`).
///
/// After a refusal nothing but zeros follows the last good batch. After a fatal failure nothing is ever written again.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

import VarveIO
import VarveModel

struct SegmentWriter: ~Copyable {
    /// Zeros written ahead at a time.
    static let aheadBytes = 512 << 10
    /// A larger batch pays for its own growth: zeros would be written for it alone.
    static let smallBatchBytes = 64 << 10

    enum Failure: Error {
        /// Nothing of the batch is or will be in the log.
        case refused(VarveError)
        /// Nobody knows what of the batch is on disk.
        case fatal(VarveError)
    }

    private let lock: File
    private let directory: String
    private let epoch: Epoch
    private let segmentBytes: Int
    private let faults: FileFaults?
    private let contents: LocalContents
    private var segment: Segment?
    private var file: File?
    private var position: Int
    /// Where the file ends: behind `position` there are zeros.
    private var fileEnd: Int
    private(set) var next: Offset
    private var chain: UInt32
    private var clock: LogClock
    private var statedDurable: Offset
    private let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: aheadBytes, alignment: 16)
    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    /// Bytes of `buffer` that are to be written.
    private var encoded = 0

    init(
        _ recovery: LocalRecovery, _ lock: File, directory: String, epoch: Epoch, _ options: LocalLog.Options,
        contents: LocalContents
    ) {
        self.lock = lock
        self.directory = directory
        self.epoch = epoch
        segmentBytes = options.segmentBytes
        faults = options.faults
        self.contents = contents
        segment = recovery.segments.last
        position = recovery.position
        fileEnd = position
        next = recovery.next
        chain = recovery.chain
        clock = LogClock(options.instants, last: recovery.timeBefore)
        statedDurable = recovery.durableThrough
        file = recovery.file
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        buffer.deallocate()
        zeros.deallocate()
    }

    /// Whether the last batch's durability still has to be stated by a header behind it.
    var owesHeader: Bool { file != nil && statedDurable < next }

    /// Makes `records` durable; returns their log time.
    mutating func write(_ records: [Bytes]) throws(Failure) -> Int64 {
        guard let first = records.first else { return clock.last }
        let time = clock.stamp()
        guard let file, let segment else {
            let start = try begin(with: first)
            let chain = encode(records, time: time, at: SegmentHeader.bytes, seed: BatchHeader.seed(start.tag))
            start.encode(to: buffer.part(0, SegmentHeader.bytes))
            try create(start)
            finish(records, time, chain)
            return time
        }
        // Never two segments with the same first record.
        if position >= segmentBytes, next > segment.first {
            try roll(segment)
            return try write(records)
        }
        let chain = encode(records, time: time, at: 0, seed: segment.seed)
        let start = position
        try store(in: file)
        segment.mark(next, start)
        finish(records, time, chain)
        return time
    }

    /// States by an empty batch that everything so far is durable.
    mutating func writeHeader() throws(Failure) {
        guard owesHeader, let file, let segment else { return }
        let chain = encode([], time: clock.last, at: 0, seed: segment.seed)
        try store(in: file)
        finish([], clock.last, chain)
    }

    /// Throws when the path leads elsewhere: to the lock, so that no second process gets one, and to the open segment.
    /// Ends every tail then.
    func requirePlace() throws(Failure) {
        do throws(VarveError) {
            try LocalPlace.require(lock, of: directory)
            if let file { try LocalPlace.require(file, of: directory) }
        } catch {
            contents.fail(error)
            throw .fatal(error)
        }
    }

    // MARK: Steps

    /// Puts a batch into `buffer` from byte `start` on; returns the chain behind it.
    private mutating func encode(_ records: [Bytes], time: Int64, at start: Int, seed: UInt32) -> UInt32 {
        let recordBytes = records.reduce(0) { $0 + $1.count + RecordFrame.overhead }
        encoded = start + BatchHeader.bytes + recordBytes
        reserve(encoded)
        let header = BatchHeader(
            count: records.count, recordBytes: recordBytes, first: next, time: time, durableThrough: next, chain: chain)
        header.encode(to: buffer.part(start, start + BatchHeader.bytes), seed: seed)
        var crc = chain
        var at = start + BatchHeader.bytes
        for record in records {
            buffer.store(UInt32(record.count), at: at)
            record.withUnsafeBytes { bytes in
                crc = RecordFrame.crc(UnsafeRawBufferPointer(buffer).part(at, at + 4), bytes, chain: crc)
                buffer.store(crc, at: at + 4)
                buffer.part(at + RecordFrame.overhead, buffer.count).copyMemory(from: bytes)
            }
            at += RecordFrame.overhead + record.count
        }
        return crc
    }

    private mutating func reserve(_ count: Int) {
        guard count > buffer.count else { return }
        buffer.deallocate()
        buffer = .allocate(byteCount: max(count, 1 << 20), alignment: 16)
    }

    private mutating func store(in file: File) throws(Failure) {
        do throws(IOError) {
            try file.write(UnsafeRawBufferPointer(buffer).part(0, encoded), at: position)
        } catch {
            // A part of it may be there: cut it, or the next batch would follow rubbish.
            do throws(IOError) { try file.truncate(to: position) } catch { throw .fatal(.log(poisoned: error)) }
            fileEnd = position
            throw error.kind == .full ? .refused(.log(error)) : .fatal(.log(poisoned: error))
        }
        let end = position + encoded
        if end > fileEnd {
            fileEnd = end
            if encoded <= Self.smallBatchBytes { try fillAhead(file) }
        }
        do throws(IOError) { try file.syncData() } catch { throw .fatal(.log(error)) }
        try requirePlace()
        position = end
    }

    private mutating func fillAhead(_ file: File) throws(Failure) {
        let count = min(Self.aheadBytes, segmentBytes - fileEnd)
        guard count > 0 else { return }
        do throws(IOError) {
            try file.write(UnsafeRawBufferPointer(zeros).part(0, count), at: fileEnd)
            fileEnd += count
        } catch {
            // They are only for speed; but a disk that fails otherwise than by being full is not trusted any more.
            guard error.kind == .full else { throw .fatal(.log(poisoned: error)) }
            do throws(IOError) { try file.truncate(to: fileEnd) } catch { throw .fatal(.log(poisoned: error)) }
        }
    }

    /// Cuts off what was written ahead. Needs no sync: zeros that stay are no harm.
    mutating func cutZeros() {
        guard let file, fileEnd > position else { return }
        do throws(IOError) {
            try file.truncate(to: position)
            fileEnd = position
        } catch {}
    }

    private mutating func finish(_ records: [Bytes], _ time: Int64, _ chain: UInt32) {
        let first = next
        let entries = records.indices.map {
            LogEntry(offset: Offset(first.value + Int64($0)), time: time, bytes: records[$0])
        }
        self.chain = chain
        statedDurable = first
        next = Offset(first.value + Int64(records.count))
        contents.extend(entries, to: next, position: position)
    }

    // MARK: Segments

    /// The header of a new log, which begins with its genesis.
    private func begin(with first: Bytes) throws(Failure) -> SegmentHeader {
        guard case .record(let record) = Record.decode(first, tag: nil), record.header.type == .genesis,
            let genesis = try? Genesis.decode(record.payload)
        else {
            throw .refused(
                VarveError(.logMissing, "\(directory) has no genesis yet, and nothing else may come first"))
        }
        let tag = LogTag(database: genesis.database, genesis: record.header.id)
        return SegmentHeader(epoch: epoch, tag: tag, first: next, timeBefore: .min, chain: 0)
    }

    private mutating func roll(_ last: Segment) throws(Failure) {
        cutZeros()
        let header = SegmentHeader(
            epoch: epoch, tag: last.header.tag, first: next, timeBefore: clock.last, chain: chain)
        encoded = SegmentHeader.bytes
        header.encode(to: buffer.part(0, encoded))
        try create(header)
    }

    /// Gives `buffer` the name of the segment with this header.
    private mutating func create(_ header: SegmentHeader) throws(Failure) {
        // Never into the directory of another log.
        try requirePlace()
        let path = Directory.join(directory, LocalLayout.segment(first: header.first))
        do throws(IOError) {
            let outcome = try FileSystem.publishOnce(
                UnsafeRawBufferPointer(buffer).part(0, encoded), as: path,
                temporary: path + LocalLayout.temporarySuffix)
            guard outcome == .created else {
                throw IOError(code: EEXIST, operation: "link", path: path)
            }
            file = try File(path, .update, faults: faults)
        } catch {
            switch error.kind {
            case .full, .denied: throw .refused(.log(error))
            default: throw .fatal(.log(poisoned: error))
            }
        }
        try requirePlace()
        let segment = Segment(path: path, header: header)
        self.segment = segment
        position = encoded
        fileEnd = encoded
        contents.add(segment)
    }
}
