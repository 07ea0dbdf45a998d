/// Segments of a local log, in a directory of the machine's memory where it has one: read as they are, and recovered.

internal import VarveLog
internal import VarveModel

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

extension Decoders {
    /// Recovery syncs what it mends, so only every so many inputs go through it.
    private static let recoverEvery = 16

    static var segment: Decoder {
        let directory = scratch()
        let path = directory + "/0000000000000000.log"
        var count = 0
        return Decoder(name: "segment", source: .disk, corpus: segments, mend: mendSegment) { bytes in
            try write(bytes, to: path)
            let entries = try? LocalInspection.entries(in: directory, .first)
            count += 1
            if count % recoverEvery == 1, let next = try? LocalInspection.recover(directory, .first) {
                guard let again = try? LocalInspection.entries(in: directory, .first) else {
                    throw Broken("what was recovered cannot be read")
                }
                guard again.last.map({ $0.offset.next <= next }) ?? true, again == entries ?? [] else {
                    throw Broken(
                        "recovering changed what a reader finds: \(entries?.count ?? 0) entries before, \(again.count) after, "
                            + "next \(next)")
                }
                // What was cut off is kept aside, and not of interest here.
                clean(directory)
            }
            return entries.map { !$0.isEmpty } ?? false
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { throw Broken("\(path) cannot be written") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw Broken("\(path) cannot be written")
        }
    }

    private static func scratch() -> String {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(base)/varve-fuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { preconditionFailure("no scratch directory in \(base)") }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        leftOver = path
        atexit {
            Decoders.clean(Decoders.leftOver)
            rmdir(Decoders.leftOver)
        }
        return path
    }

    // Set once, before anything is decoded.
    private nonisolated(unsafe) static var leftOver = ""

    private static func clean(_ directory: String) {
        guard let handle = opendir(directory) else { return }
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { unlink("\(directory)/\(name)") }
        }
    }

    // MARK: Bytes of a segment (docs/log-format.md)

    private static func put<T: FixedWidthInteger>(_ value: T, at offset: Int, _ bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { for (i, byte) in $0.enumerated() { bytes[offset + i] = byte } }
    }

    private static func get<T: FixedWidthInteger>(_ type: T.Type, at offset: Int, _ bytes: [UInt8]) -> T {
        bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    private static func crc(_ bytes: [UInt8], _ range: Range<Int>, seed: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[range]), seed: seed) }
    }

    private static var segments: [[UInt8]] {
        let contents: [[[UInt8]]] = [[records[0], records[3], [1, 2, 3], []], [records[0]]]
        return contents.map { list in
            var bytes = [UInt8](repeating: 0, count: 64)
            put(UInt32(0x5356_5256), at: 0, &bytes)
            put(UInt16(1), at: 4, &bytes)
            put(tag.raw, at: 8, &bytes)
            put(Int64.min, at: 24, &bytes)
            var first: Int64 = 0
            // The first record alone, the others together, then a header that states the rest.
            for batch in [Array(list.prefix(1)), Array(list.dropFirst()), []] {
                let start = bytes.count
                bytes += [UInt8](repeating: 0, count: 48)
                put(UInt32(0x4256_5256), at: start, &bytes)
                put(UInt32(batch.count), at: start + 4, &bytes)
                put(first, at: start + 16, &bytes)
                put(Int64(1_700_000_000_000), at: start + 24, &bytes)
                put(first, at: start + 32, &bytes)
                for record in batch {
                    bytes += [UInt8](repeating: 0, count: 8)
                    put(UInt32(record.count), at: bytes.count - 8, &bytes)
                    bytes += record
                }
                put(UInt32(bytes.count - start - 48), at: start + 8, &bytes)
                first += Int64(batch.count)
            }
            mendSegment(&bytes)
            return bytes
        }
    }

    /// Every checksum and chain as it must be for the lengths that stand there.
    private static func mendSegment(_ bytes: inout [UInt8]) {
        guard bytes.count >= 64 else { return }
        put(crc(bytes, 0..<60), at: 60, &bytes)
        let seed = crc(bytes, 8..<16)
        var chain = get(UInt32.self, at: 32, bytes)
        var at = 64
        while at + 48 <= bytes.count {
            put(chain, at: at + 40, &bytes)
            put(crc(bytes, at..<at + 44, seed: seed), at: at + 44, &bytes)
            let end = min(bytes.count, at + 48 + Int(get(UInt32.self, at: at + 8, bytes)))
            at += 48
            while at + 8 <= end {
                let length = Int(get(UInt32.self, at: at, bytes))
                guard at + 8 + length <= end else { break }
                chain = crc(bytes, at + 8..<at + 8 + length, seed: crc(bytes, at..<at + 4, seed: chain))
                put(chain, at: at + 4, &bytes)
                at += 8 + length
            }
            at = end
        }
    }
}
