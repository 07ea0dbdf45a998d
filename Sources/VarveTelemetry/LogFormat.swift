/// The two forms of a log line, as pure functions: the same entry and time give the same bytes.
///
/// A line is always one line: a line break within a message or a value is written as `\n`, so nothing that came from
/// outside can forge a line.
public enum LogFormat: String, Sendable, CaseIterable {
    /// `2026-11-21T10:00:00.123Z INFO node-1 message key=value`
    case text
    /// `{"time":"…","level":"info","label":"node-1","message":"…","metadata":{"key":"value"}}`
    case json

    /// The line with its line break. `microseconds` since 1970-01-01 UTC.
    package func line(_ entry: LogLine, microseconds: Int64) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(128 + entry.message.utf8.count)
        let keys = entry.metadata.keys.sorted()
        switch self {
        case .text:
            appendInstant(microseconds, to: &out)
            out.append(0x20)
            out.append(contentsOf: entry.level.rawValue.uppercased().utf8)
            if !entry.label.isEmpty {
                out.append(0x20)
                appendOneLine(entry.label, to: &out)
            }
            out.append(0x20)
            appendOneLine(entry.message, to: &out)
            for key in keys {
                out.append(0x20)
                appendOneLine(key, to: &out)
                out.append(0x3d)
                appendValue(entry.metadata[key] ?? "", to: &out)
            }
        case .json:
            out.append(contentsOf: #"{"time":""#.utf8)
            appendInstant(microseconds, to: &out)
            out.append(contentsOf: #"","level":""#.utf8)
            out.append(contentsOf: entry.level.rawValue.utf8)
            out.append(contentsOf: #"","label":"#.utf8)
            appendQuoted(entry.label, to: &out)
            out.append(contentsOf: #","message":"#.utf8)
            appendQuoted(entry.message, to: &out)
            if !keys.isEmpty {
                out.append(contentsOf: #","metadata":{"#.utf8)
                for (index, key) in keys.enumerated() {
                    if index > 0 { out.append(0x2c) }
                    appendQuoted(key, to: &out)
                    out.append(0x3a)
                    appendQuoted(entry.metadata[key] ?? "", to: &out)
                }
                out.append(0x7d)
            }
            out.append(0x7d)
        }
        out.append(0x0a)
        return out
    }
}

/// Milliseconds are enough for a reader; the order of the lines tells the rest.
private func appendInstant(_ microseconds: Int64, to out: inout [UInt8]) {
    let (days, ofDay) = floorDivide(microseconds, 86_400_000_000)
    // Days to a civil date, after Howard Hinnant's `civil_from_days`: eras of 400 years that begin on 1 March.
    let shifted = days + 719_468
    let (era, dayOfEra) = floorDivide(shifted, 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let seconds = ofDay / 1_000_000
    appendDigits(year, 4, to: &out)
    out.append(0x2d)
    appendDigits(month, 2, to: &out)
    out.append(0x2d)
    appendDigits(day, 2, to: &out)
    out.append(0x54)
    appendDigits(seconds / 3600, 2, to: &out)
    out.append(0x3a)
    appendDigits(seconds / 60 % 60, 2, to: &out)
    out.append(0x3a)
    appendDigits(seconds % 60, 2, to: &out)
    out.append(0x2e)
    appendDigits(ofDay / 1000 % 1000, 3, to: &out)
    out.append(0x5a)
}

private func floorDivide(_ value: Int64, _ by: Int64) -> (Int64, Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: by)
    return remainder < 0 ? (quotient - 1, remainder + by) : (quotient, remainder)
}

private func appendDigits(_ value: Int64, _ width: Int, to out: inout [UInt8]) {
    let digits = String(value)
    for _ in digits.utf8.count..<max(width, digits.utf8.count) { out.append(0x30) }
    out.append(contentsOf: digits.utf8)
}

/// Control characters as escapes; everything else byte for byte.
private func appendOneLine(_ text: String, to out: inout [UInt8]) {
    for scalar in text.unicodeScalars { appendScalar(scalar, escapingQuotes: false, to: &out) }
}

/// A value that would be read as several words is quoted.
private func appendValue(_ text: String, to out: inout [UInt8]) {
    let plain =
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x3d && $0 != 0x5c && $0 != 0x7f }
    if plain { out.append(contentsOf: text.utf8) } else { appendQuoted(text, to: &out) }
}

private func appendQuoted(_ text: String, to out: inout [UInt8]) {
    out.append(0x22)
    for scalar in text.unicodeScalars { appendScalar(scalar, escapingQuotes: true, to: &out) }
    out.append(0x22)
}

private func appendScalar(_ scalar: Unicode.Scalar, escapingQuotes: Bool, to out: inout [UInt8]) {
    switch scalar.value {
    case 0x0a: out.append(contentsOf: #"\n"#.utf8)
    case 0x0d: out.append(contentsOf: #"\r"#.utf8)
    case 0x09: out.append(contentsOf: #"\t"#.utf8)
    case 0x22 where escapingQuotes: out.append(contentsOf: #"\""#.utf8)
    case 0x5c where escapingQuotes: out.append(contentsOf: #"\\"#.utf8)
    // C0, DEL, C1 and the two Unicode line separators, which some viewers break lines at.
    case 0..<0x20, 0x7f...0x9f, 0x2028, 0x2029:
        let hex = String(scalar.value, radix: 16)
        out.append(contentsOf: #"\u"#.utf8)
        for _ in hex.utf8.count..<4 { out.append(0x30) }
        out.append(contentsOf: hex.utf8)
    default: out.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }
}
