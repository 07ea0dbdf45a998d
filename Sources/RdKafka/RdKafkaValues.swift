/// Values on their way into a topic.
///
/// Small ones lie behind one another in one allocation and are handed to librdkafka many at a time: a call for each, with its
/// clock and its locks, would cost more than the copy. Large ones stay where they are: there the copy would cost more.
package struct RdKafkaValues: Sendable {
    /// Up to this size on average they are packed.
    package static let packedBytesMax = 256

    private var packed: [UInt8] = []
    /// Where each packed value ends.
    private var ends: [Int] = []
    private var single: [[UInt8]] = []
    private(set) var size: Int

    /// - Parameter size: of all of them.
    package init(count: Int, size: Int) {
        self.size = size
        if size <= count * Self.packedBytesMax {
            packed.reserveCapacity(size)
            ends.reserveCapacity(count)
        } else {
            single.reserveCapacity(count)
            isPacked = false
        }
    }

    package init(_ records: [[UInt8]]) {
        self.init(count: records.count, size: records.reduce(0) { $0 + $1.count })
        for record in records {
            if isPacked { record.withUnsafeBytes { pack($0) } } else { add(record) }
        }
    }

    package private(set) var isPacked = true

    package mutating func pack(_ value: UnsafeRawBufferPointer) {
        packed.append(contentsOf: value)
        ends.append(packed.count)
    }

    package mutating func add(_ value: [UInt8]) { single.append(value) }

    var count: Int { isPacked ? ends.count : single.count }

    func size(_ range: Range<Int>) -> Int {
        guard isPacked else { return single[range].reduce(0) { $0 + $1.count } }
        return range.isEmpty ? 0 : ends[range.upperBound - 1] - start(range.lowerBound)
    }

    private func start(_ index: Int) -> Int { index == 0 ? 0 : ends[index - 1] }

    /// The bytes of all packed values.
    func withPacked<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { packed.withUnsafeBytes(body) }

    /// Where a packed value lies in them.
    func place(_ index: Int) -> Range<Int> { start(index)..<ends[index] }

    func withValue<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        guard isPacked else { return single[index].withUnsafeBytes(body) }
        return packed.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[place(index)])) }
    }
}
