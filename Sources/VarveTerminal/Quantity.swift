/// Numbers for a person: counts, sizes, times, rates. Never for a machine to read back, but for `iso`.
package enum Quantity {
    /// `63,440`
    package static func count(_ value: Int) -> String {
        let digits = Array(String(value.magnitude))
        var text = value < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    /// `1 file`, `63,440 files`
    package static func count(_ value: Int, _ noun: String) -> String {
        "\(count(value)) \(noun)\(value == 1 ? "" : "s")"
    }

    /// `512 B`, `1.5 KiB`, `27 MiB`
    package static func bytes(_ value: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var size = Double(value)
        var unit = 0
        // 1023.95 would be rounded to 1024.0 of the smaller unit.
        while size.magnitude >= 1023.95 && unit < units.count - 1 {
            size /= 1024
            unit += 1
        }
        return "\(unit == 0 ? String(value) : oneDecimal(size)) \(units[unit])"
    }

    /// `850 µs`, `12 ms`, `3.4 s`, `2 min 05 s`, `1 h 02 min`, `3 d 04 h`
    package static func time(_ duration: Duration) -> String {
        let seconds = duration / .seconds(1)
        if seconds < 0 { return "-" + time(.zero - duration) }
        if seconds < 0.0005 { return "\(Int((seconds * 1e6).rounded())) µs" }
        if seconds < 0.9995 { return "\(Int((seconds * 1e3).rounded())) ms" }
        if seconds < 59.95 { return "\(oneDecimal(seconds)) s" }
        let whole = Int(min(seconds.rounded(), 1e15))
        if whole < 3600 { return "\(whole / 60) min \(twoDigits(whole % 60)) s" }
        if whole < 86_400 { return "\(whole / 3600) h \(twoDigits(whole / 60 % 60)) min" }
        return "\(whole / 86_400) d \(twoDigits(whole / 3600 % 24)) h"
    }

    /// `0:03`, `2:05`, `1:02:05`: for something that counts down.
    package static func clock(_ duration: Duration) -> String {
        let whole = max(0, Int(min((duration / .seconds(1)).rounded(.up), 1e15)))
        let tail = "\(twoDigits(whole % 60))"
        return whole < 3600 ? "\(whole / 60):\(tail)" : "\(whole / 3600):\(twoDigits(whole / 60 % 60)):\(tail)"
    }

    /// `14,200/s`; below ten one decimal.
    package static func rate(_ perSecond: Double) -> String {
        guard perSecond.isFinite, perSecond >= 0 else { return "–/s" }
        return perSecond < 9.95 ? "\(oneDecimal(perSecond))/s" : "\(count(Int(min(perSecond.rounded(), 1e15))))/s"
    }

    /// `PT1H0.5S`, as configuration and HTTP write durations.
    package static func iso(_ duration: Duration) -> String {
        let (whole, attoseconds) = duration.components
        var text = whole < 0 || attoseconds < 0 ? "-PT" : "PT"
        let total = whole.magnitude
        if total >= 3600 { text += "\(total / 3600)H" }
        if total / 60 % 60 > 0 { text += "\(total / 60 % 60)M" }
        if attoseconds != 0 {
            var decimals = String(attoseconds.magnitude + 1_000_000_000_000_000_000).dropFirst()
            while decimals.last == "0" { decimals.removeLast() }
            text += "\(total % 60).\(decimals)S"
        } else if total % 60 > 0 || total == 0 {
            text += "\(total % 60)S"
        }
        return text
    }

    private static func oneDecimal(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(abs(tenths % 10))"
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : String(value) }
}
