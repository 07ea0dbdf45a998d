/// Where a record stands: the generation of the log, the place in it, and both together.

/// Generation of the log, 0 to 32,767. Only ever raised.
public struct Epoch: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let number: UInt16

    public static let highest = 32_767
    public static let first = Epoch(unchecked: 0)

    /// nil outside 0 to 32,767.
    public init?(_ number: Int) {
        guard (0...Self.highest).contains(number) else { return nil }
        self.number = UInt16(number)
    }

    init(unchecked number: UInt16) { self.number = number }

    public static func < (a: Epoch, b: Epoch) -> Bool { a.number < b.number }
    public var description: String { String(number) }
    public var next: Epoch? { Epoch(Int(number) + 1) }
}

/// Place of a record within its epoch, 48 bits. May have gaps, never repeats.
public struct Offset: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let value: Int64

    public static let highest: Int64 = (1 << 48) - 1

    public init(_ value: Int64) {
        precondition((0...Self.highest).contains(value), "offset \(value) does not fit 48 bits")
        self.value = value
    }

    public static func < (a: Offset, b: Offset) -> Bool { a.value < b.value }
    public static let zero = Offset(0)
    public var next: Offset { Offset(value + 1) }
    public var description: String { String(value) }
}

/// (epoch, offset), totally ordered; packs into one Int64 as `epoch << 48 | offset`, which sorts the same way.
/// A transaction's id in the log is its position. As text: `0-123`.
public struct Position: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let packed: Int64

    public init(_ epoch: Epoch, _ offset: Offset) { packed = Int64(epoch.number) << 48 | offset.value }

    /// nil for a negative number, which no position packs into.
    public init?(packed: Int64) {
        guard packed >= 0 else { return nil }
        self.packed = packed
    }

    /// Reads `0-123`: decimal digits only, no sign, no space.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let epoch = Int(parts[0]).flatMap({ Epoch($0) }), let offset = Int64(parts[1]), offset <= Offset.highest
        else { return nil }
        self.init(epoch, Offset(offset))
    }

    public static let zero = Position(.first, .zero)
    public var epoch: Epoch { Epoch(unchecked: UInt16(truncatingIfNeeded: packed >> 48)) }
    public var offset: Offset { Offset(packed & Offset.highest) }
    public static func < (a: Position, b: Position) -> Bool { a.packed < b.packed }
    public var description: String { "\(epoch)-\(offset)" }
}

/// Number of a block; without holes across epochs. The first block is 0.
public struct BlockNumber: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }
    public static func < (a: BlockNumber, b: BlockNumber) -> Bool { a.value < b.value }
    public static let first = BlockNumber(0)
    public var next: BlockNumber { BlockNumber(value + 1) }
    public var description: String { String(value) }
}
