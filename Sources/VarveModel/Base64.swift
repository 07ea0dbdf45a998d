/// Base64 (RFC 4648 section 4): the padded standard alphabet; reading accepts exactly what writing makes.

private let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

package func base64(of bytes: UnsafeRawBufferPointer, into out: inout [UInt8]) {
    var at = 0
    while at < bytes.count {
        let left = bytes.count - at
        let group =
            UInt32(bytes[at]) << 16 | (left > 1 ? UInt32(bytes[at + 1]) << 8 : 0)
            | (left > 2 ? UInt32(bytes[at + 2]) : 0)
        out.append(alphabet[Int(group >> 18)])
        out.append(alphabet[Int(group >> 12 & 63)])
        out.append(left > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "="))
        out.append(left > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "="))
        at += 3
    }
}

/// nil for a wrong length, another alphabet, missing padding, or bits that no byte uses.
package func bytes(fromBase64 text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 4) else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(text.count / 4 * 3)
    var group: UInt32 = 0
    var digits = 0
    var padding = 0
    for byte in text {
        let value: UInt32
        switch byte {
        case 0x41...0x5a: value = UInt32(byte - 0x41)
        case 0x61...0x7a: value = UInt32(byte - 0x61 + 26)
        case 0x30...0x39: value = UInt32(byte - 0x30 + 52)
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        case UInt8(ascii: "=") where digits >= 2:
            padding += 1
            value = 0
        default: return nil
        }
        guard padding == 0 || byte == UInt8(ascii: "=") else { return nil }
        group = group << 6 | value
        digits += 1
        guard digits == 4 else { continue }
        let unused: UInt32 = padding == 0 ? 0 : padding == 1 ? 0xff : 0xffff
        guard group & unused == 0 else { return nil }
        result.append(UInt8(truncatingIfNeeded: group >> 16))
        if padding < 2 { result.append(UInt8(truncatingIfNeeded: group >> 8)) }
        if padding < 1 { result.append(UInt8(truncatingIfNeeded: group)) }
        // Padding ends the text: another group finds `padding` set and fails.
        (group, digits) = (0, 0)
    }
    return result
}
