/// Finds wanted fields in a stored document without building it.
///
/// A document's fields stand in the order of their encoded names (shorter first, then by bytes), so a sorted list of
/// wanted names is found in one walk that ends with the last of them. Every step is bounds-checked; bytes that are no
/// document give a fault, never a trap.

package import VarveModel

package struct DocumentFields {
    /// Encoded names (head and text) one after the other, in the order of a document's fields.
    private var names: [UInt8] = []
    private var ends: [Int] = []
    /// For each of them its place in the list of the caller.
    private var places: [Int] = []
    /// For each place where the value begins in the document read last; -1 when it is absent.
    private var starts: [Int]

    package init(_ wanted: [Bytes]) {
        starts = Array(repeating: -1, count: wanted.count)
        func encoded(_ name: Bytes) -> [UInt8] {
            name.count < 24
                ? [0x60 | UInt8(name.count)] + name.array : [0x78, UInt8(clamping: name.count)] + name.array
        }
        let sorted = wanted.indices.map { ($0, encoded(wanted[$0])) }.sorted { a, b in
            a.1.lexicographicallyPrecedes(b.1)
        }
        for (place, bytes) in sorted {
            names += bytes
            ends.append(names.count)
            places.append(place)
        }
    }

    /// Walks over `document` once; afterwards `cell` answers for it.
    package mutating func read(_ document: UnsafeRawBufferPointer) throws(VarveError) {
        for i in starts.indices { starts[i] = -1 }
        var item = CBORWalk(document)
        let head = try item.head()
        guard head.major == 5 else { throw item.fault("a document is a map") }
        var at = 0
        var nameStart = 0
        for _ in 0..<head.argument {
            guard at < ends.count else { return }
            let start = item.at
            let name = try item.head()
            guard name.major == 3 else { throw item.fault("a field's name is a text") }
            try item.pass(name.argument)
            let key = UnsafeRawBufferPointer(rebasing: document[start..<item.at])
            var order = compare(nameStart..<ends[at], key)
            while order < 0 {
                nameStart = ends[at]
                at += 1
                guard at < ends.count else { return }
                order = compare(nameStart..<ends[at], key)
            }
            if order == 0 {
                starts[places[at]] = item.at
                nameStart = ends[at]
                at += 1
                if at == ends.count { return }
            }
            try item.skip()
        }
    }

    private func compare(_ name: Range<Int>, _ other: UnsafeRawBufferPointer) -> Int {
        // The head carries the length, so byte order is the documents' order and no name is another's prefix.
        names.withUnsafeBytes { all in
            let shared = Swift.min(name.count, other.count)
            for i in 0..<shared {
                let difference = Int(all[name.lowerBound + i]) - Int(other[i])
                if difference != 0 { return difference }
            }
            return name.count - other.count
        }
    }

    /// A wanted field of the document that was read last; `document` is that document.
    package func cell(_ place: Int, in document: UnsafeRawBufferPointer) throws(VarveError) -> Cell {
        let start = starts[place]
        guard start >= 0 else { return .null }
        var item = CBORWalk(document)
        item.at = start
        return try item.cell()
    }
}

/// A step-by-step walk over CBOR.
struct CBORWalk {
    let source: UnsafeRawBufferPointer
    var at = 0

    init(_ source: UnsafeRawBufferPointer) { self.source = source }

    @inline(never)
    func fault(_ reason: String) -> VarveError {
        VarveError(.blockCorrupt, "a stored document cannot be read: \(reason) at byte \(at)")
    }

    struct Head {
        var major: UInt8
        /// Bytes of the argument behind the first byte.
        var extra: Int
        var argument: UInt64
    }

    @inline(__always)
    mutating func head() throws(VarveError) -> Head {
        guard at < source.count else { throw fault("ends too early") }
        let initial = source[at]
        let low = initial & 31
        if low < 24 {
            at += 1
            return Head(major: initial >> 5, extra: 0, argument: UInt64(low))
        }
        guard low < 28 else { throw fault("indefinite length or reserved head") }
        let extra = 1 << Int(low - 24)
        guard source.count - at > extra else { throw fault("ends too early") }
        var argument: UInt64 = 0
        for i in 1...extra { argument = argument << 8 | UInt64(source[at + i]) }
        at += 1 + extra
        return Head(major: initial >> 5, extra: extra, argument: argument)
    }

    @inline(__always)
    mutating func pass(_ length: UInt64) throws(VarveError) {
        guard length <= UInt64(source.count - at) else { throw fault("a length beyond the end") }
        at += Int(length)
    }

    /// Passes over one item, whatever it holds.
    mutating func skip() throws(VarveError) {
        var left: UInt64 = 1
        while left > 0 {
            left -= 1
            let head = try head()
            switch head.major {
            case 2, 3: try pass(head.argument)
            case 4, 5:
                // Each item takes a byte at least, which also keeps the sum below from overflowing.
                guard head.argument <= UInt64(source.count - at) else { throw fault("a length beyond the end") }
                left += head.argument * (head.major == 5 ? 2 : 1)
            case 6: left += 1
            default: break
            }
        }
    }

    mutating func run(_ length: UInt64) throws(VarveError) -> UnsafeRawBufferPointer {
        let start = at
        try pass(length)
        return UnsafeRawBufferPointer(rebasing: source[start..<at])
    }

    /// The item that begins here.
    mutating func cell() throws(VarveError) -> Cell {
        let start = at
        let head = try head()
        switch head.major {
        case 0, 1:
            guard head.argument <= UInt64(Int64.max) else { throw fault("an integer outside int64") }
            return .integer(head.major == 0 ? Int64(head.argument) : ~Int64(head.argument))
        case 2: return .binary(try run(head.argument))
        case 3: return .text(try run(head.argument))
        case 4, 5:
            at = start
            try skip()
            return .nested(UnsafeRawBufferPointer(rebasing: source[start..<at]))
        case 6:
            let text = try self.head()
            guard head.argument == 0, text.major == 3 else { throw fault("a tag that is no timestamp") }
            return .timestampText(try run(text.argument))
        default:
            switch (head.extra, head.argument) {
            case (0, 20): return .bool(false)
            case (0, 21): return .bool(true)
            case (0, 22), (0, 23): return .null
            case (2, let bits): return .double(Self.double(ofHalf: UInt16(truncatingIfNeeded: bits)))
            case (4, let bits): return .double(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
            case (8, let bits): return .double(Double(bitPattern: bits))
            default: throw fault("an unknown kind")
            }
        }
    }

    private static func double(ofHalf bits: UInt16) -> Double {
        let exponent = Int(bits >> 10 & 0x1f)
        let fraction = Double(bits & 0x3ff)
        let magnitude =
            switch exponent {
            case 0: fraction * 0x1p-24
            case 31: fraction == 0 ? Double.infinity : .nan
            default: Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
            }
        return bits & 0x8000 == 0 ? magnitude : -magnitude
    }
}
