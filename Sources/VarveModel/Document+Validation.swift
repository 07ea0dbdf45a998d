/// Whether bytes from a record are a document: one pass, a few nanoseconds per field, on the path of every apply.

extension Document {
    package enum Role: Sendable {
        /// What `put` stores, and what `equals` names.
        case document
        /// `absent` may stand as a top-level value.
        case patch
    }

    /// Throws unless the bytes are exactly one deterministic document. A malformed one aborts its transaction.
    package static func validate(_ bytes: Bytes, as role: Role = .document) throws(CBORFault) {
        try bytes.withUnsafeBytes { raw throws(CBORFault) in try validate(raw, as: role) }
    }

    package static func validate(_ raw: UnsafeRawBufferPointer, as role: Role) throws(CBORFault) {
        guard let base = raw.baseAddress else { throw CBORFault(reason: "no bytes", offset: 0) }
        var cursor = CBORCursor(base.assumingMemoryBound(to: UInt8.self), count: raw.count)
        let count = try cursor.mapHead()
        try cursor.validateFields(count, level: 1, absent: role == .patch)
        guard cursor.at == cursor.end else { throw cursor.fault("bytes after the document") }
    }
}

extension CBORCursor {
    /// The fields of a map whose head was read, at nesting `level`.
    fileprivate mutating func validateFields(_ count: UInt64, level: Int, absent: Bool) throws(CBORFault) {
        var previous: (start: Int, word: UInt64)?
        for _ in 0..<count {
            let start = at
            let name = try textRange()
            let word = nameWord(start, at)
            try validateName(name, word, isTop: level == 1)
            if let previous {
                // Up to seven bytes of name the word is all of it.
                let isInOrder =
                    previous.word < word
                    || previous.word == word && at - start > 8
                        && compareRaw(
                            UnsafeRawBufferPointer(start: base + previous.start, count: at - start),
                            UnsafeRawBufferPointer(start: base + start, count: at - start)) < 0
                guard isInOrder else { throw fault("field names out of order or repeated", at: start) }
            }
            previous = (start, word)
            try validateItem(level, absent: absent)
        }
    }

    /// - Parameter word: the first eight bytes of the encoded name, zero-filled.
    @inline(__always)
    private func validateName(_ name: Range<Int>, _ word: UInt64, isTop: Bool) throws(CBORFault) {
        let count = name.count
        if (1...7).contains(count) {
            // The word holds all of it: ASCII, no NUL, and no letter that needs a closer look.
            let text = word << 8 | (1 << UInt64(64 - 8 * count)) - 1
            let ones: UInt64 = 0x0101_0101_0101_0101
            let first = UInt8(truncatingIfNeeded: word >> 48)
            let zeros = (text &- ones) & ~text & (ones << 7) & (~0 << UInt64(64 - 8 * count))
            let high = text & (ones << 7) & (~0 << UInt64(64 - 8 * count))
            if zeros | high == 0, first != UInt8(ascii: "_"), first != UInt8(ascii: "@") { return }
        }
        try validateUncommonName(name, isTop: isTop)
    }

    @inline(never)
    private func validateUncommonName(_ name: Range<Int>, isTop: Bool) throws(CBORFault) {
        guard (1...Document.nameBytesMax).contains(name.count) else {
            throw fault("a field name that is empty or has more than 255 bytes", at: name.lowerBound)
        }
        let first = base[name.lowerBound]
        if isTop, first == UInt8(ascii: "_") { throw fault("a reserved field name", at: name.lowerBound) }
        if first == UInt8(ascii: "@"), isTypeName(base + name.lowerBound, name.count) {
            throw fault("a field named @type", at: name.lowerBound)
        }
        for i in name where base[i] == 0 { throw fault("a field name with NUL", at: i) }
        guard isUTF8(base + name.lowerBound, name.count) else {
            throw fault("a field name that is not UTF-8", at: name.lowerBound)
        }
    }

    /// One value inside `level` containers.
    private mutating func validateItem(_ level: Int, absent: Bool) throws(CBORFault) {
        let start = at
        let head = try head()
        switch head.major {
        case 0, 1:
            guard head.argument <= UInt64(Int64.max) else { throw fault("an integer outside int64", at: start) }
        case 2: _ = try run(head.argument)
        case 3:
            let text = try run(head.argument)
            guard isUTF8(base + text, at - text) else { throw fault("a text that is not UTF-8", at: start) }
        case 4:
            guard level < Document.depthMax else { throw fault("nested too deep", at: start) }
            for _ in 0..<head.argument { try validateItem(level + 1, absent: false) }
        case 5:
            guard level < Document.depthMax else { throw fault("nested too deep", at: start) }
            try validateFields(head.argument, level: level + 1, absent: false)
        case 6:
            guard head.argument == 0, case let text = try textRange(), Instant(fixedWidth: slice(text)) != nil else {
                throw fault("a tag that is no timestamp", at: start)
            }
        default:
            switch (head.extra, head.argument) {
            case (0, 20), (0, 21), (0, 22): return
            case (0, 23): guard absent else { throw fault("absent outside the top level of a patch", at: start) }
            default:
                guard let value = shortestDouble(head), value.isFinite else {
                    throw fault("a float that is not finite or longer than needed, or an unknown kind", at: start)
                }
            }
        }
    }

    /// The first eight bytes of the encoded name at `start..<stop` as a number that sorts as they do.
    @inline(__always)
    private func nameWord(_ start: Int, _ stop: Int) -> UInt64 {
        VarveModel.nameWord(base + start, stop - start, isReadable: end - start >= 8)
    }
}

/// The first eight of `count` bytes, big-endian and zero-filled; `isReadable` when eight bytes may be read at `pointer`.
@inline(__always)
func nameWord(_ pointer: UnsafePointer<UInt8>, _ count: Int, isReadable: Bool) -> UInt64 {
    if isReadable {
        let word = loadWord(pointer).byteSwapped
        return count >= 8 ? word : word & (~0 << UInt64(64 - 8 * count))
    }
    var word: UInt64 = 0
    for i in 0..<min(count, 8) { word |= UInt64(pointer[i]) << UInt64(56 - 8 * i) }
    return word
}

@inline(__always)
func isTypeName(_ name: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    count == 5 && name[0] == UInt8(ascii: "@") && name[1] == UInt8(ascii: "t") && name[2] == UInt8(ascii: "y")
        && name[3] == UInt8(ascii: "p") && name[4] == UInt8(ascii: "e")
}
