/// The syntax of `java.util.Properties`: what a Java client's `kafka.properties` is written in.
///
/// A logical line is a natural line with those that it continues onto (an odd number of backslashes at its end; the next
/// one's leading white space goes). A line whose first character is `#` or `!` is a comment, which nothing continues. A name
/// ends at the first `=`, `:` or white space that no backslash precedes; white space around the separator is not part of
/// either; what follows, trailing white space included, is the value. Escapes: `\t \n \r \f \uXXXX`, any other character for
/// itself. Of a name that is given twice the last one counts.
///
/// Bytes are UTF-8; a file that is none is read as ISO 8859-1, which is what Java reads.
struct JavaProperties: Sendable {
    struct Entry: Sendable, Equatable {
        var name: String
        var value: String
        /// Where the logical line begins, from 1.
        var line: Int
    }

    struct Fault: Error, Equatable {
        var line: Int
        /// Never holds text of the file, which may be a secret.
        var reason: String
    }

    private(set) var entries: [Entry] = []

    init(_ bytes: [UInt8]) throws(Fault) {
        let bytes = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? Array(bytes[3...]) : bytes
        let text = String(validating: bytes, as: UTF8.self)
        let scalars = text.map { Array($0.unicodeScalars) } ?? bytes.map { Unicode.Scalar($0) }
        var lines = LogicalLines(scalars)
        while let (line, number) = lines.next() {
            let entry = try Self.entry(line, number)
            entries.removeAll { $0.name == entry.name }
            entries.append(entry)
        }
    }

    private static func entry(_ line: ArraySlice<Unicode.Scalar>, _ number: Int) throws(Fault) -> Entry {
        var end = line.startIndex
        while end < line.endIndex, !isBlank(line[end]), line[end] != "=", line[end] != ":" {
            end += line[end] == "\\" && end + 1 < line.endIndex ? 2 : 1
        }
        var value = line[end...].drop(while: isBlank)
        if value.first == "=" || value.first == ":" { value = value.dropFirst().drop(while: isBlank) }
        return Entry(name: try unescaped(line[..<end], number), value: try unescaped(value, number), line: number)
    }

    private static func unescaped(_ text: ArraySlice<Unicode.Scalar>, _ line: Int) throws(Fault) -> String {
        var units: [UInt16] = []
        var rest = text
        while let scalar = rest.popFirst() {
            guard scalar == "\\", let escape = rest.popFirst() else {
                // A backslash at the end of the file escapes nothing.
                if scalar != "\\" { units += Array(UTF16.encode(scalar)!) }
                continue
            }
            switch escape {
            case "t": units.append(0x09)
            case "n": units.append(0x0a)
            case "r": units.append(0x0d)
            case "f": units.append(0x0c)
            case "u":
                let digits = rest.prefix(4)
                guard digits.count == 4, digits.allSatisfy(\.properties.isASCIIHexDigit) else {
                    throw Fault(line: line, reason: "\\u needs four hexadecimal digits")
                }
                units.append(digits.reduce(0) { $0 << 4 | hexValue($1) })
                rest = rest.dropFirst(4)
            default: units += Array(UTF16.encode(escape)!)
            }
        }
        guard let result = String(validating: units, as: UTF16.self) else {
            throw Fault(line: line, reason: "half of a surrogate pair (\\uD800 to \\uDFFF) stands alone")
        }
        return result
    }

    private static func hexValue(_ digit: Unicode.Scalar) -> UInt16 {
        let value = UInt16(digit.value)
        return value <= 0x39 ? value - 0x30 : (value | 0x20) - 0x57
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || scalar == "\t" || scalar == "\u{0c}"
    }

    /// Logical lines that are neither blank nor comments, with the number of their first natural line.
    private struct LogicalLines {
        private let scalars: [Unicode.Scalar]
        private var at = 0
        private var number = 0

        init(_ scalars: [Unicode.Scalar]) { self.scalars = scalars }

        mutating func next() -> (line: ArraySlice<Unicode.Scalar>, number: Int)? {
            while var line = natural() {
                let first = number
                if line.isEmpty || line.first == "#" || line.first == "!" { continue }
                while line.reversed().prefix(while: { $0 == "\\" }).count % 2 == 1 {
                    line.removeLast()
                    guard let more = natural() else { break }
                    line += more
                }
                return (line[...], first)
            }
            return nil
        }

        /// Without its leading white space; nil at the end of the file.
        private mutating func natural() -> [Unicode.Scalar]? {
            guard at < scalars.count else { return nil }
            number += 1
            let line = scalars[at...].prefix { $0 != "\n" && $0 != "\r" }
            at = line.endIndex
            if at < scalars.count {
                at += scalars[at] == "\r" && at + 1 < scalars.count && scalars[at + 1] == "\n" ? 2 : 1
            }
            return Array(line.drop(while: isBlank))
        }
    }
}
