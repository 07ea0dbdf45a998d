// The headers of a request in one block of bytes: names and values lie behind one another, so that copying a head off
// the library's memory costs two allocations however many headers there are.

package struct RequestHeaders: Sendable {
    private var bytes: [UInt8] = []
    private var fields: [Field] = []

    private struct Field {
        var name: Range<Int32>
        var value: Range<Int32>
    }

    init() {}

    package init(_ list: [(name: String, value: String)]) {
        for (name, value) in list {
            Array(name.utf8).withUnsafeBufferPointer { name in
                Array(value.utf8).withUnsafeBufferPointer { value in append(name, value) }
            }
        }
    }

    mutating func reserve() {
        bytes.reserveCapacity(512)
        fields.reserveCapacity(12)
    }

    mutating func append(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        let start = Int32(bytes.count)
        bytes.append(contentsOf: name)
        let middle = Int32(bytes.count)
        bytes.append(contentsOf: value)
        fields.append(Field(name: start..<middle, value: middle..<Int32(bytes.count)))
    }

    package var count: Int { fields.count }

    /// Bytes of all names and values, with the four that separate them on the wire.
    var wireBytes: Int { bytes.count + 4 * fields.count }

    /// The value of the first header of that name, whatever its case.
    package subscript(name: StaticString) -> String? {
        guard let index = firstIndex(of: name) else { return nil }
        return value(at: index)
    }

    /// All values of that name, in order.
    package func values(_ name: StaticString) -> [String] {
        fields.indices.filter { matches($0, name) }.map(value(at:))
    }

    func count(of name: StaticString) -> Int {
        var count = 0
        for index in fields.indices where matches(index, name) { count += 1 }
        return count
    }

    func valueBytes(_ name: StaticString) -> ArraySlice<UInt8>? {
        firstIndex(of: name).map { bytes[Int(fields[$0].value.lowerBound)..<Int(fields[$0].value.upperBound)] }
    }

    /// Names as they came and values.
    package var all: [(name: String, value: String)] {
        fields.indices.map { index in
            (String(decoding: nameBytes(at: index), as: UTF8.self), value(at: index))
        }
    }

    func nameBytes(at index: Int) -> ArraySlice<UInt8> {
        bytes[Int(fields[index].name.lowerBound)..<Int(fields[index].name.upperBound)]
    }

    func valueBytes(at index: Int) -> ArraySlice<UInt8> {
        bytes[Int(fields[index].value.lowerBound)..<Int(fields[index].value.upperBound)]
    }

    private func value(at index: Int) -> String {
        String(decoding: valueBytes(at: index), as: UTF8.self)
    }

    private func firstIndex(of name: StaticString) -> Int? {
        fields.indices.first { matches($0, name) }
    }

    private func matches(_ index: Int, _ name: StaticString) -> Bool {
        let range = fields[index].name
        guard range.count == name.utf8CodeUnitCount else { return false }
        let start = Int(range.lowerBound)
        for offset in 0..<range.count
        where lowercased(bytes[start + offset]) != lowercased(name.utf8Start[offset]) {
            return false
        }
        return true
    }

    private func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }
}
