/// An immutable run of bytes that shares its storage.
///
/// One allocation (a log record's payload, a file's contents) is read by many: each key and document of a transaction is
/// a slice of the record it came in, so applying copies nothing. Compared and ordered as bytes, never as text.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

public struct Bytes: Sendable {
    @usableFromInline let storage: [UInt8]
    @usableFromInline let lower: UInt32
    @usableFromInline let upper: UInt32

    @inlinable
    public init(_ array: [UInt8]) {
        precondition(array.count <= UInt32.max)
        storage = array
        lower = 0
        upper = UInt32(truncatingIfNeeded: array.count)
    }

    @inlinable
    init(storage: [UInt8], lower: UInt32, upper: UInt32) {
        self.storage = storage
        self.lower = lower
        self.upper = upper
    }

    @inlinable
    public init() { self.init([]) }

    /// The UTF-8 of a text.
    public init(_ text: some StringProtocol) { self.init(Array(text.utf8)) }

    @inlinable
    public var count: Int { Int(upper) - Int(lower) }

    @inlinable
    public var isEmpty: Bool { upper == lower }

    @inlinable
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count)
        return storage[Int(lower) + index]
    }

    /// A slice that shares the storage; `range` counts from this run's own start.
    @inlinable
    public subscript(range: Range<Int>) -> Bytes {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return Bytes(
            storage: storage, lower: lower + UInt32(truncatingIfNeeded: range.lowerBound),
            upper: lower + UInt32(truncatingIfNeeded: range.upperBound))
    }

    @inlinable
    public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        let range = Int(lower)..<Int(upper)
        var result: Result<R, E>?
        storage.withUnsafeBytes { whole in
            do throws(E) {
                result = .success(try body(UnsafeRawBufferPointer(rebasing: whole[range])))
            } catch {
                result = .failure(error)
            }
        }
        return try result!.get()
    }

    public var array: [UInt8] {
        lower == 0 && Int(upper) == storage.count ? storage : Array(storage[Int(lower)..<Int(upper)])
    }

    /// The text these bytes are, or nil when they are not UTF-8.
    public var utf8: String? { withUnsafeBytes { String(validating: $0, as: UTF8.self) } }

    /// A run with storage of its own: for what outlives a large record it is a small part of.
    public func detached() -> Bytes { Bytes(Array(storage[Int(lower)..<Int(upper)])) }
}

extension Bytes: Equatable, Hashable, Comparable {
    @inlinable
    public static func == (a: Bytes, b: Bytes) -> Bool {
        a.count == b.count && compareBytes(a, b) == 0
    }

    @inlinable
    public static func < (a: Bytes, b: Bytes) -> Bool { compareBytes(a, b) < 0 }

    @inlinable
    public func hash(into hasher: inout Hasher) {
        withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension Bytes: CustomStringConvertible {
    public var description: String { hex(of: self.array) }
}

/// Lexicographic order of bytes: negative, zero or positive, as `memcmp` has it.
@usableFromInline
func compareBytes(_ a: Bytes, _ b: Bytes) -> Int {
    a.withUnsafeBytes { x in b.withUnsafeBytes { y in compareRaw(x, y) } }
}

package func compareRaw(_ x: UnsafeRawBufferPointer, _ y: UnsafeRawBufferPointer) -> Int {
    let shared = min(x.count, y.count)
    if shared > 0 {
        let order = memcmp(x.baseAddress!, y.baseAddress!, shared)
        if order != 0 { return Int(order) }
    }
    return x.count - y.count
}

private let hexDigits = Array("0123456789abcdef".utf8)

/// Lower-case hexadecimal.
public func hex(of bytes: some Sequence<UInt8>) -> String {
    var digits: [UInt8] = []
    for byte in bytes {
        digits.append(hexDigits[Int(byte >> 4)])
        digits.append(hexDigits[Int(byte & 15)])
    }
    return String(decoding: digits, as: UTF8.self)
}

/// The bytes of an even number of hexadecimal digits, else nil.
public func bytes(fromHex text: some StringProtocol) -> [UInt8]? {
    func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        case 0x41...0x46: digit - 0x41 + 10
        default: nil
        }
    }
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(digits.count / 2)
    for i in stride(from: 0, to: digits.count, by: 2) {
        guard let high = value(digits[i]), let low = value(digits[i + 1]) else { return nil }
        result.append(high << 4 | low)
    }
    return result
}
