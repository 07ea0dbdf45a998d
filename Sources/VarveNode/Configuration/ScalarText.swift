// What a scalar of YAML 1.2's core schema is, and the texts of our own: durations and sizes.
//
// Strict where YAML is generous: only `true` and `false` are booleans, integers are decimal, a number is not a text.

/// A scalar of the file, resolved.
enum ResolvedScalar: Sendable {
    case null
    case boolean(Bool)
    /// nil when it is written in hexadecimal or octal, or is too large.
    case integer(Int?)
    case float
    case text(String)
    /// From `!Env`: a text that stands for any scalar.
    case environment(name: String, String)

    init(plain text: String) {
        switch text {
        case "", "~", "null", "Null", "NULL": self = .null
        case "true": self = .boolean(true)
        case "false": self = .boolean(false)
        default:
            if let number = Self.number(text) { self = number } else { self = .text(text) }
        }
    }

    /// The core schema's integers and floats; nil for what is a text.
    private static func number(_ text: String) -> ResolvedScalar? {
        var rest = Substring(text).utf8
        if text.hasPrefix("0x"), rest.count > 2, rest.dropFirst(2).allSatisfy(isHexDigit) { return .integer(nil) }
        if text.hasPrefix("0o"), rest.count > 2, rest.dropFirst(2).allSatisfy({ (0x30...0x37).contains($0) }) {
            return .integer(nil)
        }
        if [".nan", ".NaN", ".NAN"].contains(text) { return .float }
        if let sign = rest.first, sign == 0x2b || sign == 0x2d { rest = rest.dropFirst() }
        if [".inf", ".Inf", ".INF"].contains(String(Substring(rest))) { return .float }
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        if rest.isEmpty { return whole.isEmpty ? nil : .integer(Int(text)) }
        var fraction = 0
        if rest.first == 0x2e {
            rest = rest.dropFirst()
            fraction = rest.prefix(while: isDigit).count
            rest = rest.dropFirst(fraction)
        }
        guard !whole.isEmpty || fraction > 0 else { return nil }
        if let mark = rest.first, mark == 0x65 || mark == 0x45 {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == 0x2b || sign == 0x2d { rest = rest.dropFirst() }
            guard !rest.isEmpty, rest.allSatisfy(isDigit) else { return nil }
            return .float
        }
        return rest.isEmpty ? .float : nil
    }
}

/// ISO 8601 durations of the form `P[nD]T[nH][nM][n.nS]`: upper case, days to seconds, a fraction only of seconds.
enum DurationText {
    static func parse(_ text: String) -> Duration? {
        var rest = Substring(text).utf8
        guard rest.popFirst() == 0x50 else { return nil }
        var seconds: Int64 = 0
        var nanoseconds: Int64 = 0
        var inTime = false
        var units: [(UInt8, Int64)] = [(0x44, 86_400)]
        var parts = 0
        while let first = rest.first {
            if first == 0x54 {
                guard !inTime, rest.count > 1 else { return nil }
                inTime = true
                units = [(0x48, 3600), (0x4d, 60), (0x53, 1)]
                rest = rest.dropFirst()
                continue
            }
            let digits = rest.prefix(while: isDigit)
            rest = rest.dropFirst(digits.count)
            guard let count = Int64(String(Substring(digits))) else { return nil }
            var fraction: Substring.UTF8View?
            if rest.first == 0x2e {
                rest = rest.dropFirst()
                let decimals = rest.prefix(while: isDigit)
                guard (1...9).contains(decimals.count) else { return nil }
                fraction = decimals
                rest = rest.dropFirst(decimals.count)
            }
            // Each unit at most once, in falling order.
            guard let unit = rest.popFirst(), let index = units.firstIndex(where: { $0.0 == unit }) else { return nil }
            let (product, over) = count.multipliedReportingOverflow(by: units[index].1)
            let (sum, tooMuch) = seconds.addingReportingOverflow(product)
            guard !over, !tooMuch else { return nil }
            seconds = sum
            if let fraction {
                guard unit == 0x53 else { return nil }
                let padded = String(Substring(fraction)) + String(repeating: "0", count: 9 - fraction.count)
                nanoseconds = Int64(padded) ?? 0
            }
            units.removeSubrange(...index)
            parts += 1
        }
        return parts > 0 ? .seconds(seconds) + .nanoseconds(nanoseconds) : nil
    }

    static func format(_ duration: Duration) -> String {
        let (whole, attoseconds) = duration.components
        var text = "PT"
        if whole >= 3600 { text += "\(whole / 3600)H" }
        if whole / 60 % 60 > 0 { text += "\(whole / 60 % 60)M" }
        let seconds = whole % 60
        if attoseconds > 0 {
            var decimals = String(attoseconds + 1_000_000_000_000_000_000).dropFirst()
            while decimals.last == "0" { decimals.removeLast() }
            text += "\(seconds).\(decimals)S"
        } else if seconds > 0 || whole == 0 {
            text += "\(seconds)S"
        }
        return text
    }
}

/// Bytes: an integer, or an integer directly followed by its unit.
package enum SizeText {
    static let units: [(String, Int)] = [
        ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000),
    ]

    package static func parse(_ text: String) -> Int? {
        let digits = text.utf8.prefix(while: isDigit)
        guard let count = Int(String(Substring(digits))) else { return nil }
        let unit = text.dropFirst(digits.count)
        if unit.isEmpty { return count }
        guard let factor = units.first(where: { $0.0 == unit })?.1 else { return nil }
        let (product, over) = count.multipliedReportingOverflow(by: factor)
        return over ? nil : product
    }

    static func format(_ bytes: Int) -> String {
        for (unit, factor) in units where bytes > 0 && bytes % factor == 0 { return "\(bytes / factor)\(unit)" }
        return String(bytes)
    }
}

private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

private func isHexDigit(_ byte: UInt8) -> Bool {
    isDigit(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
}
