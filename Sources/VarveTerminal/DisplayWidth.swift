// How many columns of a terminal a text takes, and texts that cannot harm one.

/// Columns: none for combining marks, two for East Asian wide characters and emoji.
package func displayWidth(_ text: String) -> Int {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text.utf8.count }
    return text.reduce(0) { $0 + displayWidth($1) }
}

package func displayWidth(_ character: Character) -> Int {
    var width = 0
    for scalar in character.unicodeScalars {
        // An emoji made of several is drawn as one; this sign asks for the drawn form.
        if scalar.value == 0xfe0f { return 2 }
        width = max(width, columns(scalar))
    }
    return width
}

private func columns(_ scalar: Unicode.Scalar) -> Int {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: break
    }
    switch scalar.value {
    case 0..<0x1100: return 1
    // East Asian Wide and Fullwidth of Unicode's EastAsianWidth.txt, in ranges.
    case 0x1100...0x115f, 0x231a...0x231b, 0x2329...0x232a, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf,
        0x4e00...0x9fff, 0xa000...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe10...0xfe19,
        0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6, 0x17000...0x18cff, 0x1b000...0x1b2ff, 0x20000...0x3fffd:
        return 2
    default: return scalar.properties.isEmojiPresentation ? 2 : 1
    }
}

/// The text without anything a terminal would obey: control characters, and marks that turn the reading direction.
package func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
    var safe = ""
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0x0a: safe += "\\n"
        case 0x0d: safe += "\\r"
        case 0x09: safe += "\\t"
        default:
            if isUnsafe(scalar) { safe += scalar.escaped(asASCII: true) } else { safe.unicodeScalars.append(scalar) }
        }
    }
    return safe
}

private func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7f...0x9f, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: true
    default: false
    }
}

/// Filled with spaces to `width` columns; longer texts stay.
func padded(_ text: String, to width: Int, right: Bool = false) -> String {
    let fill = String(repeating: " ", count: max(0, width - displayWidth(text)))
    return right ? fill + text : text + fill
}

/// At most `width` columns; what is cut off is shown as `…`.
func truncated(_ text: String, to width: Int) -> String {
    guard displayWidth(text) > width else { return text }
    var kept = ""
    var used = 0
    for character in text {
        let next = displayWidth(character)
        if used + next > width - 1 { break }
        kept.append(character)
        used += next
    }
    return width > 0 ? kept + "…" : ""
}
