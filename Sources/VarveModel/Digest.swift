/// SHA-256: of bytes at once, or as a running value that can be copied.

internal import CVarveNettle

/// The 32 bytes of a SHA-256.
public struct Digest: Sendable, Hashable, CustomStringConvertible {
    /// First and second half, in order.
    public let first: Bytes16
    public let second: Bytes16

    public static let zero = Digest(first: .zero, second: .zero)
    public static let count = 32

    public init(first: Bytes16, second: Bytes16) {
        self.first = first
        self.second = second
    }

    /// nil unless there are exactly 32 bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        self.init(first: Bytes16(bytes), second: Bytes16(bytes.dropFirst(16)))
    }

    public init(of bytes: Bytes) {
        var hash = SHA256()
        hash.update(bytes)
        self = hash.digest()
    }

    public init(of bytes: [UInt8]) { self.init(of: Bytes(bytes)) }

    public var bytes: [UInt8] { first.bytes + second.bytes }
    public var description: String { hex(of: bytes) }

    /// The first eight bytes, little-endian as they stand in a record header.
    public var prefix8: UInt64 { first.high.byteSwapped }
    /// 16 hexadecimal digits: what file names, tokens and `status` show.
    public var shortHex: String { String(description.prefix(16)) }
}

/// A SHA-256 being computed. A value: a copy goes on by itself.
public struct SHA256: Sendable {
    private var context = sha256_ctx()

    public init() { nettle_sha256_init(&context) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        nettle_sha256_update(&context, bytes.count, base.assumingMemoryBound(to: UInt8.self))
    }

    public mutating func update(_ bytes: Bytes) { bytes.withUnsafeBytes { update($0) } }
    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// Little-endian, fixed width: how every integer enters a hash.
    public mutating func update(_ integer: some FixedWidthInteger) {
        withUnsafeBytes(of: integer.littleEndian) { update($0) }
    }

    public mutating func update(_ bytes: Bytes16) {
        update(bytes.high.byteSwapped)
        update(bytes.low.byteSwapped)
    }

    public mutating func update(_ digest: Digest) {
        update(digest.first)
        update(digest.second)
    }

    /// The digest of what was given so far; the value itself starts over.
    public mutating func digest() -> Digest {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { out in
            nettle_sha256_digest(&context, 32, out.baseAddress!.assumingMemoryBound(to: UInt8.self))
            func word(_ i: Int) -> UInt64 { UInt64(bigEndian: out.load(fromByteOffset: 8 * i, as: UInt64.self)) }
            return Digest(
                first: Bytes16(high: word(0), low: word(1)), second: Bytes16(high: word(2), low: word(3)))
        }
    }
}
