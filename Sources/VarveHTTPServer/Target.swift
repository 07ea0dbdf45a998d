// The target of a request: split first, decoded afterwards, each part once.
//
// `%2F` and `%00` are bytes of a segment, `+` is itself. The library's own decoded URL loses all three.

package struct QueryItem: Equatable, Sendable {
    package var name: String
    /// Empty both for `name` and for `name=`.
    package var value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

enum Target {
    /// The decoded parts; nil where there is a broken escape or one that is not UTF-8, or where there is no path.
    static func parse(_ raw: some Collection<UInt8>) -> (path: [String]?, query: [QueryItem]?) {
        guard let local = originForm(Array(raw)[...]) else { return (nil, nil) }
        // A fragment is never sent; a `#` is taken for the byte it is.
        let mark = local.firstIndex(of: UInt8(ascii: "?"))
        let path = segments(local[..<(mark ?? local.endIndex)])
        guard let mark else { return (path, []) }
        return (path, items(local[(mark + 1)...]))
    }

    /// What follows scheme and host, when they are given; nil for `*` and for what does not begin with a slash.
    private static func originForm(_ raw: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        if raw.first == UInt8(ascii: "/") { return raw }
        for scheme in ["http://", "https://"] where raw.starts(with: scheme.utf8) {
            let rest = raw.dropFirst(scheme.utf8.count)
            guard let slash = rest.firstIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }) else {
                return ArraySlice("/".utf8)
            }
            return rest[slash] == UInt8(ascii: "/") ? rest[slash...] : ArraySlice("/".utf8) + rest[slash...]
        }
        return nil
    }

    /// `/` has no segment, `/a/` has two, the second one empty.
    private static func segments(_ path: ArraySlice<UInt8>) -> [String]? {
        let rest = path.dropFirst()
        if rest.isEmpty { return [] }
        var segments: [String] = []
        for part in rest.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard let segment = decode(part) else { return nil }
            segments.append(segment)
        }
        return segments
    }

    private static func items(_ query: ArraySlice<UInt8>) -> [QueryItem]? {
        var items: [QueryItem] = []
        for part in query.split(separator: UInt8(ascii: "&")) {
            let mark = part.firstIndex(of: UInt8(ascii: "="))
            guard let name = decode(part[..<(mark ?? part.endIndex)]),
                let value = mark.map({ decode(part[($0 + 1)...]) }) ?? ""
            else { return nil }
            items.append(QueryItem(name: name, value: value))
        }
        return items
    }

    static func decode(_ part: ArraySlice<UInt8>) -> String? {
        guard part.contains(UInt8(ascii: "%")) else { return String(validating: part, as: UTF8.self) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.count)
        var index = part.startIndex
        while index < part.endIndex {
            if part[index] != UInt8(ascii: "%") {
                bytes.append(part[index])
                index += 1
            } else {
                guard index + 2 < part.endIndex, let high = digit(part[index + 1]), let low = digit(part[index + 2])
                else { return nil }
                bytes.append(high << 4 | low)
                index += 3
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
