/// Writes the few FlatBuffers tables that Arrow's metadata is made of.
///
/// Forwards: a table is written before its children, and each child's offset is patched in when the child comes to be.
/// So equal content is equal bytes, with nothing to sort or to deduplicate; every gap is zero.

struct FlatBufferWriter {
    /// The first four bytes are the offset of the root table.
    private(set) var bytes: [UInt8] = [0, 0, 0, 0]

    /// A place that holds the offset of something written later.
    struct Slot {
        fileprivate let position: Int
    }

    static let root = Slot(position: 0)

    enum Field {
        /// Left out: readers take the schema's default.
        case absent
        case bool(Bool)
        case byte(UInt8)
        case short(Int16)
        case int(Int32)
        case long(Int64)
        /// A table, vector or text, linked afterwards.
        case child

        fileprivate var size: Int {
            switch self {
            case .absent: 0
            case .bool, .byte: 1
            case .short: 2
            case .int, .child: 4
            case .long: 8
            }
        }
    }

    /// Makes `parent` point at what is written next, which starts where the writer stands now.
    private mutating func link(_ parent: Slot) {
        store(UInt32(bytes.count - parent.position), at: parent.position)
    }

    private mutating func store(_ value: some FixedWidthInteger, at position: Int) {
        withUnsafeBytes(of: value.littleEndian) { raw in
            for (i, byte) in raw.enumerated() { bytes[position + i] = byte }
        }
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Zeros until `count + ahead` bytes are a multiple of `alignment`.
    mutating func pad(to alignment: Int, ahead: Int = 0) {
        while !(bytes.count + ahead).isMultiple(of: alignment) { bytes.append(0) }
    }

    /// A table at `parent`; `fields` by field number. Returns the slots of its children, in order.
    mutating func table(_ parent: Slot, _ fields: [Field]) -> [Slot] {
        var places: [Int] = []
        var size = 4
        for field in fields {
            if field.size > 0 { size = (size + field.size - 1) / field.size * field.size }
            places.append(field.size == 0 ? 0 : size)
            size += field.size
        }
        let vtableSize = 4 + 2 * fields.count
        pad(to: 8, ahead: vtableSize)
        append(UInt16(vtableSize))
        append(UInt16(size))
        for place in places { append(UInt16(place)) }
        let start = bytes.count
        link(parent)
        append(Int32(vtableSize))
        bytes.append(contentsOf: repeatElement(0, count: size - 4))
        var slots: [Slot] = []
        for (field, place) in zip(fields, places) {
            switch field {
            case .absent: break
            case .bool(let value): store(UInt8(value ? 1 : 0), at: start + place)
            case .byte(let value): store(value, at: start + place)
            case .short(let value): store(value, at: start + place)
            case .int(let value): store(value, at: start + place)
            case .long(let value): store(value, at: start + place)
            case .child: slots.append(Slot(position: start + place))
            }
        }
        return slots
    }

    mutating func text(_ parent: Slot, _ utf8: Bytes) {
        pad(to: 4)
        link(parent)
        append(UInt32(utf8.count))
        utf8.withUnsafeBytes { bytes.append(contentsOf: $0) }
        bytes.append(0)
    }

    /// A vector of `count` tables or texts, to be written into the slots in order.
    mutating func vector(_ parent: Slot, count: Int) -> [Slot] {
        pad(to: 4)
        link(parent)
        append(UInt32(count))
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: 4 * count))
        return (0..<count).map { Slot(position: start + 4 * $0) }
    }

    /// A vector of structs made of int64 fields: `words` holds all of them one after the other.
    mutating func structs(_ parent: Slot, count: Int, words: [Int64]) {
        pad(to: 8, ahead: 4)
        link(parent)
        append(UInt32(count))
        for word in words { append(word) }
    }
}

import VarveModel
