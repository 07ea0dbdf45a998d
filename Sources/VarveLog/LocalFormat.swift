/// The bytes of a local log, as docs/log-format.md has them. All integers little-endian.
///
///     segment   header of 64 bytes, then batches
///     header    0 "VRVS"  4 format u16  6 epoch u16  8 log tag u64  16 first offset i64  24 log time before i64
///               32 chain u32  36 zero  60 CRC32C of bytes 0–59 u32
///     batch     header of 48 bytes, then its records
///     header    0 "VRVB"  4 count u32  8 bytes of the records u32  12 zero  16 first offset i64  24 log time i64
///               32 durableThrough i64  40 chain u32  44 CRC32C of bytes 0–43, seeded by the log tag, u32
///     record    0 length u32  4 CRC32C of the length and the bytes, seeded by the CRC of the record before u32  8 bytes
///
/// `chain` is the CRC of the record before the segment or batch: a reader that starts in the middle takes it from there,
/// one that comes along compares it. `durableThrough`: every record below this offset was known to be synced when the
/// header was written. The seed makes a batch header of another log, say inside a document, no header of this one.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

import VarveIO
import VarveModel

enum LocalLayout {
    static let segmentSuffix = ".log"
    static let temporarySuffix = ".tmp"
    static let lockName = "lock"

    /// `e0000`
    static func directory(of epoch: Epoch) -> String { "e" + padded(UInt64(epoch.number), 4) }

    /// `00000000000000ff.log`
    static func segment(first: Offset) -> String { padded(UInt64(first.value), 16) + segmentSuffix }

    /// nil for the name of anything else.
    static func firstOffset(ofSegment name: String) -> Offset? {
        let digits = name.utf8.dropLast(segmentSuffix.utf8.count)
        guard name.hasSuffix(segmentSuffix), digits.count == 16,
            let value = Int64(String(decoding: digits, as: UTF8.self), radix: 16), (0...Offset.highest).contains(value)
        else { return nil }
        return segment(first: Offset(value)) == name ? Offset(value) : nil
    }

    private static func padded(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}

struct SegmentHeader: Equatable, Sendable {
    static let bytes = 64
    static let magic: UInt32 = 0x5356_5256
    static let format: UInt16 = 1

    var epoch: Epoch
    var tag: LogTag
    var first: Offset
    /// Log time of the record before; the least Int64 when there is none.
    var timeBefore: Int64
    var chain: UInt32

    func encode(to raw: UnsafeMutableRawBufferPointer) {
        raw.store(Self.magic, at: 0)
        raw.store(Self.format, at: 4)
        raw.store(epoch.number, at: 6)
        raw.store(tag.raw, at: 8)
        raw.store(first.value, at: 16)
        raw.store(timeBefore, at: 24)
        raw.store(chain, at: 32)
        for zero in 36..<60 { raw[zero] = 0 }
        raw.store(crc32c(UnsafeRawBufferPointer(raw).part(0, 60)), at: 60)
    }

    static func decode(_ raw: UnsafeRawBufferPointer) -> SegmentHeader? {
        guard raw.count >= bytes, raw.load(UInt32.self, at: 0) == magic, raw.load(UInt16.self, at: 4) == format,
            raw.load(UInt32.self, at: 60) == crc32c(raw.part(0, 60)),
            let epoch = Epoch(Int(raw.load(UInt16.self, at: 6))),
            case let first = raw.load(Int64.self, at: 16), (0...Offset.highest).contains(first)
        else { return nil }
        return SegmentHeader(
            epoch: epoch, tag: LogTag(raw: raw.load(UInt64.self, at: 8)), first: Offset(first),
            timeBefore: raw.load(Int64.self, at: 24), chain: raw.load(UInt32.self, at: 32))
    }
}

struct BatchHeader: Equatable, Sendable {
    static let bytes = 48
    static let magic: UInt32 = 0x4256_5256

    var count: Int
    /// Of the records behind the header.
    var recordBytes: Int
    var first: Offset
    var time: Int64
    var durableThrough: Offset
    var chain: UInt32

    var end: Offset { Offset(first.value + Int64(count)) }

    func encode(to raw: UnsafeMutableRawBufferPointer, seed: UInt32) {
        raw.store(Self.magic, at: 0)
        raw.store(UInt32(count), at: 4)
        raw.store(UInt32(recordBytes), at: 8)
        raw.store(UInt32(0), at: 12)
        raw.store(first.value, at: 16)
        raw.store(time, at: 24)
        raw.store(durableThrough.value, at: 32)
        raw.store(chain, at: 40)
        raw.store(crc32c(UnsafeRawBufferPointer(raw).part(0, 44), seed: seed), at: 44)
    }

    static func decode(_ raw: UnsafeRawBufferPointer, seed: UInt32) -> BatchHeader? {
        guard raw.count >= bytes, raw.load(UInt32.self, at: 0) == magic,
            raw.load(UInt32.self, at: 44) == crc32c(raw.part(0, 44), seed: seed)
        else { return nil }
        let first = raw.load(Int64.self, at: 16)
        let durable = raw.load(Int64.self, at: 32)
        let count = Int(raw.load(UInt32.self, at: 4))
        let recordBytes = Int(raw.load(UInt32.self, at: 8))
        // No more records than fit: whoever reads them makes room for so many.
        guard (0...Offset.highest).contains(first), (0...first).contains(durable),
            Offset.highest - first >= Int64(count), count <= recordBytes / RecordFrame.overhead
        else { return nil }
        return BatchHeader(
            count: count, recordBytes: recordBytes, first: Offset(first),
            time: raw.load(Int64.self, at: 24), durableThrough: Offset(durable), chain: raw.load(UInt32.self, at: 40))
    }

    /// The highest `durableThrough` above `next` that any batch header in `bytes` states: what proves that a batch at
    /// `next` that cannot be read was written, and synced.
    static func durableThrough(in bytes: [UInt8], above next: Offset, seed: UInt32) -> Offset? {
        bytes.withUnsafeBytes { raw in
            var highest: Offset?
            var at = 0
            while at + Self.bytes <= raw.count,
                let found = memchr(raw.baseAddress! + at, Int32(Self.magic & 0xff), raw.count - at)
            {
                at = UnsafeRawPointer(found) - raw.baseAddress!
                if at + Self.bytes <= raw.count, raw.load(UInt32.self, at: at) == Self.magic,
                    let header = BatchHeader.decode(raw.part(at, at + Self.bytes), seed: seed),
                    header.durableThrough > next
                {
                    highest = max(highest ?? header.durableThrough, header.durableThrough)
                }
                at += 1
            }
            return highest
        }
    }

    static func seed(_ tag: LogTag) -> UInt32 {
        withUnsafeBytes(of: tag.raw.littleEndian) { crc32c($0) }
    }
}

enum RecordFrame {
    static let overhead = 8

    /// The CRC of a record: of its length and bytes, going on from the record before.
    @inline(__always)
    static func crc(_ length: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer, chain: UInt32) -> UInt32 {
        crc32c(bytes, seed: crc32c(length, seed: chain))
    }
}

extension UnsafeRawBufferPointer {
    @inline(__always)
    func load<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    @inline(__always)
    func part(_ from: Int, _ to: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[from..<to]) }
}

extension UnsafeMutableRawBufferPointer {
    @inline(__always)
    func store<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }

    @inline(__always)
    func part(_ from: Int, _ to: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self[from..<to])
    }
}
