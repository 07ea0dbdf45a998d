/// The 16-byte names of things: submissions, databases, genesis records, writers.

/// Sixteen bytes, compared as bytes; as text 32 lower-case hexadecimal digits.
public struct Bytes16: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The bytes as two big-endian words, so that order of words is order of bytes.
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static let zero = Bytes16(high: 0, low: 0)

    /// The first sixteen of `bytes`, of which there must be that many.
    public init(_ bytes: some Collection<UInt8>) {
        precondition(bytes.count >= 16)
        var high: UInt64 = 0
        var low: UInt64 = 0
        for (i, byte) in bytes.prefix(16).enumerated() {
            if i < 8 { high = high << 8 | UInt64(byte) } else { low = low << 8 | UInt64(byte) }
        }
        self.init(high: high, low: low)
    }

    /// Exactly 32 hexadecimal digits, else nil.
    public init?(hex text: some StringProtocol) {
        guard let bytes = VarveModel.bytes(fromHex: text), bytes.count == 16 else { return nil }
        self.init(bytes)
    }

    public static func random(using generator: inout some RandomNumberGenerator) -> Bytes16 {
        Bytes16(high: generator.next(), low: generator.next())
    }

    public var bytes: [UInt8] {
        (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> (56 - 8 * ($0 & 7))) }
    }

    public static func < (a: Bytes16, b: Bytes16) -> Bool { (a.high, a.low) < (b.high, b.low) }
    public var description: String { hex(of: bytes) }
}

/// A client's name for one transaction: retries with the same id are the same submission.
public typealias SubmissionID = Bytes16
/// The database, fixed by the first genesis; written as a UUID.
public typealias DatabaseID = Bytes16
/// One epoch's log: the random id of its genesis record.
public typealias GenesisID = Bytes16
/// One producer handle in one epoch.
public typealias WriterID = Bytes16

extension Bytes16 {
    /// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`
    public var uuidText: String {
        let digits = Array(description)
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }.joined(separator: "-")
    }
}
