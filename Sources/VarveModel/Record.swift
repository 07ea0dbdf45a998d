/// One entry of the log: a fixed header of 88 bytes and a payload of deterministic CBOR.
///
/// Byte for byte as docs/log-format.md has it. Anything without our magic or with another log's tag is *foreign*: no
/// content, but part of the input chain. `decode` tells these apart and never traps.

public enum RecordType: UInt8, Sendable, CaseIterable {
    case genesis = 1
    case transaction = 2
    case cancel = 3
    case flushRequest = 4
    case barrier = 5
    case settings = 6
    case seal = 7
}

public struct RecordFlags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// A reader that does not know the type must stop before the record instead of skipping it.
    public static let critical = RecordFlags(rawValue: 1)
    public static let attempt = RecordFlags(rawValue: 2)
    static let compression = RecordFlags(rawValue: 0b1100)
}

/// First 8 bytes of SHA-256(database id ‖ genesis id), as they stand in the header; 0 in a genesis.
public struct LogTag: Sendable, Hashable {
    public let raw: UInt64
    public init(raw: UInt64) { self.raw = raw }
    public init(database: DatabaseID, genesis: GenesisID) {
        var hash = SHA256()
        hash.update(database)
        hash.update(genesis)
        raw = hash.digest().prefix8
    }
    public static let none = LogTag(raw: 0)
}

public struct RecordHeader: Sendable, Equatable {
    public var type: RecordType
    public var flags: RecordFlags
    public var logTag: LogTag
    /// Submission id of a transaction or cancel, request id of a seal or flush, genesis id of a genesis, else random.
    public var id: Bytes16
    public var writer: UInt64
    public var writerSequence: UInt64
    /// Milliseconds of effective time after which the submission may no longer be applied; 0 for none.
    public var expiresAt: Int64
    /// The newest record that the sender had applied, with the first 8 bytes of both chains there.
    public var observed: Position
    public var inputChain: UInt64
    public var effectChain: UInt64

    public init(
        type: RecordType, flags: RecordFlags = .critical, logTag: LogTag, id: Bytes16, writer: UInt64 = 0,
        writerSequence: UInt64 = 0, expiresAt: Int64 = 0, observed: Position = .zero, inputChain: UInt64 = 0,
        effectChain: UInt64 = 0
    ) {
        self.type = type
        self.flags = flags
        self.logTag = logTag
        self.id = id
        self.writer = writer
        self.writerSequence = writerSequence
        self.expiresAt = expiresAt
        self.observed = observed
        self.inputChain = inputChain
        self.effectChain = effectChain
    }
}

public struct Record: Sendable, Equatable {
    public var header: RecordHeader
    public var payload: Bytes

    public static let headerBytes = 88
    /// `VRV1`
    static let magic: UInt32 = 0x3156_5256
    /// The format this version writes and the highest it reads.
    public static let formatLevel: UInt16 = 1

    public init(header: RecordHeader, payload: Bytes) {
        self.header = header
        self.payload = payload
    }

    public func encoded() -> Bytes {
        var out: [UInt8] = []
        out.reserveCapacity(Self.headerBytes + payload.count)
        out.append(littleEndian: Self.magic)
        out.append(header.type.rawValue)
        out.append(header.flags.rawValue)
        out.append(littleEndian: Self.formatLevel)
        out.append(littleEndian: header.logTag.raw)
        out.append(bigEndian: header.id.high)
        out.append(bigEndian: header.id.low)
        out.append(littleEndian: header.writer)
        out.append(littleEndian: header.writerSequence)
        out.append(littleEndian: header.expiresAt)
        out.append(littleEndian: header.observed.packed)
        out.append(littleEndian: header.inputChain)
        out.append(littleEndian: header.effectChain)
        out.append(littleEndian: UInt32(payload.count))
        var crc = out.withUnsafeBytes { crc32c($0) }
        crc = payload.withUnsafeBytes { crc32c($0, seed: crc) }
        out.append(littleEndian: crc)
        payload.withUnsafeBytes { out.append(contentsOf: $0) }
        return Bytes(out)
    }

    /// What bytes of a log are to a reader.
    public enum Decoded: Sendable, Equatable {
        case record(Record)
        /// No record of this log: counted, hashed, otherwise nothing.
        case foreign(reason: String)
        /// Ours by its magic, but its checksum or lengths do not fit: fetch again, then `LOG_CORRUPT`.
        case damaged(reason: String)
        /// Ours, but of a later version: the node stops before it (critical) or skips it.
        case unsupported(reason: String, critical: Bool)
    }

    /// - Parameter tag: the log's own tag; nil accepts any (before the genesis was read).
    public static func decode(_ bytes: Bytes, tag: LogTag?) -> Decoded {
        guard bytes.count >= headerBytes else { return .foreign(reason: "\(bytes.count) bytes are no record") }
        return bytes.withUnsafeBytes { raw -> Decoded in
            func load<T: FixedWidthInteger>(_ offset: Int, as: T.Type = T.self) -> T {
                T(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: T.self))
            }
            guard load(0, as: UInt32.self) == magic else { return .foreign(reason: "no magic") }
            let length = Int(load(80, as: UInt32.self))
            guard length == raw.count - headerBytes else {
                return .damaged(reason: "the payload has \(raw.count - headerBytes) bytes, the header says \(length)")
            }
            var crc = crc32c(UnsafeRawBufferPointer(rebasing: raw[0..<84]))
            crc = crc32c(UnsafeRawBufferPointer(rebasing: raw[headerBytes...]), seed: crc)
            guard crc == load(84, as: UInt32.self) else { return .damaged(reason: "the checksum does not fit") }
            let recordTag = LogTag(raw: load(8))
            let flags = RecordFlags(rawValue: raw[5])
            let type = RecordType(rawValue: raw[4])
            if let tag, recordTag != tag, type != .genesis { return .foreign(reason: "a record of another log") }
            guard load(6, as: UInt16.self) <= formatLevel else {
                return .unsupported(reason: "record format \(load(6, as: UInt16.self))", critical: true)
            }
            guard let type else {
                return .unsupported(reason: "record type \(raw[4])", critical: flags.contains(.critical))
            }
            guard flags.isDisjoint(with: .compression) else {
                return .unsupported(reason: "a compressed payload", critical: true)
            }
            guard let observed = Position(packed: load(56)) else { return .damaged(reason: "a negative position") }
            func big(_ offset: Int) -> UInt64 {
                UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            }
            return .record(
                Record(
                    header: RecordHeader(
                        type: type, flags: flags, logTag: recordTag, id: Bytes16(high: big(16), low: big(24)),
                        writer: load(32), writerSequence: load(40), expiresAt: load(48), observed: observed,
                        inputChain: load(64), effectChain: load(72)),
                    payload: bytes[headerBytes..<bytes.count]))
        }
    }
}
