/// A point in time, to the microsecond, in UTC; as text always the same 27 characters, so that texts sort as times.
///
/// Read from RFC 3339 with any offset. No leap seconds, no local time, no calendar but the proleptic Gregorian one.

public struct Instant: Sendable, Hashable, Comparable {
    /// Since 1970-01-01T00:00:00Z, without leap seconds.
    public let microseconds: Int64
    public init(microseconds: Int64) { self.microseconds = microseconds }
    public static func < (a: Instant, b: Instant) -> Bool { a.microseconds < b.microseconds }

    /// 0001-01-01T00:00:00.000000Z and 9999-12-31T23:59:59.999999Z: what documents and answers can hold.
    public static let earliest = Instant(microseconds: -62_135_596_800_000_000)
    public static let latest = Instant(microseconds: 253_402_300_799_999_999)

    /// Bytes of the fixed-width text.
    static let textBytes = 27

    public var isInRange: Bool { Self.earliest <= self && self <= Self.latest }
}

extension Instant: CustomStringConvertible, LosslessStringConvertible {
    /// `2026-11-21T10:00:00.000000Z`; outside the years 0001 to 9999 the year gets a sign and what digits it needs.
    public var description: String {
        if isInRange {
            return String(unsafeUninitializedCapacity: Self.textBytes) {
                write(to: $0.baseAddress!)
                return Self.textBytes
            }
        }
        let (day, ofDay) = microseconds.flooredDivision(by: microsecondsPerDay)
        let (year, month, dayOfMonth) = civil(fromDays: day)
        // The calendar repeats every 400 years: print a year within range and put the real one in its place.
        let twin = days(fromYear: 2000 + year.flooredDivision(by: 400).remainder, month: month, day: dayOfMonth)
        let text = Instant(microseconds: twin * microsecondsPerDay + ofDay).description
        return (year < 0 ? "-" : "+") + String(year.magnitude) + text.dropFirst(4)
    }

    /// RFC 3339: date, `T`, time, up to six fraction digits, `Z` or an offset. nil for anything else, for a date that
    /// does not exist, for a leap second, and outside the years 0001 to 9999.
    public init?(_ text: String) {
        var text = text
        let parsed = text.withUTF8 { Instant(rfc3339: UnsafeRawBufferPointer($0)) }
        guard let parsed else { return nil }
        self = parsed
    }

    init?(rfc3339 text: UnsafeRawBufferPointer) {
        guard (20...32).contains(text.count) else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= text.count else { return nil }
            var value: Int64 = 0
            for i in range {
                let digit = text[i] &- 0x30
                guard digit < 10 else { return nil }
                value = value * 10 + Int64(digit)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), text[10] | 0x20 == UInt8(ascii: "t"),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            year >= 1, (1...12).contains(month), day >= 1, day <= daysIn(month: month, year: year),
            hour < 24, minute < 60, second < 60
        else { return nil }
        var at = 19
        var fraction: Int64 = 0
        if text[at] == UInt8(ascii: ".") {
            at += 1
            var digits = 0
            while at < text.count, case let digit = text[at] &- 0x30, digit < 10 {
                fraction = fraction * 10 + Int64(digit)
                digits += 1
                at += 1
                guard digits <= 6 else { return nil }
            }
            guard digits > 0 else { return nil }
            for _ in digits..<6 { fraction *= 10 }
        }
        guard at < text.count else { return nil }
        var offsetMinutes: Int64 = 0
        switch text[at] {
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): at += 1
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            guard at + 6 == text.count, text[at + 3] == UInt8(ascii: ":"), let hours = number(at + 1..<at + 3),
                let minutes = number(at + 4..<at + 6), hours < 24, minutes < 60
            else { return nil }
            offsetMinutes = (hours * 60 + minutes) * (text[at] == UInt8(ascii: "-") ? -1 : 1)
            at += 6
        default: return nil
        }
        guard at == text.count else { return nil }
        let minutes = days(fromYear: year, month: month, day: day) * 1440 + hour * 60 + minute - offsetMinutes
        self.init(microseconds: (minutes * 60 + second) * 1_000_000 + fraction)
        guard isInRange else { return nil }
    }

    /// Exactly the text that `write` makes, else nil: how a stored timestamp is checked and read.
    @inline(__always)
    init?(fixedWidth text: UnsafeRawBufferPointer) {
        guard text.count == Self.textBytes, text[10] == UInt8(ascii: "T"), text[26] == UInt8(ascii: "Z"),
            text[19] == UInt8(ascii: ".")
        else { return nil }
        self.init(rfc3339: text)
    }

    /// Writes the 27 bytes; the instant is in range.
    func write(to out: UnsafeMutablePointer<UInt8>) {
        let (day, ofDay) = microseconds.flooredDivision(by: microsecondsPerDay)
        let (year, month, dayOfMonth) = civil(fromDays: day)
        func put(_ value: Int64, _ at: Int, _ digits: Int) {
            var rest = value
            for i in stride(from: at + digits - 1, through: at, by: -1) {
                out[i] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
        }
        let seconds = ofDay / 1_000_000
        put(year, 0, 4)
        put(month, 5, 2)
        put(dayOfMonth, 8, 2)
        put(seconds / 3600, 11, 2)
        put(seconds / 60 % 60, 14, 2)
        put(seconds % 60, 17, 2)
        put(ofDay % 1_000_000, 20, 6)
        out[4] = UInt8(ascii: "-")
        out[7] = UInt8(ascii: "-")
        out[10] = UInt8(ascii: "T")
        out[13] = UInt8(ascii: ":")
        out[16] = UInt8(ascii: ":")
        out[19] = UInt8(ascii: ".")
        out[26] = UInt8(ascii: "Z")
    }
}

private let microsecondsPerDay: Int64 = 86_400_000_000

extension Int64 {
    /// Quotient rounded down and the remainder, never negative.
    fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

private func isLeap(_ year: Int64) -> Bool {
    year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
}

private func daysIn(month: Int64, year: Int64) -> Int64 {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
}

/// Days since 1970-01-01, counted in years that begin in March (Hinnant, "chrono-compatible low-level date algorithms").
private func days(fromYear year: Int64, month: Int64, day: Int64) -> Int64 {
    let (era, ofEra) = (month <= 2 ? year - 1 : year).flooredDivision(by: 400)
    let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
}

private func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let (era, ofEra) = (days + 719_468).flooredDivision(by: 146_097)
    let year = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * year + year / 4 - year / 100)
    let shifted = (5 * ofYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (year + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - (153 * shifted + 2) / 5 + 1)
}
