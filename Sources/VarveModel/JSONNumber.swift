/// Numbers of a JSON text: without fraction and exponent an int64, else a float64, correctly rounded, in no locale.

enum JSONNumber {
    case integer(Int64)
    case double(Double)
}

extension JSONLexer {
    /// The number that starts at `at` with a digit or a minus.
    @inline(__always)
    mutating func number() throws(ScanFault) -> JSONNumber {
        let start = at
        var i = at
        let isNegative = base[i] == UInt8(ascii: "-")
        if isNegative { i += 1 }
        var mantissa: UInt64 = 0
        let digitsStart = i
        while i < end, case let digit = base[i] &- 0x30, digit < 10 {
            mantissa = mantissa &* 10 &+ UInt64(digit)
            i += 1
        }
        let digits = i - digitsStart
        guard digits > 0 else { throw fault(.number, at: i < end ? start : end) }
        if digits > 1, base[digitsStart] == 0x30 { throw fault(.number, at: start) }
        if i < end, base[i] == UInt8(ascii: ".") || base[i] | 0x20 == UInt8(ascii: "e") {
            at = i
            return .double(try fraction(start, mantissa, digits, isNegative))
        }
        // 19 digits always fit UInt64, so the mantissa is exact.
        guard digits <= 19, mantissa <= (isNegative ? 1 << 63 : (1 << 63) - 1) else {
            throw fault(.integerRange, at: start)
        }
        at = i
        return .integer(Int64(bitPattern: isNegative ? 0 &- mantissa : mantissa))
    }

    /// Goes on at the point or the exponent.
    private mutating func fraction(
        _ start: Int, _ whole: UInt64, _ wholeDigits: Int, _ isNegative: Bool
    ) throws(ScanFault) -> Double {
        var mantissa = whole
        var digits = wholeDigits
        var power = 0
        if base[at] == UInt8(ascii: ".") {
            at += 1
            let fractionStart = at
            while at < end, case let digit = base[at] &- 0x30, digit < 10 {
                mantissa = mantissa &* 10 &+ UInt64(digit)
                at += 1
            }
            power = fractionStart - at
            digits -= power
            guard power < 0 else { throw fault(.number, at: at < end ? start : end) }
        }
        if at < end, base[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            var sign = 1
            if at < end, base[at] == UInt8(ascii: "-") || base[at] == UInt8(ascii: "+") {
                sign = base[at] == UInt8(ascii: "-") ? -1 : 1
                at += 1
            }
            let exponentStart = at
            var exponent = 0
            while at < end, case let digit = base[at] &- 0x30, digit < 10 {
                // Far beyond any float64 already: only the direction matters.
                if exponent < 1_000_000 { exponent = exponent * 10 + Int(digit) }
                at += 1
            }
            guard at > exponentStart else { throw fault(.number, at: at < end ? start : end) }
            power += sign * exponent
        }
        // Both factors exact in a float64: one rounding, hence the correctly rounded result (Clinger 1990).
        if digits <= 19, mantissa <= 1 << 53, (-22...22).contains(power) {
            let exact = Double(mantissa)
            let magnitude = power < 0 ? exact / powersOfTen[-power] : exact * powersOfTen[power]
            return isNegative ? -magnitude : magnitude
        }
        let text = String(decoding: UnsafeBufferPointer(start: base + start, count: at - start), as: UTF8.self)
        guard let value = Double(text) else { throw fault(.number, at: start) }
        guard value.isFinite else { throw fault(.floatRange, at: start) }
        return value
    }
}

private let powersOfTen: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
]
