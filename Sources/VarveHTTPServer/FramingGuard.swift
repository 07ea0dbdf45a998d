// What the library does not check: everything by which two parties could see two different requests in the same bytes.
//
// Invariant: a request that passes has at most one length, and a header block without oddities. Without this guard
// "Content-Length and Transfer-Encoding" and "two lengths" would be served (request smuggling).

enum FramingGuard {
    /// The declared length of the body; nil for a chunked one.
    enum Length: Equatable {
        case known(Int)
        case chunked
    }

    static func check(_ headers: RequestHeaders, version: Head.Version, method: String) -> Result<Length, Malformed> {
        for index in 0..<headers.count {
            let name = headers.nameBytes(at: index)
            guard !name.isEmpty, name.allSatisfy(isTokenByte) else { return .failure("a header name is not a token") }
            guard headers.valueBytes(at: index).allSatisfy(isValueByte) else {
                return .failure("a header value has a control character")
            }
        }
        if method.isEmpty || !method.utf8.allSatisfy(isTokenByte) { return .failure("the method is not a token") }
        if method == "CONNECT" { return .failure("CONNECT is not served") }
        let hosts = headers.count(of: "Host")
        if hosts > 1 || (hosts == 0 && version == .http11) { return .failure("exactly one Host is needed") }
        return length(headers, version)
    }

    struct Malformed: Error, ExpressibleByStringLiteral {
        var reason: String
        init(stringLiteral reason: String) { self.reason = reason }
    }

    private static func length(_ headers: RequestHeaders, _ version: Head.Version) -> Result<Length, Malformed> {
        let lengths = headers.count(of: "Content-Length")
        let encodings = headers.count(of: "Transfer-Encoding")
        if lengths + encodings > 1 { return .failure("the length of the body is given more than once") }
        if encodings == 1 {
            guard version == .http11 else { return .failure("Transfer-Encoding needs HTTP/1.1") }
            guard headers["Transfer-Encoding"]?.lowercased() == "chunked" else {
                return .failure("the only Transfer-Encoding is chunked")
            }
            return .success(.chunked)
        }
        guard let digits = headers.valueBytes("Content-Length") else { return .success(.known(0)) }
        guard !digits.isEmpty, digits.count <= 18, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            return .failure("Content-Length is not a number")
        }
        return .success(.known(digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }))
    }

    /// RFC 9110, 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default:
            false
        }
    }

    private static func isValueByte(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != 0x7F || byte == 0x09
    }
}
