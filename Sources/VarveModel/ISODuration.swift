/// Durations as configuration and requests write them: ISO 8601 `P[nD]T[nH][nM][n.nS]`, as `PT10S`, `P1DT2H`, `PT0.1S`.
///
/// A day is 24 hours. No years, months, weeks or signs: what has no fixed length or makes no sense here is refused.

package func duration(fromISO text: some StringProtocol) -> Duration? {
    var rest = Substring(text).utf8
    guard rest.popFirst() == UInt8(ascii: "P") else { return nil }
    var seconds: Int64 = 0
    var attoseconds: Int64 = 0
    var isTime = false
    var last = 0
    while let first = rest.first {
        if first == UInt8(ascii: "T") {
            guard !isTime, rest.count > 1 else { return nil }
            isTime = true
            rest.removeFirst()
            continue
        }
        guard let (number, fraction) = readNumber(&rest), let unit = rest.popFirst() else { return nil }
        let (order, scale): (Int, Int64)
        switch (unit, isTime) {
        case (UInt8(ascii: "D"), false): (order, scale) = (1, 86_400)
        case (UInt8(ascii: "H"), true): (order, scale) = (2, 3600)
        case (UInt8(ascii: "M"), true): (order, scale) = (3, 60)
        case (UInt8(ascii: "S"), true): (order, scale) = (4, 1)
        default: return nil
        }
        // Units in order, each once; only seconds have a fraction.
        guard order > last, fraction == nil || order == 4 else { return nil }
        last = order
        let part = number.multipliedReportingOverflow(by: scale)
        let sum = seconds.addingReportingOverflow(part.partialValue)
        guard !part.overflow, !sum.overflow, sum.partialValue <= durationSecondsMax else { return nil }
        seconds = sum.partialValue
        attoseconds = fraction ?? 0
    }
    guard last > 0 else { return nil }
    return Duration(secondsComponent: seconds, attosecondsComponent: attoseconds)
}

/// Longest duration that is read: keeps every sum of times in milliseconds or microseconds within Int64.
private let durationSecondsMax: Int64 = 1_000 * 366 * 86_400

/// Digits, and after a point one to nine more, in attoseconds.
private func readNumber(_ rest: inout Substring.UTF8View) -> (Int64, Int64?)? {
    func digits(_ most: Int) -> (value: Int64, count: Int)? {
        var value: Int64 = 0
        var count = 0
        while let byte = rest.first, (0x30...0x39).contains(byte) {
            value = value * 10 + Int64(byte - 0x30)
            count += 1
            guard count <= most else { return nil }
            rest.removeFirst()
        }
        return count > 0 ? (value, count) : nil
    }
    guard let whole = digits(12) else { return nil }
    guard rest.first == UInt8(ascii: ".") else { return (whole.value, nil) }
    rest.removeFirst()
    guard let fraction = digits(9) else { return nil }
    return (whole.value, (fraction.count..<18).reduce(fraction.value) { value, _ in value * 10 })
}

/// `PT10S`, `PT4H`, `P1DT2H`, `PT0.1S`; nothing is `PT0S`. Negative durations print with a sign in front.
package func isoText(of duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    if seconds < 0 || attoseconds < 0 { return "-" + isoText(of: .zero - duration) }
    var text = seconds >= 86_400 ? "P\(seconds / 86_400)D" : "P"
    var time = ""
    if case let hours = seconds / 3600 % 24, hours > 0 { time += "\(hours)H" }
    if case let minutes = seconds / 60 % 60, minutes > 0 { time += "\(minutes)M" }
    if seconds % 60 > 0 || attoseconds > 0 {
        time += "\(seconds % 60)"
        if attoseconds > 0 {
            let digits = String(attoseconds)
            var fraction = String(repeating: "0", count: 18 - digits.utf8.count) + digits
            while fraction.last == "0" { fraction.removeLast() }
            time += "." + fraction
        }
        time += "S"
    }
    if time.isEmpty, seconds < 86_400 { time = "0S" }
    if !time.isEmpty { text += "T" + time }
    return text
}
